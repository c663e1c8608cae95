//! Mailboxes' events.

use postroad_core::mailbox::{Event, Trigger};
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{
    Malformed, Persisted, foreign,
    mailbox_settings::{approval, outcomes, read_approval, read_outcomes, read_settings, settings},
    value::{self, read_report, read_some_report, read_some_time, read_time, report, time},
    verdict::{deferral, read_deferral, read_verdict, verdict},
};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            // The id is the subject's.
            Self::Created { id: _, settings: wanted } => {
                Wire::MailboxCreated(wire::MailboxCreated { settings: Some(settings(wanted)) })
            }
            Self::Changed { settings: wanted } => {
                Wire::MailboxChanged(wire::MailboxChanged { settings: Some(settings(wanted)) })
            }
            Self::PasswordSet { sealed } => Wire::PasswordSet(value::sealed(sealed)),
            Self::ApprovalChanged { approval: given } => {
                Wire::ApprovalChanged(wire::ApprovalChanged { approval: approval(*given) })
            }
            Self::Activated => Wire::Activated(wire::Activated {}),
            Self::Deactivated => Wire::Deactivated(wire::Deactivated {}),
            Self::Tested { at, outcomes: seen, next_probe, profile_revision } => {
                Wire::MailboxTested(wire::MailboxTested {
                    at: Some(time(*at)),
                    outcomes: outcomes(seen),
                    next_probe: next_probe.map(time),
                    profile_revision: *profile_revision,
                })
            }
            Self::Deleted => Wire::Deleted(wire::Deleted {}),
            Self::Claimed { .. }
            | Self::AttemptStarted { .. }
            | Self::AttemptFinished { .. }
            | Self::AttemptFailed { .. }
            | Self::Throttled { .. }
            | Self::Recovered { .. }
            | Self::Moved { .. } => cycle_to_wire(self),
        }
    }

    fn from_wire(id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::MailboxCreated(wire::MailboxCreated { settings }) => {
                Self::Created { id, settings: read_settings(settings)? }
            }
            Wire::MailboxChanged(wire::MailboxChanged { settings }) => {
                Self::Changed { settings: read_settings(settings)? }
            }
            Wire::PasswordSet(sealed) => Self::PasswordSet { sealed: value::read_sealed(sealed) },
            Wire::ApprovalChanged(wire::ApprovalChanged { approval }) => {
                Self::ApprovalChanged { approval: read_approval(approval)? }
            }
            Wire::Activated(wire::Activated {}) => Self::Activated,
            Wire::Deactivated(wire::Deactivated {}) => Self::Deactivated,
            Wire::MailboxTested(wire::MailboxTested { at, outcomes, next_probe, profile_revision }) => Self::Tested {
                at: read_time("at", at)?,
                outcomes: read_outcomes(outcomes)?,
                next_probe: read_some_time("next_probe", next_probe)?,
                profile_revision,
            },
            Wire::Deleted(wire::Deleted {}) => Self::Deleted,
            other => return cycle_from_wire(other),
        })
    }
}

/// What workers record.
fn cycle_to_wire(event: &Event) -> Wire {
    match event {
        Event::Claimed { epoch, worker, at } => {
            Wire::Claimed(wire::Claimed { epoch: *epoch, worker: worker.clone(), at: Some(time(*at)) })
        }
        Event::AttemptStarted { epoch, at, trigger: why } => Wire::AttemptStarted(wire::AttemptStarted {
            epoch: *epoch,
            at: Some(time(*at)),
            trigger: trigger(*why),
        }),
        Event::AttemptFinished { epoch, started_at, at, trigger: why, cursor, verdicts, deferrals } => {
            Wire::AttemptFinished(wire::AttemptFinished {
                epoch: *epoch,
                started_at: Some(time(*started_at)),
                at: Some(time(*at)),
                trigger: trigger(*why),
                cursor: cursor.clone(),
                verdicts: verdicts.iter().map(verdict).collect(),
                deferrals: deferrals.iter().map(deferral).collect(),
            })
        }
        Event::AttemptFailed {
            epoch,
            started_at,
            at,
            trigger: why,
            report: seen,
            failures,
            next_attempt,
            disables,
            profile_revision,
        } => Wire::AttemptFailed(wire::AttemptFailed {
            epoch: *epoch,
            started_at: Some(time(*started_at)),
            at: Some(time(*at)),
            trigger: trigger(*why),
            report: Some(report(seen)),
            failures: *failures,
            next_attempt: next_attempt.map(time),
            disables: *disables,
            profile_revision: *profile_revision,
        }),
        Event::Throttled { epoch, at, until, report: seen } => Wire::Throttled(wire::Throttled {
            epoch: *epoch,
            at: Some(time(*at)),
            until: Some(time(*until)),
            report: Some(report(seen)),
        }),
        Event::Recovered { at, report: seen, since } => Wire::Recovered(wire::Recovered {
            at: Some(time(*at)),
            report: Some(report(seen)),
            since: Some(time(*since)),
        }),
        Event::Moved { epoch, at, item_id, fault } => Wire::ItemMoved(wire::ItemMoved {
            epoch: *epoch,
            at: Some(time(*at)),
            item_id: item_id.clone(),
            fault: fault.as_ref().map(report),
        }),
        administration @ (Event::Created { .. }
        | Event::Changed { .. }
        | Event::PasswordSet { .. }
        | Event::ApprovalChanged { .. }
        | Event::Activated
        | Event::Deactivated
        | Event::Tested { .. }
        | Event::Deleted) => administration.to_wire(),
    }
}

