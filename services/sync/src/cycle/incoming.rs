//! Incoming mail: list what changed in each folder, decide about each message, promote what is tracked, and commit verdicts, cursors and
//! attempt together (INV-1, INV-3).

use std::collections::BTreeSet;

use postroad_core::{
    mailbox::{
        Cycles, Event, FolderCursor, From, Item, ItemOutcome, ItemResult, Kind, Listed, Mailbox, Mark, Page, Place,
        judge_listed,
    },
    organization::Settings,
    profile::Profile,
};
use postroad_rig::clock;

use super::{Cycle, Stop, amendment, fetching};
use crate::{
    exchange::{Changes, Exchange, Failure},
    lock::lock,
    tracking::Met,
};

/// Mailboxes whose decided messages are kept in memory from one page of a listing anew to the next; of others the history is read again.
const KEPT: usize = 16;

/// A message that is read, and where it was met.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The message.
    pub item: Item,
    /// Where.
    pub met: Met,
}

/// What changed in one folder.
struct Looked {
    place: Place,
    changes: Changes,
    /// Whether it is listed anew, so that what is listed may have a verdict.
    is_anew: bool,
}

/// Looks at every folder once; gives whether there is more already.
pub async fn receive(
    cycle: &mut Cycle<'_>,
    exchange: &dyn Exchange,
    profile: &Profile,
    settings: &Settings,
) -> Result<bool, Stop> {
    let before = cycle.mailbox()?;
    let looked = look(cycle, exchange, &before, profile, settings).await?;
    let touched = |one: &Looked| !one.changes.listed.is_empty() || !one.changes.updated.is_empty();
    let has_work = looked.iter().any(touched)
        || !cycle.deferred(&before).is_empty()
        || !before.sync.to_dispose.is_empty()
        || backfill_is_due(&before, profile);
    if has_work {
        cycle.start().await?;
    }
    // As of that commit: what an administrator set before a message arrived holds for it.
    let mailbox = cycle.mailbox()?;
    // What was listed may have been decided by another worker before that commit; then it is listed anew (INV-1, tests/model).
    if has_work && has_moved(&before, &mailbox) {
        return Ok(true);
    }
    plan_backfill(cycle, exchange, &mailbox, profile).await?;
    let (skipped, wanted) = judge(cycle, &mailbox, profile, &looked, settings);
    let mut outcomes = skipped;
    outcomes.extend(fetching::promote_all(cycle.worker, exchange, &mailbox, &wanted, settings).await?);
    let amended = amendment::amend(cycle, exchange, &mailbox, &looked_updates(&looked), settings).await?;
    let (amendments, failed) = amended;
    outcomes.extend(failed);
    let tried = outcomes.iter().any(|outcome| matches!(outcome.result, ItemResult::Failed(_)));
    let more = looked.iter().any(|one| one.changes.more);
    let has_updates = looked.iter().any(|one| !one.changes.updated.is_empty());
    let relisted = Some(relisted(&mailbox, &looked));
    let page = Page { outcomes, amendments, has_updates, has_more: more, relisted, ..cursors(&mailbox, looked) };
    cycle.finish(page).await?;
    if tried {
        lock(&cycle.worker.retried).insert(cycle.id, clock::now());
    }
    impose(cycle, &mailbox).await?;
    Ok(more)
}

/// Whether somebody decided or listed something in between.
fn has_moved(before: &Mailbox, now: &Mailbox) -> bool {
    let (before, now) = (&before.sync, &now.sync);
    before.processed != now.processed || before.cursor != now.cursor || before.folder_cursors != now.folder_cursors
}

/// The folders that are looked at: the Inbox, Sent Items of users where switched on, the tracked ones.
pub fn places(mailbox: &Mailbox, settings: &Settings) -> Vec<Place> {
    let mut places = vec![Place::Inbox];
    if matches!(mailbox.settings.kind, Kind::User(_)) {
        places.extend(settings.track_sent_items.then_some(Place::SentItems));
        if settings.folder_tracking {
            places.extend(mailbox.folders.keys().cloned().map(Place::Folder));
        }
    }
    places
}

