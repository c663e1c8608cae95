//! Whether a message is accepted, by whom and why (spec §3.3, §3.4, §3.7): a pure function of the facts that are kept with its
//! verdict, and of the settings. So changed settings can be tried on past messages, and give exactly what they will give.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FilteringMethod, Kind};
use crate::{
    email::{Correlation, correlate},
    organization::Settings,
    record,
};

/// Where a message was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The Inbox.
    #[default]
    Inbox,
    /// Sent Items.
    SentItems,
    /// A tracked folder, by Exchange's folder id.
    Folder(String),
}

/// How a person tracked a message; that goes past every filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// It bears the category.
    Category,
    /// It lies in a tracked folder.
    Folder,
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
    /// Whose it is; unknown in verdicts of the first rule versions.
    pub kind: Option<Kind>,
    /// Whether its mail is forwarded to a forward mailbox.
    pub is_forwarding: bool,
}

/// What is known about a message: everything that the decision depends on besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub struct Facts {
    /// Where it was found.
    pub place: Place,
    /// Whether a person tracked it.
    pub mark: Option<Mark>,
    /// The emails that it may answer, as each method found them.
    pub correlations: Vec<Correlation>,
    /// What the sender is; of a sent message, what the first recipient is that is any record.
    pub sender: Option<record::Kind>,
    /// Whether several records have the sender's address.
    pub is_sender_ambiguous: bool,
    /// The mailboxes that it concerns, the one being processed first.
    pub recipients: Vec<Recipient>,
    /// The same message as an outgoing email of the CRM.
    pub sent_copy: Option<Uuid>,
    /// Whether its subject says that it was forwarded.
    pub is_forward: bool,
    /// Whether it is protected (IRM).
    pub is_protected: bool,
    /// Whether it came through a forward mailbox.
    pub is_unwrapped: bool,
}

/// By whom a message is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The accepting mailbox's address.
    pub address: String,
    /// Its filtering method.
    pub method: FilteringMethod,
    /// The email that the message answers.
    pub correlation: Option<Correlation>,
    /// Whether a person tracked it.
    pub mark: Option<Mark>,
}

/// Why a message is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is protected.
    Protected,
    /// The CRM has it as sent; the sent email where it is known.
    Internal(Option<Uuid>),
    /// To and Cc name no mailbox of the CRM, and the mailbox does not accept everything.
    NotNamed(Vec<Recipient>),
    /// None of these accepts it.
    NotAccepted(Vec<Recipient>),
    /// No mailbox that it names uses a forward mailbox.
    NotForwarded,
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

    /// Whether it accepts a message. One that answers an email of the CRM is accepted by every method but the last.
    fn accepts(self, is_answer: bool, sender: Option<record::Kind>) -> bool {
        match self {
            Self::AllMessages => true,
            Self::Responses => is_answer,
            Self::FromPeople => {
                let people = [record::Kind::Contact, record::Kind::Account, record::Kind::Lead];
                is_answer || sender.is_some_and(|kind| people.contains(&kind))
            }
            Self::FromRecords => is_answer || sender.is_some(),
            Self::NoMessages => false,
        }
    }
}

impl Recipient {
    /// Its filtering method, or that of all users where the organization forces one.
    fn method(&self, settings: &Settings) -> FilteringMethod {
        match (settings.forced_filtering, self.kind) {
            (Some(forced), Some(Kind::User(_))) => forced,
            _ => self.method,
        }
    }

    /// A mailbox that the message does not name accepts it only if it accepts everything.
    fn accepts(&self, is_answer: bool, sender: Option<record::Kind>, settings: &Settings) -> bool {
        let method = self.method(settings);
        method == FilteringMethod::AllMessages || (self.is_named && method.accepts(is_answer, sender))
    }
}

impl Facts {
    fn sender(&self, settings: &Settings) -> Option<record::Kind> {
        self.sender.filter(|_| !(self.is_sender_ambiguous && settings.ambiguous_sender_unresolved))
    }

    /// Whether mail between users is left out because the CRM has it as sent (spec §3.7).
    fn is_ignored_internal(&self, settings: &Settings) -> bool {
        if !settings.ignore_internal || self.place != Place::Inbox {
            return false;
        }
        let sender = self.sender(settings);
        let is_from_queue = sender == Some(record::Kind::Queue);
        let is_internal = if settings.internal_needs_copy {
            self.sent_copy.is_some()
        } else {
            sender == Some(record::Kind::User) || is_from_queue
        };
        let to_queue = self.recipients.first().is_some_and(|own| matches!(own.kind, Some(Kind::Queue(_))));
        is_internal
            && !(to_queue && settings.internal_to_queues)
            && !(is_from_queue && !settings.ignore_internal_from_queues)
    }

    /// The mailboxes that are asked.
    fn asked<'a>(&'a self, settings: &Settings) -> impl Iterator<Item = &'a Recipient> + use<'a> {
        let most = if settings.only_syncing_mailbox && !self.is_unwrapped { 1 } else { usize::MAX };
        let is_unwrapped = self.is_unwrapped;
        self.recipients.iter().take(most).filter(move |one| !is_unwrapped || one.is_forwarding)
    }
}

/// Decides about a message: accepted by the first mailbox that accepts it. The mailbox that is processed comes first; every other one
/// that the message names is asked too.
pub fn judge(facts: &Facts, settings: &Settings) -> Result<Acceptance, Rejection> {
    let correlation = correlate(&facts.correlations, facts.is_forward, settings);
    if let (Some(mark), Some(own)) = (facts.mark, facts.recipients.first()) {
        let (address, method) = (own.address.clone(), own.method(settings));
        return Ok(Acceptance { address, method, correlation, mark: Some(mark) });
    }
    if facts.is_protected && settings.restrict_protected {
        return Err(Rejection::Protected);
    }
    if facts.is_unwrapped && facts.asked(settings).next().is_none() {
        return Err(Rejection::NotForwarded);
    }
    if facts.is_ignored_internal(settings) {
        return Err(Rejection::Internal(facts.sent_copy));
    }
    let sender = facts.sender(settings);
    let found = facts.asked(settings).find(|one| one.accepts(correlation.is_some(), sender, settings));
    let Some(recipient) = found else {
        let asked: Vec<Recipient> =
            facts.asked(settings).map(|one| Recipient { method: one.method(settings), ..one.clone() }).collect();
        let is_named = asked.iter().any(|one| one.is_named);
        return Err(if is_named { Rejection::NotAccepted(asked) } else { Rejection::NotNamed(asked) });
    };
    Ok(Acceptance { address: recipient.address.clone(), method: recipient.method(settings), correlation, mark: None })
}

/// The queues that get an item for an accepted message (spec §3.7): those that accept it, and the one whose mailbox is processed.
pub fn queue_items(facts: &Facts, settings: &Settings) -> Vec<Uuid> {
    if facts.place == Place::SentItems {
        return Vec::new();
    }
    let is_answer = correlate(&facts.correlations, facts.is_forward, settings).is_some();
    let sender = facts.sender(settings);
    let mut queues = Vec::new();
    for (index, recipient) in facts.recipients.iter().enumerate() {
        let Some(Kind::Queue(queue)) = recipient.kind else { continue };
        let is_syncing = index == 0 && settings.queue_item_for_syncing;
        let is_accepting = settings.queue_items_for_accepting && recipient.accepts(is_answer, sender, settings);
        if (is_syncing || is_accepting) && !queues.contains(&queue) {
            queues.push(queue);
        }
    }
    queues
}

#[cfg(test)]
mod tests;
