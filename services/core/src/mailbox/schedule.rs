//! When a mailbox is due. Signals say look, never what: this is asked anew whenever something may have changed.

use jiff::{SignedDuration, Timestamp};

use super::{Approval, Direction, Health, Mailbox, ProfileFacts, Trigger};

/// Whether and when a mailbox is to be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now, for this reason.
    Now(Trigger),
    /// Not before.
    At(Timestamp),
    /// Not until something changes.
    Never,
}

/// Whether an attempt at `now` would be the first recorded one of its clock hour (UTC).
pub fn is_first_of_hour(last: Option<Timestamp>, now: Timestamp) -> bool {
    let hour = |at: Timestamp| at.as_second().div_euclid(3600);
    last.is_none_or(|last| hour(last) != hour(now))
}

/// What a cycle is about.
const EMAIL: [Direction; 2] = [Direction::Incoming, Direction::Outgoing];

/// Decides when a mailbox is due. `last_cycle` is when its last cycle ended, recorded or not; `interval` is the distance
/// of polls, the larger of the deployment's and the profile's (spec §0: counted from the end of a cycle).
pub fn due(
    mailbox: &Mailbox,
    profile: Option<ProfileFacts>,
    last_cycle: Option<Timestamp>,
    interval: SignedDuration,
    asked: bool,
    now: Timestamp,
) -> Due {
    let Some(profile) = profile.filter(|profile| profile.active) else { return Due::Never };
    if !mailbox.active || mailbox.approval == Approval::Rejected || EMAIL.iter().all(|way| !mailbox.wants(*way)) {
        return Due::Never;
    }
    if let Some(until) = mailbox.sync.throttled_until.filter(|until| now < *until) {
        return Due::At(until);
    }
    let at = |time: Timestamp, trigger: Trigger| if time <= now { Due::Now(trigger) } else { Due::At(time) };
    match &mailbox.sync.health {
        Health::Disabled { .. } if mailbox.approval != Approval::Approved => Due::Never,
        Health::Disabled { profile_revision, .. } if profile.revision > *profile_revision => Due::Now(Trigger::Probe),
        Health::Disabled { next_probe, .. } => {
            if asked {
                Due::Now(Trigger::Probe)
            } else {
                next_probe.map_or(Due::Never, |time| at(time, Trigger::Probe))
            }
        }
        _ if EMAIL.iter().all(|way| !mailbox.directions.get(*way).enabled) => Due::Never,
        _ if asked => Due::Now(Trigger::Asked),
        Health::Failing { next_attempt, .. } => at(*next_attempt, Trigger::Timer),
        Health::Unknown | Health::Healthy => {
            let next = last_cycle.map(|last| last.checked_add(interval).unwrap_or(Timestamp::MAX));
            next.map_or(Due::Now(Trigger::Timer), |time| at(time, Trigger::Timer))
        }
    }
}
