//! What may be asked of a server or an account at a time, and what it taught (PROTOCOL.md §5).

use std::time::Duration;

use super::{BackOff, Moment, Rate};

/// How a request ended, as far as pace is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, whatever the answer said.
    Answered,
    /// There was no answer, which says nothing about pace.
    Lost,
    /// The server asked for rest, with its hint.
    Throttled(Option<Duration>),
    /// Too many connections or objects at the same time: fewer of them, without a rest (`ErrorExceededConnectionCount`,
    /// `ErrorTooManyObjectsOpened`).
    TooMany,
}

/// A budget: connections at a time, requests a second, and the present back-off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    ceiling: u32,
    limit: f64,
    used: u32,
    rate: Rate,
    back_off: BackOff,
    /// When the limit was last lowered: answers to what was sent before say nothing new.
    lowered: Option<Moment>,
    learned: Learned,
}

/// What a budget was taught, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Requests sent.
    pub requests: u64,
    /// How often the server asked for rest.
    pub throttled: u64,
    /// How often it had too many connections or objects.
    pub too_many: u64,
}

/// Lowered at most once in so long.
const SETTLING: Duration = Duration::from_secs(1);

impl Budget {
    /// A budget of at most `ceiling` connections that begins with `first` of them.
    pub fn new(ceiling: u32, first: u32) -> Self {
        Self {
            ceiling: ceiling.max(1),
            limit: f64::from(first.clamp(1, ceiling.max(1))),
            used: 0,
            rate: Rate::default(),
            back_off: BackOff::default(),
            lowered: None,
            learned: Learned::default(),
        }
    }

    /// The most connections; what was learned below it stays.
    pub fn set_ceiling(&mut self, ceiling: u32) {
        let (before, now) = (f64::from(self.ceiling), f64::from(ceiling.max(1)));
        let is_unlearned = self.limit >= before;
        self.ceiling = ceiling.max(1);
        self.limit = if is_unlearned { now } else { self.limit.min(now) };
    }

    /// Whether another connection may be used.
    pub fn has_room(&self) -> bool {
        self.used < self.limit()
    }

    /// A connection is used.
    pub fn take(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// A connection is given back.
    pub fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// When the next request may be sent: not within a back-off (INV-4), nor faster than was learned. `None` is now.
    pub fn wait(&self, now: Moment) -> Option<Moment> {
        self.back_off.closed(now).max(self.rate.wait(now))
    }

    /// Until when nothing may be sent.
    pub fn closed(&self, now: Moment) -> Option<Moment> {
        self.back_off.closed(now)
    }

    /// A request is sent.
    pub fn send(&mut self, now: Moment) {
        self.learned.requests += 1;
        self.rate.take(now);
    }

    /// A request ended. A back-off gets longer by up to a tenth by `chance`.
    pub fn end(&mut self, outcome: Outcome, chance: f64, now: Moment) {
        match outcome {
            // One more after as many answers as there are connections: slow enough to notice a complaint.
            Outcome::Answered => self.limit = (self.limit + 1.0 / self.limit).min(f64::from(self.ceiling)),
            Outcome::Lost => {}
            Outcome::Throttled(hint) => {
                self.learned.throttled += 1;
                self.back_off.begin(hint, chance, now);
                if self.lower(now) {
                    self.rate.cut(now);
                }
            }
            Outcome::TooMany => {
                self.learned.too_many += 1;
                self.lower(now);
            }
        }
    }

    /// Begins with a single connection again: after an outage nobody storms the server.
    pub fn restart(&mut self) {
        self.limit = 1.0;
    }

    fn lower(&mut self, now: Moment) -> bool {
        if self.lowered.is_some_and(|at| now < at.saturating_add(SETTLING)) {
            return false;
        }
        self.lowered = Some(now);
        self.limit = (self.limit / 2.0).max(1.0);
        true
    }

    /// Connections that may be used at a time now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the ceiling")]
    pub fn limit(&self) -> u32 {
        self.limit.floor() as u32
    }

    /// The most connections, if nothing lower was learned.
    pub const fn ceiling(&self) -> u32 {
        self.ceiling
    }

    /// Connections that are used.
    pub const fn used(&self) -> u32 {
        self.used
    }

    /// What was learned of requests a second.
    pub const fn rate(&self) -> &Rate {
        &self.rate
    }

    /// What it was taught.
    pub const fn learned(&self) -> Learned {
        self.learned
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_back_off_closes_it_and_halves_what_is_used_at_a_time() {
        let mut budget = Budget::new(27, 27);
        budget.end(Outcome::Throttled(Some(at(30))), 0.0, at(100));
        assert_eq!((budget.closed(at(129)), budget.closed(at(130))), (Some(at(130)), None));
        assert_eq!(budget.limit(), 13);
    }

    #[test]
    fn too_many_connections_are_fewer_and_no_rest() {
        let mut budget = Budget::new(10, 10);
        budget.end(Outcome::TooMany, 0.0, at(1));
        assert_eq!((budget.limit(), budget.closed(at(1))), (5, None));
    }

    #[test]
    fn what_was_sent_before_it_was_lowered_lowers_it_once() {
        let mut budget = Budget::new(64, 64);
        (0..30).for_each(|_| budget.end(Outcome::TooMany, 0.0, at(1)));
        assert_eq!(budget.limit(), 32);
        budget.end(Outcome::TooMany, 0.0, at(3));
        assert_eq!((budget.limit(), budget.learned().too_many), (16, 31));
    }

    #[test]
    fn it_grows_again_one_by_one() {
        let mut budget = Budget::new(8, 8);
        budget.restart();
        assert_eq!(budget.limit(), 1);
        let answers = std::iter::repeat_with(|| budget.end(Outcome::Answered, 0.0, at(1))).take(40).count();
        assert_eq!((answers, budget.limit()), (40, 8));
    }

    #[test]
    fn a_new_ceiling_keeps_what_was_learned() {
        let mut budget = Budget::new(27, 27);
        budget.set_ceiling(10);
        assert_eq!(budget.limit(), 10);
        budget.end(Outcome::TooMany, 0.0, at(1));
        budget.set_ceiling(27);
        assert_eq!(budget.limit(), 5);
    }

    proptest! {
        #[test]
        fn between_one_and_the_ceiling_whatever_happens(ceiling in 0_u32..300, outcomes in prop::collection::vec(0_u8..5, 0..200)) {
            let mut budget = Budget::new(ceiling, ceiling);
            for (second, outcome) in (0_u64..).zip(outcomes) {
                match outcome {
                    0 => budget.end(Outcome::Answered, 0.5, at(second)),
                    1 => budget.end(Outcome::Throttled(None), 0.5, at(second)),
                    2 => budget.end(Outcome::TooMany, 0.5, at(second)),
                    3 => budget.restart(),
                    _ => budget.end(Outcome::Lost, 0.5, at(second)),
                }
                prop_assert!((1..=ceiling.max(1)).contains(&budget.limit()));
            }
        }
    }
}
