//! Where each message was decided, by its message id: some twenty bytes a message, the journal has the rest; and what a
//! commit says of it.

use std::collections::{HashMap, hash_map::Entry};

use postroad_core::{
    email::normalized,
    mailbox::{Amendment, Decision, Event, RULE_VERSION, fact_sentences, verdict_sentence},
};
use postroad_proto::sync::v1::MessageVerdict;
use postroad_rig::wire;
use uuid::Uuid;

/// How many parts the index has: one is looked at while the others change.
pub const PARTS: usize = 256;

/// Positions in the journal by a digest of the message id.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// By the digest's last byte.
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    /// Nearly every message is decided at one place.
    first: HashMap<u64, u64>,
    /// The others are decided again, or lie in several mailboxes.
    more: HashMap<u64, Vec<u64>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: vec![Part::default(); PARTS] }
    }
}

impl Index {
    /// Notes what a commit decided; noting it again changes nothing.
    pub fn note(&mut self, sequence: u64, events: &[Event]) {
        for event in events {
            let Event::AttemptFinished { verdicts, deferrals, amendments, .. } = event else { continue };
            let amended = amendments.iter().map(|amendment| match amendment {
                Amendment::Tracked { item, .. } | Amendment::Untracked { item, .. } => item,
            });
            let decided = verdicts.iter().map(|verdict| &verdict.item);
            let items = decided.chain(deferrals.iter().map(|deferral| &deferral.item)).chain(amended);
            for message_id in items.filter_map(|item| item.message_id.as_deref()) {
                self.insert(digest(message_id), sequence);
            }
        }
    }

    /// The positions at which a message may have been decided; the commits there tell for sure.
    pub fn find(&self, message_id: &str) -> Vec<u64> {
        let digest = digest(message_id);
        let Some(part) = self.parts.get(part(digest)) else { return Vec::new() };
        let mut places: Vec<u64> = part.first.get(&digest).copied().into_iter().collect();
        places.extend(part.more.get(&digest).into_iter().flatten());
        places
    }

    /// What one part holds, for a snapshot.
    pub fn part(&self, number: usize) -> Vec<(u64, u64)> {
        let Some(part) = self.parts.get(number) else { return Vec::new() };
        let first = part.first.iter().map(|(digest, sequence)| (*digest, *sequence));
        let more = part.more.iter().flat_map(|(digest, places)| places.iter().map(|sequence| (*digest, *sequence)));
        first.chain(more).collect()
    }

    /// Takes over what a snapshot holds.
    pub fn restore(&mut self, places: &[(u64, u64)]) {
        for (digest, sequence) in places {
            self.insert(*digest, *sequence);
        }
    }

    fn insert(&mut self, digest: u64, sequence: u64) {
        let Some(part) = self.parts.get_mut(part(digest)) else { return };
        match part.first.entry(digest) {
            Entry::Vacant(vacant) => drop(vacant.insert(sequence)),
            Entry::Occupied(first) if *first.get() == sequence => {}
            Entry::Occupied(_) => {
                let more = part.more.entry(digest).or_default();
                if !more.contains(&sequence) {
                    more.push(sequence);
                }
            }
        }
    }
}

fn part(digest: u64) -> usize {
    (digest % PARTS as u64) as usize
}

/// What an event decided about a message, or about every one.
pub fn explain(event: &Event, wanted: Option<&str>, address: &str, sequence: u64) -> Vec<MessageVerdict> {
    let Event::AttemptFinished { at, verdicts, deferrals, amendments, .. } = event else { return Vec::new() };
    let is_it = |item: &postroad_core::mailbox::Item| {
        wanted.is_none_or(|wanted| item.message_id.as_deref().is_some_and(|id| normalized(id) == wanted))
    };
    let entry = |item: &postroad_core::mailbox::Item, sentence: String| MessageVerdict {
        email_address: address.to_owned(),
        at: Some(wire::timestamp(*at)),
        sentence,
        rule_version: RULE_VERSION,
        sequence,
        message_id: item.message_id.clone().unwrap_or_default(),
        received_at: item.received.map(wire::timestamp),
        ..MessageVerdict::default()
    };
    let decided = verdicts.iter().filter(|verdict| is_it(&verdict.item)).map(|verdict| {
        let email_id = match &verdict.decision {
            Decision::Tracked { email_id, .. } => email_id.to_string(),
            Decision::NotTracked(_) | Decision::Undeliverable { .. } => String::new(),
        };
        MessageVerdict {
            tracked: !email_id.is_empty(),
            email_id,
            rule_version: verdict.rule_version,
            facts: verdict.facts.as_deref().map(fact_sentences).unwrap_or_default(),
            ..entry(&verdict.item, verdict_sentence(verdict))
        }
    });
    let deferred = deferrals.iter().filter(|deferral| is_it(&deferral.item)).map(|deferral| {
        let sentence =
            format!("It failed {} times so far and is tried again: {}.", deferral.attempts, deferral.report.sentence());
        MessageVerdict { pending: true, ..entry(&deferral.item, sentence) }
    });
    let amended = amendments.iter().filter_map(|amendment| match amendment {
        Amendment::Tracked { item, email_id, .. } if is_it(item) => Some(MessageVerdict {
            tracked: true,
            email_id: email_id.to_string(),
            ..entry(item, "A person tracked it by the category.".to_owned())
        }),
        Amendment::Untracked { item, email_id } if is_it(item) => Some(MessageVerdict {
            ..entry(item, format!("A person removed the category; the email activity {email_id} stays."))
        }),
        Amendment::Tracked { .. } | Amendment::Untracked { .. } => None,
    });
    decided.chain(deferred).chain(amended).collect()
}

fn digest(message_id: &str) -> u64 {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, normalized(message_id).as_bytes()).as_u64_pair().0
}
