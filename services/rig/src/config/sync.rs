//! The sync role's settings.

use std::net::SocketAddr;

use jiff::SignedDuration;
use postroad_core::mailbox::{Polling, RetryPolicy};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The sync role. Distances are in milliseconds so that tests and demo can shorten them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sync {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Distance of polls, from the end of a cycle; a profile's minimum polling interval may lengthen it.
    pub poll_ms: u64,
    /// The largest distance of polls of an idle mailbox while notifications of it arrive.
    pub idle_poll_ms: u64,
    /// Whether Exchange's streaming notifications are used.
    pub notifications: bool,
    /// The CRM's outboxes are asked for at least so often where it has not said that something waits.
    pub outbox_ms: u64,
    /// A connection for notifications that says nothing for so long, not even that it lives, is taken for dead.
    pub stream_silence_ms: u64,
    /// Connections to one mail server at a time, hanging ones of notifications not counted; an account's maximum concurrent
    /// connections are counted besides.
    pub server_connections: u32,
    /// Distance of attempts after a transient failure.
    pub retry_ms: u64,
    /// Transient failures in a row that disable a mailbox.
    pub retry_attempts: u32,
    /// Distance of the first probe of a disabled mailbox; doubled with each that fails.
    pub first_probe_ms: u64,
    /// The largest distance of probes.
    pub last_probe_ms: u64,
    /// Mailboxes that are processed at the same time.
    pub concurrency: usize,
    /// How long partitions stay with a worker that does not say that it lives.
    pub lease_ms: u64,
    /// Commits after which a snapshot of all mailboxes is kept, or as many as there are mailboxes where they are more.
    pub snapshot_commits: u64,
    /// Changes that are asked for at a time, 1-512.
    pub page: u32,
    /// The largest answer of Exchange, in bytes.
    pub max_response_bytes: usize,
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            listen: super::loopback(7403),
            poll_ms: 15_000,
            idle_poll_ms: 15 * 60_000,
            notifications: true,
            outbox_ms: 5 * 60_000,
            stream_silence_ms: 120_000,
            server_connections: 100,
            retry_ms: 5 * 60_000,
            retry_attempts: 10,
            first_probe_ms: 10 * 60_000,
            last_probe_ms: 6 * 3_600_000,
            concurrency: 64,
            lease_ms: 15_000,
            snapshot_commits: 10_000,
            page: 100,
            max_response_bytes: 128 * 1024 * 1024,
        }
    }
}

impl Sync {
    /// The retry policy that the settings make.
    pub fn retry(&self) -> RetryPolicy {
        let millis = |value: u64| SignedDuration::from_millis(i64::try_from(value).unwrap_or(i64::MAX));
        RetryPolicy {
            interval: millis(self.retry_ms),
            attempts: self.retry_attempts,
            first_probe: millis(self.first_probe_ms),
            last_probe: millis(self.last_probe_ms),
            ..RetryPolicy::default()
        }
    }

    /// How often mailboxes are polled.
    pub fn polling(&self) -> Polling {
        let millis = |value: u64| SignedDuration::from_millis(i64::try_from(value).unwrap_or(i64::MAX));
        Polling { interval: millis(self.poll_ms), ceiling: millis(self.idle_poll_ms) }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("sync.poll_ms", self.poll_ms, 100, 86_400_000),
            ("sync.idle_poll_ms", self.idle_poll_ms, 100, 86_400_000),
            ("sync.outbox_ms", self.outbox_ms, 100, 86_400_000),
            ("sync.stream_silence_ms", self.stream_silence_ms, 100, 3_600_000),
            ("sync.server_connections", u64::from(self.server_connections), 1, 10_000),
            ("sync.retry_ms", self.retry_ms, 100, 86_400_000),
            ("sync.retry_attempts", u64::from(self.retry_attempts), 1, 1000),
            ("sync.first_probe_ms", self.first_probe_ms, 100, 86_400_000),
            ("sync.last_probe_ms", self.last_probe_ms, 100, 604_800_000),
            ("sync.concurrency", self.concurrency as u64, 1, 100_000),
            ("sync.lease_ms", self.lease_ms, 500, 600_000),
            ("sync.snapshot_commits", self.snapshot_commits, 1, 10_000_000),
            ("sync.page", u64::from(self.page), 1, 512),
            ("sync.max_response_bytes", self.max_response_bytes as u64, 1 << 20, 1 << 32),
        ];
        for (setting, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(Error::Configuration(format!("{setting}: {value} is not between {least} and {most}")));
            }
        }
        Ok(())
    }
}
