//! Why the journal does not answer.

use postroad_core::fault::{Code, Report};

/// Why the journal does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NATS is down, unreachable or too slow. What was asked for may have been done.
    #[error("NATS does not answer: {0}")]
    Unreachable(String),
    /// NATS does not allow it. It was not done.
    #[error("{0}")]
    Denied(String),
    /// The server is too old.
    #[error("nats-server {found} is older than 2.12, which silently ignores what protects the journal")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// JetStream is off.
    #[error("the NATS server has no JetStream: {0}")]
    WithoutJetstream(String),
    /// A stream is not what this version keeps a part of the journal in.
    #[error("the stream {stream} is no part of this version's journal: {why}")]
    Layout {
        /// Which.
        stream: String,
        /// What is found.
        why: String,
    },
    /// The stream of a part is in an account in which a role makes none, and nobody has made it yet.
    #[error("the stream {stream} is not there: in an account that roles share, only the user prepare makes streams")]
    Unprepared {
        /// Which.
        stream: String,
    },
    /// A part of the journal was asked for that was not opened.
    #[error("the stream {stream} was not opened, and cannot be used")]
    Closed {
        /// Its stream.
        stream: String,
    },
    /// A commit is larger than the server accepts.
    #[error("a commit of {size} bytes is larger than the NATS server accepts; raise its max_payload")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// A commit that is to be erased could not be.
    #[error("the commit at {sequence} could not be deleted: {why}")]
    Undeletable {
        /// Which.
        sequence: u64,
        /// Why.
        why: String,
    },
    /// A stored commit cannot be read: it was written by a newer version, or damaged.
    #[error("the commit at {sequence} of {subject} cannot be read by this version")]
    Unreadable {
        /// Where.
        subject: String,
        /// Which.
        sequence: u64,
    },
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        let code = match self {
            Self::Unreachable(_) | Self::TooLarge { .. } => Code::JournalUnavailable,
            Self::Denied(_) | Self::Unprepared { .. } => Code::NatsDenied,
            Self::TooOld { .. } => Code::NatsTooOld,
            Self::WithoutJetstream(_) => Code::NatsWithoutJetstream,
            Self::Layout { .. } => Code::JournalLayout,
            Self::Closed { .. } => Code::Internal,
            Self::Undeletable { .. } => Code::ErasureIncomplete,
            Self::Unreadable { .. } => Code::JournalNewer,
        };
        Report::new(code, self.to_string())
    }
}