async fn look(
    cycle: &mut Cycle<'_>,
    exchange: &dyn Exchange,
    mailbox: &Mailbox,
    profile: &Profile,
    settings: &Settings,
) -> Result<Vec<Looked>, Stop> {
    let mut looked = Vec::new();
    for place in places(mailbox, settings) {
        let cursor = match &place {
            Place::Inbox => mailbox.sync.cursor.as_deref(),
            other => mailbox.sync.folder_cursors.get(other).map(String::as_str),
        };
        let found = exchange.changes(&place, cursor, cycle.worker.page).await;
        let mut changes = match found {
            Ok(changes) => changes,
            // The Inbox is listed anew by the caller; of the others only the folder's own state is lost.
            Err(Failure::Resync(report)) if place != Place::Inbox && cursor.is_some() => {
                tracing::info!(mailbox.id = %cycle.id, detail = report.detail, "a folder is listed anew");
                Changes { more: true, ..Changes::default() }
            }
            // A tracked folder that was deleted stops nobody.
            Err(Failure::Fault(report)) if matches!(place, Place::Folder(_)) && is_folder_gone(&report) => continue,
            Err(failure) => return Err(Stop::Exchange(failure)),
        };
        if let Some(allows) = changes.server_allows {
            cycle.worker.connections.learn(profile.id, allows);
        }
        let is_anew = (cursor.is_none() && mailbox.sync.processed > 0) || mailbox.sync.relisted.contains(&place);
        if is_anew {
            forget_decided(cycle, &mut changes).await?;
        }
        looked.push(Looked { place, changes, is_anew });
    }
    Ok(looked)
}

fn is_folder_gone(report: &postroad_core::fault::Report) -> bool {
    report.detail.contains("ErrorFolderNotFound") || report.detail.contains("ErrorItemNotFound")
}

/// The folder is listed anew after its state was lost: what has a verdict is not decided again (INV-1).
async fn forget_decided(cycle: &Cycle<'_>, changes: &mut Changes) -> Result<(), Stop> {
    let mut decided = lock(&cycle.worker.decided).remove(&cycle.id).unwrap_or_default();
    loop {
        let history = cycle.worker.journal.history::<Cycles>(cycle.id, decided.after, 500).await;
        let history = history.map_err(|_| Stop::Journal)?;
        let Some(last) = history.last() else { break };
        decided.after = last.sequence;
        for event in history.iter().flat_map(|commit| &commit.events) {
            if let Event::AttemptFinished { verdicts, .. } = event {
                decided.items.extend(verdicts.iter().map(|verdict| verdict.item.id.clone()));
            }
        }
    }
    changes.listed.retain(|listed| !decided.items.contains(&listed.item.id));
    let mut kept = lock(&cycle.worker.decided);
    if changes.more && kept.len() < KEPT {
        kept.insert(cycle.id, decided);
    }
    Ok(())
}

/// The folders that are listed anew and not to their end yet.
fn relisted(mailbox: &Mailbox, looked: &[Looked]) -> BTreeSet<Place> {
    let mut relisted = mailbox.sync.relisted.clone();
    for one in looked {
        if one.is_anew && one.changes.more {
            relisted.insert(one.place.clone());
        } else {
            relisted.remove(&one.place);
        }
    }
    relisted
}

fn looked_updates(looked: &[Looked]) -> Vec<Listed> {
    looked.iter().filter(|one| one.place == Place::Inbox).flat_map(|one| one.changes.updated.clone()).collect()
}

