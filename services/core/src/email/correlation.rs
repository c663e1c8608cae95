//! Which email of the CRM a message answers (spec §3.4).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::subject;
use crate::organization::Settings;

/// The part of a conversation index that all messages of a conversation share, in bytes (MS-OXOMSG, PidTagConversationIndex);
/// each answer adds five more.
const CONVERSATION: usize = 22;

/// How a message was found to answer an email of the CRM, in the order in which the methods are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CorrelationMethod {
    /// Its header In-Reply-To names the email.
    InReplyTo,
    /// Its header References does; the original does not look there.
    References,
    /// Its subject bears the email's tracking token.
    TrackingToken,
    /// It belongs to the email's conversation, by Outlook's conversation index.
    ConversationIndex,
    /// Its subject and its addresses are those of the email.
    SmartMatching,
}

/// The email of the CRM that a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// How that was found.
    pub method: CorrelationMethod,
    /// The email's activity.
    pub email_id: Uuid,
}

impl CorrelationMethod {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::InReplyTo, Self::References, Self::TrackingToken, Self::ConversationIndex, Self::SmartMatching];

    /// The header or property, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InReplyTo => "In-Reply-To",
            Self::References => "References",
            Self::TrackingToken => "tracking token",
            Self::ConversationIndex => "conversation index",
            Self::SmartMatching => "smart matching",
        }
    }

    /// Whether what it finds is the message's parent (spec §3.4, `parentactivityid`).
    pub const fn finds_parent(self) -> bool {
        matches!(self, Self::InReplyTo | Self::References | Self::ConversationIndex)
    }

    /// Whether it is used on a message; `is_forward` is that its subject says so.
    const fn is_used(self, settings: &Settings, is_forward: bool) -> bool {
        match self {
            Self::InReplyTo | Self::References => {
                settings.header_correlation && !(settings.forwards_are_no_replies && is_forward)
            }
            Self::ConversationIndex => settings.header_correlation,
            Self::TrackingToken => settings.token.enabled,
            Self::SmartMatching => settings.smart.enabled,
        }
    }
}

/// What all messages of a conversation share; nothing where the index is too short to be one.
pub fn conversation(index: &[u8]) -> Option<&[u8]> {
    index.get(..CONVERSATION)
}

/// The email that a message answers: of what each method found, the first in the documented order whose method is switched on.
pub fn correlate(found: &[Correlation], is_forward: bool, settings: &Settings) -> Option<Correlation> {
    let used = found.iter().filter(|found| found.method.is_used(settings, is_forward));
    used.min_by_key(|found| found.method).copied()
}

/// Whether an answer has another subject than what it answers, prefixes and tokens aside.
pub fn subject_changed(answer: &str, answered: &str, settings: &Settings) -> bool {
    let bare = |text: &str| {
        let text = super::without_tokens(text, &settings.token);
        subject::words(&text, usize::MAX)
    };
    bare(answer) != bare(answered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(method: CorrelationMethod, email: u128) -> Correlation {
        Correlation { method, email_id: Uuid::from_u128(email) }
    }

    /// Spec §12, check 7: In-Reply-To beats a conflicting token; token beats conversation index.
    #[test]
    fn check_07_the_methods_are_tried_in_the_documented_order() {
        use CorrelationMethod::{ConversationIndex, InReplyTo, References, TrackingToken};
        let settings = Settings::default();
        let conflicting = [found(ConversationIndex, 3), found(TrackingToken, 2), found(InReplyTo, 1)];
        assert_eq!(correlate(&conflicting, false, &settings), Some(found(InReplyTo, 1)));
        assert_eq!(correlate(&conflicting[..2], false, &settings), Some(found(TrackingToken, 2)));
        let referred = [found(TrackingToken, 2), found(References, 1)];
        assert_eq!(correlate(&referred, false, &settings), Some(found(References, 1)));
        assert_eq!(correlate(&[], false, &settings), None);
    }

    #[test]
    fn only_headers_and_conversations_find_parents() {
        let parents = CorrelationMethod::ALL.map(CorrelationMethod::finds_parent);
        assert_eq!(parents, [true, true, false, true, false]);
    }

    #[test]
    fn a_method_that_is_switched_off_finds_nothing() {
        let all = CorrelationMethod::ALL.map(|method| found(method, 1));
        let with = |name: &str, value: &str| {
            let mut settings = Settings::default();
            settings.set(name, value).unwrap();
            settings
        };
        let method = |settings: &Settings, is_forward| correlate(&all, is_forward, settings).map(|found| found.method);
        assert_eq!(method(&with("header-correlation", "no"), false), Some(CorrelationMethod::TrackingToken));
        let forwards = with("forwards-are-no-replies", "yes");
        assert_eq!(method(&forwards, true), Some(CorrelationMethod::TrackingToken));
        assert_eq!(method(&forwards, false), Some(CorrelationMethod::InReplyTo));
        let mut none = with("header-correlation", "no");
        none.set("tracking-token", "no").unwrap();
        assert_eq!(method(&none, false), None);
        none.set("smart-matching", "yes").unwrap();
        assert_eq!(method(&none, false), Some(CorrelationMethod::SmartMatching));
    }

    #[test]
    fn a_changed_subject_is_told() {
        let settings = Settings::default();
        assert!(!subject_changed("AW: RE: Offer CRM:0001002", "Offer", &settings));
        assert!(subject_changed("RE: Another offer", "Offer", &settings));
    }

    proptest! {
        #[test]
        fn the_order_of_findings_does_not_matter(
            methods in prop::collection::vec(prop::sample::select(CorrelationMethod::ALL.to_vec()), 0..5),
            headers in any::<bool>(), tokens in any::<bool>(), smart in any::<bool>(), is_forward in any::<bool>(),
        ) {
            let mut settings = Settings { header_correlation: headers, ..Settings::default() };
            settings.token.enabled = tokens;
            settings.smart.enabled = smart;
            let all: Vec<_> = methods.iter().map(|method| found(*method, *method as u128)).collect();
            let reversed: Vec<_> = all.iter().rev().copied().collect();
            let chosen = correlate(&all, is_forward, &settings);
            prop_assert_eq!(chosen, correlate(&reversed, is_forward, &settings));
            prop_assert_eq!(chosen.is_none(), !all.iter().any(|one| one.method.is_used(&settings, is_forward)));
            prop_assert!(chosen.is_none_or(|chosen| all.contains(&chosen)));
        }
    }
}
