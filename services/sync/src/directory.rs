//! Profiles and mailboxes as the journal has them, kept in memory by following it.

use std::sync::{
    Arc, RwLock,
    atomic::{AtomicU64, Ordering},
};

use futures::StreamExt as _;
use postroad_core::{
    mailbox::{self, Direction, Recipient},
    profile,
};
use postroad_journal::{Followed, Journal, Kind, Part, Snapshot};
use postroad_rig::{Context, Error};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

mod snapshot;
mod view;

pub use snapshot::keep;
use view::View;

/// The view of one worker.
pub struct Directory {
    view: RwLock<View>,
    /// The sequence of the last snapshot.
    kept: AtomicU64,
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

impl Directory {
    /// An empty view and where its changes arrive.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { view: RwLock::default(), kept: AtomicU64::new(0), changed }, changes)
    }

    /// A mailbox with its position in the journal, for a decision.
    pub fn mailbox(&self, id: Uuid) -> Option<Snapshot<mailbox::Cycles>> {
        let view = self.read();
        view.mailboxes.get(&id).map(|(state, sequence)| Snapshot { state: state.clone(), sequence: *sequence })
    }

    /// A live mailbox under an id or address.
    pub fn find(&self, name: &str) -> Option<Uuid> {
        let view = self.read();
        let by_id = Uuid::parse_str(name.trim()).ok().and_then(|id| view.live(id));
        by_id.or_else(|| view.by_address(name)).map(|mailbox| mailbox.id)
    }

    /// Looks at a live mailbox in place.
    pub fn with_mailbox<T>(
        &self,
        id: Uuid,
        look: impl FnOnce(&mailbox::Mailbox, Option<&profile::Profile>) -> T,
    ) -> Option<T> {
        let view = self.read();
        let mailbox = view.live(id)?;
        let profile =
            mailbox.settings.profile_id.and_then(|id| view.profiles.get(&id)).and_then(|(state, _)| state.live());
        Some(look(mailbox, profile))
    }

    /// Looks at every live mailbox in place.
    pub fn each(&self, look: impl FnMut(&mailbox::Mailbox)) {
        self.read().mailboxes.values().filter_map(|(state, _)| state.live()).for_each(look);
    }

    /// The profile of a live mailbox.
    pub fn profile_of(&self, id: Uuid) -> Option<Arc<profile::Profile>> {
        let view = self.read();
        view.profiles.get(&view.live(id)?.settings.profile_id?)?.0.shared()
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
        self.read().mailboxes_of(profile)
    }

    /// The domains of a profile's mailboxes.
    pub fn domains_of(&self, profile: Uuid) -> Vec<String> {
        self.read().domains_of(profile)
    }

    /// Who of these addresses has a mailbox whose incoming email is synchronized, with its filtering method.
    pub fn recipients(&self, addresses: &[String]) -> Vec<Recipient> {
        let view = self.read();
        let live = |address: &String| {
            let mailbox = view.by_address(address)?;
            let is_on = mailbox.wants(Direction::Incoming) || mailbox.is_forwarding();
            (is_on && mailbox.active).then(|| Recipient {
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
            view.replace(id, snapshot.state.clone(), snapshot.sequence);
        }
    }

    /// Commits since the last snapshot that this worker knows of, and the number of mailboxes. A view that lacks what a newer version wrote is
    /// never kept: whoever starts from it would not know.
    fn unkept(&self) -> (u64, usize) {
        let view = self.read();
        if !view.is_whole() {
            return (0, view.mailboxes.len());
        }
        (view.reached.saturating_sub(self.kept.load(Ordering::Relaxed)), view.mailboxes.len())
    }

    /// The sequence up to which the journal was followed.
    fn reached(&self) -> u64 {
        self.read().reached
    }

    /// A snapshot was kept or read that goes up to a sequence.
    fn kept(&self, sequence: u64) {
        self.kept.store(sequence, Ordering::Relaxed);
    }

    /// Takes over the last snapshot; gives the sequence after which commits are to be folded.
    async fn restore(&self, journal: &Journal) -> u64 {
        let mut view = View::default();
        let Some(sequence) = journal.kept_mailboxes(|records| view.restore(records)).await else { return 0 };
        view.reached = sequence;
        *self.write() = view;
        self.kept(sequence);
        sequence
    }

    fn apply(&self, followed: &Followed) -> Option<Change> {
        match followed {
            Followed::Mailbox(id, commit) => {
                self.write().mailbox(*id, commit);
                Some(Change::Mailbox(*id))
            }
            Followed::Profile(id, commit) => {
                self.write().profile(*id, commit);
                Some(Change::Profile(*id))
            }
            Followed::Unreadable { of: Some((_, id)), .. } => {
                self.write().withhold(*id);
                Some(Change::Mailbox(*id))
            }
            _ => None,
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Starts from the last snapshot and follows the journal; returns when the view is caught up.
pub async fn follow(context: &Context, directory: Arc<Directory>) -> Result<(), Error> {
    let began = postroad_rig::clock::instant();
    let sequence = tokio::select! {
        () = context.shutdown.cancelled() => return Ok(()),
        sequence = directory.restore(&context.journal) => sequence,
    };
    let mut commits = context.journal.follow_after(&[Kind::Mailbox, Kind::Profile], Part::Mailboxes, sequence);
    let viewed = Arc::clone(&directory);
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
                Some(followed) => {
                    let change = directory.apply(&followed);
                    // Until all is known nobody listens; then everything is looked at once.
                    if ready.is_none()
                        && let Some(change) = change
                    {
                        let _ = directory.changed.send(change);
                    }
                }
            }
        }
    });
    tokio::select! {
        () = context.shutdown.cancelled() => Ok(()),
        _ = caught_up => {
            let (unkept, mailboxes) = viewed.unkept();
            let elapsed_ms = began.elapsed().as_millis();
            tracing::info!(mailboxes, snapshot = sequence, commits = unkept, elapsed_ms, "the mailboxes are known");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
