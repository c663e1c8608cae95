//! Whether a message is accepted: by which recipient's filtering method, and why (spec §3.3, §3.4).

use super::FilteringMethod;
use crate::{email::Correlation, record};
use serde::{Deserialize, Serialize};

/// What the CRM knows about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The email that it answers.
    pub correlation: Option<Correlation>,
    /// What the sender is.
    pub sender: Option<record::Kind>,
}

/// A mailbox that received the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Its address.
    pub address: String,
    /// Its filtering method.
    pub method: FilteringMethod,
    /// Whether To or Cc name it; by Bcc or a distribution list they do not.
    pub is_named: bool,
}

/// By whom a message is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The accepting mailbox's address.
    pub address: String,
    /// Its filtering method.
    pub method: FilteringMethod,
    /// The email that the message answers, if it was looked for and found.
    pub correlation: Option<Correlation>,
}

impl FilteringMethod {
    /// The option's name in the CRM.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AllMessages => "All email messages",
            Self::Responses => "Email messages in response to CRM email",
            Self::FromPeople => "Email messages from CRM Leads, Contacts and Accounts",
            Self::FromRecords => "Email messages from CRM records that are email enabled",
            Self::NoMessages => "No email messages",
        }
    }

    /// Whether the method accepts a message without anything being known about it.
    pub const fn accepts_everything(self) -> bool {
        matches!(self, Self::AllMessages)
    }

    /// Whether it accepts a message. One that answers an email of the CRM is accepted by every method but the last.
    fn accepts(self, known: &Known) -> bool {
        let is_answer = known.correlation.is_some();
        match self {
            Self::AllMessages => true,
            Self::Responses => is_answer,
            Self::FromPeople => {
                let people = [record::Kind::Contact, record::Kind::Account, record::Kind::Lead];
                is_answer || known.sender.is_some_and(|kind| people.contains(&kind))
            }
            Self::FromRecords => is_answer || known.sender.is_some(),
            Self::NoMessages => false,
        }
    }
}

/// The first recipient that accepts a message. The mailbox that is processed comes first; every other one that the message
/// names is asked too. A mailbox that the message does not name accepts it only if it accepts everything.
pub fn accept(recipients: &[Recipient], known: &Known) -> Option<Acceptance> {
    let accepts = |recipient: &&Recipient| {
        recipient.method.accepts_everything() || (recipient.is_named && recipient.method.accepts(known))
    };
    let recipient = recipients.iter().find(accepts)?;
    Some(Acceptance { address: recipient.address.clone(), method: recipient.method, correlation: known.correlation })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;
    use crate::email::CorrelationMethod;

    fn recipient(address: &str, method: FilteringMethod) -> Recipient {
        Recipient { address: address.to_owned(), method, is_named: true }
    }

    fn answer() -> Option<Correlation> {
        Some(Correlation { method: CorrelationMethod::InReplyTo, email_id: Uuid::from_u128(1) })
    }

    #[rstest]
    #[case(FilteringMethod::AllMessages, None, None, true)]
    #[case(FilteringMethod::Responses, None, None, false)]
    #[case(FilteringMethod::Responses, None, Some(record::Kind::Contact), false)]
    #[case(FilteringMethod::Responses, answer(), None, true)]
    #[case(FilteringMethod::FromPeople, None, None, false)]
    #[case(FilteringMethod::FromPeople, None, Some(record::Kind::Contact), true)]
    #[case(FilteringMethod::FromPeople, None, Some(record::Kind::Lead), true)]
    #[case(FilteringMethod::FromPeople, None, Some(record::Kind::Account), true)]
    #[case(FilteringMethod::FromPeople, None, Some(record::Kind::User), false)]
    #[case(FilteringMethod::FromPeople, answer(), None, true)]
    #[case(FilteringMethod::FromRecords, None, Some(record::Kind::User), true)]
    #[case(FilteringMethod::FromRecords, None, Some(record::Kind::Queue), true)]
    #[case(FilteringMethod::FromRecords, None, None, false)]
    #[case(FilteringMethod::NoMessages, answer(), Some(record::Kind::Contact), false)]
    fn each_method_accepts_what_the_table_says(
        #[case] method: FilteringMethod,
        #[case] correlation: Option<Correlation>,
        #[case] sender: Option<record::Kind>,
        #[case] accepted: bool,
    ) {
        let found = accept(&[recipient("ada@contoso.example", method)], &Known { correlation, sender });
        assert_eq!(found.is_some(), accepted);
    }

    /// Spec §3.3: Paul takes answers only, the queue Sales takes everything; both received it.
    #[test]
    fn every_recipient_is_asked_and_the_accepting_one_is_told() {
        let paul = recipient("paul@contoso.example", FilteringMethod::Responses);
        let sales = recipient("sales@contoso.example", FilteringMethod::AllMessages);
        let found = accept(&[paul, sales], &Known::default()).unwrap();
        assert_eq!((found.address.as_str(), found.method), ("sales@contoso.example", FilteringMethod::AllMessages));
    }

    #[test]
    fn mail_by_bcc_or_list_is_for_those_who_take_everything() {
        let hidden = |method| Recipient { is_named: false, ..recipient("ada@contoso.example", method) };
        let known = Known { correlation: answer(), sender: Some(record::Kind::Contact) };
        assert!(accept(&[hidden(FilteringMethod::Responses)], &known).is_none());
        assert!(accept(&[hidden(FilteringMethod::AllMessages)], &known).is_some());
    }

    fn methods() -> impl Strategy<Value = FilteringMethod> {
        prop::sample::select(FilteringMethod::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn one_more_recipient_never_takes_a_message_away(
            recipients in prop::collection::vec((methods(), any::<bool>()), 0..5),
            more in methods(),
            is_answer in any::<bool>(),
            is_contact in any::<bool>(),
        ) {
            let known = Known {
                correlation: answer().filter(|_| is_answer),
                sender: Some(record::Kind::Contact).filter(|_| is_contact),
            };
            let mut all: Vec<Recipient> = recipients
                .into_iter()
                .map(|(method, is_named)| Recipient { is_named, ..recipient("x@contoso.example", method) })
                .collect();
            let before = accept(&all, &known);
            all.push(recipient("more@contoso.example", more));
            let after = accept(&all, &known);
            prop_assert!(before.is_none() || after == before);
            prop_assert!(all.iter().any(|one| one.method.accepts_everything()) <= after.is_some());
        }
    }
}
