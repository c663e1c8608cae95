//! Counting failures, disabling, and probing until the cause is gone (spec §2.4; DESIGN.md, Failure).

use jiff::{SignedDuration, Timestamp};

use crate::fault::{Code, Probe, Scope};

/// How failures are retried. The defaults are the specification's, the probes are Postroad's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Distance of attempts after a transient failure: 5 minutes.
    pub interval: SignedDuration,
    /// Transient failures in a row that disable a mailbox: 10 (spec §12.4 counts attempts, not retries).
    pub attempts: u32,
    /// Distance of the first probe of a disabled mailbox; doubled with each that fails.
    pub first_probe: SignedDuration,
    /// The largest distance of probes.
    pub last_probe: SignedDuration,
    /// Distance of the first attempt after Postroad's own parts failed; doubled up to `interval`.
    pub deployment: SignedDuration,
    /// Cycles in which a failing message is tried before it is undeliverable: 5.
    pub item_attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            interval: SignedDuration::from_mins(5),
            attempts: 10,
            first_probe: SignedDuration::from_mins(10),
            last_probe: SignedDuration::from_hours(6),
            deployment: SignedDuration::from_secs(2),
            item_attempts: 5,
        }
    }
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Failures in a row, this one included.
    pub failures: u32,
    /// When it is tried again by itself.
    pub next_attempt: Option<Timestamp>,
    /// Whether the mailbox is disabled.
    pub disables: bool,
}

impl RetryPolicy {
    /// What follows from the failure number `failures` with `code`, if the mailbox is enabled.
    pub fn consequence(&self, code: Code, failures: u32, now: Timestamp) -> Consequence {
        // What is Postroad's own fault never disables a mailbox.
        if code.scope() == Scope::Deployment {
            let next = later(now, doubled(self.deployment, failures.saturating_sub(1), self.interval));
            return Consequence { failures, next_attempt: Some(next), disables: false };
        }
        if code.is_permanent() || failures >= self.attempts {
            return Consequence { failures, next_attempt: self.next_probe(code, 0, now), disables: true };
        }
        Consequence { failures, next_attempt: Some(later(now, self.interval)), disables: false }
    }

    /// When a disabled mailbox is probed after `probes` probes failed; `None` waits for a change.
    pub fn next_probe(&self, code: Code, probes: u32, now: Timestamp) -> Option<Timestamp> {
        match code.row().probe {
            Probe::Growing => Some(later(now, doubled(self.first_probe, probes, self.last_probe))),
            Probe::OnChange => None,
        }
    }
}

fn doubled(first: SignedDuration, times: u32, most: SignedDuration) -> SignedDuration {
    let factor = 1_i32.checked_shl(times.min(20)).unwrap_or(i32::MAX);
    first.checked_mul(factor).map_or(most, |distance| distance.min(most))
}

fn later(now: Timestamp, distance: SignedDuration) -> Timestamp {
    now.checked_add(distance).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_tenth_transient_failure_disables() {
        let policy = RetryPolicy::default();
        assert!(!policy.consequence(Code::HttpUnavailable, 9, NOW).disables);
        assert!(policy.consequence(Code::HttpUnavailable, 10, NOW).disables);
    }

    #[test]
    fn a_transient_failure_is_tried_again_in_five_minutes() {
        let next = RetryPolicy::default().consequence(Code::HttpUnavailable, 1, NOW).next_attempt;
        assert_eq!(next, Some(NOW + SignedDuration::from_mins(5)));
    }

    #[test]
    fn a_permanent_failure_disables_at_once() {
        assert!(RetryPolicy::default().consequence(Code::ImpersonationDenied, 1, NOW).disables);
    }

    #[test]
    fn rejected_credentials_are_not_probed_by_time() {
        assert_eq!(RetryPolicy::default().next_probe(Code::CredentialsRejected, 0, NOW), None);
    }

    #[test]
    fn probes_grow_to_their_limit() {
        let policy = RetryPolicy::default();
        let distance = |probes| policy.next_probe(Code::ConnectRefused, probes, NOW).unwrap().duration_since(NOW);
        assert_eq!(distance(0), SignedDuration::from_mins(10));
        assert_eq!(distance(1), SignedDuration::from_mins(20));
        assert_eq!(distance(40), SignedDuration::from_hours(6));
    }

    #[test]
    fn postroads_own_faults_never_disable() {
        let consequence = RetryPolicy::default().consequence(Code::CrmUnavailable, 1000, NOW);
        assert!(!consequence.disables);
        assert_eq!(consequence.next_attempt, Some(NOW + SignedDuration::from_mins(5)));
    }
}
