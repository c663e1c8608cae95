//! Records and activities with their indexes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use jiff::Timestamp;
use postroad_core::{
    Aggregate as _,
    email::{self, Activity, Direction},
    organization::{self, Settings},
    record::{self, Kind, Record},
};
use uuid::Uuid;

mod answering;
mod erased;

pub use answering::{Answering, Smart};
use erased::Erased;
pub use erased::Person;

/// The most records that are told of one address (crm.proto).
const MOST_CANDIDATES: usize = 100;

/// Where an activity stands in the order of search: the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    at: Reverse<Timestamp>,
    id: Uuid,
}

impl Position {
    fn of(activity: &Activity) -> Self {
        let email = &activity.email;
        Self { at: Reverse(email.received_at.or(email.sent_at).unwrap_or(activity.promoted_at)), id: email.id }
    }

    /// The position as a page token's key.
    pub fn key(self) -> String {
        format!("{}:{}", self.at.0.as_nanosecond(), self.id)
    }

    /// The position that a key names.
    pub fn by_key(key: &str) -> Option<Self> {
        let (at, id) = key.split_once(':')?;
        let at = Timestamp::from_nanosecond(at.parse().ok()?).ok()?;
        Some(Self { at: Reverse(at), id: Uuid::parse_str(id).ok()? })
    }
}

/// An activity, as it is searched.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The activity.
    pub activity: Activity,
    /// The sequence of its last commit.
    pub sequence: u64,
    /// Where it stands.
    pub position: Position,
    /// Subject, names, addresses and message id in lower case.
    pub text: String,
}

/// The record in From.
pub fn sender_of(activity: &Activity) -> Option<Uuid> {
    activity.email.parties.iter().find(|party| party.role == email::Role::From).and_then(|party| party.record_id)
}

/// Records and activities.
#[derive(Debug, Default, PartialEq)]
pub struct View {
    records: HashMap<Uuid, Record>,
    by_address: HashMap<String, BTreeSet<Uuid>>,
    by_name: BTreeSet<(String, Uuid)>,
    emails: HashMap<Uuid, Arc<Row>>,
    newest: BTreeMap<Position, Arc<Row>>,
    /// By the mailbox's id and by its address.
    by_mailbox: HashMap<String, BTreeSet<Position>>,
    /// Activities by their conversation, the first one first; most have one, for which a set would be large.
    conversations: HashMap<Vec<u8>, Vec<(Timestamp, Uuid)>>,
    /// By direction and message id.
    by_message_id: HashMap<(bool, String), Uuid>,
    by_token: HashMap<String, Uuid>,
    /// Activities by the addresses of their parties, the newest last.
    by_party: HashMap<String, BTreeSet<(Timestamp, Uuid)>>,
    /// By mailbox and tracked folder.
    by_folder: HashMap<(Uuid, String), BTreeSet<Uuid>>,
    /// By the sending mailbox's address: those that wait, in the order in which they were queued.
    outbox: HashMap<String, BTreeSet<(Timestamp, Uuid)>>,
    /// The items of each queue, the newest last.
    queues: HashMap<Uuid, BTreeSet<(Timestamp, Uuid)>>,
    /// The number of each user and queue in tracking tokens, and the last counter given.
    senders: HashMap<Uuid, (u64, u64)>,
    entries: BTreeMap<String, String>,
    settings: Settings,
    erased: Erased,
}

impl View {
    /// How many emails wait to be sent.
    pub fn outbox_size(&self) -> usize {
        self.outbox.values().map(BTreeSet::len).sum()
    }

    /// Folds a commit of a record.
    pub fn record(&mut self, id: Uuid, events: &[record::Event]) {
        let before = self.records.remove(&id);
        if let Some(record) = &before {
            self.by_name.remove(&name_key(record));
            for address in &record.addresses {
                remove(&mut self.by_address, &address.key(), &id);
            }
        }
        if let Some(record) = record::Rules::fold(before, events) {
            self.by_name.insert(name_key(&record));
            for address in &record.addresses {
                self.by_address.entry(address.key()).or_default().insert(id);
            }
            self.records.insert(id, record);
        }
    }

