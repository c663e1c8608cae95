//! How each event changes a mailbox. Total: no history makes it fail.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Amendment, Approval, Backfill, BackfillStep, Decision, Deferral, Direction, DirectionState, Disposed, Event,
    Health, Mailbox, PerDirection, Settings, State, Status, Sync, TestOutcome, Verdict, sending,
};

/// Both ways of email fare alike: they use the same mailbox, server and account.
const EMAIL: [Direction; 2] = [Direction::Incoming, Direction::Outgoing];

/// Folds one event into the state.
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::Deleted, _) | (_, Event::Deleted) => State::Deleted,
        (_, Event::Created { id, settings }) => State::Live(Arc::new(Mailbox {
            id: *id,
            settings: settings.clone(),
            sealed: None,
            approval: Approval::Pending,
            active: true,
            directions: PerDirection::default(),
            test_completed_on: None,
            folders: std::collections::BTreeMap::new(),
            sync: Sync::default(),
        })),
        (State::Live(mut mailbox), event) => {
            // Copied only where somebody looks at the state before.
            let changed = Arc::make_mut(&mut mailbox);
            administer(changed, event);
            synchronize(changed, event);
            State::Live(mailbox)
        }
        (State::Absent, _) => State::Absent,
    }
}

fn administer(mailbox: &mut Mailbox, event: &Event) {
    match event {
        Event::Changed { settings } => change(mailbox, settings),
        Event::PasswordSet { sealed } => {
            mailbox.sealed = Some(sealed.clone());
            probe_now(mailbox);
        }
        Event::Resealed { sealed } => mailbox.sealed = Some(sealed.clone()),
        Event::ApprovalChanged { approval } => {
            mailbox.approval = *approval;
            if *approval != Approval::Approved {
                disable_all(mailbox, Status::NotRun);
            }
        }
        Event::Activated => mailbox.active = true,
        Event::Deactivated => mailbox.active = false,
        Event::Tested { at, outcomes, next_probe, profile_revision } => {
            tested(mailbox, *at, outcomes, *next_probe, *profile_revision);
        }
        Event::FolderTracked { folder_id, folder, .. } => {
            mailbox.folders.insert(folder_id.clone(), folder.clone());
        }
        Event::FolderUntracked { folder_id, .. } => {
            mailbox.folders.remove(folder_id);
            let place = super::Place::Folder(folder_id.clone());
            mailbox.sync.folder_cursors.remove(&place);
            mailbox.sync.relisted.remove(&place);
        }
        Event::BackfillPaused { .. } => pause(mailbox, true),
        Event::BackfillResumed { .. } => pause(mailbox, false),
        Event::RetryAsked { items, .. } => retry(&mut mailbox.sync, items),
        Event::Created { .. }
        | Event::Deleted
        | Event::Claimed { .. }
        | Event::AttemptStarted { .. }
        | Event::AttemptFinished { .. }
        | Event::AttemptFailed { .. }
        | Event::Throttled { .. }
        | Event::Recovered { .. }
        | Event::Disposed { .. }
        | Event::BackfillPlanned { .. }
        | Event::Sending { .. } => {}
    }
}

fn pause(mailbox: &mut Mailbox, is_paused: bool) {
    if let Some(backfill) = &mut mailbox.sync.backfill {
        backfill.is_paused = is_paused;
    }
}

/// Messages that were given up begin anew, in another pass.
fn retry(sync: &mut Sync, items: &[String]) {
    for id in items {
        let Some((item, pass)) = sync.undeliverable.remove(id) else { continue };
        let report = crate::fault::Report::new(crate::fault::Code::ItemUnreadable, "somebody asked to try it again");
        let deferral = Deferral { item, attempts: 0, report, pass: pass + 1, place: super::Place::Inbox, mark: None };
        sync.deferred.insert(id.clone(), deferral);
    }
}

fn change(mailbox: &mut Mailbox, settings: &Settings) {
    let moved = settings.address != mailbox.settings.address;
    let elsewhere = settings.profile_id != mailbox.settings.profile_id;
    mailbox.settings = settings.clone();
    if moved {
        // Another mailbox of Exchange: its cursor and item ids mean nothing there (spec §2.2: approval pending again).
        mailbox.approval = Approval::Pending;
        mailbox.folders.clear();
        mailbox.sync = Sync {
            epoch: mailbox.sync.epoch,
            worker: mailbox.sync.worker.clone(),
            // What may have been sent must not be forgotten.
            sending: std::mem::take(&mut mailbox.sync.sending),
            ..Sync::default()
        };
    }
    if moved || elsewhere {
        disable_all(mailbox, Status::NotRun);
    }
    for direction in Direction::ALL {
        if !mailbox.wants(direction) {
            *mailbox.directions.get_mut(direction) = DirectionState::default();
        }
    }
}

