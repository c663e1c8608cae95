//! What is decided about each message, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Acceptance, FilteringMethod, Recipient};
use crate::fault::Report;

/// The version of the rules below; a verdict names it (INV-1: one verdict per item and rule version).
pub const RULE_VERSION: u32 = 2;

/// A message in a mailbox, by what identifies it. No content: verdicts outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Exchange's item id; opaque, case-sensitive.
    pub id: String,
    /// The Internet message id, with its angle brackets, where the message has one.
    pub message_id: Option<String>,
    /// When it was delivered to the mailbox.
    pub received: Option<Timestamp>,
}

/// Why a message did not become an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The filtering method is "No email messages".
    FilteringMethod,
    /// Nobody who received it accepts it: who was asked, each with the filtering method.
    NotAccepted(Vec<Recipient>),
    /// It was received before Process Email From.
    BeforeProcessEmailFrom(Timestamp),
    /// It is no email: a meeting request, a contact, a post.
    NotEmail(String),
    /// It was deleted or moved away before it could be read.
    Gone,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It is an activity of the CRM.
    Tracked {
        /// The activity's id.
        email_id: Uuid,
        /// False if another mailbox had brought it before.
        created: bool,
        /// By whom it was accepted; absent from verdicts of the first rule version.
        acceptance: Option<Acceptance>,
    },
    /// It is not, for a reason.
    NotTracked(Reason),
    /// It failed too often.
    Undeliverable {
        /// The last fault.
        report: Report,
        /// How often it was tried.
        attempts: u32,
        /// Whether it is to be moved to the Undeliverable folder.
        to_move: bool,
    },
}

/// The decision about one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The message.
    pub item: Item,
    /// What was decided.
    pub decision: Decision,
    /// By which version of the rules.
    pub rule_version: u32,
}

/// A message as the folder's listing shows it, before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its identity.
    pub item: Item,
    /// The item class, such as `IPM.Note`.
    pub class: String,
}

/// Decides what can be decided without fetching the message; `None` means that it is to be promoted.
pub fn judge_listed(listed: &Listed, filtering: FilteringMethod, from: Option<Timestamp>) -> Option<Reason> {
    if !is_email(&listed.class) {
        return Some(Reason::NotEmail(listed.class.clone()));
    }
    // A message without a received date is new rather than old: it is not passed over.
    if let (Some(from), Some(received)) = (from, listed.item.received)
        && received < from
    {
        return Some(Reason::BeforeProcessEmailFrom(from));
    }
    match filtering {
        // What the other methods accept is known only when the message was read.
        FilteringMethod::AllMessages
        | FilteringMethod::Responses
        | FilteringMethod::FromPeople
        | FilteringMethod::FromRecords => None,
        FilteringMethod::NoMessages => Some(Reason::FilteringMethod),
    }
}

/// Mail, signed and encrypted mail, and reports such as non-delivery notices; an unknown class of mail counts as mail.
fn is_email(class: &str) -> bool {
    let class = class.to_ascii_uppercase();
    let within = |parent: &str| class == parent || class.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
    class.is_empty() || within("IPM.NOTE") || within("REPORT")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn listed(class: &str, received: i64) -> Listed {
        let received = Some(Timestamp::from_second(received).unwrap());
        Listed { item: Item { id: "A".into(), message_id: None, received }, class: class.into() }
    }

    #[rstest]
    #[case("IPM.Note", true)]
    #[case("IPM.Note.SMIME.MultipartSigned", true)]
    #[case("ipm.note", true)]
    #[case("REPORT.IPM.Note.NDR", true)]
    #[case("", true)]
    #[case("IPM.Schedule.Meeting.Request", false)]
    #[case("IPM.Notebook", false)]
    #[case("IPM.Post", false)]
    fn only_mail_is_email(#[case] class: &str, #[case] expected: bool) {
        assert_eq!(judge_listed(&listed(class, 0), FilteringMethod::AllMessages, None).is_none(), expected);
    }

    #[test]
    fn mail_from_the_start_date_on_is_processed() {
        let from = Timestamp::from_second(100).unwrap();
        let judge = |at| judge_listed(&listed("IPM.Note", at), FilteringMethod::AllMessages, Some(from));
        assert_eq!(judge(99), Some(Reason::BeforeProcessEmailFrom(from)));
        assert_eq!(judge(100), None);
    }

    #[test]
    fn no_messages_tracks_none() {
        assert_eq!(
            judge_listed(&listed("IPM.Note", 0), FilteringMethod::NoMessages, None),
            Some(Reason::FilteringMethod)
        );
    }
}
