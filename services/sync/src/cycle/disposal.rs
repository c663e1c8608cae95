//! What is done with messages in the mailbox after they were decided: moved, deleted, marked. Intended with the verdict, done here,
//! confirmed by one commit; a crash in between repeats it, which changes nothing.

use postroad_core::{
    mailbox::{CycleCommand, Disposal, Disposed},
    organization::Settings,
};

use super::{Cycle, Stop};
use crate::{exchange::Exchange, lock::lock};

/// Messages marked at a time.
const BATCH: usize = 50;

/// Does what is intended.
pub async fn dispose(cycle: &mut Cycle<'_>, exchange: &dyn Exchange, settings: &Settings) -> Result<(), Stop> {
    let mailbox = cycle.mailbox()?;
    let intended = &mailbox.sync.to_dispose;
    if intended.is_empty() {
        return Ok(());
    }
    let mut done = Vec::with_capacity(intended.len());
    for (item_id, disposal) in intended {
        let result = match disposal {
            Disposal::UndeliverableFolder => exchange.move_to_undeliverable(item_id).await.map_err(Stop::Exchange)?,
            Disposal::DeletedItems => exchange.delete(item_id).await.map_err(Stop::Exchange)?.map(|()| None),
            Disposal::UndeliverableCategory | Disposal::TrackedCategory => continue,
        };
        let (new_id, fault) = result.map_or_else(|report| (None, Some(report)), |new_id| (new_id, None));
        done.push(Disposed { item_id: item_id.clone(), new_id, fault });
    }
    let marks = [
        (Disposal::TrackedCategory, &settings.category),
        (Disposal::UndeliverableCategory, &settings.undeliverable_category),
    ];
    for (disposal, category) in marks {
        let ids: Vec<String> =
            intended.iter().filter(|(_, intended)| **intended == disposal).map(|(id, _)| id.clone()).collect();
        for ids in ids.chunks(BATCH) {
            // Its own mark comes back as a change of the message, which is not to be taken for a person's.
            lock(&cycle.worker.marked).entry(cycle.id).or_default().extend(ids.iter().cloned());
            let results = exchange.categorize(ids, category).await.map_err(Stop::Exchange)?;
            done.extend(ids.iter().zip(results).map(|(item_id, result)| Disposed {
                item_id: item_id.clone(),
                new_id: None,
                fault: result.err(),
            }));
        }
    }
    cycle.commit(move |epoch| CycleCommand::Dispose { epoch, items: done.clone() }).await
}
