//! Mailbox events: administration and synchronization.

use postroad_core::mailbox::{Approval, Direction, Disposed, Event, PerDirection, TestOutcome, TrackedFolder, Trigger};
use uuid::Uuid;

use super::{
    Stored, at, look, maybe_at, read_report, read_sealed, report, sealed, sending,
    settings::{read, write},
    some, stored, time,
    verdict::{read_deferral, read_verdict, write_deferral, write_verdict},
};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Created { id: _, settings } => {
            Stored::MailboxCreated(stored::MailboxCreated { settings: Some(write(settings)) })
        }
        Event::Changed { settings } => {
            Stored::MailboxChanged(stored::MailboxChanged { settings: Some(write(settings)) })
        }
        Event::PasswordSet { sealed: set } => Stored::PasswordSet(sealed(set, false)),
        Event::Resealed { sealed: set } => Stored::PasswordSet(sealed(set, true)),
        Event::ApprovalChanged { approval } => {
            Stored::ApprovalChanged(stored::ApprovalChanged { approval: write_approval(*approval) })
        }
        Event::Activated => Stored::Activated(stored::Activated {}),
        Event::Deactivated => Stored::Deactivated(stored::Deactivated {}),
        Event::Tested { at, outcomes, next_probe, profile_revision } => Stored::MailboxTested(stored::MailboxTested {
            at: Some(time(*at)),
            outcomes: write_outcomes(outcomes),
            next_probe: next_probe.map(time),
            profile_revision: *profile_revision,
        }),
        Event::Deleted => Stored::Deleted(stored::Deleted {}),
        Event::Claimed { epoch, worker, at } => {
            Stored::Claimed(stored::Claimed { epoch: *epoch, worker: worker.clone(), at: Some(time(*at)) })
        }
        Event::AttemptStarted { epoch, at, trigger } => Stored::AttemptStarted(stored::AttemptStarted {
            epoch: *epoch,
            at: Some(time(*at)),
            trigger: write_trigger(*trigger),
        }),
        Event::AttemptFinished { .. } => encode_finished(event),
        Event::AttemptFailed {
            epoch,
            started_at,
            at,
            trigger,
            report: fault,
            failures,
            next_attempt,
            disables,
            profile_revision,
        } => Stored::AttemptFailed(stored::AttemptFailed {
            epoch: *epoch,
            started_at: Some(time(*started_at)),
            at: Some(time(*at)),
            trigger: write_trigger(*trigger),
            report: Some(report(fault)),
            failures: *failures,
            next_attempt: next_attempt.map(time),
            disables: *disables,
            profile_revision: *profile_revision,
        }),
        Event::Throttled { epoch, at, until, report: fault } => Stored::Throttled(stored::Throttled {
            epoch: *epoch,
            at: Some(time(*at)),
            until: Some(time(*until)),
            report: Some(report(fault)),
        }),
        Event::Recovered { at, report: fault, since } => Stored::Recovered(stored::Recovered {
            at: Some(time(*at)),
            report: Some(report(fault)),
            since: Some(time(*since)),
        }),
        Event::Disposed { epoch, at, items } => Stored::ItemsDisposed(stored::ItemsDisposed {
            epoch: *epoch,
            at: Some(time(*at)),
            items: items.iter().map(write_disposed).collect(),
        }),
        Event::BackfillPlanned { epoch, at, from, before, total } => Stored::BackfillPlanned(stored::BackfillPlanned {
            epoch: *epoch,
            at: Some(time(*at)),
            from: Some(look::write_from(*from)),
            before: Some(time(*before)),
            total: *total,
        }),
        Event::BackfillPaused { at } => {
            Stored::BackfillPaused(stored::BackfillPaused { at: Some(time(*at)), is_resumed: false })
        }
        Event::BackfillResumed { at } => {
            Stored::BackfillPaused(stored::BackfillPaused { at: Some(time(*at)), is_resumed: true })
        }
        Event::RetryAsked { at, items } => {
            Stored::RetryAsked(stored::RetryAsked { at: Some(time(*at)), items: items.clone() })
        }
        Event::FolderTracked { at, folder_id, folder: TrackedFolder { name, regarding } } => {
            Stored::FolderTracked(stored::FolderTracked {
                at: Some(time(*at)),
                folder_id: folder_id.clone(),
                name: name.clone(),
                regarding_id: regarding.to_string(),
            })
        }
        Event::FolderUntracked { at, folder_id } => {
            Stored::FolderUntracked(stored::FolderUntracked { at: Some(time(*at)), folder_id: folder_id.clone() })
        }
        Event::Sending { epoch, at, event } => Stored::EmailSending(sending::write(*epoch, *at, event)),
    }
}

