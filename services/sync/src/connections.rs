//! How many connections each profile may use: its maximum concurrent connections, never more than the server's version allows by
//! default, divided among the live workers (setup guide, Advanced Options; PROTOCOL.md §5).

use std::{collections::HashMap, sync::Mutex};

use uuid::Uuid;

use crate::lock::lock;

/// What the servers of each profile allow, as far as their versions were seen.
#[derive(Default)]
pub struct Connections {
    allowed: Mutex<HashMap<Uuid, u16>>,
}

impl Connections {
    /// The fewest connections that a server of the profile allows.
    pub fn server_allows(&self, profile: Uuid) -> Option<u16> {
        lock(&self.allowed).get(&profile).copied()
    }

    /// Notes what a server of the profile allows.
    pub fn learn(&self, profile: Uuid, server_allows: u16) {
        let mut allowed = lock(&self.allowed);
        let known = allowed.entry(profile).or_insert(server_allows);
        *known = (*known).min(server_allows);
    }
}

/// One worker's share: rounded up, so that no worker is left without any.
pub fn share(limit: u16, workers: usize) -> u32 {
    u32::from(limit).div_ceil(u32::try_from(workers).unwrap_or(u32::MAX).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: Uuid = Uuid::from_u128(100);

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
