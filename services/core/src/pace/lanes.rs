//! Whose turn it is: a person who waits comes first, then live mail, older mail and refreshing share by weight, and within a lane
//! deficit round robin: who took much waits until the others had as much.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Why somebody wants a turn; the smaller the more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// A person waits for it.
    Person,
    /// Mail that may just have arrived, or is to be sent.
    Live,
    /// Older mail.
    Backfill,
    /// Nothing is known to wait: the safety net.
    Refresh,
}

impl Lane {
    /// All, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Person, Self::Live, Self::Backfill, Self::Refresh];

    const fn index(self) -> usize {
        match self {
            Self::Person => 0,
            Self::Live => 1,
            Self::Backfill => 2,
            Self::Refresh => 3,
        }
    }

    /// Turns in a round in which every lane wants some. A person does not wait for rounds.
    const fn weight(self) -> i64 {
        match self {
            Self::Person => 0,
            Self::Live => 12,
            Self::Backfill => 3,
            Self::Refresh => 1,
        }
    }
}

/// What everybody gets in a round, in units of cost: some messages.
const QUANTUM: i64 = 20;

/// Who waits. Costs are in the caller's unit; one is a request that brings nothing.
#[derive(Clone, Debug)]
pub struct Lanes<K> {
    queues: [VecDeque<K>; 4],
    /// Who waits, and in which lane: the queues may hold former places of those that became more urgent.
    waiting: HashMap<K, Lane>,
    /// What those owe who took more than their share, as long as they come back at once.
    debts: HashMap<K, i64>,
    balance: [i64; 4],
}

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Self { queues: Default::default(), waiting: HashMap::new(), debts: HashMap::new(), balance: [0; 4] }
    }
}

impl<K: Copy + Eq + Hash> Lanes<K> {
    /// Somebody wants a turn. Who waits already keeps the more urgent of both.
    pub fn push(&mut self, key: K, lane: Lane) {
        match self.waiting.get(&key) {
            Some(present) if *present <= lane => {}
            _ => {
                self.waiting.insert(key, lane);
                if let Some(queue) = self.queues.get_mut(lane.index()) {
                    queue.push_back(key);
                }
            }
        }
    }

    /// Somebody does not want one any more.
    pub fn remove(&mut self, key: &K) {
        self.waiting.remove(key);
        self.debts.remove(key);
    }

    /// The next turn of somebody at least as urgent as `least`. Whoever has it says with [`Lanes::charge`] what it cost.
    pub fn pop(&mut self, least: Lane) -> Option<(K, Lane)> {
        if let Some(key) = self.pop_from(Lane::Person) {
            return Some((key, Lane::Person));
        }
        let lane = self.next_lane(least)?;
        self.pop_from(lane).map(|key| (key, lane))
    }

