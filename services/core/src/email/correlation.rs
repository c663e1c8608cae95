//! Which email of the CRM a message answers (spec §3.4).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{activity_id, normalized};

/// The part of a conversation index that all messages of a conversation share, in bytes (MS-OXOMSG, PidTagConversationIndex);
/// each answer adds five more.
const CONVERSATION: usize = 22;

/// How a message was found to answer an email of the CRM, in the order in which the methods are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CorrelationMethod {
    /// Its header In-Reply-To names the email.
    InReplyTo,
    /// Its header References does; the original does not look there.
    References,
    /// It belongs to the email's conversation, by Outlook's conversation index.
    ConversationIndex,
}

/// The email of the CRM that a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// How that was found.
    pub method: CorrelationMethod,
    /// The email's activity.
    pub email_id: Uuid,
}

/// What a message says about what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answering<'a> {
    /// The message ids in In-Reply-To.
    pub in_reply_to: &'a [String],
    /// Those in References, the oldest first.
    pub references: &'a [String],
    /// The conversation index.
    pub conversation_index: &'a [u8],
}

impl CorrelationMethod {
    /// The header or property, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InReplyTo => "In-Reply-To",
            Self::References => "References",
            Self::ConversationIndex => "conversation index",
        }
    }
}

/// What all messages of a conversation share; nothing where the index is too short to be one.
pub fn conversation(index: &[u8]) -> Option<&[u8]> {
    index.get(..CONVERSATION)
}

/// The email that a message answers: In-Reply-To, References from the youngest on, then the conversation index.
/// `is_known` says whether an activity is in the CRM, `first_of` which one began a conversation there; a message does not
/// answer itself.
pub fn correlate(
    answering: Answering<'_>,
    own: Option<Uuid>,
    is_known: impl Fn(Uuid) -> bool,
    first_of: impl Fn(&[u8]) -> Option<Uuid>,
) -> Option<Correlation> {
    let known = |id: &String| {
        let is_id = !normalized(id).is_empty();
        is_id.then(|| activity_id(Some(id), "")).filter(|id| Some(*id) != own && is_known(*id))
    };
    let by = |method| move |email_id| Correlation { method, email_id };
    let answered = || answering.in_reply_to.iter().find_map(known);
    let referred = || answering.references.iter().rev().find_map(known);
    let conversed = || conversation(answering.conversation_index).and_then(&first_of).filter(|id| Some(*id) != own);
    answered()
        .map(by(CorrelationMethod::InReplyTo))
        .or_else(|| referred().map(by(CorrelationMethod::References)))
        .or_else(|| conversed().map(by(CorrelationMethod::ConversationIndex)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn owned(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    fn id(text: &str) -> Uuid {
        activity_id(Some(text), "")
    }

    fn find(in_reply_to: &[&str], references: &[&str], index: &[u8]) -> Option<Correlation> {
        let (in_reply_to, references) = (owned(in_reply_to), owned(references));
        let answering = Answering { in_reply_to: &in_reply_to, references: &references, conversation_index: index };
        let known = HashSet::from([id("<a@x>"), id("<b@x>")]);
        correlate(
            answering,
            Some(id("<own@x>")),
            |id| known.contains(&id),
            |base| (base == [7; CONVERSATION]).then(|| id("<begun@x>")),
        )
    }

    fn by(method: CorrelationMethod, text: &str) -> Option<Correlation> {
        Some(Correlation { method, email_id: id(text) })
    }

    #[test]
    fn the_methods_are_tried_in_the_documented_order() {
        let index = [7; 27];
        assert_eq!(find(&["<a@x>"], &["<b@x>"], &index), by(CorrelationMethod::InReplyTo, "<a@x>"));
        assert_eq!(find(&["<c@x>", "a@x"], &[], &[]), by(CorrelationMethod::InReplyTo, "<a@x>"));
        assert_eq!(find(&["<c@x>"], &["<a@x>", "<b@x>", "<d@x>"], &index), by(CorrelationMethod::References, "<b@x>"));
        assert_eq!(find(&[], &["<d@x>"], &index), by(CorrelationMethod::ConversationIndex, "<begun@x>"));
        assert_eq!(find(&["", "<>"], &[" "], &[7; 21]), None);
    }

    #[test]
    fn a_message_does_not_answer_itself() {
        let own = id("<a@x>");
        let ids = owned(&["<a@x>"]);
        let answering = Answering { in_reply_to: &ids, references: &ids, conversation_index: &[7; 22] };
        assert_eq!(correlate(answering, Some(own), |_| true, |_| Some(own)), None);
    }

    proptest! {
        #[test]
        fn only_what_is_known_and_named_is_answered(
            known in prop::collection::hash_set(0_u8..8, 0..8),
            in_reply_to in prop::collection::vec(0_u8..8, 0..4),
            references in prop::collection::vec(0_u8..8, 0..4),
        ) {
            let text = |number: &u8| format!("<{number}@x>");
            let ids: HashSet<Uuid> = known.iter().map(|number| id(&text(number))).collect();
            let in_reply_to: Vec<String> = in_reply_to.iter().map(text).collect();
            let references: Vec<String> = references.iter().map(text).collect();
            let answering = Answering { in_reply_to: &in_reply_to, references: &references, conversation_index: &[] };
            let found = correlate(answering, None, |id| ids.contains(&id), |_| None);
            let named = |ids_of: &[String]| ids_of.iter().any(|text| ids.contains(&id(text)));
            match found {
                None => prop_assert!(!named(&in_reply_to) && !named(&references)),
                Some(found) => {
                    prop_assert!(ids.contains(&found.email_id));
                    prop_assert_eq!(found.method == CorrelationMethod::InReplyTo, named(&in_reply_to));
                }
            }
        }
    }
}
