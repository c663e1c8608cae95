//! Who and what was erased, and what of it is still to be done.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use postroad_core::{
    email::{self, Activity, Role},
    erasure,
    record::{Kind, Record},
};
use uuid::Uuid;

use super::{View, mailbox_key, remove};

/// What was erased.
#[derive(Debug, Default, PartialEq)]
pub struct Erased {
    /// Until when, by the digest of the address.
    persons: HashMap<Uuid, Timestamp>,
    /// Emails with the sequence of their tombstone.
    emails: HashMap<Uuid, u64>,
    /// Of these, those of which something was left when the tombstone was met: their last state, to be destroyed.
    unfinished: HashMap<Uuid, Activity>,
    /// Records with the sequence of their tombstone, of which something was left.
    records: HashMap<Uuid, u64>,
}

/// A person, as the CRM knows them.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Addresses in lower case.
    pub addresses: BTreeSet<String>,
    /// Contacts, accounts and leads.
    pub records: Vec<Record>,
    /// Users and queues that have one of the addresses.
    pub insiders: Vec<Record>,
}

fn is_insider(record: &Record) -> bool {
    matches!(record.kind, Kind::User | Kind::Queue)
}

fn keys(record: &Record) -> impl Iterator<Item = String> {
    record.addresses.iter().map(|address| address.key())
}

impl View {
    /// Folds a commit of an erasure.
    pub fn erasure(&mut self, id: Uuid, events: &[erasure::Event]) {
        for erasure::Event::PersonErased { at } in events {
            let until = self.erased.persons.entry(id).or_insert(*at);
            *until = (*until).max(*at);
        }
    }

    /// An activity met its tombstone.
    pub(super) fn erase(&mut self, id: Uuid, sequence: u64) {
        self.erased.emails.insert(id, sequence);
        let Some(row) = self.emails.remove(&id) else { return };
        let activity = row.activity.clone();
        self.unlink_erased(&activity);
        self.erased.unfinished.insert(id, activity);
    }

    /// What `unlink` leaves, since it stays the same while an activity lives.
    fn unlink_erased(&mut self, activity: &Activity) {
        let email = &activity.email;
        let id = email.id;
        if let Some(base) = email::conversation(&email.conversation_index)
            && let Some(same) = self.conversations.get_mut(base)
        {
            same.retain(|(_, other)| *other != id);
            if same.is_empty() {
                self.conversations.remove(base);
            }
        }
        if let Some(message_id) = &email.message_id {
            let key = (email.direction == email::Direction::Outgoing, email::normalized(message_id).to_owned());
            if self.by_message_id.get(&key) == Some(&id) {
                self.by_message_id.remove(&key);
            }
        }
        if self.by_token.get(&email.tracking_token) == Some(&id) {
            self.by_token.remove(&email.tracking_token);
        }
        for party in &email.parties {
            remove(&mut self.by_party, &mailbox_key(&party.address), &(activity.promoted_at, id));
        }
        for (queue, at) in &activity.queues {
            remove(&mut self.queues, queue, &(*at, id));
        }
    }

    /// A record met its tombstone, and something was there before.
    pub(in crate::store) fn record_erased(&mut self, id: Uuid, sequence: u64) {
        self.erased.records.insert(id, sequence);
    }

    /// Whether an activity was erased.
    pub fn was_erased(&self, id: Uuid) -> bool {
        self.erased.emails.contains_key(&id)
    }

    /// Whether an email is of before the erasure of a person whom it concerns.
    pub fn concerns_erased(&self, email: &email::Email, known: Timestamp) -> bool {
        let persons = &self.erased.persons;
        !persons.is_empty() && erasure::is_erased(email, known, |digest| persons.get(&digest).copied())
    }

