//! What people do to messages that were decided already: the category tracks one that was not, and untracks one that was (spec §3.10).

use postroad_core::{
    mailbox::{Amendment, Cycles, Decision, Disposal, Event, ItemResult, Listed, Mailbox, Mark, Place},
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

/// What follows from changes of messages. The CRM is told at once; the amendment is committed with the cursor.
pub async fn amend(
    cycle: &Cycle<'_>,
    exchange: &dyn Exchange,
    mailbox: &Mailbox,
    updated: &[Listed],
    settings: &Settings,
) -> Result<Vec<Amendment>, Stop> {
    let mut amendments = Vec::new();
    if !settings.track_categorized || !is_users(mailbox) {
        return Ok(amendments);
    }
    for listed in updated {
        let is_categorized = listed.is_categorized(settings);
        let is_own = lock(&cycle.worker.marked).get_mut(&cycle.id).is_some_and(|own| own.remove(&listed.item.id));
        // The one change that Postroad made itself; another one that came with it is seen with the next change.
        if is_own && is_categorized {
            continue;
        }
        let known = history(cycle, listed).await?;
        match (known.email_id, is_categorized) {
            (None, true) if known.is_decided => {
                let met = Met { place: Place::Inbox, mark: Some(Mark::Category), is_unwrapped: false };
                let wanted = [Wanted { item: listed.item.clone(), met }];
                let outcomes = fetching::promote_all(cycle.worker, exchange, mailbox, &wanted, settings).await?;
                amendments.extend(outcomes.into_iter().filter_map(|outcome| match outcome.result {
                    ItemResult::Promoted { email_id, .. } => {
                        Some(Amendment::Tracked { item: outcome.item, email_id, mark: Mark::Category })
                    }
                    ItemResult::Skipped(_) | ItemResult::Failed(_) => None,
                }));
            }
            (Some(email_id), false) if known.is_marked => {
                let untracked = cycle.worker.crm.untrack(email_id, cycle.id).await;
                untracked.map_err(|refused| Stop::Fault(refused.report()))?;
                amendments.push(Amendment::Untracked { item: listed.item.clone(), email_id });
            }
            _ => {}
        }
    }
    Ok(amendments)
}

/// What the journal says about a message in this mailbox.
async fn history(cycle: &Cycle<'_>, listed: &Listed) -> Result<History, Stop> {
    let mut known = History::default();
    let Some(message_id) = listed.item.message_id.as_deref() else { return Ok(known) };
    for sequence in cycle.worker.directory.decided(message_id) {
        let commit = cycle.worker.journal.at::<Cycles>(sequence).await.map_err(|_| Stop::Journal)?;
        let Some((mailbox, commit)) = commit else { continue };
        if mailbox == cycle.id {
            commit.events.iter().for_each(|event| known.apply(event, &listed.item.id));
        }
    }
    Ok(known)
}

impl History {
    fn apply(&mut self, event: &Event, item_id: &str) {
        let Event::AttemptFinished { verdicts, amendments, .. } = event else { return };
        for verdict in verdicts.iter().filter(|verdict| verdict.item.id == item_id) {
            self.is_decided = true;
            if let Decision::Tracked { email_id, acceptance, .. } = &verdict.decision {
                let by_person = acceptance.as_ref().and_then(|acceptance| acceptance.mark) == Some(Mark::Category);
                self.email_id = Some(*email_id);
                self.is_marked = by_person || verdict.disposal == Some(Disposal::TrackedCategory);
            }
        }
        for amendment in amendments {
            match amendment {
                Amendment::Tracked { item, email_id, .. } if item.id == item_id => {
                    (self.email_id, self.is_marked) = (Some(*email_id), true);
                }
                Amendment::Untracked { item, .. } if item.id == item_id => {
                    (self.email_id, self.is_marked) = (None, false);
                }
                Amendment::Tracked { .. } | Amendment::Untracked { .. } => {}
            }
        }
    }
}