/// The new states of the folders.
fn cursors(mailbox: &Mailbox, looked: Vec<Looked>) -> Page {
    let mut page = Page::default();
    for one in looked {
        match one.place {
            Place::Inbox => page.cursor = Some(one.changes.cursor),
            place => {
                // A state that moved over nothing is not written, unless more follows: the older one lists a superset.
                let is_first = !mailbox.sync.folder_cursors.contains_key(&place);
                let changes = &one.changes;
                let is_over_nothing = changes.listed.is_empty() && changes.updated.is_empty() && !changes.more;
                let is_moved = !is_over_nothing || changes.cursor.is_empty();
                if is_first || is_moved {
                    page.folders.push(FolderCursor { place, cursor: one.changes.cursor });
                }
            }
        }
    }
    page
}

fn judge(
    cycle: &Cycle<'_>,
    mailbox: &Mailbox,
    profile: &Profile,
    looked: &[Looked],
    settings: &Settings,
) -> (Vec<ItemOutcome>, Vec<Wanted>) {
    let from = mailbox.process_email_from(profile.settings.process_email_from);
    let mut skipped = Vec::new();
    let mut wanted = cycle.deferred(mailbox);
    for (place, listed) in looked.iter().flat_map(|one| one.changes.listed.iter().map(|listed| (&one.place, listed))) {
        if mailbox.sync.deferred.contains_key(&listed.item.id) {
            continue;
        }
        let mark = match place {
            Place::Folder(_) => Some(Mark::Folder),
            Place::Inbox if listed.is_categorized(settings) && is_users(mailbox) => Some(Mark::Category),
            Place::Inbox | Place::SentItems => None,
        };
        match judge_listed(listed, mark.is_some(), mailbox.settings.filtering_method, from) {
            Some(reason) => {
                let (item, result) = (listed.item.clone(), ItemResult::Skipped(reason));
                skipped.push(ItemOutcome { place: place.clone(), mark, ..ItemOutcome::new(item, result) });
            }
            None => {
                let met = Met { place: place.clone(), mark, is_unwrapped: false };
                wanted.push(Wanted { item: listed.item.clone(), met });
            }
        }
    }
    (skipped, wanted)
}

/// Only people track messages by hand; a queue's mailbox may hold the category from the mailbox that a message was moved from.
pub fn is_users(mailbox: &Mailbox) -> bool {
    matches!(mailbox.settings.kind, Kind::User(_))
}

fn backfill_is_due(mailbox: &Mailbox, profile: &Profile) -> bool {
    let from = From(mailbox.process_email_from(profile.settings.process_email_from));
    mailbox.sync.judged_from.is_some_and(|judged| from.is_before(judged))
}

/// Process Email From was lowered: what was too old is counted, and read from now on.
async fn plan_backfill(
    cycle: &mut Cycle<'_>,
    exchange: &dyn Exchange,
    mailbox: &Mailbox,
    profile: &Profile,
) -> Result<(), Stop> {
    let Some(judged) = mailbox.sync.judged_from.filter(|_| backfill_is_due(mailbox, profile)) else { return Ok(()) };
    let from = From(mailbox.process_email_from(profile.settings.process_email_from));
    let begun = mailbox.sync.backfill.as_ref().map(|backfill| backfill.before);
    let Some(before) = begun.or(judged.0) else { return Ok(()) };
    let total = exchange.older(from, before, 0, 1).await.map_err(Stop::Exchange)?.total;
    cycle.commit(move |epoch| postroad_core::mailbox::CycleCommand::PlanBackfill { epoch, from, total }).await
}

/// The records of tracked folders are imposed on what lies in them, whatever was set meanwhile (spec §3.10).
async fn impose(cycle: &Cycle<'_>, mailbox: &Mailbox) -> Result<(), Stop> {
    if mailbox.folders.is_empty() {
        return Ok(());
    }
    for (folder_id, folder) in &mailbox.folders {
        let imposed = cycle.worker.crm.impose(cycle.id, folder_id, folder.regarding).await;
        imposed.map_err(|refused| Stop::Fault(refused.report()))?;
    }
    Ok(())
}
