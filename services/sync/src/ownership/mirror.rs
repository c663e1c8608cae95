//! What the bucket says of the partitions, as far as it was told; and what follows from it for one worker.

use std::collections::{HashMap, HashSet};

use postroad_journal::leases::holdings::Holding;

/// The partitions as the bucket had them a moment ago. Whoever acts by it names the revision, and is refused where that changed.
#[derive(Default)]
pub struct Mirror {
    seen: HashMap<u16, Seen>,
    /// The highest revision that was told. What has a lower one was told too, as changes are told in their order.
    told: u64,
}

struct Seen {
    holder: Option<String>,
    revision: u64,
}

/// A partition that is wanted and not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub partition: u16,
    /// Who holds it, if he lives; `None` if nobody does.
    pub holder: Option<String>,
    pub revision: u64,
}

/// How what a worker holds differs from what the bucket says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Held no more: another one has taken it, or nothing is said of it any more.
    pub lost: Vec<u16>,
    /// Held by another revision: a request of this worker came late.
    pub renumbered: Vec<(u16, u64)>,
    /// Named as held by this worker, which does not hold it: taken or given back without an answer, or held before a lease ended.
    pub strays: Vec<(u16, u64)>,
}

impl Mirror {
    /// Notes what was told; gives the partition.
    pub fn note(&mut self, told: Holding) -> Option<u16> {
        self.told = self.told.max(told.revision);
        let partition = told.key.strip_prefix(KEY)?.parse().ok()?;
        let seen = Seen { holder: told.holder, revision: told.revision };
        match self.seen.get_mut(&partition) {
            Some(known) if known.revision >= seen.revision => {}
            Some(known) => *known = seen,
            None => drop(self.seen.insert(partition, seen)),
        }
        Some(partition)
    }

    /// Who holds a partition, if he lives.
    pub fn holder(&self, partition: u16) -> Option<&str> {
        self.seen.get(&partition)?.holder.as_deref()
    }

    /// What is known of partitions.
    pub fn candidates(&self, wanted: &[u16]) -> Vec<Candidate> {
        let of = |partition: &u16| {
            let (holder, revision) =
                self.seen.get(partition).map_or((None, 0), |seen| (seen.holder.clone(), seen.revision));
            Candidate { partition: *partition, holder, revision }
        };
        wanted.iter().map(of).collect()
    }

    /// Compares what `worker` holds, by revisions, with what the bucket says. What was not told yet is on its way.
    pub fn compare(&self, worker: &str, held: &HashMap<u16, u64>) -> Difference {
        let mut difference = Difference::default();
        for (partition, revision) in held {
            match self.seen.get(partition) {
                Some(seen) if seen.revision == *revision => {}
                Some(seen) if seen.revision > *revision && seen.holder.as_deref() == Some(worker) => {
                    difference.renumbered.push((*partition, seen.revision));
                }
                Some(seen) if seen.revision > *revision => difference.lost.push(*partition),
                _ if *revision <= self.told => difference.lost.push(*partition),
                _ => {}
            }
        }
        let lost: HashSet<u16> = difference.lost.iter().copied().collect();
        let is_stray = |partition: &u16, seen: &Seen| {
            seen.holder.as_deref() == Some(worker) && (!held.contains_key(partition) || lost.contains(partition))
        };
        let strays = self.seen.iter().filter(|(partition, seen)| is_stray(partition, seen));
        difference.strays = strays.map(|(partition, seen)| (*partition, seen.revision)).collect();
        difference
    }
}

/// Before the number of a partition.
const KEY: &str = "p";

/// The key of a partition.
pub fn key_of(partition: u16) -> String {
    format!("{KEY}{partition:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(told: &[(u16, Option<&str>, u64)]) -> Mirror {
        let mut mirror = Mirror::default();
        for (partition, holder, revision) in told {
            let holder = holder.map(str::to_owned);
            mirror.note(Holding { key: key_of(*partition), holder, revision: *revision, is_last: false });
        }
        mirror
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        for partition in [0, 7, 255] {
            let told = Holding { key: key_of(partition), holder: None, revision: 1, is_last: false };
            assert_eq!(Mirror::default().note(told), Some(partition));
        }
        let stranger = Holding { key: "probe".to_owned(), holder: None, revision: 1, is_last: false };
        assert_eq!(Mirror::default().note(stranger), None);
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let mirror = mirror(&[(1, Some("one"), 5), (1, None, 4)]);
        assert_eq!(mirror.holder(1), Some("one"));
    }

    #[test]
    fn what_was_never_held_and_what_was_given_back_is_a_candidate_by_its_revision() {
        let candidates = mirror(&[(1, None, 4), (2, Some("two"), 5)]).candidates(&[0, 1, 2]);
        let told: Vec<_> = candidates.iter().map(|one| (one.partition, one.holder.as_deref(), one.revision)).collect();
        assert_eq!(told, [(0, None, 0), (1, None, 4), (2, Some("two"), 5)]);
    }

    #[test]
    fn what_another_one_took_is_lost_and_what_this_one_took_late_is_not() {
        let mirror = mirror(&[(1, Some("other"), 9), (2, Some("me"), 9), (3, None, 9), (4, Some("me"), 3)]);
        let held = HashMap::from([(1, 3), (2, 3), (3, 3), (4, 3)]);
        let mut difference = mirror.compare("me", &held);
        difference.lost.sort_unstable();
        assert_eq!(difference.lost, [1, 3]);
        assert_eq!(difference.renumbered, [(2, 9)]);
        assert_eq!(difference.strays, []);
    }

    #[test]
    fn what_is_named_as_held_and_is_not_is_a_stray() {
        let difference = mirror(&[(1, Some("me"), 9), (2, Some("other"), 9)]).compare("me", &HashMap::new());
        assert_eq!(difference, Difference { strays: vec![(1, 9)], ..Difference::default() });
    }

    #[test]
    fn what_was_not_told_yet_is_on_its_way_and_what_is_said_no_more_is_lost() {
        let held = HashMap::from([(1, 30), (2, 31)]);
        let mut mirror = mirror(&[(3, Some("other"), 29)]);
        assert_eq!(mirror.compare("me", &held), Difference::default());
        mirror.note(Holding { key: key_of(4), holder: None, revision: 30, is_last: false });
        assert_eq!(mirror.compare("me", &held), Difference { lost: vec![1], ..Difference::default() });
    }
}