    /// What a turn cost; `comes_back` tells whether there is more. Who does not come back at once owes nothing.
    pub fn charge(&mut self, key: K, cost: u32, comes_back: bool) {
        if comes_back {
            *self.debts.entry(key).or_insert(0) += i64::from(cost.max(1));
        } else {
            self.debts.remove(&key);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many wait in a lane.
    pub fn count(&self, lane: Lane) -> usize {
        self.waiting.values().filter(|waiting| **waiting == lane).count()
    }

    /// Smooth weighted round robin over the lanes that have somebody.
    fn next_lane(&mut self, least: Lane) -> Option<Lane> {
        let mut best: Option<Lane> = None;
        let mut sum = 0;
        for lane in Lane::ALL.into_iter().skip(1).filter(|lane| *lane <= least) {
            self.forget_former(lane);
            if self.queues.get(lane.index()).is_none_or(VecDeque::is_empty) {
                continue;
            }
            sum += lane.weight();
            let balance = self.balance_of(lane) + lane.weight();
            self.set_balance(lane, balance);
            if best.is_none_or(|best| balance > self.balance_of(best)) {
                best = Some(lane);
            }
        }
        let best = best?;
        self.set_balance(best, self.balance_of(best) - sum);
        Some(best)
    }

    fn balance_of(&self, lane: Lane) -> i64 {
        self.balance.get(lane.index()).copied().unwrap_or_default()
    }

    fn set_balance(&mut self, lane: Lane, balance: i64) {
        if let Some(slot) = self.balance.get_mut(lane.index()) {
            *slot = balance;
        }
    }

    /// Takes former places off the head of a queue.
    fn forget_former(&mut self, lane: Lane) {
        let (waiting, Some(queue)) = (&self.waiting, self.queues.get_mut(lane.index())) else { return };
        while queue.front().is_some_and(|key| waiting.get(key) != Some(&lane)) {
            queue.pop_front();
        }
    }

    /// Whoever comes to the head of the queue pays a share of what he owes, and has his turn when he owes nothing more.
    fn pop_from(&mut self, lane: Lane) -> Option<K> {
        let mut passed = 0;
        loop {
            self.forget_former(lane);
            let key = self.queues.get_mut(lane.index())?.pop_front()?;
            let debt = self.debts.get(&key).copied().unwrap_or_default() - QUANTUM;
            if debt <= 0 || lane == Lane::Person {
                self.waiting.remove(&key);
                self.debts.remove(&key);
                return Some(key);
            }
            self.debts.insert(key, debt);
            let queue = self.queues.get_mut(lane.index())?;
            queue.push_back(key);
            passed += 1;
            if passed >= queue.len() {
                // Everybody owes: the rounds in which nobody would have a turn are skipped.
                passed = 0;
                self.pay_all(lane, (self.least_debt(lane) - QUANTUM).max(0));
            }
        }
    }

    fn least_debt(&self, lane: Lane) -> i64 {
        let queue = self.queues.get(lane.index());
        let debts = queue.into_iter().flatten().filter_map(|key| self.debts.get(key));
        debts.min().copied().unwrap_or_default()
    }

    fn pay_all(&mut self, lane: Lane, paid: i64) {
        let Some(queue) = self.queues.get(lane.index()) else { return };
        for key in queue {
            if let Some(debt) = self.debts.get_mut(key) {
                *debt -= paid;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_person_comes_before_all_others() {
        let mut lanes = Lanes::default();
        for (key, lane) in [(1, Lane::Refresh), (2, Lane::Backfill), (3, Lane::Live), (4, Lane::Person)] {
            lanes.push(key, lane);
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop(Lane::Refresh)).map(|(key, _)| key).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    #[test]
    fn who_becomes_urgent_moves_up_and_has_one_turn() {
        let mut lanes = Lanes::default();
        lanes.push(1, Lane::Live);
        lanes.push(2, Lane::Refresh);
        lanes.push(2, Lane::Person);
        lanes.push(2, Lane::Backfill);
        assert_eq!(lanes.len(), 2);
        assert_eq!(
            [lanes.pop(Lane::Refresh), lanes.pop(Lane::Refresh), lanes.pop(Lane::Refresh)],
            [Some((2, Lane::Person)), Some((1, Lane::Live)), None]
        );
    }

    #[test]
    fn who_left_has_no_turn() {
        let mut lanes = Lanes::default();
        lanes.push(1, Lane::Live);
        lanes.push(2, Lane::Live);
        lanes.remove(&1);
        assert_eq!([lanes.pop(Lane::Refresh), lanes.pop(Lane::Refresh)], [Some((2, Lane::Live)), None]);
    }

    #[test]
    fn older_mail_and_refreshing_are_not_starved_by_live_mail() {
        let mut lanes = Lanes::default();
        for key in 0..300 {
            lanes.push(
                key,
                if key < 100 {
                    Lane::Live
                } else if key < 200 {
                    Lane::Backfill
                } else {
                    Lane::Refresh
                },
            );
        }
        let first: Vec<Lane> = std::iter::from_fn(|| lanes.pop(Lane::Refresh)).take(32).map(|(_, lane)| lane).collect();
        let count = |wanted| first.iter().filter(|lane| **lane == wanted).count();
        assert_eq!((count(Lane::Live), count(Lane::Backfill), count(Lane::Refresh)), (24, 6, 2));
    }

    #[test]
    fn a_mailbox_with_a_million_messages_does_not_starve_999_others() {
        let mut lanes = Lanes::default();
        (0..1000).for_each(|key| lanes.push(key, Lane::Live));
        let mut served = HashSet::new();
        let mut turns = 0;
        let mut of_the_large = 0;
        while served.len() < 999 {
            let (key, _) = lanes.pop(Lane::Refresh).unwrap();
            turns += 1;
            if key == 0 {
                of_the_large += 1;
                lanes.charge(key, 100, true);
                lanes.push(key, Lane::Live);
            } else {
                served.insert(key);
                lanes.charge(key, 1, false);
            }
        }
        assert!(turns <= 1002, "{turns} turns, {of_the_large} of them the large one's");
        assert_eq!(lanes.pop(Lane::Refresh), Some((0, Lane::Live)), "and alone it goes on at once");
    }

    #[test]
    fn two_large_ones_share() {
        let mut lanes = Lanes::default();
        let mut taken = [0_u32; 2];
        [0_usize, 1].into_iter().for_each(|key| lanes.push(key, Lane::Live));
        for _ in 0..3000 {
            let (key, _) = lanes.pop(Lane::Refresh).unwrap();
            let cost = if key == 0 { 100 } else { 40 };
            taken[key] += cost;
            lanes.charge(key, cost, true);
            lanes.push(key, Lane::Live);
        }
        let ratio = f64::from(taken[0]) / f64::from(taken[1]);
        assert!((0.8..1.25).contains(&ratio), "{taken:?}");
    }

    proptest! {
        #[test]
        fn everybody_who_waits_has_one_turn(pushes in prop::collection::vec((0_u8..40, 0_usize..4, 0_u32..300), 0..200)) {
            let mut lanes = Lanes::default();
            let mut wanted = HashSet::new();
            for (key, lane, debt) in pushes {
                lanes.push(key, Lane::ALL[lane]);
                lanes.charge(key, debt, true);
                wanted.insert(key);
            }
            prop_assert_eq!(lanes.len(), wanted.len());
            let turns: Vec<_> = std::iter::from_fn(|| lanes.pop(Lane::Refresh)).map(|(key, _)| key).collect();
            prop_assert_eq!(turns.len(), wanted.len());
            prop_assert_eq!(turns.into_iter().collect::<HashSet<_>>(), wanted);
            prop_assert!(lanes.is_empty());
        }
    }
}
