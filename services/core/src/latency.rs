//! How long things took: counts by bounds that are the same everywhere, so that those of several workers can be added.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::pace::Moment;

/// The length of a slot of [`Recent`].
const SLOT: Duration = Duration::from_secs(5);
/// Slots that [`Recent`] keeps: a minute, and the one that is filled.
const SLOTS: usize = 13;

/// Counts by upper bound, in milliseconds. Bounds are at most an eighth apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(BTreeMap<u64, u64>);

impl Latencies {
    /// Something took so long.
    pub fn note(&mut self, took: Duration) {
        self.add(bound(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)), 1);
    }

    /// So many took at most so many milliseconds.
    pub fn add(&mut self, most_ms: u64, count: u64) {
        let known = self.0.entry(most_ms).or_insert(0);
        *known = known.saturating_add(count);
    }

    /// The counts by bound, the smallest first.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(most_ms, count)| (*most_ms, *count))
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The bound that this share of them, from 0 to 1, does not exceed; `None` where there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut left = (self.total() as f64 * share).ceil().max(1.0) as u64;
        for (most_ms, count) in self.counts() {
            if count >= left {
                return Some(Duration::from_millis(most_ms));
            }
            left -= count;
        }
        None
    }
}

/// The bound under which a number of milliseconds is counted: rounded up to four significant binary digits.
fn bound(milliseconds: u64) -> u64 {
    let digits = milliseconds.checked_ilog2().unwrap_or(0);
    let step = 1_u64 << digits.saturating_sub(3);
    milliseconds.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

/// What was noted in the last minute.
#[derive(Clone, Debug, Default)]
pub struct Recent(VecDeque<(u64, Latencies)>);

impl Recent {
    /// Something took so long, and has just ended.
    pub fn note(&mut self, now: Moment, took: Duration) {
        let slot = slot(now);
        if self.0.back().is_none_or(|(last, _)| *last < slot) {
            self.0.push_back((slot, Latencies::default()));
            if self.0.len() > SLOTS {
                self.0.pop_front();
            }
        }
        if let Some((_, latencies)) = self.0.back_mut() {
            latencies.note(took);
        }
    }

    /// What was noted in the last minute.
    pub fn last_minute(&self, now: Moment) -> Latencies {
        let oldest = slot(now).saturating_sub(SLOTS as u64 - 1);
        let mut all = Latencies::default();
        for (_, latencies) in self.0.iter().filter(|(slot, _)| *slot >= oldest) {
            latencies.counts().for_each(|(most_ms, count)| all.add(most_ms, count));
        }
        all
    }
}

const fn slot(now: Moment) -> u64 {
    now.as_secs() / SLOT.as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn millis(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    proptest! {
        #[test]
        fn a_bound_is_not_below_and_at_most_an_eighth_above(milliseconds in 0_u64..100_000_000) {
            let bound = bound(milliseconds);
            prop_assert!(bound >= milliseconds && bound - milliseconds <= milliseconds / 8);
        }

        #[test]
        fn quantiles_are_those_of_sorted_values(mut values in vec(0_u64..1_000_000, 1..200), share in 0.0..=1.0_f64) {
            let mut latencies = Latencies::default();
            values.iter().for_each(|value| latencies.note(millis(*value)));
            values.sort_unstable();
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            prop_assert_eq!(latencies.quantile(share), Some(millis(bound(values[rank - 1]))));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Latencies::default().quantile(0.5), None);
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let mut recent = Recent::default();
        for second in 0..600 {
            recent.note(Duration::from_secs(second), millis(5));
        }
        let last = recent.last_minute(Duration::from_secs(599)).total();
        assert!((60..=65).contains(&last), "{last}");
        assert_eq!(recent.last_minute(Duration::from_secs(720)).total(), 0);
    }
}
