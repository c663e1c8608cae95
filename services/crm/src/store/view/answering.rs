//! Which emails a message may answer.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postroad_core::email::{self, Alike, Correlation, CorrelationMethod, Direction};
use uuid::Uuid;

use super::View;

/// What a message is looked up by.
#[derive(Debug, Default)]
pub struct Answering<'a> {
    /// Its own message id.
    pub message_id: &'a str,
    /// The message ids in In-Reply-To.
    pub in_reply_to: &'a [String],
    /// Those in References, the youngest first.
    pub references: &'a [String],
    /// The tokens in its subject, the last one first.
    pub tokens: &'a [String],
    /// What all messages of its conversation share.
    pub conversation: Option<&'a [u8]>,
    /// For smart matching.
    pub smart: Option<Smart>,
}

/// What smart matching looks for.
#[derive(Debug)]
pub struct Smart {
    /// Words and addresses.
    pub wanted: Alike,
    /// By how many words subjects may differ.
    pub delta: usize,
    /// Addresses in common.
    pub least_addresses: usize,
}

impl View {
    /// The first of the keys that is known, for each method of correlation.
    pub fn answered(&self, wanted: &Answering<'_>) -> Vec<Correlation> {
        let own = self.own(wanted.message_id);
        let not_own = |id: &Uuid| !own.contains(id);
        let by_id = |id: &String| {
            let found = [Direction::Outgoing, Direction::Incoming].map(|way| self.by_message_id(way, id));
            found.into_iter().flatten().find(not_own)
        };
        let by = |method| move |email_id| Correlation { method, email_id };
        let conversation = wanted.conversation.filter(|base| !base.is_empty());
        [
            wanted.in_reply_to.iter().find_map(by_id).map(by(CorrelationMethod::InReplyTo)),
            wanted.references.iter().find_map(by_id).map(by(CorrelationMethod::References)),
            wanted
                .tokens
                .iter()
                .filter_map(|token| self.by_token(token))
                .find(not_own)
                .map(by(CorrelationMethod::TrackingToken)),
            conversation
                .and_then(|base| self.conversations.get(base)?.first().map(|(_, id)| *id))
                .filter(not_own)
                .map(by(CorrelationMethod::ConversationIndex)),
            wanted.smart.as_ref().and_then(|smart| self.alike(smart, &own)).map(by(CorrelationMethod::SmartMatching)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The activities of a message itself.
    fn own(&self, message_id: &str) -> Vec<Uuid> {
        let ways = [Direction::Incoming, Direction::Outgoing];
        ways.into_iter().filter_map(|way| self.by_message_id(way, message_id)).collect()
    }

    /// The newest email with like subject and addresses.
    fn alike(&self, smart: &Smart, own: &[Uuid]) -> Option<Uuid> {
        let addresses = smart.wanted.addresses.iter();
        let mut emails: Vec<_> = addresses.map(|address| self.by_party.get(address)).collect();
        emails.sort_by_key(|emails| emails.map_or(0, BTreeSet::len));
        // Who shares so many of the addresses has one of the rarest: the mailbox's own address, which all its emails have, is not searched.
        let enough = (emails.len() + 1).saturating_sub(smart.least_addresses);
        let rarest = emails.into_iter().take(enough).flatten().flatten();
        let candidates: BTreeSet<(Timestamp, Uuid)> = rarest.copied().collect();
        let is_like = |id: &Uuid| {
            let Some(row) = self.emails.get(id) else { return false };
            let email = &row.activity.email;
            let subject = email::without_tokens(&email.subject, &self.settings.token);
            let addresses = email.parties.iter().filter(|party| {
                matches!(party.role, email::Role::From | email::Role::To | email::Role::Cc | email::Role::Bcc)
            });
            let addresses = addresses.map(|party| party.address.as_str());
            let found = Alike::of(&subject, addresses, &self.settings.smart);
            smart.wanted.is_like(&found, smart.delta, smart.least_addresses)
        };
        candidates.iter().rev().map(|(_, id)| *id).filter(|id| !own.contains(id)).find(is_like)
    }
}