    /// Folds a commit of the organization's settings.
    pub fn organization(&mut self, events: &[organization::Event]) {
        self.entries = organization::Rules::fold(std::mem::take(&mut self.entries), events);
        let entries = self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.settings = Settings::read(entries).0;
    }

    /// The settings that differ from their defaults.
    pub const fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Folds a commit of an activity.
    pub fn email(&mut self, id: Uuid, sequence: u64, events: &[email::Event]) {
        let before = self.emails.get(&id).map(|row| row.activity.clone());
        if let Some(before) = &before {
            self.unlink(before);
        }
        // Another attempt keeps the token of the first one.
        let had_token = before.as_ref().is_some_and(|activity| !activity.email.tracking_token.is_empty());
        let state = before.map_or(email::State::Absent, |activity| email::State::Live(Box::new(activity)));
        let activity = match email::Rules::fold(state, events) {
            email::State::Live(activity) => *activity,
            email::State::Absent => return,
            email::State::Erased => return self.erase(id, sequence),
        };
        self.link(&activity);
        if !had_token {
            self.count_token(&activity, events);
        }
        let position = Position::of(&activity);
        let text = searched(&activity);
        let row = Arc::new(Row { activity, sequence, position, text });
        self.newest.insert(position, Arc::clone(&row));
        self.emails.insert(id, row);
    }

    /// What may be other after the next commit.
    fn unlink(&mut self, activity: &Activity) {
        let id = activity.email.id;
        self.newest.remove(&Position::of(activity));
        if let Some(delivery) = &activity.email.delivery {
            let mailbox = mailbox_key(&delivery.sending_mailbox);
            remove(&mut self.outbox, &mailbox, &(delivery.queued_at, id));
            remove(&mut self.by_mailbox, &mailbox, &Position::of(activity));
        }
        for source in &activity.sources {
            remove(&mut self.by_folder, &(source.mailbox_id, source.folder_id.clone()), &id);
            for key in [source.mailbox_id.to_string(), mailbox_key(&source.mailbox_address)] {
                remove(&mut self.by_mailbox, &key, &Position::of(activity));
            }
        }
    }

    fn link(&mut self, activity: &Activity) {
        let email = &activity.email;
        let (id, position) = (email.id, Position::of(activity));
        for source in &activity.sources {
            for key in [source.mailbox_id.to_string(), mailbox_key(&source.mailbox_address)] {
                self.by_mailbox.entry(key).or_default().insert(position);
            }
            if !source.folder_id.is_empty() {
                self.by_folder.entry((source.mailbox_id, source.folder_id.clone())).or_default().insert(id);
            }
        }
        if let Some(base) = email::conversation(&email.conversation_index) {
            let place = (activity.promoted_at, id);
            let same = self.conversations.entry(base.to_vec()).or_insert_with(|| vec![place]);
            if let Err(at) = same.binary_search(&place) {
                same.insert(at, place);
            }
        }
        if let Some(message_id) = &email.message_id {
            let is_sent = email.direction == Direction::Outgoing;
            self.by_message_id.entry((is_sent, email::normalized(message_id).to_owned())).or_insert(id);
        }
        if !email.tracking_token.is_empty() {
            self.by_token.insert(email.tracking_token.clone(), id);
        }
        for party in &email.parties {
            self.by_party.entry(mailbox_key(&party.address)).or_default().insert((activity.promoted_at, id));
        }
        for (queue, at) in &activity.queues {
            self.queues.entry(*queue).or_default().insert((*at, id));
        }
        if let Some(delivery) = &email.delivery {
            self.by_mailbox.entry(mailbox_key(&delivery.sending_mailbox)).or_default().insert(position);
            if delivery.status.is_waiting() {
                let waiting = self.outbox.entry(mailbox_key(&delivery.sending_mailbox)).or_default();
                waiting.insert((delivery.queued_at, id));
            }
        }
    }