fn encode_finished(event: &Event) -> Stored {
    let Event::AttemptFinished {
        epoch,
        started_at,
        at,
        trigger,
        cursor,
        verdicts,
        deferrals,
        folders,
        judged_from,
        backfill,
        amendments,
        relisted,
    } = event
    else {
        return encode(event);
    };
    Stored::AttemptFinished(stored::AttemptFinished {
        epoch: *epoch,
        started_at: Some(time(*started_at)),
        at: Some(time(*at)),
        trigger: write_trigger(*trigger),
        cursor: cursor.clone(),
        verdicts: verdicts.iter().map(write_verdict).collect(),
        deferrals: deferrals.iter().map(write_deferral).collect(),
        folders: folders.iter().map(look::write_folder).collect(),
        judged_from: judged_from.map(look::write_from),
        backfill: backfill.as_ref().map(look::write_step),
        amendments: amendments.iter().map(look::write_amendment).collect(),
        relisted: relisted.iter().map(look::write_place).collect(),
    })
}

fn write_disposed(done: &Disposed) -> stored::Disposed {
    let Disposed { item_id, new_id, fault } = done.clone();
    stored::Disposed { item_id, new_id: new_id.unwrap_or_default(), fault: fault.as_ref().map(report) }
}

fn read_disposed(done: stored::Disposed) -> Disposed {
    let stored::Disposed { item_id, new_id, fault } = done;
    Disposed { item_id, new_id: some(new_id), fault: fault.map(read_report) }
}

pub fn decode(id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::MailboxCreated(event) => Event::Created { id, settings: read(event.settings?)? },
        Stored::MailboxChanged(event) => Event::Changed { settings: read(event.settings?)? },
        Stored::PasswordSet(event) if event.is_resealed => Event::Resealed { sealed: read_sealed(event) },
        Stored::PasswordSet(event) => Event::PasswordSet { sealed: read_sealed(event) },
        Stored::ApprovalChanged(event) => Event::ApprovalChanged { approval: read_approval(event.approval)? },
        Stored::Activated(_) => Event::Activated,
        Stored::Deactivated(_) => Event::Deactivated,
        Stored::Deleted(_) => Event::Deleted,
        Stored::MailboxTested(event) => Event::Tested {
            at: at(event.at)?,
            outcomes: read_outcomes(event.outcomes)?,
            next_probe: maybe_at(event.next_probe)?,
            profile_revision: event.profile_revision,
        },
        cycle => return decode_cycle(cycle),
    })
}

