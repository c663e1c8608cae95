//! What is decided about each message, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Acceptance, Facts, FilteringMethod, Recipient, Rejection};
use crate::{fault::Report, organization};

/// The version of the rules below; a verdict names it (INV-1: one verdict per item and rule version).
pub const RULE_VERSION: u32 = 3;

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
    /// To and Cc name no mailbox of the CRM, as by Bcc or a distribution list, and the mailbox does not accept everything.
    NotNamed(Vec<Recipient>),
    /// The CRM has it as sent; the sent email, where it is known.
    Internal(Option<Uuid>),
    /// It is protected (IRM).
    Protected,
    /// It lies in a forward mailbox and has no message attached (`InvalidForwardMailItem`).
    InvalidForward,
    /// It came through a forward mailbox, and no mailbox that it names forwards there (`InvalidForwardMailItem`).
    NotForwarded,
    /// It was received before Process Email From.
    BeforeProcessEmailFrom(Timestamp),
    /// It is no email: a meeting request, a contact, a post.
    NotEmail(String),
    /// It was deleted or moved away before it could be read.
    Gone,
    /// It concerns a person who was erased.
    Erased,
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Protected => Self::Protected,
            Rejection::Internal(copy) => Self::Internal(copy),
            Rejection::NotNamed(asked) => Self::NotNamed(asked),
            Rejection::NotAccepted(asked) => Self::NotAccepted(asked),
            Rejection::NotForwarded => Self::NotForwarded,
        }
    }
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
    },
}

/// What is done with a message in the mailbox after it was decided. Intended with the verdict, done and confirmed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Disposal {
    /// Moved to the folder Undeliverable.
    UndeliverableFolder,
    /// Marked with the category of undeliverable messages.
    UndeliverableCategory,
    /// Marked with the category of tracked messages.
    TrackedCategory,
    /// Deleted after processing: moved to Deleted Items, from where it can be recovered.
    DeletedItems,
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
    /// 0 when it was met first; more when it was decided again: by a backfill, or because somebody asked to try it again.
    pub pass: u32,
    /// What led to it; absent where the message was not read.
    pub facts: Option<Box<Facts>>,
    /// What is done with the message now.
    pub disposal: Option<Disposal>,
}

/// A message as the folder's listing shows it, before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its identity.
    pub item: Item,
    /// The item class, such as `IPM.Note`.
    pub class: String,
    /// Its categories.
    pub categories: Vec<String>,
}

impl Listed {
    /// Whether it bears the category by which people track messages.
    pub fn is_categorized(&self, settings: &organization::Settings) -> bool {
        let is_it = |category: &String| category.trim().eq_ignore_ascii_case(&settings.category);
        settings.track_categorized && self.categories.iter().any(is_it)
    }
}

/// Decides what can be decided without reading the message; `None` means that it is to be read. What a person tracked is always
/// read.
pub fn judge_listed(
    listed: &Listed,
    is_tracked_by_person: bool,
    filtering: FilteringMethod,
    from: Option<Timestamp>,
) -> Option<Reason> {
    if !is_email(&listed.class) {
        return Some(Reason::NotEmail(listed.class.clone()));
    }
    if is_tracked_by_person {
        return None;
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
        let item = Item { id: "A".into(), message_id: None, received };
        Listed { item, class: class.into(), categories: Vec::new() }
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
        assert_eq!(judge_listed(&listed(class, 0), false, FilteringMethod::AllMessages, None).is_none(), expected);
    }

    #[test]
    fn mail_from_the_start_date_on_is_processed() {
        let from = Timestamp::from_second(100).unwrap();
        let judge = |at| judge_listed(&listed("IPM.Note", at), false, FilteringMethod::AllMessages, Some(from));
        assert_eq!(judge(99), Some(Reason::BeforeProcessEmailFrom(from)));
        assert_eq!(judge(100), None);
    }

    #[test]
    fn no_messages_tracks_none_but_what_a_person_tracks() {
        let message = listed("IPM.Note", 0);
        let reason = judge_listed(&message, false, FilteringMethod::NoMessages, None);
        assert_eq!(reason, Some(Reason::FilteringMethod));
        let from = Some(Timestamp::from_second(100).unwrap());
        assert_eq!(judge_listed(&message, true, FilteringMethod::NoMessages, from), None);
        assert!(judge_listed(&listed("IPM.Post", 0), true, FilteringMethod::AllMessages, None).is_some());
    }

    #[test]
    fn the_category_is_found_whatever_its_case() {
        let settings = organization::Settings::default();
        let with = |category: &str| Listed { categories: vec![category.into()], ..listed("IPM.Note", 0) };
        assert!(with("tracked to dynamics 365").is_categorized(&settings));
        assert!(!with("Red").is_categorized(&settings));
        let off = organization::Settings { track_categorized: false, ..settings };
        assert!(!with("Tracked to Dynamics 365").is_categorized(&off));
    }
}
