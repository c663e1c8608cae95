//! How each event changes a mailbox. Total: no history makes it fail.

use jiff::Timestamp;

use super::{
    Approval, Decision, Deferral, Direction, DirectionState, Event, Health, Mailbox, PerDirection, Settings, State,
    Status, Sync, TestOutcome, Verdict,
};

/// Folds one event into the state.
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::Deleted, _) | (_, Event::Deleted) => State::Deleted,
        (_, Event::Created { id, settings }) => State::Live(Box::new(Mailbox {
            id: *id,
            settings: settings.clone(),
            sealed: None,
            approval: Approval::Pending,
            active: true,
            directions: PerDirection::default(),
            test_completed_on: None,
            sync: Sync::default(),
        })),
        (State::Live(mut mailbox), event) => {
            administer(&mut mailbox, event);
            synchronize(&mut mailbox, event);
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
        Event::Created { .. }
        | Event::Deleted
        | Event::Claimed { .. }
        | Event::AttemptStarted { .. }
        | Event::AttemptFinished { .. }
        | Event::AttemptFailed { .. }
        | Event::Throttled { .. }
        | Event::Recovered { .. }
        | Event::Moved { .. } => {}
    }
}

fn change(mailbox: &mut Mailbox, settings: &Settings) {
    let moved = settings.address != mailbox.settings.address;
    let elsewhere = settings.profile_id != mailbox.settings.profile_id;
    mailbox.settings = settings.clone();
    if moved {
        // Another mailbox of Exchange: its cursor and item ids mean nothing there (spec §2.2: approval pending again).
        mailbox.approval = Approval::Pending;
        mailbox.sync = Sync { epoch: mailbox.sync.epoch, worker: mailbox.sync.worker.clone(), ..Sync::default() };
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
        }
        Some(Ok(())) => {
            mailbox.sync.health = Health::Unknown;
            mailbox.sync.throttled_until = None;
        }
        None => mailbox.sync.health = Health::Unknown,
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
            if mailbox.directions.incoming.enabled {
                mailbox.directions.incoming.status = Status::Success;
            }
        }
        Event::AttemptFailed { .. } => failed(mailbox, event),
        Event::Throttled { until, .. } => mailbox.sync.throttled_until = Some(*until),
        Event::Recovered { .. } => {
            if mailbox.wants(Direction::Incoming) {
                mailbox.directions.incoming = DirectionState { enabled: true, status: Status::Success };
            }
        }
        Event::Moved { item_id, .. } => {
            mailbox.sync.to_move.remove(item_id);
        }
        Event::Created { .. }
        | Event::Changed { .. }
        | Event::PasswordSet { .. }
        | Event::ApprovalChanged { .. }
        | Event::Activated
        | Event::Deactivated
        | Event::Tested { .. }
        | Event::Deleted
        | Event::AttemptStarted { .. } => {}
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
        if matches!(verdict.decision, Decision::Undeliverable { to_move: true, .. }) {
            sync.to_move.insert(verdict.item.id.clone(), verdict.item.clone());
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
            mailbox.directions.incoming = off(Status::Failure);
            Health::Disabled {
                report: report.clone(),
                since,
                probes: if *disables { 0 } else { *failures },
                next_probe: *next_attempt,
                profile_revision: *profile_revision,
            }
        }
        None => {
            mailbox.directions.incoming.status = Status::Failure;
            let next_attempt = next_attempt.unwrap_or(*at);
            Health::Failing { report: report.clone(), failures: *failures, next_attempt }
        }
    };
}
