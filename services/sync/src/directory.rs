//! Profiles and mailboxes as the journal has them, kept in memory by following it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, RwLock},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use postroad_core::{
    Aggregate as _,
    mailbox::{self, Direction, Recipient},
    profile,
};
use postroad_journal::{Followed, Kind, Snapshot};
use postroad_rig::{Context, Error};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::explain::Index;

/// For so long the domains of a profile are believed.
const DOMAINS: Duration = Duration::from_secs(60);

/// The view of one worker.
pub struct Directory {
    view: RwLock<View>,
    domains: Mutex<HashMap<Uuid, (Instant, Vec<String>)>>,
    changed: mpsc::UnboundedSender<Change>,
}

/// What changed, so that it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A mailbox.
    Mailbox(Uuid),
    /// A profile: all its mailboxes.
    Profile(Uuid),
}

#[derive(Default)]
struct View {
    mailboxes: HashMap<Uuid, (mailbox::State, u64)>,
    profiles: HashMap<Uuid, (profile::State, u64)>,
    /// Who had an address last; whether he still has it is to be looked at.
    by_address: HashMap<String, Uuid>,
    index: Index,
}

impl Directory {
    /// An empty view and where its changes arrive.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { view: RwLock::default(), domains: Mutex::default(), changed }, changes)
    }

    /// A mailbox with its position in the journal, for a decision.
    pub fn mailbox(&self, id: Uuid) -> Option<Snapshot<mailbox::Cycles>> {
        let view = self.read();
        view.mailboxes.get(&id).map(|(state, sequence)| Snapshot { state: state.clone(), sequence: *sequence })
    }

    /// A live mailbox under an id or address.
    pub fn find(&self, name: &str) -> Option<Uuid> {
        let view = self.read();
        let id = Uuid::parse_str(name).ok();
        let mut live =
            view.mailboxes.iter().filter_map(|(key, (state, _))| state.live().map(|mailbox| (*key, mailbox)));
        live.find(|(key, mailbox)| {
            Some(*key) == id || mailbox.settings.address.as_str().eq_ignore_ascii_case(name.trim())
        })
        .map(|(key, _)| key)
    }

    /// Looks at a live mailbox in place.
    pub fn with_mailbox<T>(
        &self,
        id: Uuid,
        look: impl FnOnce(&mailbox::Mailbox, Option<&profile::Profile>) -> T,
    ) -> Option<T> {
        let view = self.read();
        let mailbox = view.mailboxes.get(&id)?.0.live()?;
        let profile =
            mailbox.settings.profile_id.and_then(|id| view.profiles.get(&id)).and_then(|(state, _)| state.live());
        Some(look(mailbox, profile))
    }

    /// Looks at a live profile in place.
    pub fn with_profile<T>(&self, id: Uuid, look: impl FnOnce(&profile::Profile) -> T) -> Option<T> {
        self.read().profiles.get(&id).and_then(|(state, _)| state.live()).map(look)
    }

    /// The mailboxes that are live.
    pub fn mailboxes(&self) -> Vec<Uuid> {
        let view = self.read();
        view.mailboxes.iter().filter(|(_, (state, _))| state.live().is_some()).map(|(id, _)| *id).collect()
    }

    /// The mailboxes of a profile.
    pub fn mailboxes_of(&self, profile: Uuid) -> Vec<Uuid> {
        let view = self.read();
        let of =
            |state: &mailbox::State| state.live().is_some_and(|mailbox| mailbox.settings.profile_id == Some(profile));
        view.mailboxes.iter().filter(|(_, (state, _))| of(state)).map(|(id, _)| *id).collect()
    }

    /// The domains of a profile's mailboxes; looked up anew after a minute.
    pub fn domains_of(&self, profile: Uuid) -> Vec<String> {
        let mut known = self.domains.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, domains)) = known.get(&profile)
            && at.elapsed() < DOMAINS
        {
            return domains.clone();
        }
        let view = self.read();
        let live = view.mailboxes.values().filter_map(|(state, _)| state.live());
        let of = live.filter(|mailbox| mailbox.settings.profile_id == Some(profile));
        let domains: Vec<String> =
            of.map(|mailbox| mailbox.settings.address.domain()).collect::<BTreeSet<_>>().into_iter().collect();
        known.insert(profile, (postroad_rig::clock::instant(), domains.clone()));
        domains
    }

    /// Who of these addresses has a mailbox whose incoming email is synchronized, with its filtering method.
    pub fn recipients(&self, addresses: &[String]) -> Vec<Recipient> {
        let view = self.read();
        let live = |address: &String| {
            let id = view.by_address.get(&address.to_lowercase())?;
            let mailbox = view.mailboxes.get(id)?.0.live()?;
            let is_it = mailbox.settings.address.as_str().eq_ignore_ascii_case(address);
            let is_on = mailbox.wants(Direction::Incoming) || mailbox.is_forwarding();
            (is_it && is_on && mailbox.active).then(|| Recipient {
                address: mailbox.settings.address.as_str().to_owned(),
                method: mailbox.settings.filtering_method,
                is_named: true,
                kind: Some(mailbox.settings.kind),
                is_forwarding: mailbox.is_forwarding(),
            })
        };
        addresses.iter().filter_map(live).collect()
    }

    /// Where messages were decided.
    pub fn decided(&self, message_id: &str) -> Vec<u64> {
        self.read().index.find(message_id)
    }

    /// The address of a mailbox, also of one that is gone by now.
    pub fn address(&self, id: Uuid) -> String {
        self.with_mailbox(id, |mailbox, _| mailbox.settings.address.as_str().to_owned())
            .unwrap_or_else(|| id.to_string())
    }

    /// Takes over what this worker has just committed, before the journal's own message of it arrives.
    pub fn commit(&self, id: Uuid, snapshot: &Snapshot<mailbox::Cycles>) {
        let mut view = self.write();
        let known = view.mailboxes.get(&id).map_or(0, |(_, sequence)| *sequence);
        if snapshot.sequence > known {
            view.mailboxes.insert(id, (snapshot.state.clone(), snapshot.sequence));
        }
    }

    fn apply(&self, followed: Followed) {
        let change = match followed {
            Followed::Mailbox(id, commit) => {
                let mut view = self.write();
                view.index.note(commit.sequence, &commit.events);
                let entry = view.mailboxes.entry(id).or_default();
                // A commit of this worker is known already.
                if commit.sequence > entry.1 {
                    let state = std::mem::take(&mut entry.0);
                    *entry = (mailbox::Cycles::fold(state, &commit.events), commit.sequence);
                    let address = entry.0.live().map(|mailbox| mailbox.settings.address.key());
                    if let Some(address) = address {
                        view.by_address.insert(address, id);
                    }
                }
                Change::Mailbox(id)
            }
            Followed::Profile(id, commit) => {
                let mut view = self.write();
                let entry = view.profiles.entry(id).or_default();
                let state = std::mem::take(&mut entry.0);
                *entry = (profile::Rules::fold(state, &commit.events), commit.sequence);
                Change::Profile(id)
            }
            _ => return,
        };
        // Nobody listens before the scheduler runs and after it ended.
        let _ = self.changed.send(change);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Follows the journal; returns when the view is caught up.
pub async fn follow(context: &Context, directory: Arc<Directory>) -> Result<(), Error> {
    let mut commits = context.journal.follow(&[Kind::Mailbox, Kind::Profile]);
    let (ready, caught_up) = oneshot::channel();
    let shutdown = context.shutdown.clone();
    context.tasks.spawn("directory", async move {
        let mut ready = Some(ready);
        loop {
            let followed = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = commits.next() => followed,
            };
            match followed {
                None => return Err("the journal ended"),
                Some(Followed::CaughtUp) => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                Some(followed) => directory.apply(followed),
            }
        }
    });
    tokio::select! {
        () = context.shutdown.cancelled() => Ok(()),
        _ = caught_up => Ok(()),
    }
}
