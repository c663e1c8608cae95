//! The mail server as the cycle needs it: a port, so that sending can be tested with a server that loses answers, and a worker that dies.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use postroad_core::{
    fault::Report,
    mailbox::{From, Listed, Place},
};
use uuid::Uuid;

mod ews;
mod paced;

pub use ews::{Ews, folder};
pub use paced::Paced;

/// What changed in a folder since a cursor.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Messages that are new, in the server's order.
    pub listed: Vec<Listed>,
    /// Messages that were changed, such as by a category.
    pub updated: Vec<Listed>,
    /// Where to go on.
    pub cursor: String,
    /// Whether there is more already.
    pub more: bool,
    /// The connections that the server's version allows by default, if it told its version.
    pub server_allows: Option<u16>,
}

/// A page of a folder's messages.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The messages.
    pub listed: Vec<Listed>,
    /// All that match.
    pub total: u64,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<u32>,
}

/// A folder under the Inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderName {
    /// Its id.
    pub id: String,
    /// Its names from below the Inbox on, separated by slashes.
    pub path: String,
}

/// A fetched message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The original, as Exchange renders it.
    pub mime: Bytes,
    /// Its message id by Exchange's property, which exists even where the original has none.
    pub message_id: Option<String>,
    /// When it was received.
    pub received: Option<Timestamp>,
    /// Its subject by Exchange's property.
    pub subject: String,
    /// Its categories.
    pub categories: Vec<String>,
}

/// A draft to be made.
#[derive(Clone, Debug)]
pub struct NewDraft {
    /// The email of the CRM; kept on the draft and on what is sent.
    pub email_id: Uuid,
    /// Its message id.
    pub message_id: String,
    /// The message without Bcc.
    pub mime: Bytes,
    /// Bcc, which MIME does not carry.
    pub bcc: Vec<(String, String)>,
    /// Who it is from, where that is not the mailbox itself.
    pub from: Option<(String, String)>,
}

/// A draft, and the version of it that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: String,
    /// Its version; each attachment changes it.
    pub change_key: Option<String>,
}

/// A file to be attached.
#[derive(Clone, Debug)]
pub struct NewAttachment {
    /// File name.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Content-Id of an inline image; empty where none.
    pub content_id: String,
    /// Whether it is shown inside the body.
    pub is_inline: bool,
    /// Its content.
    pub content: Bytes,
}

/// What sending a draft came to.
#[derive(Clone, Debug)]
pub enum SendAnswer {
    /// Exchange took it.
    Sent,
    /// It is gone or has another version: to be looked at again.
    Changed,
    /// Exchange refuses it; it was not sent.
    Refused(Report),
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

/// What was done to one message, or why it could not be.
pub type Done<T> = Result<Result<T, Report>, Failure>;

/// One mailbox of the mail server.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// What changed in a folder since `cursor`, at most `most` changes.
    async fn changes(&self, place: &Place, cursor: Option<&str>, most: u32) -> Result<Changes, Failure>;
    /// Messages by item id; one answer for each, in order.
    async fn fetch(&self, ids: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure>;
    /// Moves a message to the Undeliverable folder, which is created if it is missing; gives its new id. A message that is gone counts
    /// as moved: an earlier try may have succeeded without its answer arriving.
    async fn move_to_undeliverable(&self, id: &str) -> Done<Option<String>>;
    /// Moves a message to Deleted Items; gone counts as deleted.
    async fn delete(&self, id: &str) -> Done<()>;
    /// Adds a category to messages, keeping those that they have; gone counts as done.
    async fn categorize(&self, ids: &[String], category: &str) -> Result<Vec<Result<(), Report>>, Failure>;
    /// Messages of the Inbox received before a time, not older than a date, the newest first; `most` at a time.
    async fn older(&self, from: From, before: Timestamp, offset: u32, most: u32) -> Result<Listing, Failure>;
    /// All messages of a folder, page by page.
    async fn list(&self, place: &Place, offset: u32) -> Result<Listing, Failure>;
    /// The folders under the Inbox.
    async fn folders(&self) -> Result<Vec<FolderName>, Failure>;

    /// The drafts that were made of an email.
    async fn drafts(&self, email_id: Uuid) -> Result<Vec<Draft>, Failure>;
    /// Makes a draft; nothing is sent.
    async fn make_draft(&self, draft: &NewDraft) -> Done<Draft>;
    /// Adds a file; gives the draft's new version.
    async fn attach(&self, draft: &Draft, attachment: &NewAttachment) -> Done<Draft>;
    /// The draft with its present version, if it is there and unsent.
    async fn draft(&self, id: &str) -> Result<Option<Draft>, Failure>;
    /// Whether a sent copy of an email is there, or it lies in the outbox.
    async fn is_sent(&self, email_id: Uuid) -> Result<bool, Failure>;
    /// Sends a draft; with `saves` a copy is kept in Sent Items.
    async fn send(&self, draft: &Draft, saves: bool) -> Result<SendAnswer, Failure>;
    /// Deletes drafts for good; gone counts as deleted.
    async fn discard(&self, drafts: &[Draft]) -> Result<(), Failure>;
}
