//! Keeping the view of all mailboxes, so that roles start from it and not from the beginning of the journal.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::{Stream, stream};
use postroad_journal::{Journal, Record};
use tokio_util::sync::CancellationToken;

use super::Directory;
use crate::{explain::PARTS, ownership::Ownership};

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(10);
/// Mailboxes that are taken over at a time; the view stands still for so long.
const BATCH: usize = 128;

/// Keeps the view whenever the journal grew by as many commits as there are mailboxes, and by no less than `commits`: the work is then in
/// proportion to what happened, and so is what has to be folded at a start. The holder of the first partition does it.
pub async fn keep(
    directory: Arc<Directory>,
    ownership: Arc<Ownership>,
    journal: Journal,
    commits: u64,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        let (unkept, mailboxes) = directory.unkept();
        if unkept < commits.max(mailboxes as u64) || !ownership.holds_first() {
            continue;
        }
        let began = postroad_rig::clock::instant();
        let sequence = directory.reached();
        let kept = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            kept = journal.keep_mailboxes(sequence, Box::pin(batches(Arc::clone(&directory)))) => kept,
        };
        match kept {
            Ok(bytes) => {
                directory.kept(sequence);
                let elapsed_ms = began.elapsed().as_millis();
                tracing::info!(sequence, mailboxes, bytes, elapsed_ms, "a snapshot of all mailboxes was kept");
            }
            Err(error) => tracing::warn!(%error, "a snapshot of all mailboxes could not be kept; it is tried again"),
        }
    }
}

/// All that is known, piece by piece; what changes meanwhile is in the one or the other state, each with its own sequence.
pub fn batches(directory: Arc<Directory>) -> impl Stream<Item = Vec<Record>> + Send {
    let mut ids: Vec<_> = directory.read().mailboxes.keys().copied().collect();
    let mut profiles = Some(());
    let mut parts = 0..PARTS;
    stream::iter(std::iter::from_fn(move || {
        let view = directory.read();
        if profiles.take().is_some() {
            return Some(view.profile_records());
        }
        if !ids.is_empty() {
            let rest = ids.len().saturating_sub(BATCH);
            return Some(view.records(&ids.split_off(rest)));
        }
        parts.next().map(|part| vec![Record::Decided(view.index.part(part))])
    }))
}
