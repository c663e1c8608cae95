//! The limits of listeners.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What callers of a role may take up, so that none of them keeps others from being served. A message of a call is limited to 4 MiB,
/// an email in all its pieces by `crm.max_message_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections to a role at a time.
    pub connections: usize,
    /// Connections from one address at a time; of IPv6, from one network of 64 bits.
    pub connections_per_address: usize,
    /// How long agreeing on TLS, and the first bytes after it, may take; in milliseconds.
    pub handshake_ms: u64,
    /// A connection that has said nothing for so long is asked for a sign of life, and cut when none comes within the same time; in
    /// milliseconds.
    pub silence_ms: u64,
    /// Calls under way on one connection.
    pub calls_per_connection: u32,
    /// How long a request may take to arrive and its answer to begin; in milliseconds.
    pub call_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_address: 200,
            handshake_ms: 10_000,
            silence_ms: 20_000,
            calls_per_connection: 256,
            call_ms: 120_000,
        }
    }
}

impl Limits {
    /// How long the begin of a connection may take.
    pub const fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms)
    }

    /// After how much silence a connection is asked for a sign of life.
    pub const fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }

    /// How long a call may take until its answer begins.
    pub const fn call(&self) -> Duration {
        Duration::from_millis(self.call_ms)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("connections", self.connections as u64, 1, 1_000_000),
            ("connections_per_address", self.connections_per_address as u64, 1, 1_000_000),
            ("handshake_ms", self.handshake_ms, 100, 600_000),
            ("silence_ms", self.silence_ms, 100, 600_000),
            ("calls_per_connection", u64::from(self.calls_per_connection), 1, 100_000),
            ("call_ms", self.call_ms, 100, 3_600_000),
        ];
        match ranges.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            None => Ok(()),
            Some((setting, value, least, most)) => {
                Err(Error::Configuration(format!("limits.{setting}: {value} is not between {least} and {most}")))
            }
        }
    }
}