fn disable_all(mailbox: &mut Mailbox, status: Status) {
    mailbox.directions =
        PerDirection { incoming: off(status), outgoing: off(status), appointments_contacts_tasks: off(status) };
    mailbox.sync.health = Health::Unknown;
}

const fn off(status: Status) -> DirectionState {
    DirectionState { enabled: false, status }
}

fn probe_now(mailbox: &mut Mailbox) {
    if let Health::Disabled { next_probe, .. } = &mut mailbox.sync.health {
        *next_probe = Some(Timestamp::MIN);
    }
}

fn tested(
    mailbox: &mut Mailbox,
    at: Timestamp,
    outcomes: &PerDirection<TestOutcome>,
    next_probe: Option<Timestamp>,
    profile_revision: u64,
) {
    mailbox.test_completed_on = Some(at);
    for direction in Direction::ALL {
        let state = mailbox.directions.get_mut(direction);
        match outcomes.get(direction) {
            Some(Ok(())) => *state = DirectionState { enabled: true, status: Status::Success },
            Some(Err(_)) => *state = off(Status::Failure),
            None => *state = DirectionState::default(),
        }
    }
    match &outcomes.incoming {
        Some(Err(report)) => {
            let report = report.clone();
            mailbox.sync.health = Health::Disabled { report, since: at, probes: 0, next_probe, profile_revision };
            // Where the one fails the other is not used either.
            mailbox.sync.suspended = EMAIL.into_iter().filter(|way| outcomes.get(*way).is_some()).collect();
        }
        Some(Ok(())) => {
            mailbox.sync.health = Health::Unknown;
            mailbox.sync.throttled_until = None;
            mailbox.sync.suspended.clear();
        }
        None => {
            mailbox.sync.health = Health::Unknown;
            mailbox.sync.suspended.clear();
        }
    }
}

fn synchronize(mailbox: &mut Mailbox, event: &Event) {
    match event {
        Event::Claimed { epoch, worker, .. } => {
            mailbox.sync.epoch = *epoch;
            mailbox.sync.worker.clone_from(worker);
        }
        Event::AttemptFinished { at, cursor, verdicts, deferrals, .. } => {
            finished(&mut mailbox.sync, *at, cursor.as_ref(), verdicts, deferrals);
            looked(&mut mailbox.sync, event);
            for direction in EMAIL {
                let state = mailbox.directions.get_mut(direction);
                if state.enabled {
                    state.status = Status::Success;
                }
            }
        }
        Event::AttemptFailed { .. } => failed(mailbox, event),
        Event::Throttled { until, .. } => mailbox.sync.throttled_until = Some(*until),
        Event::Recovered { .. } => {
            // What was not enabled before does not become so by itself.
            for direction in std::mem::take(&mut mailbox.sync.suspended) {
                if mailbox.wants(direction) {
                    *mailbox.directions.get_mut(direction) = DirectionState { enabled: true, status: Status::Success };
                }
            }
        }
        Event::Disposed { items, .. } => items.iter().for_each(|done| disposed(&mut mailbox.sync, done)),
        Event::BackfillPlanned { at, from, before, total, .. } => {
            let known = mailbox.sync.backfill.take();
            mailbox.sync.passes += 1;
            mailbox.sync.backfill = Some(Backfill {
                from: *from,
                before: *before,
                total: known.as_ref().map_or(0, |known| known.done) + *total,
                done: known.as_ref().map_or(0, |known| known.done),
                started_at: known.as_ref().map_or(*at, |known| known.started_at),
                advanced_at: known.as_ref().map_or(*at, |known| known.advanced_at),
                is_paused: known.as_ref().is_some_and(|known| known.is_paused),
                pass: mailbox.sync.passes,
            });
            mailbox.sync.judged_from = Some(*from);
        }
        Event::Sending { event, .. } => sending::evolve(&mut mailbox.sync.sending, event),
        Event::Created { .. }
        | Event::Changed { .. }
        | Event::PasswordSet { .. }
        | Event::Resealed { .. }
        | Event::ApprovalChanged { .. }
        | Event::Activated
        | Event::Deactivated
        | Event::Tested { .. }
        | Event::Deleted
        | Event::AttemptStarted { .. }
        | Event::BackfillPaused { .. }
        | Event::BackfillResumed { .. }
        | Event::RetryAsked { .. }
        | Event::FolderTracked { .. }
        | Event::FolderUntracked { .. } => {}
    }
}

