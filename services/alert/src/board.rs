//! The view as it is shared: the journal's follower writes it, notifier and service read it.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
};

use futures::StreamExt as _;
use jiff::Timestamp;
use postroad_journal::{Followed, Journal, Kind};
use postroad_rig::clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::view::View;

/// The shared view.
pub struct Board {
    view: RwLock<View>,
    changed: watch::Sender<u64>,
    caught_up: watch::Sender<bool>,
}

impl Default for Board {
    fn default() -> Self {
        Self { view: RwLock::default(), changed: watch::Sender::new(0), caught_up: watch::Sender::new(false) }
    }
}

impl Board {
    /// Folds the journal into the view until shutdown.
    pub async fn follow(self: Arc<Self>, journal: Journal, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut commits = journal.follow(&[Kind::Profile, Kind::Mailbox, Kind::Notification]);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = commits.next() => match followed {
                    Some(followed) => self.fold(&followed, clock::now()),
                    None => return Ok(()),
                },
            }
        }
    }

    /// Folds one commit at `now`.
    pub fn fold(&self, followed: &Followed, now: Timestamp) {
        let folded = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            view.fold(followed, now);
            view.folded()
        };
        if matches!(followed, Followed::CaughtUp) {
            self.caught_up.send_replace(true);
        }
        self.changed.send_replace(folded);
    }

    /// Waits until the view holds all that the journal held when following began.
    pub async fn caught_up(&self) {
        // The sender lives as long as the board, so waiting cannot fail.
        drop(self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await);
    }

    /// How many commits are in the view, and a signal for each that follows. It says look, never what.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks at the view.
    pub fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }
}