    /// Who has an address, or is the record with an id: with the other addresses of what is known of them, since what is left of those
    /// could not be found by the records any more.
    pub fn person(&self, wanted: &str) -> Option<Person> {
        let record = Uuid::parse_str(wanted.trim()).ok().and_then(|id| self.by_id(id));
        let (mut addresses, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut new: Vec<String> = match record {
            Some(record) => {
                ids.insert(record.id);
                keys(record).collect()
            }
            None if wanted.contains('@') => vec![mailbox_key(wanted)],
            None => return None,
        };
        while let Some(address) = new.pop() {
            for record in self.by_address.get(&address).into_iter().flatten().filter_map(|id| self.by_id(*id)) {
                // What users and queues have besides is theirs; they are not erased.
                if ids.insert(record.id) && !is_insider(record) {
                    new.extend(keys(record).filter(|key| !addresses.contains(key)));
                }
            }
            addresses.insert(address);
        }
        let found = ids.into_iter().filter_map(|id| self.by_id(id)).cloned();
        let (insiders, records): (Vec<_>, Vec<_>) = found.partition(is_insider);
        Some(Person { addresses, records, insiders })
    }

    /// The activities that name an address, each with whether the address wrote it and whether it is still to be sent.
    pub fn naming(&self, addresses: &BTreeSet<String>) -> Vec<(Uuid, bool, bool)> {
        let ids: BTreeSet<Uuid> =
            addresses.iter().filter_map(|address| self.by_party.get(address)).flatten().map(|(_, id)| *id).collect();
        let look = |id: Uuid| {
            let email = &self.emails.get(&id)?.activity.email;
            let wrote = email.parties.iter().any(|party| {
                matches!(party.role, Role::From | Role::Sender) && addresses.contains(&mailbox_key(&party.address))
            });
            let waits = email.delivery.as_ref().is_some_and(|delivery| delivery.status.is_waiting());
            Some((id, wrote, waits))
        };
        ids.into_iter().filter_map(look).collect()
    }

    /// Activities of erased persons that are not erased yet, and may be: what a crash left, or what was being sent.
    pub fn to_erase(&self) -> Vec<Uuid> {
        if self.erased.persons.is_empty() {
            return Vec::new();
        }
        let addresses =
            self.by_party.iter().filter(|(address, _)| self.erased.persons.contains_key(&erasure::digest(address)));
        let ids: BTreeSet<Uuid> = addresses.flat_map(|(_, rows)| rows.iter().map(|(_, id)| *id)).collect();
        let is_due = |id: &Uuid| {
            self.emails.get(id).is_some_and(|row| {
                let waits = row.activity.email.delivery.as_ref().is_some_and(|delivery| delivery.status.is_waiting());
                !waits && self.concerns_erased(&row.activity.email, row.activity.promoted_at)
            })
        };
        ids.into_iter().filter(is_due).collect()
    }

    /// Erased activities of which something is left, with the sequence of the tombstone.
    pub fn unfinished(&self) -> Vec<(u64, Activity)> {
        let sequence = |id: &Uuid| self.erased.emails.get(id).copied();
        self.erased.unfinished.iter().filter_map(|(id, activity)| Some((sequence(id)?, activity.clone()))).collect()
    }

    /// Whether contents under an id are of nothing that the view knows: neither of an activity nor of one that is still to be destroyed.
    pub fn is_unknown(&self, id: Uuid) -> bool {
        !self.emails.contains_key(&id) && !self.erased.unfinished.contains_key(&id)
    }

    /// Deleted contacts, accounts and leads of which something is left, with the sequence of the tombstone.
    pub fn unfinished_records(&self) -> Vec<(u64, Uuid)> {
        self.erased.records.iter().map(|(id, sequence)| (*sequence, *id)).collect()
    }

    /// Nothing is left of an activity.
    pub(in crate::store) fn finished(&mut self, id: Uuid) {
        self.erased.unfinished.remove(&id);
    }

    /// Nothing is left of a record.
    pub(in crate::store) fn record_finished(&mut self, id: Uuid) {
        self.erased.records.remove(&id);
    }
}
