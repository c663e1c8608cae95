//! Backfill: reading older mail because Process Email From was lowered (spec §1.3, §3.2); the newest first, after live mail.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// From when on mail is processed; `None` is: all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct From(pub Option<Timestamp>);

impl From {
    /// Whether this reaches further back.
    pub fn is_before(self, other: Self) -> bool {
        match (self.0, other.0) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(this), Some(other)) => this < other,
        }
    }
}

/// Older mail that is being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The new date.
    pub from: From,
    /// Mail received before this is read; it moves back as the backfill goes on.
    pub before: Timestamp,
    /// Messages that were in the folder when it was planned.
    pub total: u64,
    /// Messages read so far.
    pub done: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it went on last.
    pub advanced_at: Timestamp,
    /// Whether somebody paused it.
    pub is_paused: bool,
    /// The pass of its verdicts.
    pub pass: u32,
}

/// How far one page brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillStep {
    /// Mail received before this is left.
    pub before: Timestamp,
    /// Messages of this page.
    pub read: u64,
    /// Whether nothing is left.
    pub is_last: bool,
}

impl Backfill {
    /// The part that is done, of 1000.
    pub fn per_mille(&self) -> u64 {
        (self.done.min(self.total) * 1000).checked_div(self.total).unwrap_or(1000)
    }

    /// How long it will take at the pace so far; unknown before the first page.
    pub fn time_left(&self) -> Option<SignedDuration> {
        let left = self.total.saturating_sub(self.done);
        let spent = self.advanced_at.duration_since(self.started_at).as_millis();
        let spent = u128::try_from(spent).ok()?;
        let left = spent.checked_mul(u128::from(left))?.checked_div(u128::from(self.done))?;
        Some(SignedDuration::from_millis(i64::try_from(left).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn all_of_it_is_before_every_date() {
        assert!(From(None).is_before(From(Some(at(1)))) && From(Some(at(1))).is_before(From(Some(at(2)))));
        assert!(!From(Some(at(1))).is_before(From(None)) && !From(None).is_before(From(None)));
    }

    #[test]
    fn progress_and_time_left_follow_the_pace() {
        let backfill = Backfill {
            from: From(None),
            before: at(0),
            total: 400,
            done: 100,
            started_at: at(0),
            advanced_at: at(10),
            is_paused: false,
            pass: 1,
        };
        assert_eq!((backfill.per_mille(), backfill.time_left()), (250, Some(SignedDuration::from_secs(30))));
        let begun = Backfill { done: 0, ..backfill };
        assert_eq!((begun.per_mille(), begun.time_left()), (0, None));
        assert_eq!(Backfill { total: 0, ..begun }.per_mille(), 1000);
    }
}
