//! What the role knows: a fold of the journal's profiles, mailboxes and notifications.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use postroad_core::{
    EmailAddress,
    alert::Regarding,
    fault::Code,
    mailbox::{self, Direction, Health, Mailbox},
    notification::{self, Delivery, Hour, Tally},
    owner, profile,
};
use postroad_journal::Followed;
use uuid::Uuid;

mod wall;

pub use wall::{Entry, Filter, Wall};

/// Hours whose mail is remembered.
const REMEMBERED: i64 = 48;

/// What is known of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The owner's name.
    pub owner: String,
    /// Where the owner's mail goes.
    pub owner_address: EmailAddress,
    /// Whether the owner is mailed at all.
    pub send_alert_email: bool,
}

/// The attempts of a profile in an hour.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// Their outcomes.
    pub tally: Tally,
    /// The mailboxes that were processed.
    pub mailboxes: BTreeSet<Uuid>,
}

/// The mail of a profile and hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailing {
    /// What became of it.
    pub delivery: Delivery,
    /// Since when.
    pub at: Timestamp,
    /// How often it failed.
    pub failures: u32,
}

/// What the role knows.
#[derive(Debug, Default)]
pub struct View {
    /// Commits that were folded: the view's own order, as sequences of two parts of the journal cannot be compared.
    folded: u64,
    profiles: HashMap<Uuid, Profile>,
    /// Profiles that are gone. Notifications come in another part of the journal, so one of before may be folded after the deletion.
    deleted: HashSet<Uuid>,
    mailboxes: HashMap<Uuid, mailbox::State>,
    attempts: BTreeMap<(Hour, Uuid), Attempts>,
    mailings: BTreeMap<(Hour, Uuid), Mailing>,
    wall: Wall,
}

impl View {
    /// Folds a commit; `now` says which hours still count. Profiles and mailboxes are in the order of their commits, and so are
    /// notifications; the view is the same however the ones lie among the others.
    pub fn fold(&mut self, followed: &Followed, now: Timestamp) {
        match followed {
            Followed::Profile(id, commit) => {
                self.folded += 1;
                for event in &commit.events {
                    self.profile_event(*id, event, commit.at);
                }
            }
            Followed::Mailbox(id, commit) => {
                self.folded += 1;
                for event in &commit.events {
                    self.mailbox_event(*id, event, commit.at, now);
                }
            }
            Followed::Notification(id, commit) => {
                self.folded += 1;
                for event in &commit.events {
                    self.notification_event(*id, event);
                }
            }
            // What the view knows of it stays as it was.
            Followed::Unreadable { .. } => self.folded += 1,
            // Not asked for, or nothing to fold.
            Followed::Record(..)
            | Followed::Email(..)
            | Followed::Name(..)
            | Followed::Organization(..)
            | Followed::Erasure(..)
            | Followed::CaughtUp => {}
        }
    }

    /// How many commits were folded.
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// A profile.
    pub fn profile(&self, id: Uuid) -> Option<&Profile> {
        self.profiles.get(&id)
    }

    /// To whom belongs what an alert is about.
    pub fn owners(&self, regarding: Regarding) -> Vec<&EmailAddress> {
        let of_profile = |id| self.profile(id).map(|profile| &profile.owner_address);
        match regarding {
            Regarding::Profile(id) => of_profile(id).into_iter().collect(),
            Regarding::Mailbox(id) => match self.mailbox(id) {
                Some(mailbox) => {
                    let own = owner::of_mailbox(mailbox, None);
                    own.chain(mailbox.settings.profile_id.and_then(of_profile)).collect()
                }
                None => Vec::new(),
            },
        }
    }

    /// A profile's id by its id or name.
    pub fn find_profile(&self, text: &str) -> Option<Uuid> {
        let id = Uuid::parse_str(text).ok().filter(|id| self.profiles.contains_key(id));
        let key = text.to_lowercase();
        let named = || self.profiles.iter().find(|(_, profile)| profile.name.to_lowercase() == key);
        id.or_else(|| named().map(|(id, _)| *id))
    }

    /// A mailbox's id by its id or address.
    pub fn find_mailbox(&self, text: &str) -> Option<Uuid> {
        let id = Uuid::parse_str(text).ok().filter(|id| self.mailbox(*id).is_some());
        let key = text.to_lowercase();
        let mut live = self.mailboxes.iter().filter_map(|(id, state)| Some((id, state.live()?)));
        id.or_else(|| live.find(|(_, mailbox)| mailbox.settings.address.key() == key).map(|(id, _)| *id))
    }

    /// The attempts, by hour and profile.
    pub fn attempts(&self) -> impl Iterator<Item = (Hour, Uuid, &Attempts)> {
        self.attempts.iter().map(|((hour, profile), attempts)| (*hour, *profile, attempts))
    }

    /// The mails, by hour and profile.
    pub fn mailings(&self) -> impl Iterator<Item = (Hour, Uuid, &Mailing)> {
        self.mailings.iter().map(|((hour, profile), mailing)| (*hour, *profile, mailing))
    }

    /// The mail of an hour.
    pub fn mailing(&self, hour: Hour, profile: Uuid) -> Option<&Mailing> {
        self.mailings.get(&(hour, profile))
    }