fn cycle_from_wire(event: Wire) -> Result<Event, Malformed> {
    Ok(match event {
        Wire::Claimed(wire::Claimed { epoch, worker, at }) => Event::Claimed { epoch, worker, at: read_time("at", at)? },
        Wire::AttemptStarted(wire::AttemptStarted { epoch, at, trigger }) => {
            Event::AttemptStarted { epoch, at: read_time("at", at)?, trigger: read_trigger(trigger)? }
        }
        Wire::AttemptFinished(finished) => read_finished(finished)?,
        Wire::AttemptFailed(failed) => read_failed(failed)?,
        Wire::Throttled(wire::Throttled { epoch, at, until, report }) => Event::Throttled {
            epoch,
            at: read_time("at", at)?,
            until: read_time("until", until)?,
            report: read_report("report", report)?,
        },
        Wire::Recovered(wire::Recovered { at, report, since }) => Event::Recovered {
            at: read_time("at", at)?,
            report: read_report("report", report)?,
            since: read_time("since", since)?,
        },
        Wire::ItemMoved(wire::ItemMoved { epoch, at, item_id, fault }) => {
            Event::Moved { epoch, at: read_time("at", at)?, item_id, fault: read_some_report("fault", fault)? }
        }
        other => return foreign(&other),
    })
}

fn read_finished(finished: wire::AttemptFinished) -> Result<Event, Malformed> {
    let wire::AttemptFinished { epoch, started_at, at, trigger, cursor, verdicts, deferrals } = finished;
    Ok(Event::AttemptFinished {
        epoch,
        started_at: read_time("started_at", started_at)?,
        at: read_time("at", at)?,
        trigger: read_trigger(trigger)?,
        cursor,
        verdicts: verdicts.into_iter().map(read_verdict).collect::<Result<_, _>>()?,
        deferrals: deferrals.into_iter().map(read_deferral).collect::<Result<_, _>>()?,
    })
}

fn read_failed(failed: wire::AttemptFailed) -> Result<Event, Malformed> {
    let wire::AttemptFailed {
        epoch,
        started_at,
        at,
        trigger,
        report,
        failures,
        next_attempt,
        disables,
        profile_revision,
    } = failed;
    Ok(Event::AttemptFailed {
        epoch,
        started_at: read_time("started_at", started_at)?,
        at: read_time("at", at)?,
        trigger: read_trigger(trigger)?,
        report: read_report("report", report)?,
        failures,
        next_attempt: read_some_time("next_attempt", next_attempt)?,
        disables,
        profile_revision,
    })
}

const fn trigger(why: Trigger) -> u32 {
    match why {
        Trigger::Timer => 1,
        Trigger::Asked => 2,
        Trigger::Probe => 3,
        Trigger::Continuation => 4,
    }
}

fn read_trigger(number: u32) -> Result<Trigger, Malformed> {
    Ok(match number {
        1 => Trigger::Timer,
        2 => Trigger::Asked,
        3 => Trigger::Probe,
        4 => Trigger::Continuation,
        other => return value::unknown("trigger", other),
    })
}
