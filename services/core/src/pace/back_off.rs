//! How long a server that asked for rest is left alone.

use std::time::Duration;

use super::Moment;

/// Less than this is never enough, even where Exchange suggests zero.
const LEAST: Duration = Duration::from_secs(5);
/// Longer is not believed.
pub const MOST: Duration = Duration::from_secs(3600);
/// For so many times its own length after its end, a back-off counts as the one before the next.
const MEMORY: u32 = 3;

/// The length of a back-off: the largest of the server's hint, five seconds and twice the one before, at most an hour, and up to
/// a tenth longer by `chance` (0 to 1) where the server gave no exact hint, so that those who wait do not return together.
pub fn back_off(hint: Option<Duration>, before: Option<Duration>, chance: f64) -> Duration {
    let least = hint.unwrap_or_default().max(LEAST).max(before.unwrap_or_default().saturating_mul(2)).min(MOST);
    least.saturating_add(least.mul_f64(chance.clamp(0.0, 1.0) / 10.0)).min(MOST)
}

/// The back-offs of one account, server or mailbox: when the present one ends, and how long it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    until: Moment,
    length: Duration,
}

impl BackOff {
    /// Until when nothing may be sent; `None` outside of a back-off.
    pub fn closed(&self, now: Moment) -> Option<Moment> {
        (now < self.until).then_some(self.until)
    }

    /// The server asked for rest; gives the end of it. Being asked twice within one back-off is one request for rest.
    pub fn begin(&mut self, hint: Option<Duration>, chance: f64, now: Moment) -> Moment {
        if self.closed(now).is_some() {
            self.until = self.until.max(now.saturating_add(hint.unwrap_or_default().min(MOST)));
            return self.until;
        }
        let is_recent = now < self.until.saturating_add(self.length.saturating_mul(MEMORY));
        let before = Some(self.length).filter(|length| is_recent && !length.is_zero());
        self.length = back_off(hint, before, chance);
        self.until = now.saturating_add(self.length);
        self.until
    }

    /// Whether it may be forgotten.
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.until.saturating_add(self.length.saturating_mul(MEMORY))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn zero_is_no_licence_to_hammer() {
        assert_eq!(back_off(Some(Duration::ZERO), None, 0.0), seconds(5));
        assert_eq!(back_off(None, None, 0.0), seconds(5));
    }

    #[test]
    fn the_servers_hint_is_obeyed_up_to_an_hour() {
        assert_eq!(back_off(Some(Duration::from_millis(297_749)), None, 0.0), Duration::from_millis(297_749));
        assert_eq!(back_off(Some(seconds(90_000)), None, 0.5), seconds(3600));
    }

    #[test]
    fn one_after_the_other_grows_and_a_quiet_time_forgives() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.begin(None, 0.0, seconds(100)), seconds(105));
        assert_eq!(back_off.begin(None, 0.0, seconds(106)), seconds(116));
        assert_eq!(back_off.begin(None, 0.0, seconds(117)), seconds(137));
        assert!(!back_off.is_over(seconds(190)) && back_off.is_over(seconds(197)));
        assert_eq!(back_off.begin(None, 0.0, seconds(200)), seconds(205));
    }

    #[test]
    fn many_who_are_refused_at_once_are_one_request_for_rest() {
        let mut back_off = BackOff::default();
        for _ in 0..100 {
            assert_eq!(back_off.begin(Some(seconds(2)), 0.0, seconds(10)), seconds(15));
        }
        assert_eq!(back_off.begin(Some(seconds(60)), 0.0, seconds(11)), seconds(71));
    }

    proptest! {
        #[test]
        fn never_shorter_than_asked_nor_longer_than_an_hour(hint in 0_u64..5000, before in 0_u64..5000, chance in 0.0..1.0) {
            let length = back_off(Some(seconds(hint)), Some(seconds(before)), chance);
            prop_assert!(length >= seconds(hint.clamp(5, 3600)) && length <= seconds(3600));
        }
    }
}
