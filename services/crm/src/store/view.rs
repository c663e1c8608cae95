//! Records and activities with their indexes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use postroad_core::{
    Aggregate as _,
    email::{self, Activity},
    record::{self, Kind, Record},
};
use uuid::Uuid;

/// More records with one address than this, and the address resolves to none of them (spec §3.5).
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
#[derive(Debug)]
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

/// Records and activities.
#[derive(Debug, Default)]
pub struct View {
    records: HashMap<Uuid, Record>,
    by_address: HashMap<String, BTreeSet<Uuid>>,
    by_name: BTreeSet<(String, Uuid)>,
    emails: HashMap<Uuid, Arc<Row>>,
    newest: BTreeMap<Position, Arc<Row>>,
    /// By the mailbox's id and by its address.
    by_mailbox: HashMap<String, BTreeSet<Position>>,
    /// The first activity of each conversation.
    conversations: HashMap<Vec<u8>, Uuid>,
}

impl View {
    /// Folds a commit of a record.
    pub fn record(&mut self, id: Uuid, events: &[record::Event]) {
        let before = self.records.remove(&id);
        if let Some(record) = &before {
            self.by_name.remove(&name_key(record));
            for address in &record.addresses {
                self.forget(&address.key(), id);
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

    fn forget(&mut self, address: &str, id: Uuid) {
        let Some(ids) = self.by_address.get_mut(address) else { return };
        ids.remove(&id);
        if ids.is_empty() {
            self.by_address.remove(address);
        }
    }

    /// Folds a commit of an activity.
    pub fn email(&mut self, id: Uuid, sequence: u64, events: &[email::Event]) {
        let before = self.emails.get(&id).map(|row| row.activity.clone());
        let Some(activity) = email::Rules::fold(before, events) else { return };
        let position = Position::of(&activity);
        for source in &activity.sources {
            for key in [source.mailbox_id.to_string(), mailbox_key(&source.mailbox_address)] {
                self.by_mailbox.entry(key).or_default().insert(position);
            }
        }
        if let Some(base) = email::conversation(&activity.email.conversation_index) {
            self.conversations.entry(base.to_vec()).or_insert(id);
        }
        let text = searched(&activity);
        let row = Arc::new(Row { activity, sequence, position, text });
        self.newest.insert(position, Arc::clone(&row));
        self.emails.insert(id, row);
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

    /// The record that a party of a message is (spec §3.5): as [`Self::by_address`], but none where too many have it.
    pub fn party(&self, address: &str) -> Option<Uuid> {
        let candidates = self.by_address.get(&mailbox_key(address))?.len();
        if candidates > MOST_CANDIDATES { None } else { self.by_address(address, None).map(|record| record.id) }
    }

    /// Records by name, after the given key.
    pub fn records(&self, kind: Option<Kind>, after: Option<&(String, Uuid)>) -> impl Iterator<Item = &Record> {
        let start = after.map_or(std::ops::Bound::Unbounded, |key| std::ops::Bound::Excluded(key.clone()));
        self.by_name
            .range((start, std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.records.get(id))
            .filter(move |record| kind.is_none_or(|kind| record.kind == kind))
    }

    /// The activity that a message answers; `own` is that of the message itself.
    pub fn answered(&self, answering: email::Answering<'_>, own: Option<Uuid>) -> Option<email::Correlation> {
        let is_known = |id| self.emails.contains_key(&id);
        email::correlate(answering, own, is_known, |base| self.conversations.get(base).copied())
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