    /// A sender's number is its place in the order in which tokens were first given. It is read from the token, as is the counter: of those that
    /// were given before, some may be erased. One that was given under other settings is counted.
    fn count_token(&mut self, activity: &Activity, events: &[email::Event]) {
        let given = events.iter().find_map(|event| match event {
            email::Event::Claimed { token, .. } if !token.is_empty() => Some(token),
            _ => None,
        });
        let (Some(token), Some(sender)) = (given, sender_of(activity)) else { return };
        let read = email::numbers(token, &self.settings.token).filter(|(number, _)| *number > 0);
        let counted = self.next_token(sender);
        self.senders.insert(sender, read.unwrap_or(counted));
    }

    /// The number of a sender in tracking tokens, and the counter to try first.
    pub fn next_token(&self, sender: Uuid) -> (u64, u64) {
        let last = || self.senders.values().map(|(number, _)| *number).max().unwrap_or_default();
        let (number, counter) = self.senders.get(&sender).copied().unwrap_or_else(|| (last() + 1, 0));
        (number, counter + 1)
    }

    /// The email that bears a token.
    pub fn by_token(&self, token: &str) -> Option<Uuid> {
        self.by_token.get(token).copied()
    }

    /// The activity of a message in one direction.
    pub fn by_message_id(&self, direction: Direction, message_id: &str) -> Option<Uuid> {
        let key = (direction == Direction::Outgoing, email::normalized(message_id).to_owned());
        if key.1.is_empty() { None } else { self.by_message_id.get(&key).copied() }
    }

    /// The emails that wait to be sent through a mailbox now, in order.
    pub fn outbox(&self, mailbox: &str, now: Timestamp, most: usize) -> Vec<(Uuid, u32)> {
        let waiting = self.outbox.get(&mailbox_key(mailbox)).into_iter().flatten();
        let due = waiting.filter_map(|(_, id)| {
            let delivery = self.emails.get(id)?.activity.email.delivery.as_ref()?;
            let is_due = delivery.send_after.is_none_or(|at| at <= now);
            is_due.then_some((*id, delivery.attempt))
        });
        due.take(most).collect()
    }

    /// The mailbox through which an email is sent.
    pub fn sending_mailbox(&self, id: Uuid) -> Option<String> {
        Some(self.emails.get(&id)?.activity.email.delivery.as_ref()?.sending_mailbox.clone())
    }

    /// The mailboxes through which something is to be sent: all that waits and is due at `now`, or only what became due since a time.
    pub fn due_outboxes(&self, since: Option<Timestamp>, now: Timestamp) -> Vec<String> {
        let is_due = |id: &Uuid| {
            let row = self.emails.get(id);
            let after =
                row.and_then(|row| row.activity.email.delivery.as_ref()).and_then(|delivery| delivery.send_after);
            match since {
                None => after.is_none_or(|at| at <= now),
                Some(since) => after.is_some_and(|at| since < at && at <= now),
            }
        };
        let due = self.outbox.iter().filter(|(_, waiting)| waiting.iter().any(|(_, id)| is_due(id)));
        due.map(|(address, _)| address.clone()).collect()
    }

    /// The items of a queue, the newest first, after a key.
    pub fn queue(&self, queue: Uuid, before: Option<(Timestamp, Uuid)>, most: usize) -> Vec<(Timestamp, Arc<Row>)> {
        let end = before.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let items = self.queues.get(&queue).into_iter();
        let items = items.flat_map(|items| items.range((std::ops::Bound::Unbounded, end)).rev());
        items.take(most).filter_map(|(at, id)| Some((*at, Arc::clone(self.emails.get(id)?)))).collect()
    }

