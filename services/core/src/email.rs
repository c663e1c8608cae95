//! The email activity of the CRM: one for each message, however many mailboxes it lies in (INV-2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Refusal};

mod correlation;
mod omission;
mod resolution;
mod subject;
mod token;

pub use correlation::{Correlation, CorrelationMethod, conversation, correlate, subject_changed};
pub use omission::{Limits, Omission};
pub use resolution::{Owners, Resolution, eligible, owner, recipient, sender};
pub use subject::{Alike, is_forward};
pub use token::{counters, subject_with, token, tokens, without_tokens};

/// The namespace of activity ids; pinned, or a message would be promoted twice.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_8c52_9a77_4d0e_8a53_0d9c_21b7_4e10);

/// The id of the activity of a message: the same wherever and whenever the message is met.
///
/// The Internet message id identifies it; its angle brackets and the white space around it do not count. A message
/// without one is identified by its content's SHA-256 digest.
pub fn activity_id(message_id: Option<&str>, content_digest: &str) -> Uuid {
    let name = match message_id.map(normalized).filter(|id| !id.is_empty()) {
        Some(id) => format!("message-id:{id}"),
        None => format!("content:{content_digest}"),
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
}

/// In which mailbox a message was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The mailbox.
    pub mailbox_id: Uuid,
    /// Its address.
    pub mailbox_address: String,
}

/// What happened to an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be.
    Promoted { email: Box<Email>, source: Source, at: Timestamp },
    /// The message lies in another mailbox as well.
    FoundAgain { source: Source, at: Timestamp },
}

/// The one command: promote a message.
#[derive(Clone, Debug)]
pub struct Promote {
    /// The message.
    pub email: Email,
    /// Where it was found.
    pub source: Source,
}

/// A promoted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The message.
    pub email: Email,
    /// The mailboxes it was found in, the first one first.
    pub sources: Vec<Source>,
    /// When it was promoted.
    pub promoted_at: Timestamp,
}

/// `None` until it is promoted.
pub type State = Option<Activity>;

/// The aggregate.
pub struct Rules;

impl Aggregate for Rules {
    type State = State;
    type Command = Promote;
    type Event = Event;
    type Facts = Timestamp;
    type Refusal = Refusal;

    fn decide(state: &State, command: &Promote, now: &Timestamp) -> Result<Vec<Event>, Refusal> {
        let source = command.source.clone();
        let Some(activity) = state else {
            return Ok(vec![Event::Promoted { email: Box::new(command.email.clone()), source, at: *now }]);
        };
        if activity.sources.iter().any(|known| known.mailbox_id == source.mailbox_id) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::FoundAgain { source, at: *now }])
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (None, Event::Promoted { email, source, at }) => {
                Some(Activity { email: (**email).clone(), sources: vec![source.clone()], promoted_at: *at })
            }
            (Some(mut activity), Event::FoundAgain { source, .. } | Event::Promoted { source, .. }) => {
                if !activity.sources.contains(source) {
                    activity.sources.push(source.clone());
                }
                Some(activity)
            }
            (None, Event::FoundAgain { .. }) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promote(mailbox: u128) -> Promote {
        let email = Email {
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
        };
        Promote { email, source: Source { mailbox_id: Uuid::from_u128(mailbox), mailbox_address: "a@x".into() } }
    }

    #[test]
    fn the_id_is_pinned() {
        assert_eq!(activity_id(Some("<a@x>"), "").to_string(), activity_id(Some(" a@x "), "other").to_string());
        assert_ne!(activity_id(None, "1"), activity_id(None, "2"));
        assert_ne!(activity_id(Some("<A@x>"), ""), activity_id(Some("<a@x>"), ""));
        assert_eq!(activity_id(Some("<a@x>"), ""), Uuid::new_v5(&NAMESPACE, b"message-id:a@x"));
    }

    #[test]
    fn promoting_twice_changes_nothing() {
        let now = Timestamp::UNIX_EPOCH;
        let state = Rules::fold(None, &Rules::decide(&None, &promote(1), &now).unwrap());
        assert!(Rules::decide(&state, &promote(1), &now).unwrap().is_empty());
        let again = Rules::decide(&state, &promote(2), &now).unwrap();
        assert!(matches!(again.as_slice(), [Event::FoundAgain { .. }]));
        assert_eq!(Rules::fold(state, &again).unwrap().sources.len(), 2);
    }
}
