//! Times that other clocks noted, or the own one before it was set: a wait must not last until a clock that was hours ahead was right.

use jiff::{SignedDuration, Timestamp};

/// Clocks of machines that are kept right differ by less.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Whether something past was noted so far ahead of now that the clock which did so was wrong, or this one is.
pub fn is_ahead(noted: Timestamp, now: Timestamp) -> bool {
    noted.duration_since(now) > SKEW
}

/// Whether a wait that is never longer than `most` still lasts; one that seems longer was reckoned by a clock that was ahead.
pub fn waits(until: Timestamp, most: SignedDuration, now: Timestamp) -> bool {
    now < until && until.duration_since(now) <= most.saturating_add(SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    #[test]
    fn what_clocks_may_differ_by_is_not_ahead() {
        assert!(!is_ahead(NOW - MINUTE, NOW) && !is_ahead(NOW + MINUTE, NOW));
        assert!(is_ahead(NOW + MINUTE * 2, NOW));
    }

    #[test]
    fn a_wait_lasts_until_its_end_and_never_longer_than_it_can() {
        assert!(waits(NOW + MINUTE * 5, MINUTE * 5, NOW));
        assert!(!waits(NOW, MINUTE * 5, NOW));
        assert!(!waits(NOW + MINUTE * 120, MINUTE * 5, NOW), "reckoned two hours ahead");
    }
}
