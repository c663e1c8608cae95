//! The email activity of the CRM: one for each message, however many mailboxes it lies in (INV-2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod activity;
mod correlation;
mod delivery;
mod omission;
mod resolution;
mod subject;
mod token;

pub use activity::{Command, Event, Promote, Rules, State};
pub use correlation::{Correlation, CorrelationMethod, conversation, correlate, subject_changed};
pub use delivery::{Delivery, Status};
pub use omission::{Limits, Omission};
pub use resolution::{Owners, Resolution, eligible, owner, recipient, sender};
pub use subject::{Alike, is_forward};
pub use token::{counters, numbers, subject_with, token, tokens, without_tokens};

/// The namespace of activity ids; pinned, or a message would be promoted twice.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_8c52_9a77_4d0e_8a53_0d9c_21b7_4e10);

/// The id of the activity of a received message: the same wherever and whenever the message is met.
///
/// The Internet message id identifies it; its angle brackets and the white space around it do not count. A message
/// without one is identified by its content's SHA-256 digest.
pub fn activity_id(message_id: Option<&str>, content_digest: &str) -> Uuid {
    identity("", message_id, content_digest)
}

/// The same for a message that was sent, and found in Sent Items. Mail between users is two activities, one for each direction
/// (spec §3.7). An email that the CRM itself sent keeps the id that it was given there.
pub fn sent_activity_id(message_id: Option<&str>, content_digest: &str) -> Uuid {
    identity("sent:", message_id, content_digest)
}

fn identity(prefix: &str, message_id: Option<&str>, content_digest: &str) -> Uuid {
    let name = match message_id.map(normalized).filter(|id| !id.is_empty()) {
        Some(id) => format!("{prefix}message-id:{id}"),
        None => format!("{prefix}content:{content_digest}"),
    };
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A message id without white space and angle brackets. Case is kept: ids are compared exactly (RFC 5322 §3.6.4).
pub fn normalized(message_id: &str) -> &str {
    let trimmed = message_id.trim();
    trimmed.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(trimmed).trim()
}

/// Incoming or outgoing (spec §3.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Received.
    Incoming,
    /// Sent.
    Outgoing,
}

/// The part an address plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// From.
    From,
    /// Sender, where it differs from From.
    Sender,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Bcc.
    Bcc,
    /// Reply-To.
    ReplyTo,
}

/// A sender or recipient, as the message names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its part.
    pub role: Role,
    /// Display name.
    pub name: String,
    /// Address, as written.
    pub address: String,
    /// The record of the CRM it resolved to.
    pub record_id: Option<Uuid>,
    /// It was left unresolved because several records have the address.
    pub is_ambiguous: bool,
}

/// Content that is kept outside the journal, by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256, in lower-case hexadecimal; also its name in the object store.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Content-Id of an inline image.
    pub content_id: Option<String>,
    /// Whether it is shown inside the body.
    pub inline: bool,
    /// Its content; not kept where it is omitted.
    pub content: Content,
    /// Why its content is not kept.
    pub omission: Option<Omission>,
}

/// A message as an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The activity's id.
    pub id: Uuid,
    /// Incoming or outgoing.
    pub direction: Direction,
    /// The Internet message id, as written.
    pub message_id: Option<String>,
    /// In-Reply-To.
    pub in_reply_to: Option<String>,
    /// The message ids in References, the oldest first.
    pub references: Vec<String>,
    /// Outlook's conversation index.
    pub conversation_index: Vec<u8>,
    /// The email of the CRM that it answers, as the CRM found when it was promoted.
    pub correlation: Option<Correlation>,
    /// Subject.
    pub subject: String,
    /// When it was sent, by its own Date.
    pub sent_at: Option<Timestamp>,
    /// When the mailbox received it.
    pub received_at: Option<Timestamp>,
    /// Senders and recipients.
    pub parties: Vec<Party>,
    /// The text body.
    pub text: Option<Content>,
    /// The HTML body.
    pub html: Option<Content>,
    /// The message as Exchange gave it.
    pub mime: Option<Content>,
    /// Attachments.
    pub attachments: Vec<Attachment>,
    /// The HTML body made safe for display.
    pub display_html: Option<Content>,
    /// Whether its subject differs from that of the email it answers.
    pub is_subject_changed: bool,
    /// What it regards.
    pub regarding_id: Option<Uuid>,
    /// Who owns it.
    pub owner_id: Option<Uuid>,
    /// The mailbox that accepted it.
    pub accepted_by: String,
    /// The tracking token in its subject.
    pub tracking_token: String,
    /// Of an email that the CRM sends: how that stands.
    pub delivery: Option<Delivery>,
}

impl Email {
    /// All its contents.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        let parts = [&self.text, &self.html, &self.display_html, &self.mime].into_iter().flatten();
        parts.chain(self.attachments.iter().map(|attachment| &attachment.content))
    }
}

/// In which mailbox a message was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The mailbox.
    pub mailbox_id: Uuid,
    /// Its address.
    pub mailbox_address: String,
    /// The tracked folder it lies in; empty for the Inbox and Sent Items.
    pub folder_id: String,
    /// Its category was removed there.
    pub is_untracked: bool,
}

/// A promoted message, or an email that the CRM sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The message.
    pub email: Email,
    /// The mailboxes it was found in, the first one first; none where it is only sent.
    pub sources: Vec<Source>,
    /// When it was promoted or queued.
    pub promoted_at: Timestamp,
    /// The queues that have an item for it, and since when.
    pub queues: Vec<(Uuid, Timestamp)>,
}

/// An email of which little is known.
#[cfg(test)]
pub fn example() -> Email {
    Email {
        id: activity_id(Some("<a@x>"), ""),
        direction: Direction::Incoming,
        message_id: Some("<a@x>".into()),
        in_reply_to: None,
        references: Vec::new(),
        conversation_index: Vec::new(),
        correlation: None,
        subject: "Hello".into(),
        sent_at: None,
        received_at: None,
        parties: Vec::new(),
        text: None,
        html: None,
        mime: None,
        attachments: Vec::new(),
        display_html: None,
        is_subject_changed: false,
        regarding_id: None,
        owner_id: None,
        accepted_by: String::new(),
        tracking_token: String::new(),
        delivery: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_pinned() {
        assert_eq!(activity_id(Some("<a@x>"), "").to_string(), activity_id(Some(" a@x "), "other").to_string());
        assert_ne!(activity_id(None, "1"), activity_id(None, "2"));
        assert_ne!(activity_id(Some("<A@x>"), ""), activity_id(Some("<a@x>"), ""));
        assert_eq!(activity_id(Some("<a@x>"), ""), Uuid::new_v5(&NAMESPACE, b"message-id:a@x"));
        assert_ne!(activity_id(Some("<a@x>"), ""), sent_activity_id(Some("<a@x>"), ""));
    }
}