    /// The activities in a tracked folder that regard something else.
    pub fn regarding_other(&self, mailbox: Uuid, folder: &str, regarding: Uuid) -> Vec<Uuid> {
        let emails = self.by_folder.get(&(mailbox, folder.to_owned())).into_iter().flatten();
        let is_other =
            |id: &&Uuid| self.emails.get(*id).is_some_and(|row| row.activity.email.regarding_id != Some(regarding));
        emails.filter(is_other).copied().collect()
    }

    /// The records that have an address, active or not, at most 100.
    pub fn candidates(&self, address: &str) -> Vec<&Record> {
        let ids = self.by_address.get(&mailbox_key(address)).into_iter().flatten();
        ids.filter_map(|id| self.records.get(id)).take(MOST_CANDIDATES).collect()
    }

    /// The record that an unresolved party became meanwhile: the only one that has the address.
    pub fn resolved(&self, party: &email::Party) -> Option<Uuid> {
        if party.record_id.is_some() || party.is_ambiguous {
            return party.record_id;
        }
        match self.candidates(&party.address).as_slice() {
            [only] => Some(only.id),
            _ => None,
        }
    }

    /// A record by its id.
    pub fn by_id(&self, id: Uuid) -> Option<&Record> {
        self.records.get(&id)
    }

    /// The record that an address stands for: active ones first, then in the order of [`Kind`].
    pub fn by_address(&self, address: &str, kind: Option<Kind>) -> Option<&Record> {
        self.by_address
            .get(&mailbox_key(address))?
            .iter()
            .filter_map(|id| self.records.get(id))
            .filter(|record| kind.is_none_or(|kind| record.kind == kind))
            .min_by_key(|record| (!record.active, record.kind, record.id))
    }

    /// Records by name, after the given key.
    pub fn records(&self, kind: Option<Kind>, after: Option<&(String, Uuid)>) -> impl Iterator<Item = &Record> {
        let start = after.map_or(std::ops::Bound::Unbounded, |key| std::ops::Bound::Excluded(key.clone()));
        self.by_name
            .range((start, std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.records.get(id))
            .filter(move |record| kind.is_none_or(|kind| record.kind == kind))
    }

    /// An activity by its id.
    pub fn activity(&self, id: Uuid) -> Option<Arc<Row>> {
        self.emails.get(&id).cloned()
    }

    /// How many activities there are, in all or of one mailbox.
    pub fn count(&self, mailbox: Option<&str>) -> usize {
        match mailbox {
            None => self.newest.len(),
            Some(mailbox) => self.by_mailbox.get(&mailbox_key(mailbox)).map_or(0, BTreeSet::len),
        }
    }

    /// At most `most` activities after a position, the newest first, in all or of one mailbox.
    pub fn newest(&self, mailbox: Option<&str>, after: Option<Position>, most: usize) -> Vec<Arc<Row>> {
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = (start, std::ops::Bound::Unbounded);
        match mailbox {
            None => self.newest.range(range).take(most).map(|(_, row)| Arc::clone(row)).collect(),
            Some(mailbox) => {
                let positions = self.by_mailbox.get(&mailbox_key(mailbox)).into_iter();
                let positions = positions.flat_map(|positions| positions.range(range)).take(most);
                positions.filter_map(|position| self.newest.get(position).cloned()).collect()
            }
        }
    }
}

/// Where a record stands in the list by name.
pub fn name_key(record: &Record) -> (String, Uuid) {
    (record.name.to_lowercase(), record.id)
}

/// Takes a value out of an index; a key that has none left goes too.
fn remove<K: Eq + Hash, V: Ord>(index: &mut HashMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}

fn mailbox_key(text: &str) -> String {
    text.trim().to_lowercase()
}

fn searched(activity: &Activity) -> String {
    let email = &activity.email;
    let mut text = email.subject.to_lowercase();
    let parties = email.parties.iter().flat_map(|party| [party.name.as_str(), party.address.as_str()]);
    for part in parties.chain(email.message_id.as_deref()) {
        // A word cannot reach from one part into the next: it contains no line break.
        text.push('\n');
        text.push_str(&part.to_lowercase());
    }
    text
}
