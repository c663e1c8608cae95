//! What a journal is kept in.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::{Error, Extent, Kind, Part};

/// A commit to be stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// Who does it.
    pub actor: String,
    /// The encoded commit.
    pub payload: Bytes,
}

/// A stored commit.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its position.
    pub sequence: u64,
    /// Its id.
    pub id: Uuid,
    /// Who did it.
    pub actor: String,
    /// The encoded commit.
    pub payload: Bytes,
    /// The trace that it belongs to, as W3C writes it.
    pub trace: Option<String>,
}

/// What following gives.
#[derive(Clone, Debug)]
pub enum Update {
    /// All that existed when following began was given.
    CaughtUp,
    /// A commit.
    Stored(Stored),
}

/// What is followed of a part.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The part.
    pub part: Part,
    /// The kinds in it.
    pub kinds: Vec<Kind>,
    /// Commits after this sequence.
    pub after: u64,
    /// Who follows: all kinds that he follows in all parts, such as `mailbox+profile`.
    pub follower: String,
}

impl Wanted {
    /// Whether a subject is of one of the kinds.
    pub fn has(&self, subject: &str) -> bool {
        self.kinds.iter().any(|kind| subject.starts_with(kind.subjects().trim_end_matches('*')))
    }
}

/// Why an append failed.
#[derive(Debug)]
pub enum AppendError {
    /// Another commit came first.
    Conflict,
    /// The journal does not answer.
    Journal(Error),
}

/// A log of commits by subject, in parts.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Appends to a part if the subject's last sequence is `expected`; 0 means that it has none. Gives the new sequence. Appending an
    /// entry again whose first append succeeded without being acknowledged gives its sequence.
    async fn append(&self, part: Part, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError>;
    /// Commits of a subject after a sequence, the oldest first.
    async fn read(&self, part: Part, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error>;
    /// Deletes the commit at a sequence and overwrites what it held; one that is gone is no error. Only in parts that allow it.
    async fn erase(&self, part: Part, sequence: u64) -> Result<(), Error>;
    /// The commit at a sequence.
    async fn at(&self, part: Part, sequence: u64) -> Result<Option<Stored>, Error>;
    /// Which journal it is, and how far a part goes.
    async fn extent(&self, part: Part) -> Result<Extent, Error>;
    /// All commits that are wanted, then as they come. Never ends by itself, unless the part is not open.
    fn follow(&self, wanted: Wanted) -> BoxStream<'static, Update>;
}
