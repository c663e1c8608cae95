//! When a mailbox is due. Signals say look, never what: this is asked anew whenever something may have changed.

use jiff::{SignedDuration, Timestamp};

use super::{Approval, Direction, Health, Mailbox, ProfileFacts, Trigger};
use crate::clock::is_ahead;

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

/// How often a mailbox is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// The distance without notifications.
    pub interval: SignedDuration,
    /// The largest distance of an idle mailbox whose notifications work.
    pub ceiling: SignedDuration,
}

impl Polling {
    /// The distance of polls: the larger of the deployment's and the profile's minimum polling interval. While notifications
    /// work it doubles with each poll that brought nothing, up to the ceiling: polls are only the safety net then.
    pub fn distance(&self, minimum: SignedDuration, empty_polls: u8, is_notified: bool) -> SignedDuration {
        let base = self.interval.max(minimum);
        if !is_notified {
            return base;
        }
        let factor = 1_i32.checked_shl(u32::from(empty_polls.min(20))).unwrap_or(i32::MAX);
        let ceiling = self.ceiling.max(base);
        base.checked_mul(factor).map_or(ceiling, |distance| distance.min(ceiling))
    }
}

/// Decides when a mailbox is due. `last_cycle` is when its last cycle ended, recorded or not; `interval` is the distance
/// of polls (spec §0: counted from the end of a cycle). `asked` is why it is to be looked at now: a person asked, Exchange or
/// the CRM said that something is there (`Notified`), or the server that failed it is back (`Probe`).
pub fn due(
    mailbox: &Mailbox,
    profile: Option<ProfileFacts>,
    last_cycle: Option<Timestamp>,
    interval: SignedDuration,
    asked: Option<Trigger>,
    now: Timestamp,
) -> Due {
    let Some(profile) = profile.filter(|profile| profile.active) else { return Due::Never };
    if !mailbox.active || mailbox.approval == Approval::Rejected || EMAIL.iter().all(|way| !mailbox.wants(*way)) {
        return Due::Never;
    }
    if let Some(until) = mailbox.back_off(now) {
        return Due::At(until);
    }
    // What a clock that was ahead reckoned is not waited for: the one that reckoned this wait, as others note times of their own.
    let was_ahead = reckoned_at(mailbox).is_some_and(|at| is_ahead(at, now));
    let at =
        |time: Timestamp, trigger: Trigger| if time <= now || was_ahead { Due::Now(trigger) } else { Due::At(time) };
    match &mailbox.sync.health {
        Health::Disabled { .. } if mailbox.approval != Approval::Approved => Due::Never,
        Health::Disabled { profile_revision, .. } if profile.revision > *profile_revision => Due::Now(Trigger::Probe),
        Health::Disabled { .. } if matches!(asked, Some(Trigger::Asked | Trigger::Probe)) => Due::Now(Trigger::Probe),
        Health::Disabled { next_probe, .. } => next_probe.map_or(Due::Never, |time| at(time, Trigger::Probe)),
        _ if EMAIL.iter().all(|way| !mailbox.directions.get(*way).enabled) => Due::Never,
        // What fails is not asked again because more mail arrives there.
        Health::Failing { next_attempt, .. } if matches!(asked, None | Some(Trigger::Notified)) => {
            at(*next_attempt, Trigger::Timer)
        }
        Health::Failing { .. } => Due::Now(asked.filter(|asked| *asked == Trigger::Asked).unwrap_or(Trigger::Timer)),
        Health::Unknown | Health::Healthy => {
            if let Some(trigger) = asked {
                return Due::Now(trigger);
            }
            // A last cycle that is yet to come was before this worker's clock was set back.
            let last = last_cycle.filter(|last| *last <= now);
            let next = last.map(|last| last.checked_add(interval).unwrap_or(Timestamp::MAX));
            next.map_or(
                Due::Now(Trigger::Timer),
                |time| if time <= now { Due::Now(Trigger::Timer) } else { Due::At(time) },
            )
        }
    }
}

/// When the wait of a mailbox that fails was reckoned: by a failed test, or by its last attempt.
const fn reckoned_at(mailbox: &Mailbox) -> Option<Timestamp> {
    match &mailbox.sync.health {
        Health::Disabled { probes: 0, since, .. } => Some(*since),
        Health::Disabled { .. } | Health::Failing { .. } | Health::Unknown | Health::Healthy => {
            mailbox.sync.last_attempt
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLLING: Polling =
        Polling { interval: SignedDuration::from_secs(15), ceiling: SignedDuration::from_mins(15) };

    #[test]
    fn without_notifications_a_mailbox_is_polled_as_configured() {
        for empty_polls in [0, 5, 255] {
            assert_eq!(POLLING.distance(SignedDuration::ZERO, empty_polls, false), POLLING.interval);
        }
    }

    #[test]
    fn with_notifications_an_idle_one_is_polled_ever_less_often_up_to_the_ceiling() {
        let distances = [0, 1, 2, 5, 6, 255].map(|polls| POLLING.distance(SignedDuration::ZERO, polls, true).as_secs());
        assert_eq!(distances, [15, 30, 60, 480, 900, 900]);
    }

    #[test]
    fn the_minimum_polling_interval_is_honoured_also_above_the_ceiling() {
        let minimum = SignedDuration::from_mins(60);
        assert_eq!(POLLING.distance(minimum, 0, false), minimum);
        assert_eq!(POLLING.distance(minimum, 9, true), minimum);
    }
}