fn decode_cycle(event: Stored) -> Option<Event> {
    Some(match event {
        Stored::Claimed(event) => Event::Claimed { epoch: event.epoch, worker: event.worker, at: at(event.at)? },
        Stored::AttemptStarted(event) => {
            Event::AttemptStarted { epoch: event.epoch, at: at(event.at)?, trigger: read_trigger(event.trigger)? }
        }
        Stored::AttemptFinished(event) => Event::AttemptFinished {
            epoch: event.epoch,
            started_at: at(event.started_at)?,
            at: at(event.at)?,
            trigger: read_trigger(event.trigger)?,
            cursor: event.cursor,
            verdicts: event.verdicts.into_iter().map(read_verdict).collect::<Option<_>>()?,
            deferrals: event.deferrals.into_iter().map(read_deferral).collect::<Option<_>>()?,
            folders: event.folders.into_iter().map(look::read_folder).collect::<Option<_>>()?,
            judged_from: look::maybe(event.judged_from, look::read_from)?,
            backfill: look::maybe(event.backfill, look::read_step)?,
            amendments: event.amendments.into_iter().map(look::read_amendment).collect::<Option<_>>()?,
            relisted: event.relisted.into_iter().map(look::read_place).collect::<Option<_>>()?,
        },
        Stored::AttemptFailed(event) => Event::AttemptFailed {
            epoch: event.epoch,
            started_at: at(event.started_at)?,
            at: at(event.at)?,
            trigger: read_trigger(event.trigger)?,
            report: read_report(event.report?),
            failures: event.failures,
            next_attempt: maybe_at(event.next_attempt)?,
            disables: event.disables,
            profile_revision: event.profile_revision,
        },
        Stored::Throttled(event) => Event::Throttled {
            epoch: event.epoch,
            at: at(event.at)?,
            until: at(event.until)?,
            report: read_report(event.report?),
        },
        Stored::Recovered(event) => {
            Event::Recovered { at: at(event.at)?, report: read_report(event.report?), since: at(event.since)? }
        }
        Stored::ItemMoved(event) => Event::Disposed {
            epoch: event.epoch,
            at: at(event.at)?,
            items: vec![Disposed { item_id: event.item_id, new_id: None, fault: event.fault.map(read_report) }],
        },
        Stored::ItemsDisposed(event) => Event::Disposed {
            epoch: event.epoch,
            at: at(event.at)?,
            items: event.items.into_iter().map(read_disposed).collect(),
        },
        Stored::BackfillPlanned(event) => Event::BackfillPlanned {
            epoch: event.epoch,
            at: at(event.at)?,
            from: look::read_from(event.from?)?,
            before: at(event.before)?,
            total: event.total,
        },
        Stored::BackfillPaused(event) if event.is_resumed => Event::BackfillResumed { at: at(event.at)? },
        Stored::BackfillPaused(event) => Event::BackfillPaused { at: at(event.at)? },
        Stored::RetryAsked(event) => Event::RetryAsked { at: at(event.at)?, items: event.items },
        Stored::FolderTracked(event) => Event::FolderTracked {
            at: at(event.at)?,
            folder_id: event.folder_id,
            folder: TrackedFolder { name: event.name, regarding: Uuid::parse_str(&event.regarding_id).ok()? },
        },
        Stored::FolderUntracked(event) => Event::FolderUntracked { at: at(event.at)?, folder_id: event.folder_id },
        Stored::EmailSending(event) => {
            Event::Sending { epoch: event.epoch, at: at(event.at)?, event: sending::read(event)? }
        }
        _ => return None,
    })
}

fn write_outcomes(outcomes: &PerDirection<TestOutcome>) -> Vec<stored::DirectionTested> {
    let tested = Direction::ALL.into_iter().filter_map(|direction| {
        let outcome = outcomes.get(direction).as_ref()?;
        let number = match direction {
            Direction::Incoming => 1,
            Direction::Outgoing => 2,
            Direction::AppointmentsContactsTasks => 3,
        };
        Some(stored::DirectionTested { direction: number, fault: outcome.as_ref().err().map(report) })
    });
    tested.collect()
}

fn read_outcomes(tested: Vec<stored::DirectionTested>) -> Option<PerDirection<TestOutcome>> {
    let mut outcomes = PerDirection::default();
    for stored::DirectionTested { direction, fault } in tested {
        let direction = match direction {
            1 => Direction::Incoming,
            2 => Direction::Outgoing,
            3 => Direction::AppointmentsContactsTasks,
            _ => return None,
        };
        *outcomes.get_mut(direction) = Some(fault.map(read_report).map_or(Ok(()), Err));
    }
    Some(outcomes)
}

const fn write_approval(approval: Approval) -> u32 {
    match approval {
        Approval::Pending => 1,
        Approval::Approved => 2,
        Approval::Rejected => 3,
    }
}

const fn read_approval(approval: u32) -> Option<Approval> {
    match approval {
        1 => Some(Approval::Pending),
        2 => Some(Approval::Approved),
        3 => Some(Approval::Rejected),
        _ => None,
    }
}

const fn write_trigger(trigger: Trigger) -> u32 {
    match trigger {
        Trigger::Timer => 1,
        Trigger::Asked => 2,
        Trigger::Probe => 3,
        Trigger::Continuation => 4,
        Trigger::Notified => 5,
    }
}

const fn read_trigger(trigger: u32) -> Option<Trigger> {
    match trigger {
        1 => Some(Trigger::Timer),
        2 => Some(Trigger::Asked),
        3 => Some(Trigger::Probe),
        4 => Some(Trigger::Continuation),
        5 => Some(Trigger::Notified),
        _ => None,
    }
}
