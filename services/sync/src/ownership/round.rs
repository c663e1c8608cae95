//! The rounds in which a worker says that it lives, and takes and gives back partitions.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{
    StreamExt as _,
    future::{join_all, try_join_all},
};
use postroad_core::placement::plan;
use postroad_journal::leases::{
    Error, Lease, Leases,
    holdings::{Holding, Holdings},
};
use postroad_metric::sync::SYNC;
use postroad_rig::clock;
use tokio_util::sync::CancellationToken;

use super::{Held, LEASES, Ownership, PARTITIONS};
use crate::lock::lock;

/// Before the name of a worker that takes mailboxes, as the key of a lease.
const MEMBER: &str = "member.";

/// The buckets, once NATS answered.
struct Buckets {
    leases: Leases,
    partitions: Holdings,
}

/// What this worker says of itself.
#[derive(Default)]
struct Own {
    /// That it lives. Without it no partition is held.
    life: Option<Lease>,
    /// That it takes mailboxes; given back before the partitions are.
    membership: Option<Lease>,
    /// Partitions that were let go since that was told.
    lost: usize,
}

impl Ownership {
    /// Takes part, claims and gives back until shutdown; then hands everything over.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), String> {
        let Some(buckets) = self.open(&shutdown).await? else { return Ok(()) };
        let mut own = Own::default();
        let listening = CancellationToken::new();
        let _stop = listening.clone().drop_guard();
        let listens = self.listen(&buckets, &listening);
        let works = async {
            while !shutdown.is_cancelled() {
                let began = clock::instant();
                self.round_in_time(&buckets, &mut own).await;
                // Several rounds fit into a lease, so that one lost answer loses nothing.
                let pause = (self.lease / 4).saturating_sub(elapsed(began)).max(Duration::from_millis(20));
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.look.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            self.hand_over(&buckets, &mut own).await;
        };
        tokio::select! {
            () = listens => {}
            () = works => {}
        }
        Ok(())
    }

    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Buckets>, String> {
        let open = async {
            let leases = Leases::open(&self.nats, LEASES, self.lease, self.replicas).await?;
            let partitions = Holdings::open(&self.nats, PARTITIONS, self.replicas).await?;
            Ok::<_, Error>(Buckets { leases, partitions })
        };
        tokio::select! {
            () = shutdown.cancelled() => Ok(None),
            opened = open => opened.map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Hears at once of workers that come and go, and of partitions that are given back; rounds find the rest.
    async fn listen(&self, buckets: &Buckets, until: &CancellationToken) {
        let members = async {
            while !until.is_cancelled() {
                self.hear_of_members(&buckets.leases).await;
            }
        };
        let partitions = async {
            while !until.is_cancelled() {
                self.hear_of_partitions(&buckets.partitions).await;
            }
        };
        tokio::join!(members, partitions);
    }

    async fn hear_of_members(&self, leases: &Leases) {
        if let Ok(mut changes) = leases.watch().await {
            while let Some(change) = changes.next().await {
                let Some(member) = change.key.strip_prefix(MEMBER) else { continue };
                if change.is_given_back == lock(&self.members).iter().any(|known| known == member) {
                    self.look.notify_one();
                }
            }
        }
        tokio::time::sleep(self.lease / 4).await;
    }

    async fn hear_of_partitions(&self, partitions: &Holdings) {
        if let Ok(mut changes) = partitions.watch().await {
            // What was given back before is found by looking once more.
            self.look.notify_one();
            while let Some(change) = changes.next().await {
                if change.is_given_back {
                    self.look.notify_one();
                }
            }
        }
        tokio::time::sleep(self.lease / 4).await;
    }

    async fn round_in_time(&self, buckets: &Buckets, own: &mut Own) {
        let limit = self.lease / 2;
        let result = match tokio::time::timeout(limit, self.round(buckets, own)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("NATS does not answer within {} ms", limit.as_millis())),
        };
        if !self.lives() {
            own.lost += self.let_go();
        }
        let lost = std::mem::take(&mut own.lost);
        let told = match result {
            Ok(()) => lock(&self.interruptions).answered(clock::instant(), clock::now()),
            Err(error) => lock(&self.interruptions).failed(&error, lost, clock::instant(), clock::now()),
        };
        if let Some(told) = told {
            tracing::warn!("{told}");
        }
    }

    async fn round(&self, buckets: &Buckets, own: &mut Own) -> Result<(), Error> {
        self.live(&buckets.leases, own).await?;
        self.take_part(&buckets.leases, own).await?;
        let keys = buckets.leases.keys().await?;
        let live: BTreeSet<_> = keys.iter().filter_map(|key| key.strip_prefix(MEMBER)).map(str::to_owned).collect();
        let live = Vec::from_iter(live);
        lock(&self.members).clone_from(&live);
        let held: HashSet<u16> = lock(&self.held).keys().copied().collect();
        let plan = plan(&self.name, &live, |one| held.contains(&one));
        for (partition, held) in lock(&self.held).iter_mut() {
            held.is_leaving = plan.leave.contains(partition);
        }
        let before = self.partitions();
        self.give_back(&buckets.partitions).await;
        self.clear(&buckets.partitions, &plan.want).await?;
        self.claim(buckets, &plan.want).await?;
        if self.partitions() != before || !plan.leave.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Says that this worker lives. One whose lease ended holds nothing any more, since others may have taken it.
    async fn live(&self, leases: &Leases, own: &mut Own) -> Result<(), Error> {
        if !self.lives() {
            own.lost += self.let_go();
        }
        if let Some(lease) = own.life.clone() {
            own.life = leases.renew(lease).await?;
            if own.life.is_none() {
                own.lost += self.let_go();
            }
        }
        if own.life.is_none() {
            own.life = leases.acquire(&life_of(&self.name), &self.name).await?;
        }
        *lock(&self.deadline) = own.life.as_ref().map(|lease| lease.deadline);
        Ok(())
    }

    /// Says that this worker takes mailboxes, or does not any more.
    async fn take_part(&self, leases: &Leases, own: &mut Own) -> Result<(), Error> {
        if self.is_draining() {
            if let Some(lease) = own.membership.as_ref() {
                leases.release(lease).await?;
                own.membership = None;
            }
            return Ok(());
        }
        if let Some(lease) = own.membership.clone() {
            own.membership = leases.renew(lease).await?;
        }
        if own.membership.is_none() {
            own.membership = leases.acquire(&format!("{MEMBER}{}", self.name), &self.name).await?;
        }
        Ok(())
    }

    /// Gives back what is placed elsewhere and where nothing runs any more. It is not held from then on, also where no answer tells
    /// whether it was given back.
    async fn give_back(&self, partitions: &Holdings) {
        let leaving: Vec<(u16, Holding)> = {
            let running = lock(&self.running);
            let mut held = lock(&self.held);
            let done = held.extract_if(|partition, held| held.is_leaving && !running.contains_key(partition));
            done.map(|(partition, held)| (partition, held.holding)).collect()
        };
        lock(&self.unsure).extend(leaving.iter().map(|(partition, _)| partition));
        changed("given_back", leaving.len());
        let returns = leaving.into_iter().map(|(partition, holding)| async move {
            match partitions.give_back(&holding).await {
                Ok(()) => drop(lock(&self.unsure).remove(&partition)),
                Err(error) => tracing::debug!(partition, error = %error, "a partition could not be given back"),
            }
        });
        join_all(returns).await;
    }

    /// Gives back what was held before a lease ended, or was taken or given back by a request without an answer, and is placed
    /// elsewhere now: the others see a holder that lives.
    async fn clear(&self, partitions: &Holdings, wanted: &[u16]) -> Result<(), Error> {
        let unsure: Vec<u16> =
            lock(&self.unsure).iter().copied().filter(|partition| !wanted.contains(partition)).collect();
        try_join_all(unsure.into_iter().map(|partition| async move {
            if let Some(holding) = partitions.get(&key_of(partition)).await?.filter(|found| found.holder == self.name) {
                partitions.give_back(&holding).await?;
            }
            lock(&self.unsure).remove(&partition);
            Ok(())
        }))
        .await
        .map(drop)
    }

    /// Claims what is free of what is wanted: held by nobody, by a worker that is gone, or by this one before its lease ended.
    async fn claim(&self, buckets: &Buckets, wanted: &[u16]) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        let partitions = &buckets.partitions;
        let taken = &HashSet::<String>::from_iter(partitions.keys().await?);
        let found = wanted.iter().copied().map(|partition| async move {
            let key = key_of(partition);
            Ok::<_, Error>((partition, if taken.contains(&key) { partitions.get(&key).await? } else { None }))
        });
        let found = try_join_all(found).await?;
        // Asked after the holdings were read, not before: see `holdings`.
        let holders: BTreeSet<&str> =
            found.iter().filter_map(|(_, held)| Some(held.as_ref()?.holder.as_str())).collect();
        let mut gone = HashSet::from([self.name.as_str()]);
        for holder in holders {
            if holder != self.name && !buckets.leases.is_held(&life_of(holder)).await? {
                gone.insert(holder);
            }
        }
        let is_free = |held: &Option<Holding>| held.as_ref().is_none_or(|held| gone.contains(held.holder.as_str()));
        let claims = found.iter().filter(|(_, held)| is_free(held)).map(|(partition, held)| async move {
            lock(&self.unsure).insert(*partition);
            if let Some(holding) = partitions.take(&key_of(*partition), &self.name, held.as_ref()).await? {
                lock(&self.held).insert(*partition, Held { holding, is_leaving: false });
                changed("acquired", 1);
            }
            lock(&self.unsure).remove(partition);
            Ok(())
        });
        join_all(claims).await.into_iter().collect()
    }

    /// Holds nothing any more; gives how many partitions that were. The bucket may go on naming this worker.
    fn let_go(&self) -> usize {
        let mut held = lock(&self.held);
        let lost: Vec<u16> = held.drain().map(|(partition, _)| partition).collect();
        lock(&self.unsure).extend(&lost);
        drop(held);
        if !lost.is_empty() {
            changed("lost", lost.len());
            self.changed.send_modify(|count| *count += 1);
        }
        lost.len()
    }

    /// The others learn first that this worker takes nothing more; then each partition goes as soon as nothing runs in it.
    async fn hand_over(&self, buckets: &Buckets, own: &mut Own) {
        self.is_draining.store(true, Ordering::Relaxed);
        let deadline = clock::instant() + self.lease.min(Duration::from_secs(8));
        let told = async {
            self.live(&buckets.leases, own).await?;
            self.take_part(&buckets.leases, own).await
        };
        if told.await.is_err() {
            return;
        }
        lock(&self.held).values_mut().for_each(|held| held.is_leaving = true);
        loop {
            self.give_back(&buckets.partitions).await;
            let left = deadline.saturating_duration_since(clock::instant());
            if lock(&self.held).is_empty() || left.is_zero() {
                break;
            }
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
        // What still runs is fenced by the journal, and what could not be given back is free without a holder that lives.
        lock(&self.running).clear();
        self.give_back(&buckets.partitions).await;
        if let Some(life) = own.life.take() {
            *lock(&self.deadline) = None;
            if let Err(error) = buckets.leases.release(&life).await {
                tracing::debug!(error = %error, "the lease could not be given back; it will run out");
            }
        }
    }
}

/// Partitions came or went.
fn changed(how: &str, partitions: usize) {
    SYNC.lease_changes.with_label_values(&[how]).inc_by(partitions as u64);
}

/// The key of the lease by which a worker lives.
fn life_of(worker: &str) -> String {
    format!("worker.{worker}")
}

fn key_of(partition: u16) -> String {
    format!("p{partition:03}")
}

fn elapsed(since: Instant) -> Duration {
    clock::instant().saturating_duration_since(since)
}