fn disposed(sync: &mut Sync, done: &Disposed) {
    sync.to_dispose.remove(&done.item_id);
    // A moved message has another id; under that it is found again.
    if let Some(new_id) = &done.new_id
        && let Some((item, pass)) = sync.undeliverable.remove(&done.item_id)
    {
        sync.undeliverable.insert(new_id.clone(), (super::Item { id: new_id.clone(), ..item }, pass));
    }
}

/// The other folders, the date, and the backfill.
fn looked(sync: &mut Sync, event: &Event) {
    let Event::AttemptFinished { at, folders, judged_from, backfill, amendments, relisted, .. } = event else { return };
    sync.relisted = relisted.iter().cloned().collect();
    for folder in folders {
        if folder.cursor.is_empty() {
            sync.folder_cursors.remove(&folder.place);
        } else {
            sync.folder_cursors.insert(folder.place.clone(), folder.cursor.clone());
        }
    }
    // A lowered date is taken over by the backfill that it needs; until then mail was judged by the later one.
    if let Some(from) = judged_from
        && sync.judged_from.is_none_or(|known| !from.is_before(known))
    {
        sync.judged_from = Some(*from);
    }
    for amendment in amendments {
        let (Amendment::Tracked { item, .. } | Amendment::Untracked { item, .. }) = amendment;
        sync.undeliverable.remove(&item.id);
    }
    let Some(BackfillStep { before, read, is_last }) = backfill else { return };
    if *is_last {
        sync.backfill = None;
    } else if let Some(known) = &mut sync.backfill {
        known.before = *before;
        known.done += *read;
        known.advanced_at = *at;
    }
}

fn finished(sync: &mut Sync, at: Timestamp, cursor: Option<&String>, verdicts: &[Verdict], deferrals: &[Deferral]) {
    sync.last_attempt = Some(at);
    sync.last_success = Some(at);
    sync.health = Health::Healthy;
    sync.throttled_until = None;
    if let Some(cursor) = cursor {
        // An empty cursor is the order to list the folder anew.
        sync.cursor = (!cursor.is_empty()).then(|| cursor.clone());
    }
    for verdict in verdicts {
        sync.deferred.remove(&verdict.item.id);
        sync.processed += 1;
        if let Some(disposal) = verdict.disposal {
            sync.to_dispose.insert(verdict.item.id.clone(), disposal);
        }
        if matches!(verdict.decision, Decision::Undeliverable { .. }) {
            sync.undeliverable.insert(verdict.item.id.clone(), (verdict.item.clone(), verdict.pass));
        }
    }
    for deferral in deferrals {
        sync.deferred.insert(deferral.item.id.clone(), deferral.clone());
    }
}

fn failed(mailbox: &mut Mailbox, event: &Event) {
    let Event::AttemptFailed { at, report, failures, next_attempt, disables, profile_revision, .. } = event else {
        return;
    };
    mailbox.sync.last_attempt = Some(*at);
    let since = match &mailbox.sync.health {
        Health::Disabled { since, .. } => Some(*since),
        _ if *disables => Some(*at),
        Health::Unknown | Health::Healthy | Health::Failing { .. } => None,
    };
    mailbox.sync.health = match since {
        Some(since) => {
            for direction in EMAIL {
                let state = mailbox.directions.get_mut(direction);
                if state.enabled {
                    *state = off(Status::Failure);
                    mailbox.sync.suspended.push(direction);
                }
            }
            Health::Disabled {
                report: report.clone(),
                since,
                probes: if *disables { 0 } else { *failures },
                next_probe: *next_attempt,
                profile_revision: *profile_revision,
            }
        }
        None => {
            for direction in EMAIL {
                let state = mailbox.directions.get_mut(direction);
                if state.enabled {
                    state.status = Status::Failure;
                }
            }
            let next_attempt = next_attempt.unwrap_or(*at);
            Health::Failing { report: report.clone(), failures: *failures, next_attempt }
        }
    };
}
