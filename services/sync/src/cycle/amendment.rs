//! What people do to messages that were decided already: the category tracks one that was not, and untracks one that was (spec §3.10).

use std::collections::{BTreeSet, HashMap};

use postroad_core::{
    mailbox::{
        Amendment, Cycles, Decision, Disposal, Event, ItemOutcome, ItemResult, Listed, Mailbox, Mark, Place, Verdict,
    },
    organization::Settings,
};
use uuid::Uuid;

use super::{Cycle, Stop, fetching, incoming::Wanted, incoming::is_users};
use crate::{exchange::Exchange, lock::lock, tracking::Met};

/// What is known of a message in this mailbox.
#[derive(Default)]
struct History {
    /// Its activity, if it is tracked.
    email_id: Option<Uuid>,
    /// Whether it bore the category: Postroad marked it, or a person did.
    is_marked: bool,
    /// Whether it was decided at all.
    is_decided: bool,
}

/// What follows from changes of messages, and what failed of it. The CRM is told at once; the amendments are committed with the cursor.
pub async fn amend(
    cycle: &Cycle<'_>,
    exchange: &dyn Exchange,
    mailbox: &Mailbox,
    updated: &[Listed],
    settings: &Settings,
) -> Result<(Vec<Amendment>, Vec<ItemOutcome>), Stop> {
    let mut amendments = Vec::new();
    let mut failed = Vec::new();
    if !settings.track_categorized || !is_users(mailbox) {
        return Ok((amendments, failed));
    }
    // The one change that Postroad made itself; another one that came with it is seen with the next change.
    let is_own = |listed: &&Listed| {
        let is_marked = lock(&cycle.worker.marked).get_mut(&cycle.id).is_some_and(|own| own.remove(&listed.item.id));
        is_marked && listed.is_categorized(settings)
    };
    let changed: Vec<&Listed> = updated.iter().filter(|listed| !is_own(listed)).collect();
    let histories = histories(cycle, &changed).await?;
    for listed in changed {
        let is_categorized = listed.is_categorized(settings);
        let Some(known) = histories.get(listed.item.id.as_str()) else { continue };
        match (known.email_id, is_categorized) {
            (None, true) if known.is_decided => {
                let met = Met { place: Place::Inbox, mark: Some(Mark::Category), is_unwrapped: false };
                let wanted = [Wanted { item: listed.item.clone(), met }];
                let outcomes = fetching::promote_all(cycle.worker, exchange, mailbox, &wanted, settings).await?;
                for outcome in outcomes {
                    match outcome.result {
                        ItemResult::Promoted { email_id, .. } => {
                            let (item, mark) = (outcome.item, Mark::Category);
                            amendments.push(Amendment::Tracked { item, email_id, mark });
                        }
                        // Tried again with the others that failed.
                        ItemResult::Failed(_) => failed.push(ItemOutcome { is_by_hand: true, ..outcome }),
                        ItemResult::Skipped(_) => {}
                    }
                }
            }
            (Some(email_id), false) if known.is_marked => {
                let untracked = cycle.worker.crm.untrack(email_id, cycle.id).await;
                untracked.map_err(|refused| Stop::Fault(refused.report()))?;
                amendments.push(Amendment::Untracked { item: listed.item.clone(), email_id });
            }
            _ => {}
        }
    }
    Ok((amendments, failed))
}

/// What the journal says about messages in this mailbox, by item id. Each commit is read once, however many messages it decided.
async fn histories<'a>(cycle: &Cycle<'_>, changed: &[&'a Listed]) -> Result<HashMap<&'a str, History>, Stop> {
    let directory = &cycle.worker.directory;
    let ids = changed.iter().filter_map(|listed| listed.item.message_id.as_deref());
    let places: BTreeSet<u64> = ids.flat_map(|message_id| directory.decided(message_id)).collect();
    let mut histories: HashMap<&str, History> =
        changed.iter().map(|listed| (listed.item.id.as_str(), History::default())).collect();
    for sequence in places {
        let commit = cycle.worker.journal.at::<Cycles>(sequence).await.map_err(|_| Stop::Journal)?;
        let Some((_, commit)) = commit.filter(|(mailbox, _)| *mailbox == cycle.id) else { continue };
        commit.events.iter().for_each(|event| apply(&mut histories, event));
    }
    Ok(histories)
}

fn apply(histories: &mut HashMap<&str, History>, event: &Event) {
    let Event::AttemptFinished { verdicts, amendments, .. } = event else { return };
    for verdict in verdicts {
        if let Some(known) = histories.get_mut(verdict.item.id.as_str()) {
            known.decided(verdict);
        }
    }
    for amendment in amendments {
        let (Amendment::Tracked { item, .. } | Amendment::Untracked { item, .. }) = amendment;
        if let Some(known) = histories.get_mut(item.id.as_str()) {
            known.amended(amendment);
        }
    }
}

impl History {
    fn decided(&mut self, verdict: &Verdict) {
        self.is_decided = true;
        if let Decision::Tracked { email_id, acceptance, .. } = &verdict.decision {
            let by_person = acceptance.as_ref().and_then(|acceptance| acceptance.mark) == Some(Mark::Category);
            self.email_id = Some(*email_id);
            self.is_marked = by_person || verdict.disposal == Some(Disposal::TrackedCategory);
        }
    }

    const fn amended(&mut self, amendment: &Amendment) {
        (self.email_id, self.is_marked) = match amendment {
            Amendment::Tracked { email_id, .. } => (Some(*email_id), true),
            Amendment::Untracked { .. } => (None, false),
        };
    }
}
