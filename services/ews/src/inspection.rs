//! The way to a server below HTTP, one step at a time, for a test that explains what it finds.
//!
//! [`connect`], then [`handshake`]; the caller resolves the name. Trust is the transport's own, and nothing is said to
//! the server beyond the handshake. [`missing_names`], [`expires_within`] and [`incomplete_chain`] judge what it presents.

use std::{fmt, io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::Instant};

use crate::ConnectFailure;

mod certificate;
mod handshake;
mod judgement;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use handshake::{Refused, Secured, handshake};
pub use judgement::{expires_within, incomplete_chain, missing_names};

/// A connection, and which address gave it.
#[derive(Debug)]
pub struct Connected {
    /// For [`handshake`].
    pub stream: TcpStream,
    /// The address that answered.
    pub address: SocketAddr,
    /// How long this address took to answer.
    pub elapsed: Duration,
    /// The addresses that were tried before it, and failed.
    pub failed: Vec<Attempt>,
}

/// An address that gave no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub failure: ConnectFailure,
    /// After how long.
    pub elapsed: Duration,
}

/// No address gave a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Each address, in the order in which they were tried.
    pub attempts: Vec<Attempt>,
}

/// Connects to the first of these addresses that answers. The timeout is for all together, shared evenly.
///
/// # Errors
/// None of them answers, or there are none.
pub async fn connect(addresses: &[SocketAddr], timeout: Duration) -> Result<Connected, Unreached> {
    let deadline = Instant::now() + timeout;
    let mut failed = Vec::new();
    for (tried, &address) in addresses.iter().enumerate() {
        let started = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(started) / left;
        let failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(Connected { stream, address, elapsed: started.elapsed(), failed }),
            Ok(Err(error)) => socket(&error),
            Err(_) => ConnectFailure::TimedOut,
        };
        failed.push(Attempt { address, failure, elapsed: started.elapsed() });
    }
    Err(Unreached { attempts: failed })
}

fn socket(error: &io::Error) -> ConnectFailure {
    ConnectFailure::of(error).unwrap_or_else(|| ConnectFailure::Other(error.to_string()))
}

// === impl Unreached ===

impl Unreached {
    /// The failure that says most: an answer says more than silence, and silence more than having no way there.
    #[must_use]
    pub fn failure(&self) -> ConnectFailure {
        let telling = |failure: &ConnectFailure| match failure {
            ConnectFailure::Refused | ConnectFailure::Dropped => 3,
            ConnectFailure::TimedOut => 2,
            ConnectFailure::Other(_) => 1,
            ConnectFailure::Unreachable => 0,
        };
        let failures = self.attempts.iter().map(|attempt| &attempt.failure);
        let most = failures.max_by_key(|failure| telling(failure)).cloned();
        most.unwrap_or_else(|| ConnectFailure::Other("the name has no address".to_owned()))
    }
}

impl std::error::Error for Unreached {}

impl fmt::Display for Unreached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for Attempt { address, failure, .. } in &self.attempts {
            write!(formatter, "{separator}{address}: {failure}")?;
            separator = "; ";
        }
        if self.attempts.is_empty() { fmt::Display::fmt(&self.failure(), formatter) } else { Ok(()) }
    }
}