    /// The mailboxes of each profile that may be processed: active, and enabled or disabled by nothing but a fault.
    pub fn may_be_processed(&self) -> HashMap<Uuid, BTreeSet<Uuid>> {
        let mut by_profile = HashMap::<Uuid, BTreeSet<Uuid>>::new();
        for (id, mailbox) in self.mailboxes.iter().filter_map(|(id, state)| Some((id, state.live()?))) {
            let disabled_by_fault = matches!(mailbox.sync.health, Health::Disabled { .. });
            let may = mailbox.active && (mailbox.directions.get(Direction::Incoming).enabled || disabled_by_fault);
            if let Some(profile) = mailbox.settings.profile_id.filter(|_| may) {
                by_profile.entry(profile).or_default().insert(*id);
            }
        }
        by_profile
    }

    /// The wall.
    pub fn wall(&self) -> &Wall {
        &self.wall
    }

    /// The profile that something belongs to, and its name for people.
    fn describe(&self, regarding: Regarding) -> (Option<Uuid>, String) {
        match regarding {
            Regarding::Profile(id) => {
                (Some(id), self.profiles.get(&id).map_or_else(|| id.to_string(), |profile| profile.name.clone()))
            }
            Regarding::Mailbox(id) => match self.mailbox(id) {
                Some(mailbox) => (mailbox.settings.profile_id, mailbox.settings.address.to_string()),
                None => (None, id.to_string()),
            },
        }
    }

    fn mailbox(&self, id: Uuid) -> Option<&Mailbox> {
        self.mailboxes.get(&id).and_then(mailbox::State::live)
    }

    fn profile_event(&mut self, id: Uuid, event: &profile::Event, at: Timestamp) {
        if *event == profile::Event::Deleted {
            self.forget(Regarding::Profile(id), at);
        }
        match event {
            profile::Event::Created { settings, .. } | profile::Event::Changed { settings } => {
                let profile = Profile {
                    name: settings.name.clone(),
                    owner: settings.owner.name.clone(),
                    owner_address: settings.owner.address.clone(),
                    send_alert_email: settings.send_alert_email,
                };
                self.profiles.insert(id, profile);
            }
            profile::Event::Deleted => {
                self.profiles.remove(&id);
                self.deleted.insert(id);
            }
            profile::Event::PasswordSet { .. }
            | profile::Event::Resealed { .. }
            | profile::Event::Activated
            | profile::Event::Deactivated
            | profile::Event::Tested { .. } => {}
        }
        let keys = self.wall.alerts.profile(id, event);
        self.wall.note(keys, self.folded);
    }

    fn mailbox_event(&mut self, id: Uuid, event: &mailbox::Event, at: Timestamp, now: Timestamp) {
        if *event == mailbox::Event::Deleted {
            self.forget(Regarding::Mailbox(id), at);
        }
        // The profile that the attempt was made with is the one that the mailbox had before the event.
        let profile = self.mailbox(id).and_then(|mailbox| mailbox.settings.profile_id);
        let present = Hour::of(now);
        match (profile, event) {
            (Some(profile), mailbox::Event::AttemptFinished { at, .. }) => {
                self.attempt(profile, id, Hour::of(*at), present, None);
            }
            (Some(profile), mailbox::Event::AttemptFailed { at, report, .. }) => {
                self.attempt(profile, id, Hour::of(*at), present, Some(report.code));
            }
            _ => {}
        }
        let mut state = mailbox::evolve(self.mailboxes.remove(&id).unwrap_or_default(), event);
        if let mailbox::State::Live(mailbox) = &mut state {
            // Exchange's synchronization state can be large, and only workers need it.
            std::sync::Arc::make_mut(mailbox).sync.cursor = None;
        }
        self.mailboxes.insert(id, state);
        let keys = self.wall.alerts.mailbox(id, profile, event);
        self.wall.note(keys, self.folded);
    }

    fn attempt(&mut self, profile: Uuid, mailbox: Uuid, named: Hour, present: Hour, fault: Option<Code>) {
        let is_old = |hour: &Hour| hour.counted(present).is_none();
        while let Some(first) = self.attempts.first_entry().filter(|first| is_old(&first.key().0)) {
            first.remove();
        }
        if let Some(hour) = named.counted(present) {
            let attempts = self.attempts.entry((hour, profile)).or_default();
            attempts.tally.note(mailbox, fault);
            attempts.mailboxes.insert(mailbox);
        }
    }

    fn notification_event(&mut self, profile: Uuid, event: &notification::Event) {
        let (hour, delivery, at) = match event {
            notification::Event::Intended { hour, at, .. } => (*hour, Delivery::Intended, *at),
            notification::Event::Sent { hour, at, .. } => (*hour, Delivery::Sent, *at),
            notification::Event::Failed { hour, at, report } => (*hour, Delivery::Failed(report.clone()), *at),
            notification::Event::Unknown { hour, at } => (*hour, Delivery::Unknown, *at),
        };
        let before = self.mailings.get(&(hour, profile)).map_or(0, |mailing| mailing.failures);
        let failures = before.saturating_add(u32::from(matches!(delivery, Delivery::Failed(_))));
        self.mailings.insert((hour, profile), Mailing { delivery, at, failures });
        if let Some(((newest, _), _)) = self.mailings.last_key_value() {
            let oldest = Hour(newest.0.saturating_sub(REMEMBERED));
            self.mailings = self.mailings.split_off(&(oldest, Uuid::nil()));
        }
        if self.deleted.contains(&profile) {
            return;
        }
        let keys = self.wall.alerts.notification(profile, event);
        self.wall.note(keys, self.folded);
    }

    /// Keeps for watchers what is on the wall about something that is being deleted.
    fn forget(&mut self, regarding: Regarding, at: Timestamp) {
        let about = self.wall.about(self, regarding);
        self.wall.forget(about, self.folded, at);
    }
}

#[cfg(test)]
mod tests;
