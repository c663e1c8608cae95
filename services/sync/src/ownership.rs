//! Which mailboxes this worker may process: partitions under lease, placed by rendezvous hashing over the live members.
//!
//! A holder counts a lease as its own only until a local monotonic deadline that was taken before the renewal was sent. A
//! lease does not stop a paused worker; the journal does, by the epoch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postroad_core::placement::{PARTITIONS, owner, partition};
use postroad_journal::leases::{Lease, Leases};
use postroad_rig::{Context, clock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lock::lock;

/// The leases of one worker.
pub struct Ownership {
    nats: async_nats::Client,
    replicas: usize,
    name: String,
    lease: Duration,
    held: Mutex<HashMap<u16, Lease>>,
    members: Mutex<Vec<String>>,
    changed: watch::Sender<u64>,
}

impl Ownership {
    /// Nothing is held yet.
    pub fn new(context: &Context, name: &str) -> Self {
        Self {
            nats: context.nats.clone(),
            replicas: context.config.nats.replicas,
            name: name.to_owned(),
            lease: Duration::from_millis(context.config.sync.lease_ms),
            held: Mutex::default(),
            members: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Whether a mailbox is this worker's at this moment.
    pub fn holds(&self, mailbox: Uuid) -> bool {
        lock(&self.held).get(&partition(mailbox)).is_some_and(|lease| clock::instant() < lease.deadline)
    }

    /// How many partitions are held.
    pub fn partitions(&self) -> usize {
        let now = clock::instant();
        lock(&self.held).values().filter(|lease| now < lease.deadline).count()
    }

    /// The live workers.
    pub fn members(&self) -> Vec<String> {
        lock(&self.members).clone()
    }

    /// Tells when partitions were won or lost.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Claims, renews and gives back until shutdown; then gives everything back, so that others go on at once.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), String> {
        let leases =
            Leases::open(&self.nats, "leases", self.lease, self.replicas).await.map_err(|error| error.to_string())?;
        let members =
            Leases::open(&self.nats, "members", self.lease, self.replicas).await.map_err(|error| error.to_string())?;
        let mut membership = None;
        loop {
            let began = clock::instant();
            if let Err(error) = self.round(&leases, &members, &mut membership).await {
                tracing::warn!(error = %error, "leases could not be renewed");
            }
            // Several rounds fit into a lease, so that one lost answer loses nothing.
            let pause = (self.lease / 4).saturating_sub(elapsed(began));
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause.max(Duration::from_millis(20))) => {}
            }
        }
        let held: Vec<_> = lock(&self.held).drain().collect();
        for (_, lease) in held {
            let _ = leases.release(&lease).await;
        }
        if let Some(lease) = membership {
            let _ = members.release(&lease).await;
        }
        Ok(())
    }

    async fn round(
        &self,
        leases: &Leases,
        members: &Leases,
        membership: &mut Option<Lease>,
    ) -> Result<(), postroad_journal::leases::Error> {
        *membership = match membership.take() {
            Some(lease) => members.renew(lease).await?,
            None => None,
        };
        if membership.is_none() {
            *membership = members.acquire(&self.name, &self.name).await?;
        }
        let mut live: Vec<_> = members.keys().await?;
        live.sort();
        lock(&self.members).clone_from(&live);
        let before = self.partitions();
        self.renew(leases, &live).await;
        self.claim(leases, &live).await?;
        if self.partitions() != before {
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Renews what is held and still placed here; gives the rest back.
    async fn renew(&self, leases: &Leases, live: &[String]) {
        let held: Vec<_> = lock(&self.held).iter().map(|(partition, lease)| (*partition, lease.clone())).collect();
        let renewals = held.into_iter().map(|(partition, lease)| async move {
            if owner(partition, live).is_some_and(|owner| *owner != self.name) {
                lock(&self.held).remove(&partition);
                let _ = leases.release(&lease).await;
                return;
            }
            match leases.renew(lease).await {
                Ok(Some(lease)) => {
                    lock(&self.held).insert(partition, lease);
                }
                Ok(None) => {
                    lock(&self.held).remove(&partition);
                }
                // Kept until its deadline: the renewal may have arrived.
                Err(error) => tracing::debug!(partition, error = %error, "a lease could not be renewed"),
            }
        });
        futures::future::join_all(renewals).await;
    }

    async fn claim(&self, leases: &Leases, live: &[String]) -> Result<(), postroad_journal::leases::Error> {
        let taken = leases.keys().await?;
        let wanted = (0..PARTITIONS).filter(|partition| {
            let mine = owner(*partition, live).is_some_and(|owner| *owner == self.name);
            mine && !lock(&self.held).contains_key(partition) && !taken.contains(&key_of(*partition))
        });
        let claims = wanted.map(|partition| async move {
            let won = leases.acquire(&key_of(partition), &self.name).await;
            if let Ok(Some(lease)) = won {
                lock(&self.held).insert(partition, lease);
            }
        });
        futures::future::join_all(claims).await;
        Ok(())
    }
}

fn key_of(partition: u16) -> String {
    format!("p{partition:03}")
}

fn elapsed(since: Instant) -> Duration {
    clock::instant().saturating_duration_since(since)
}
