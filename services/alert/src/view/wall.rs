//! The wall as it is listed and watched: the core's wall, and when each alert last changed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use jiff::Timestamp;
use postroad_core::alert::{self, Alert, Key, Level, Regarding};
use uuid::Uuid;

use super::View;

/// Alerts about what was deleted that watchers may still be told of.
const GONE: usize = 1000;

/// An alert with what it is printed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The alert.
    pub alert: Alert,
    /// The profile that it belongs to.
    pub profile: Option<Uuid>,
    /// The name of the profile or the address of the mailbox that it is about.
    pub name: String,
}

/// Which alerts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this level and graver ones.
    pub least: Option<Level>,
    /// Only those of this profile and its mailboxes.
    pub profile: Option<Uuid>,
    /// Only those that concern this mailbox.
    pub mailbox: Option<Uuid>,
    /// Resolved ones as well.
    pub resolved: bool,
}

/// The wall.
#[derive(Debug, Default)]
pub struct Wall {
    pub(super) alerts: alert::Wall,
    changed: HashMap<Key, u64>,
    gone: BTreeMap<(u64, Key), Entry>,
}

impl Filter {
    /// Whether an alert is wanted, resolved or not.
    pub fn wants(&self, entry: &Entry) -> bool {
        let Alert { key, level, mailboxes, .. } = &entry.alert;
        self.least.is_none_or(|least| *level >= least)
            && self.profile.is_none_or(|profile| entry.profile == Some(profile))
            && self.mailbox.is_none_or(|id| key.regarding == Regarding::Mailbox(id) || mailboxes.contains(&id))
    }
}

impl Entry {
    /// What the list is ordered by: the newest first.
    pub fn order(&self) -> (Reverse<Timestamp>, String) {
        (Reverse(self.alert.last_at), self.id())
    }

    /// The stable id: what it is about and its subject.
    pub fn id(&self) -> String {
        let Key { regarding, subject } = &self.alert.key;
        match regarding {
            Regarding::Profile(id) => format!("profile:{id}:{subject}"),
            Regarding::Mailbox(id) => format!("mailbox:{id}:{subject}"),
        }
    }
}

impl Wall {
    /// The alerts that a filter wants, the newest first.
    pub fn list(&self, view: &View, filter: &Filter) -> Vec<Entry> {
        let wanted = self.alerts.alerts().filter(|alert| filter.resolved || alert.resolved_at.is_none());
        let mut entries: Vec<_> = wanted.map(|alert| entry(view, alert)).filter(|entry| filter.wants(entry)).collect();
        entries.sort_by_cached_key(Entry::order);
        entries
    }

    /// How many alerts of each level are open.
    pub fn open(&self) -> [(&'static str, usize); 3] {
        let open = |level| self.alerts.alerts().filter(|one| one.resolved_at.is_none() && one.level == level).count();
        [("error", open(Level::Error)), ("warning", open(Level::Warning)), ("information", open(Level::Information))]
    }

    /// The alerts that changed since so many commits were folded, the oldest change first.
    pub fn changes(&self, view: &View, folded: u64) -> Vec<Entry> {
        let gone = self.gone.iter().rev().take_while(|((changed, _), _)| *changed > folded);
        let gone = gone.map(|((changed, _), entry)| (*changed, entry.clone()));
        let changed = self.changed.iter().filter(|(_, changed)| **changed > folded);
        let changed = changed.filter_map(|(key, changed)| Some((*changed, entry(view, self.alerts.get(key)?))));
        let mut entries: Vec<_> = gone.chain(changed).collect();
        entries.sort_by(|(one, left), (other, right)| (one, &left.alert.key).cmp(&(other, &right.alert.key)));
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The alerts about something.
    pub(super) fn about(&self, view: &View, regarding: Regarding) -> Vec<Entry> {
        let about = self.alerts.alerts().filter(|alert| alert.key.regarding == regarding);
        about.map(|alert| entry(view, alert)).collect()
    }

    /// Keeps alerts about something that is being deleted, for watchers; they are resolved by that.
    pub(super) fn forget(&mut self, entries: Vec<Entry>, folded: u64, at: Timestamp) {
        for mut entry in entries {
            entry.alert.resolved_at.get_or_insert(at);
            self.changed.remove(&entry.alert.key);
            self.gone.insert((folded, entry.alert.key.clone()), entry);
        }
        while self.gone.len() > GONE {
            self.gone.pop_first();
        }
    }

    /// Notes which alerts a commit changed.
    pub(super) fn note(&mut self, keys: Vec<Key>, folded: u64) {
        for key in keys {
            if self.alerts.get(&key).is_some() {
                self.changed.insert(key, folded);
            }
        }
    }
}

fn entry(view: &View, alert: &Alert) -> Entry {
    let (profile, name) = view.describe(alert.key.regarding);
    Entry { alert: alert.clone(), profile, name }
}
