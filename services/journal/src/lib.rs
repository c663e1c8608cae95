//! The event log port: what happened, by aggregate, in one stream for each circle of readers.
//!
//! One message is one commit, so a commit is atomic. Optimistic concurrency is by the subject's last sequence; the commit's id
//! is the `Nats-Msg-Id`, by which an append whose acknowledgement was lost is recognised.
//!
//! - [`Journal`]: load, execute, follow; over JetStream or in memory, with one contract suite over both
//! - [`Part`]: which kinds are in a stream together
//! - [`Recorded`]: how the events of each aggregate are stored (`codec`)
//! - erasing ([`Journal::erase_before`]): the only deletion there is
//! - [`sealing`]: passwords under a key of the deployment
//! - [`leases`]: who owns what, for so long
//! - snapshots ([`Journal::keep`], [`Journal::kept`]): views to start from

mod backend;
mod codec;
mod commit;
mod denials;
mod erase;
mod error;
mod execute;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod jetstream;
pub mod leases;
mod memory;
mod next;
mod part;
pub mod sealing;
mod snapshots;
mod trace;

use std::sync::Arc;

pub use codec::Recorded;
pub use commit::{Actor, Commit, Executed, Kind, Snapshot};
pub use denials::Denials;
pub use error::Error;
pub use execute::ExecuteError;
pub use follow::Followed;
pub use jetstream::{Accounts, SHARED_API, fits, is_told, republished};
pub use part::Part;
pub use snapshots::{Extent, Record};

/// The journal; a cheap clone.
#[derive(Clone)]
pub struct Journal {
    backend: Arc<dyn backend::Backend>,
    shelf: Arc<dyn snapshots::Shelf>,
}

/// How the streams are kept, and which of them are opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the first stream, from which the others' names are made: [`Part::stream`].
    pub stream: String,
    /// What is opened; nothing else can be read or written.
    pub parts: Vec<Part>,
    /// Copies of each: 1 on a single server, 3 on a cluster.
    pub replicas: usize,
    /// Where what NATS does not allow is noted.
    pub denials: Denials,
}

impl Default for Options {
    fn default() -> Self {
        Self { stream: "JOURNAL".to_owned(), parts: Part::ALL.to_vec(), replicas: 1, denials: Denials::default() }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Journal")
    }
}

impl Journal {
    /// The journal of a NATS server; makes its streams where they are missing, those that roles share only where they are in the account of whoever
    /// connects.
    /// Refuses a server that is older than 2.12 or has no JetStream, and streams that are laid out in another way.
    pub async fn connect(client: &async_nats::Client, options: Options) -> Result<Self, Error> {
        let shelf = Arc::new(snapshots::Bucket::new(client, &options));
        Ok(Self { backend: Arc::new(jetstream::Jetstream::open(client, options).await?), shelf })
    }

    /// Makes the streams of those parts that roles share, in the account of whoever connects, where they are missing.
    ///
    /// # Errors
    /// As with [`Journal::connect`].
    pub async fn prepare(client: &async_nats::Client, options: Options) -> Result<(), Error> {
        jetstream::check(client)?;
        let parts = Part::ALL.into_iter().filter(|part| part.is_shared()).collect();
        let accounts = Accounts::one(client);
        jetstream::Jetstream::open_in(accounts, Options { parts, ..options }).await.map(drop)
    }

    /// A journal that keeps nothing, for a role that commits nothing. Refuses the same servers.
    pub fn none(client: &async_nats::Client) -> Result<Self, Error> {
        jetstream::check(client)?;
        Ok(Self::memory())
    }

    /// A journal in memory, for tests.
    pub fn memory() -> Self {
        Self { backend: Arc::new(memory::Memory::default()), shelf: Arc::new(snapshots::Memory::default()) }
    }
}
