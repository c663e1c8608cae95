//! The mail server as the cycle needs it: a port, so that the cycle's behaviour can be tested without one.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use postroad_core::{fault::Report, mailbox::Listed};

mod ews;

pub use ews::Ews;

/// What changed in the Inbox since a cursor.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Messages that are new, in the server's order.
    pub listed: Vec<Listed>,
    /// Where to go on.
    pub cursor: String,
    /// Whether there is more already.
    pub more: bool,
    /// The connections that the server's version allows by default, if it told its version.
    pub server_allows: Option<u16>,
}

/// A fetched message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The original, as Exchange renders it.
    pub mime: bytes::Bytes,
    /// Its message id by Exchange's property, which exists even where the original has none.
    pub message_id: Option<String>,
    /// When it was received.
    pub received: Option<Timestamp>,
    /// Its subject by Exchange's property.
    pub subject: String,
}

/// Why a message was not fetched.
#[derive(Clone, Debug)]
pub enum ItemFailure {
    /// It is not in the mailbox any more.
    Gone,
    /// The server stopped before it; to be asked for again.
    NotAttempted,
    /// It cannot be read.
    Failed(Report),
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Exchange asked to wait for so long.
    Throttled(Duration, Report),
    /// The cursor is not known any more; the folder is listed anew.
    Resync(Report),
    /// The location may be wrong by now; it is asked for again.
    Rediscover(Report),
    /// The answer broke on its content: one of the messages asked for may be the cause.
    Content(Report),
    /// Anything else.
    Fault(Report),
}

impl Failure {
    /// What happened.
    pub fn report(&self) -> &Report {
        match self {
            Self::Throttled(_, report)
            | Self::Resync(report)
            | Self::Rediscover(report)
            | Self::Content(report)
            | Self::Fault(report) => report,
        }
    }
}

/// One mailbox of the mail server.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// What changed in the Inbox since `cursor`, at most `most` changes.
    async fn changes(&self, cursor: Option<&str>, most: u32) -> Result<Changes, Failure>;
    /// Messages by item id; one answer for each, in order.
    async fn fetch(&self, ids: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure>;
    /// Moves a message to the Undeliverable folder, which is created if it is missing. A message that is gone counts as
    /// moved: an earlier try may have succeeded without its answer arriving.
    async fn move_to_undeliverable(&self, id: &str) -> Result<Result<(), Report>, Failure>;
}
