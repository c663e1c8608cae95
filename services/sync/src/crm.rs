//! The CRM as the cycle needs it: a port, so that sending can be tested with one that dies.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use postroad_core::{
    email::Correlation,
    fault::{Code, Report},
    organization::Settings,
    record::Record,
};
use postroad_proto::crm::v1::{Email, EmailStatus, PromoteHeader};
use uuid::Uuid;

mod service;
pub mod wire;

/// Why the CRM did not do something.
#[derive(Clone, Debug)]
pub enum Refused {
    /// It refuses this message.
    Message(Report),
    /// It does not answer; it would take no message.
    Unavailable(Report),
    /// The message concerns a person who was erased.
    Erased,
}

impl Refused {
    /// What happened.
    pub fn report(self) -> Report {
        match self {
            Self::Message(report) | Self::Unavailable(report) => report,
            Self::Erased => Report::new(Code::EmailErased, ""),
        }
    }
}

/// What a message is looked up by.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// Its own message id; empty where it has none.
    pub message_id: String,
    /// The message ids in In-Reply-To.
    pub in_reply_to: Vec<String>,
    /// Those in References, the youngest first.
    pub references: Vec<String>,
    /// The tracking tokens in its subject, the last one first.
    pub tokens: Vec<String>,
    /// What all messages of its conversation share.
    pub conversation: Vec<u8>,
    /// Words and addresses for smart matching, if it is used.
    pub alike: Option<postroad_core::email::Alike>,
    /// The addresses of its parties, in lower case.
    pub addresses: Vec<String>,
}

/// An email that it may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How it was found.
    pub correlation: Correlation,
    /// Its subject.
    pub subject: String,
    /// What it regards.
    pub regarding: Option<Uuid>,
    /// Who owns it.
    pub owner: Option<Uuid>,
}

/// What the CRM knows about a message.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// The emails that it may answer.
    pub emails: Vec<Answered>,
    /// The records of its addresses, by the address in lower case.
    pub records: HashMap<String, Vec<Record>>,
    /// The same message as a sent email.
    pub outgoing: Option<Uuid>,
}

/// An email of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its id.
    pub email_id: Uuid,
    /// Which attempt this is.
    pub attempt: u32,
}

/// What became of an email of the outbox.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The email.
    pub queued: Queued,
    /// How it stands now.
    pub status: EmailStatus,
    /// Why it failed.
    pub report: Option<Report>,
}

/// Where messages become activities, and where emails to send come from. Every call may be repeated at will.
#[async_trait]
pub trait Crm: Send + Sync {
    /// The organization's settings; what cannot be read has its default.
    async fn settings(&self) -> Result<Settings, Refused>;
    /// What is known about a message.
    async fn matches(&self, lookup: &Lookup, settings: &Settings) -> Result<Matches, Refused>;
    /// Makes a message an activity; answers with its id and whether it is new.
    async fn promote(&self, header: PromoteHeader, contents: Vec<Bytes>) -> Result<(Uuid, bool), Refused>;
    /// A message is not tracked any more in a mailbox.
    async fn untrack(&self, email_id: Uuid, mailbox_id: Uuid) -> Result<(), Refused>;
    /// Makes the emails of a tracked folder regard its record; gives how many regarded something else.
    async fn impose(&self, mailbox_id: Uuid, folder_id: &str, regarding: Uuid) -> Result<u32, Refused>;
    /// The emails to send through a mailbox, in order.
    async fn outbox(&self, mailbox_address: &str, limit: u32) -> Result<Vec<Queued>, Refused>;
    /// Says the addresses of mailboxes through which something is to be sent, as it comes; `None` where the CRM cannot tell.
    async fn queued(&self) -> Result<Option<BoxStream<'static, Result<Vec<String>, Refused>>>, Refused>;
    /// Takes one to send it; it gets the message id unless it has one for this attempt.
    async fn claim(&self, queued: Queued, message_id: &str) -> Result<Email, Refused>;
    /// Says what became of it.
    async fn report(&self, delivery: &Delivery) -> Result<(), Refused>;
    /// Whether an activity is there.
    async fn has(&self, email_id: Uuid) -> Result<bool, Refused>;
    /// Whether a record is there.
    async fn has_record(&self, record_id: Uuid) -> Result<bool, Refused>;
    /// The content of a body or attachment of an email.
    async fn content(&self, email_id: &str, digest: &str) -> Result<Bytes, Refused>;
}

/// Nothing that could be cured by trying the message again.
fn unavailable(detail: impl Into<String>) -> Refused {
    Refused::Unavailable(Report::new(Code::CrmUnavailable, detail))
}
