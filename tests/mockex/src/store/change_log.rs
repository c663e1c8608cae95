//! What happened to the things of a folder, in order: of each thing its creation, its last rewrite, its last read flag.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound::{Excluded, Unbounded};

/// The log. Keys are those of the items or folders it is about.
#[derive(Debug, Default)]
pub struct ChangeLog {
    last: u64,
    by_change: BTreeMap<u64, Entry>,
    by_creation: BTreeMap<u64, u64>,
    marks: HashMap<u64, Marks>,
}

/// Where a reader is: everything up to `high` is known, except that a first enumeration, which goes from the newest to
/// the oldest, has only come down to `low`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    pub high: u64,
    pub low: Option<u64>,
}

/// One change, for a reader at some cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Create(u64),
    Update(u64),
    ReadFlag(u64),
    Delete(u64),
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Created(u64),
    Rewritten(u64),
    Flagged(u64),
    Gone { key: u64, created: u64 },
}

/// Where a thing's entries stand. Each kind has its own, so that a reader between them still gets what it has not seen.
#[derive(Clone, Copy, Debug)]
struct Marks {
    created: u64,
    rewritten: Option<u64>,
    flagged: Option<u64>,
}

// === impl ChangeLog ===

impl ChangeLog {
    pub fn create(&mut self, key: u64) {
        let sequence = self.next();
        self.by_change.insert(sequence, Entry::Created(key));
        self.by_creation.insert(sequence, key);
        self.marks.insert(key, Marks { created: sequence, rewritten: None, flagged: None });
    }

    pub fn update(&mut self, key: u64, only_read_flag: bool) {
        let sequence = self.next();
        let Some(marks) = self.marks.get_mut(&key) else { return };
        let flagged = marks.flagged.take();
        if only_read_flag {
            marks.flagged = Some(sequence);
        } else if let Some(before) = marks.rewritten.replace(sequence) {
            self.by_change.remove(&before);
        }
        if let Some(before) = flagged {
            self.by_change.remove(&before);
        }
        self.by_change.insert(sequence, if only_read_flag { Entry::Flagged(key) } else { Entry::Rewritten(key) });
    }

    pub fn remove(&mut self, key: u64) {
        let sequence = self.next();
        let Some(marks) = self.marks.remove(&key) else { return };
        for entry in [Some(marks.created), marks.rewritten, marks.flagged].into_iter().flatten() {
            self.by_change.remove(&entry);
        }
        self.by_creation.remove(&marks.created);
        self.by_change.insert(sequence, Entry::Gone { key, created: marks.created });
    }

    /// The living keys, oldest first.
    pub fn living(&self) -> impl Iterator<Item = u64> {
        self.by_creation.values().copied()
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether a cursor can have come from this log.
    pub const fn knows(&self, cursor: Cursor) -> bool {
        cursor.high <= self.last
    }

    /// At most `maximum` changes after a cursor, the cursor after them, and whether that is the end.
    pub fn page(&self, cursor: Option<Cursor>, maximum: usize) -> (Vec<Change>, Cursor, bool) {
        let cursor = cursor.unwrap_or(Cursor { high: self.last, low: Some(u64::MAX) });
        match cursor.low {
            Some(low) => self.enumerate(cursor.high, low, maximum),
            None => self.changes(cursor.high, maximum),
        }
    }

    fn enumerate(&self, high: u64, low: u64, maximum: usize) -> (Vec<Change>, Cursor, bool) {
        let mut older = self.by_creation.range(..low).rev().skip_while(|(created, _)| **created > high);
        let mut changes = Vec::new();
        let mut reached = low;
        for (created, key) in older.by_ref().take(maximum) {
            changes.push(Change::Create(*key));
            reached = *created;
        }
        if older.next().is_some() {
            return (changes, Cursor { high, low: Some(reached) }, false);
        }
        (changes, Cursor { high, low: None }, high == self.last)
    }

    fn changes(&self, high: u64, maximum: usize) -> (Vec<Change>, Cursor, bool) {
        let mut changes = Vec::new();
        let mut created = HashSet::new();
        let mut reached = high;
        for (sequence, entry) in self.by_change.range((Excluded(high), Unbounded)) {
            if changes.len() == maximum {
                return (changes, Cursor { high: reached, low: None }, false);
            }
            match *entry {
                Entry::Created(key) => {
                    created.insert(key);
                    changes.push(Change::Create(key));
                }
                // A thing that is new in this page is given as it is now.
                Entry::Rewritten(key) | Entry::Flagged(key) if created.contains(&key) => {}
                Entry::Rewritten(key) => changes.push(Change::Update(key)),
                Entry::Flagged(key) => changes.push(Change::ReadFlag(key)),
                Entry::Gone { key, created } if created <= high => changes.push(Change::Delete(key)),
                Entry::Gone { .. } => {}
            }
            reached = *sequence;
        }
        (changes, Cursor { high: self.last.max(high), low: None }, true)
    }

    const fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_enumeration_is_newest_first_and_loses_nothing_that_happens_meanwhile() {
        let mut log = ChangeLog::default();
        (1..=5).for_each(|key| log.create(key));
        let (first, cursor, last) = log.page(None, 2);
        assert_eq!((first, last), (vec![Change::Create(5), Change::Create(4)], false));
        log.update(1, false);
        log.create(6);
        log.update(5, true);
        log.remove(2);
        let (second, cursor, last) = log.page(Some(cursor), 2);
        assert_eq!((second, last), (vec![Change::Create(3), Change::Create(1)], false));
        let (third, cursor, last) = log.page(Some(cursor), 9);
        let expected = vec![Change::Update(1), Change::Create(6), Change::ReadFlag(5), Change::Delete(2)];
        assert_eq!((third, last), (expected, true));
        assert_eq!(log.page(Some(cursor), 9), (vec![], cursor, true));
    }

    proptest! {
        /// A reader that applies every page ends with exactly the living keys.
        #[test]
        fn a_reader_converges(steps in proptest::collection::vec((0..4_u8, 1..12_u64), 0..60), page in 1..5_usize) {
            let mut log = ChangeLog::default();
            let (mut known, mut cursor, mut last_key) = (BTreeSet::new(), None, 0);
            let mut read = |log: &ChangeLog, known: &mut BTreeSet<u64>| {
                let (changes, next, last) = log.page(cursor, page);
                for change in changes {
                    match change {
                        Change::Create(key) => { known.insert(key); }
                        Change::Delete(key) => { known.remove(&key); }
                        Change::Update(key) | Change::ReadFlag(key) => assert!(known.contains(&key), "{key} is not known"),
                    }
                }
                cursor = Some(next);
                last
            };
            for (step, key) in steps {
                match step {
                    0 => { last_key += 1; log.create(last_key); }
                    1 => log.update(key, key % 2 == 0),
                    2 => log.remove(key),
                    _ => { read(&log, &mut known); }
                }
            }
            while !read(&log, &mut known) {}
            prop_assert_eq!(known, log.living().collect::<BTreeSet<_>>());
        }
    }
}
