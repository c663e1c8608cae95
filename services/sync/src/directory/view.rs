//! What a worker knows of all profiles and mailboxes: a fold of the journal.

use std::collections::{BTreeMap, HashMap, HashSet};

use postroad_core::{
    Aggregate as _,
    mailbox::{self, Event, Mailbox},
    profile,
};
use postroad_journal::{Commit, Record};
use uuid::Uuid;

use crate::explain::Index;

/// The view.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    /// With the sequence of its last commit.
    pub mailboxes: HashMap<Uuid, (mailbox::State, u64)>,
    /// With the sequence of its last commit.
    pub profiles: HashMap<Uuid, (profile::State, u64)>,
    /// Where messages were decided.
    pub index: Index,
    /// The sequence up to which the journal was followed.
    pub reached: u64,
    /// Of which a newer version wrote what this one cannot read: let alone.
    withheld: HashSet<Uuid>,
    /// Who had an address last; whether he still has it is to be looked at.
    by_address: HashMap<Box<str>, Uuid>,
    /// What a profile's live mailboxes are.
    by_profile: HashMap<Uuid, Attached>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Attached {
    mailboxes: HashSet<Uuid>,
    /// With the number of mailboxes in each.
    domains: BTreeMap<String, usize>,
}

impl View {
    /// Folds a commit of a mailbox; one that is known already changes nothing.
    pub fn mailbox(&mut self, id: Uuid, commit: &Commit<Event>) {
        self.index.note(commit.sequence, &commit.events);
        self.reached = self.reached.max(commit.sequence);
        let moves = commit
            .events
            .iter()
            .any(|event| matches!(event, Event::Created { .. } | Event::Changed { .. } | Event::Deleted));
        let entry = self.mailboxes.entry(id).or_default();
        if commit.sequence <= entry.1 {
            return;
        }
        let state = std::mem::take(&mut entry.0);
        if moves && let Some(mailbox) = state.live() {
            detach(&mut self.by_profile, mailbox);
        }
        *entry = (mailbox::Cycles::fold(state, &commit.events), commit.sequence);
        if moves && let Some(mailbox) = entry.0.live() {
            attach(&mut self.by_profile, &mut self.by_address, mailbox);
        }
    }

    /// Folds a commit of a profile; one that is known already changes nothing.
    pub fn profile(&mut self, id: Uuid, commit: &Commit<profile::Event>) {
        self.reached = self.reached.max(commit.sequence);
        let entry = self.profiles.entry(id).or_default();
        if commit.sequence > entry.1 {
            let state = std::mem::take(&mut entry.0);
            *entry = (profile::Rules::fold(state, &commit.events), commit.sequence);
        }
    }

    /// Forgets a mailbox or profile that this version cannot read any more, so that nothing is done on a state that is not the present one.
    pub fn withhold(&mut self, id: Uuid) {
        self.replace(id, mailbox::State::Absent, 0);
        self.mailboxes.remove(&id);
        self.profiles.remove(&id);
        self.withheld.insert(id);
    }

    /// Whether all that was followed could be read: only then is the view one to keep.
    pub fn is_whole(&self) -> bool {
        self.withheld.is_empty()
    }

    /// Takes over a mailbox as its last commit left it.
    pub fn replace(&mut self, id: Uuid, state: mailbox::State, sequence: u64) {
        if self.withheld.contains(&id) {
            return;
        }
        let entry = self.mailboxes.entry(id).or_default();
        if let Some(mailbox) = entry.0.live() {
            detach(&mut self.by_profile, mailbox);
        }
        *entry = (state, sequence);
        if let Some(mailbox) = entry.0.live() {
            attach(&mut self.by_profile, &mut self.by_address, mailbox);
        }
    }

    /// Takes over records of a snapshot.
    pub fn restore(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Profile(id, sequence, state) => drop(self.profiles.insert(id, (state, sequence))),
                Record::Mailbox(id, sequence, state) => self.replace(id, state, sequence),
                Record::Decided(places) => self.index.restore(&places),
            }
        }
    }

    /// The profiles and those of these mailboxes that are known, as records of a snapshot.
    pub fn records(&self, mailboxes: &[Uuid]) -> Vec<Record> {
        let known = |id: &Uuid| self.mailboxes.get(id).map(|(state, sequence)| (*id, *sequence, state.clone()));
        mailboxes.iter().filter_map(known).map(|(id, sequence, state)| Record::Mailbox(id, sequence, state)).collect()
    }

    /// All profiles as records of a snapshot.
    pub fn profile_records(&self) -> Vec<Record> {
        let record =
            |(id, (state, sequence)): (&Uuid, &(profile::State, u64))| Record::Profile(*id, *sequence, state.clone());
        self.profiles.iter().map(record).collect()
    }

    /// A live mailbox.
    pub fn live(&self, id: Uuid) -> Option<&Mailbox> {
        self.mailboxes.get(&id)?.0.live()
    }

    /// The live mailbox with an address, in any case.
    pub fn by_address(&self, address: &str) -> Option<&Mailbox> {
        let mailbox = self.live(*self.by_address.get(address.trim().to_lowercase().as_str())?)?;
        mailbox.settings.address.as_str().eq_ignore_ascii_case(address.trim()).then_some(mailbox)
    }

    /// The live mailboxes of a profile.
    pub fn mailboxes_of(&self, profile: Uuid) -> Vec<Uuid> {
        self.by_profile.get(&profile).into_iter().flat_map(|attached| attached.mailboxes.iter().copied()).collect()
    }

    /// The domains of a profile's mailboxes.
    pub fn domains_of(&self, profile: Uuid) -> Vec<String> {
        self.by_profile.get(&profile).into_iter().flat_map(|attached| attached.domains.keys().cloned()).collect()
    }
}

fn attach(by_profile: &mut HashMap<Uuid, Attached>, by_address: &mut HashMap<Box<str>, Uuid>, mailbox: &Mailbox) {
    by_address.insert(mailbox.settings.address.key().into(), mailbox.id);
    if let Some(profile) = mailbox.settings.profile_id {
        let attached = by_profile.entry(profile).or_default();
        attached.mailboxes.insert(mailbox.id);
        *attached.domains.entry(mailbox.settings.address.domain()).or_insert(0) += 1;
    }
}

fn detach(by_profile: &mut HashMap<Uuid, Attached>, mailbox: &Mailbox) {
    let Some(profile) = mailbox.settings.profile_id else { return };
    let Some(attached) = by_profile.get_mut(&profile) else { return };
    attached.mailboxes.remove(&mailbox.id);
    let domain = mailbox.settings.address.domain();
    if let Some(count) = attached.domains.get_mut(&domain) {
        *count -= 1;
        if *count == 0 {
            attached.domains.remove(&domain);
        }
    }
    if attached.mailboxes.is_empty() {
        by_profile.remove(&profile);
    }
}
