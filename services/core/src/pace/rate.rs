//! How many requests a second: unlimited until a server asks for rest, then what it bore, and slowly more.

use std::time::Duration;

use super::Moment;

/// What is left of the seen rate when the server asked for rest.
const CUT: f64 = 0.7;
/// How much a limit grows in a second without complaint.
const GROWTH: f64 = 1.02;
/// A limit that is so many times what is used means nothing any more.
const SLACK: f64 = 8.0;
/// The slowest: one request in ten seconds.
const LEAST: f64 = 0.1;
/// Time over which the seen rate is averaged, in seconds.
const WINDOW: f64 = 5.0;

/// A learned limit of requests a second: a token bucket of one second's worth, and the rate that is really used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    limit: Option<f64>,
    tokens: f64,
    seen: f64,
    at: Moment,
}

impl Rate {
    /// When the next request may be sent; `None` is now.
    pub fn wait(&self, now: Moment) -> Option<Moment> {
        let limit = self.limit?;
        let missing = 1.0 - self.tokens_at(limit, now);
        (missing > 0.0).then(|| now.saturating_add(Duration::from_secs_f64(missing / limit)))
    }

    /// A request is sent. Whoever does not wait borrows from those who do.
    pub fn take(&mut self, now: Moment) {
        self.advance(now);
        self.tokens -= 1.0;
        self.seen += 1.0 / WINDOW;
    }

    /// The server asked for rest.
    pub fn cut(&mut self, now: Moment) {
        self.advance(now);
        let bearable = self.limit.map_or(self.seen, |limit| limit.min(self.seen)) * CUT;
        self.limit = Some(bearable.max(LEAST));
        self.tokens = self.tokens.min(1.0);
    }

    /// Requests a second that were learned to be bearable; `None` where the server never complained.
    pub const fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Requests a second of the last seconds.
    pub fn seen(&self, now: Moment) -> f64 {
        self.seen * (-now.saturating_sub(self.at).as_secs_f64() / WINDOW).exp()
    }

    fn tokens_at(&self, limit: f64, now: Moment) -> f64 {
        (self.tokens + now.saturating_sub(self.at).as_secs_f64() * limit).min(limit.max(1.0))
    }

    fn advance(&mut self, now: Moment) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.seen = self.seen(now);
        if let Some(limit) = self.limit {
            self.tokens = self.tokens_at(limit, now);
            let grown = limit * GROWTH.powf(passed.min(3600.0));
            self.limit = (grown < self.seen.max(1.0) * SLACK).then_some(grown);
        } else {
            self.tokens = 0.0;
        }
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Duration::from_millis(millis)
    }

    /// Sends as often as it may from `from` to `to`; gives how often.
    fn send(rate: &mut Rate, from: u64, to: u64) -> usize {
        (from..to).filter(|millis| rate.wait(at(*millis)).is_none().then(|| rate.take(at(*millis))).is_some()).count()
    }

    #[test]
    fn who_never_complained_is_asked_without_limit() {
        let mut rate = Rate::default();
        assert_eq!(send(&mut rate, 0, 5000), 5000);
        assert_eq!(rate.limit(), None);
        assert!((600.0..1000.0).contains(&rate.seen(at(5000))), "{}", rate.seen(at(5000)));
    }

    #[test]
    fn a_complaint_slows_down_and_quiet_speeds_up_again() {
        let mut rate = Rate::default();
        (0..1000).for_each(|step| rate.take(at(step * 100)));
        rate.cut(at(100_000));
        let first = send(&mut rate, 100_000, 110_000);
        assert!((55..85).contains(&first), "{first} requests in ten seconds, after ten a second were too many");
        let later = send(&mut rate, 110_000, 170_000);
        assert!(later > first * 7, "{later} requests in a minute");
    }

    #[test]
    fn it_never_stops_for_good() {
        let mut rate = Rate::default();
        rate.take(at(0));
        (0..100).for_each(|step| rate.cut(at(step)));
        let next = rate.wait(at(100)).unwrap();
        assert!(next <= at(10_200), "{next:?}");
    }
}
