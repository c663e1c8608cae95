//! What the role serves: a view of the journal's records and email activities, kept in memory and rebuilt at each start.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::StreamExt as _;
use postroad_core::{email, record};
use postroad_journal::{Followed, Journal, Kind};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

mod search;
mod view;

pub use search::{Found, Wanted};
pub use view::{Answering, Person, Position, Row, Smart, View, sender_of};

/// How long an answer waits for the view to show what it has just written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Emails that are queued at once before whoever listens has to begin anew.
const QUEUED: usize = 4096;

/// The view, and how far it has come.
pub struct Store {
    view: RwLock<View>,
    applied: watch::Sender<u64>,
    caught_up: watch::Sender<bool>,
    /// Addresses of mailboxes through which something new is to be sent.
    queued: broadcast::Sender<String>,
}

impl Default for Store {
    fn default() -> Self {
        let (queued, _) = broadcast::channel(QUEUED);
        Self { view: RwLock::default(), applied: watch::Sender::new(0), caught_up: watch::Sender::new(false), queued }
    }
}

impl Store {
    /// Folds the journal into the view until shutdown.
    pub async fn follow(self: Arc<Self>, journal: Journal, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut commits = journal.follow(&[Kind::Record, Kind::Email, Kind::Organization, Kind::Erasure]);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = commits.next() => match followed {
                    Some(followed) => self.fold(followed),
                    None => return Ok(()),
                },
            }
        }
    }

    fn fold(&self, followed: Followed) {
        let sequence = match followed {
            Followed::CaughtUp => {
                self.caught_up.send_replace(true);
                return;
            }
            Followed::Record(id, commit) => {
                let is_deleted = matches!(commit.events.last(), Some(record::Event::Deleted));
                self.write(|view| {
                    if is_deleted && view.by_id(id).is_some() {
                        view.record_erased(id, commit.sequence);
                    }
                    view.record(id, &commit.events);
                });
                commit.sequence
            }
            Followed::Email(id, commit) => {
                self.write(|view| view.email(id, commit.sequence, &commit.events));
                self.tell_queued(id, &commit.events);
                commit.sequence
            }
            Followed::Erasure(id, commit) => {
                self.write(|view| view.erasure(id, &commit.events));
                commit.sequence
            }
            Followed::Organization(commit) => {
                self.write(|view| view.organization(&commit.events));
                commit.sequence
            }
            // What the view knows of it stays as it was; a change of it is refused, since the journal is read for that.
            Followed::Unreadable { sequence, .. } => sequence,
            // Not asked for.
            Followed::Profile(..) | Followed::Mailbox(..) | Followed::Notification(..) | Followed::Name(..) => return,
        };
        self.applied.send_replace(sequence);
    }

    fn tell_queued(&self, id: uuid::Uuid, events: &[email::Event]) {
        let is_new = |event: &email::Event| matches!(event, email::Event::Queued { .. } | email::Event::Resent { .. });
        if self.queued.receiver_count() > 0
            && events.iter().any(is_new)
            && let Some(address) = self.read(|view| view.sending_mailbox(id))
        {
            let _nobody = self.queued.send(address);
        }
    }

    /// Tells from now on through which mailboxes something is to be sent, by address.
    pub fn queued(&self) -> broadcast::Receiver<String> {
        self.queued.subscribe()
    }

    /// Waits until the view holds all that the journal held when following began.
    pub async fn caught_up(&self) {
        // The sender lives as long as the store, so waiting cannot fail.
        drop(self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await);
    }

    /// Waits until the view shows the commit with this sequence, so that a caller reads what it wrote. Gives up after
    /// some seconds: the write itself is safe.
    pub async fn reached(&self, sequence: u64) {
        let mut applied = self.applied.subscribe();
        let wait = applied.wait_for(|applied| *applied >= sequence);
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            tracing::warn!(sequence, "the view is behind the journal");
        }
    }

    /// Looks at the view. Short looks only: writing waits for them.
    pub fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nothing is left of an erased activity.
    pub fn finished(&self, id: uuid::Uuid) {
        self.write(|view| view.finished(id));
    }

    /// Nothing is left of a deleted record.
    pub fn record_finished(&self, id: uuid::Uuid) {
        self.write(|view| view.record_finished(id));
    }

    fn write(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests;
