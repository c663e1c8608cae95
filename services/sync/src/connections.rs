//! How many mailboxes of a profile are processed at a time: its maximum concurrent connections, never more than the server's
//! version allows by default, divided among the live workers (setup guide, Advanced Options; PROTOCOL.md §5).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Mutex,
};

use uuid::Uuid;

use crate::lock::lock;

/// The connections of one worker, by profile. A cycle uses one at a time.
#[derive(Default)]
pub struct Connections {
    profiles: Mutex<HashMap<Uuid, Used>>,
}

#[derive(Default)]
struct Used {
    /// Mailboxes that use one.
    by: HashSet<Uuid>,
    /// Mailboxes that wait for one, in order.
    waiting: VecDeque<Uuid>,
    /// The fewest that a server of the profile allows, as far as its versions were seen.
    server_allows: Option<u16>,
}

impl Connections {
    /// Takes one of a profile's connections for a mailbox, if fewer than `most` are used; otherwise the mailbox is
    /// remembered as waiting.
    pub fn take(&self, profile: Uuid, mailbox: Uuid, most: usize) -> bool {
        let mut profiles = lock(&self.profiles);
        let used = profiles.entry(profile).or_default();
        if used.by.len() < most {
            used.by.insert(mailbox);
            return true;
        }
        if !used.waiting.contains(&mailbox) {
            used.waiting.push_back(mailbox);
        }
        false
    }

    /// Gives a mailbox's connection back to its profile, if it has one; gives the profile.
    pub fn give_back(&self, mailbox: Uuid) -> Option<Uuid> {
        let mut profiles = lock(&self.profiles);
        let (profile, used) = profiles.iter_mut().find(|(_, used)| used.by.contains(&mailbox))?;
        used.by.remove(&mailbox);
        Some(*profile)
    }

    /// The mailbox of a profile that waited longest; it does not wait any more.
    pub fn next_waiting(&self, profile: Uuid) -> Option<Uuid> {
        lock(&self.profiles).get_mut(&profile)?.waiting.pop_front()
    }

    /// The fewest connections that a server of the profile allows, as far as its versions were seen.
    pub fn server_allows(&self, profile: Uuid) -> Option<u16> {
        lock(&self.profiles).get(&profile).and_then(|used| used.server_allows)
    }

    /// Notes what a server of the profile allows.
    pub fn learn(&self, profile: Uuid, server_allows: u16) {
        let mut profiles = lock(&self.profiles);
        let used = profiles.entry(profile).or_default();
        used.server_allows = Some(used.server_allows.map_or(server_allows, |known| known.min(server_allows)));
    }
}

/// One worker's share: rounded up, so that no worker is left without any.
pub fn share(limit: u16, workers: usize) -> usize {
    usize::from(limit).div_ceil(workers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: Uuid = Uuid::from_u128(100);

    #[test]
    fn who_finds_none_free_is_next() {
        let (connections, mailbox) = (Connections::default(), Uuid::from_u128);
        let taken: Vec<_> = (1..=4).map(|id| connections.take(PROFILE, mailbox(id), 2)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(connections.give_back(mailbox(1)), Some(PROFILE));
        assert_eq!(connections.next_waiting(PROFILE), Some(mailbox(3)));
        assert!(connections.take(PROFILE, mailbox(3), 2));
        assert_eq!(connections.give_back(mailbox(3)), Some(PROFILE));
        assert_eq!(connections.next_waiting(PROFILE), Some(mailbox(4)));
        assert_eq!((connections.next_waiting(PROFILE), connections.give_back(mailbox(9))), (None, None));
    }

    #[test]
    fn the_server_that_allows_fewest_counts() {
        let connections = Connections::default();
        assert_eq!(connections.server_allows(PROFILE), None);
        for allows in [27, 10, 27] {
            connections.learn(PROFILE, allows);
        }
        assert_eq!(connections.server_allows(PROFILE), Some(10));
    }

    #[test]
    fn workers_share_and_each_has_at_least_one() {
        assert_eq!((share(27, 1), share(27, 4), share(1, 4), share(10, 0)), (27, 7, 1, 10));
    }
}
