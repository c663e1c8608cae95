//! Profiles and mailboxes as the journal has them, kept in memory by following it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, RwLock, RwLockReadGuard},
};

use postroad_core::{
    Aggregate as _,
    mailbox::{self, Mailbox},
    profile::{self, Profile},
};
use postroad_journal::Followed;
use tokio::sync::watch;
use uuid::Uuid;

/// Of so many commits of a mailbox the position of one is kept.
const MARKED: usize = 16;

/// The view.
pub struct Directory {
    view: RwLock<View>,
    /// The sequence of the last commit that is in the view; `None` until all that existed is.
    reached: watch::Sender<Option<u64>>,
}

#[derive(Default)]
struct View {
    profiles: HashMap<Uuid, profile::State>,
    mailboxes: HashMap<Uuid, mailbox::State>,
    marks: HashMap<Uuid, Marks>,
    last: u64,
}

/// Where in the journal the commits of a mailbox are, roughly: enough to read its newest ones without the others.
#[derive(Default)]
struct Marks {
    commits: usize,
    /// Of the first commit, and of each [`MARKED`]th after it.
    sequences: Vec<u64>,
}

impl Marks {
    fn note(&mut self, sequence: u64) {
        if self.commits.is_multiple_of(MARKED) {
            self.sequences.push(sequence);
        }
        self.commits += 1;
    }

    /// The position after which the newest so many commits are, with at most `MARKED - 1` others.
    fn before(&self, newest: usize) -> u64 {
        let first = self.commits.saturating_sub(newest) / MARKED;
        self.sequences.get(first).map_or(0, |sequence| sequence.saturating_sub(1))
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self { view: RwLock::default(), reached: watch::Sender::new(None) }
    }
}

impl Directory {
    /// Takes over a commit.
    pub fn apply(&self, followed: Followed) {
        let mut view = self.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut caught_up = self.reached.borrow().is_some();
        match followed {
            Followed::CaughtUp => caught_up = true,
            Followed::Profile(id, commit) => {
                let state = view.profiles.remove(&id).unwrap_or_default();
                view.profiles.insert(id, profile::Rules::fold(state, &commit.events));
                view.last = commit.sequence;
            }
            Followed::Mailbox(id, commit) => {
                let state = view.mailboxes.remove(&id).unwrap_or_default();
                view.mailboxes.insert(id, mailbox::Administration::fold(state, &commit.events));
                view.marks.entry(id).or_default().note(commit.sequence);
                view.last = commit.sequence;
            }
            _ => {}
        }
        let last = view.last;
        drop(view);
        if caught_up {
            self.reached.send_replace(Some(last));
        }
    }

    /// Waits until a commit is in the view, and all that existed at the start.
    pub async fn reach(&self, sequence: u64) {
        // The sender lives as long as this view: an error cannot occur.
        let _ = self.reached.subscribe().wait_for(|reached| reached.is_some_and(|reached| reached >= sequence)).await;
    }

    /// A live profile by id or name.
    pub fn profile(&self, name: &str) -> Option<Profile> {
        let view = self.read();
        if let Some(profile) = Uuid::parse_str(name.trim()).ok().and_then(|id| view.profiles.get(&id)?.live()) {
            return Some(profile.clone());
        }
        let same = |profile: &&Profile| profile.settings.name.to_lowercase() == name.trim().to_lowercase();
        view.profiles.values().filter_map(profile::State::live).find(same).cloned()
    }

    /// A live profile by id.
    pub fn profile_by_id(&self, id: Uuid) -> Option<Profile> {
        self.read().profiles.get(&id)?.live().cloned()
    }

    /// All live profiles by name.
    pub fn profiles(&self) -> Vec<Profile> {
        let view = self.read();
        let mut all: Vec<_> = view.profiles.values().filter_map(profile::State::live).cloned().collect();
        all.sort_by_cached_key(|profile| profile.settings.name.to_lowercase());
        all
    }

    /// A live mailbox by id or address.
    pub fn mailbox(&self, name: &str) -> Option<Mailbox> {
        let view = self.read();
        if let Some(mailbox) = Uuid::parse_str(name.trim()).ok().and_then(|id| view.mailboxes.get(&id)?.live()) {
            return Some(mailbox.clone());
        }
        let same = |mailbox: &&Mailbox| mailbox.settings.address.as_str().eq_ignore_ascii_case(name.trim());
        view.mailboxes.values().filter_map(mailbox::State::live).find(same).cloned()
    }

    /// The position in the journal after which the newest so many commits of a mailbox are, and a few before them.
    pub fn before_newest(&self, mailbox: Uuid, newest: usize) -> u64 {
        self.read().marks.get(&mailbox).map_or(0, |marks| marks.before(newest))
    }

    /// All live mailboxes, or those of a profile, by address.
    pub fn mailboxes(&self, of: Option<Uuid>) -> Vec<Mailbox> {
        let view = self.read();
        let live = view.mailboxes.values().filter_map(mailbox::State::live);
        let mut all: Vec<_> =
            live.filter(|mailbox| of.is_none() || mailbox.settings.profile_id == of).cloned().collect();
        all.sort_by_cached_key(|mailbox| mailbox.settings.address.key());
        all
    }

    /// The live mailboxes that are wanted, with their keys, in no order; nothing is copied.
    pub fn filtered(&self, is_wanted: impl Fn(&Mailbox) -> bool) -> Vec<(String, Arc<Mailbox>)> {
        let view = self.read();
        let wanted = view.mailboxes.values().filter(|state| state.live().is_some_and(&is_wanted));
        let keyed = wanted.filter_map(mailbox::State::shared);
        keyed.map(|mailbox| (mailbox.settings.address.key(), mailbox)).collect()
    }

    /// Looks at all live mailboxes in place, in no order.
    pub fn with_mailboxes<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Mailbox>) -> T) -> T {
        let view = self.read();
        look(&mut view.mailboxes.values().filter_map(mailbox::State::live))
    }

    /// How many profiles there are.
    pub fn profile_count(&self) -> usize {
        self.read().profiles.values().filter_map(profile::State::live).count()
    }

    /// The domains of the mailboxes that use a profile.
    pub fn domains_of(&self, profile: Uuid) -> Vec<String> {
        let view = self.read();
        let live = view.mailboxes.values().filter_map(mailbox::State::live);
        let of = live.filter(|mailbox| mailbox.settings.profile_id == Some(profile));
        of.map(|mailbox| mailbox.settings.address.domain()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// How many mailboxes use a profile.
    pub fn count_of(&self, profile: Uuid) -> u32 {
        let view = self.read();
        let live = view.mailboxes.values().filter_map(mailbox::State::live);
        let count = live.filter(|mailbox| mailbox.settings.profile_id == Some(profile)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_commits_are_found_with_few_others() {
        let mut marks = Marks::default();
        assert_eq!(marks.before(5), 0);
        let position = |commit: usize| 1000 + 7 * u64::try_from(commit).unwrap();
        for commit in 0..1000 {
            marks.note(position(commit));
            for newest in [1, 5, MARKED, 100, 5000] {
                let first = (commit + 1).saturating_sub(newest);
                let after = marks.before(newest);
                assert!(after < position(first), "{newest} of {commit}");
                assert!(first < MARKED || after >= position(first - MARKED), "{newest} of {commit}");
            }
        }
    }
}
