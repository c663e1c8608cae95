//! Which mailboxes this worker may process: partitions under lease, placed by rendezvous hashing over the live members.
//!
//! A holder counts a lease as its own only until a local monotonic deadline that was taken before the renewal was sent. A
//! lease does not stop a paused worker; the journal does, by the epoch. A partition is given back when what runs in it has
//! ended, and whoever it is placed with hears of that at once: handing over costs no pause.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use postroad_core::placement::{partition, plan};
use postroad_journal::leases::{Error, Lease, Leases};
use postroad_metric::sync::SYNC;
use postroad_rig::{Context, clock};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lock::lock;

mod interruption;

pub use interruption::Interruption;
use interruption::Interruptions;

/// The buckets of leases: of partitions, and of workers that live.
pub const BUCKETS: [&str; 2] = ["leases", "members"];

/// The leases of one worker.
pub struct Ownership {
    nats: async_nats::Client,
    replicas: usize,
    name: String,
    lease: Duration,
    held: Mutex<HashMap<u16, Held>>,
    /// Cycles under way, by partition.
    running: Mutex<HashMap<u16, u32>>,
    members: Mutex<Vec<String>>,
    is_draining: AtomicBool,
    interruptions: Mutex<Interruptions>,
    changed: watch::Sender<u64>,
    /// Something happened that may change who has what.
    look: Notify,
    /// Whether a partition that is placed here is still somebody else's.
    awaits: watch::Sender<bool>,
}

struct Held {
    lease: Lease,
    /// Placed elsewhere: nothing new is begun.
    is_leaving: bool,
}

/// A cycle under way in a mailbox: its partition is not given back before it ends.
pub struct Turn {
    ownership: Arc<Ownership>,
    partition: u16,
}

/// The buckets, once NATS answered.
struct Buckets {
    leases: Leases,
    members: Leases,
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
            running: Mutex::default(),
            members: Mutex::default(),
            is_draining: AtomicBool::new(false),
            interruptions: Mutex::default(),
            changed: watch::Sender::new(0),
            look: Notify::new(),
            awaits: watch::Sender::new(false),
        }
    }

    /// Whether a mailbox is this worker's at this moment: what runs there may go on.
    pub fn holds(&self, mailbox: Uuid) -> bool {
        lock(&self.held).get(&partition(mailbox)).is_some_and(|held| clock::instant() < held.lease.deadline)
    }

    /// Whether this worker holds the first partition: who does cares for what one worker is enough for.
    pub fn holds_first(&self) -> bool {
        lock(&self.held).get(&0).is_some_and(|held| !held.is_leaving && clock::instant() < held.lease.deadline)
    }

    /// Whether something new may be begun in a mailbox: it is this worker's, and stays so.
    pub fn may_begin(&self, mailbox: Uuid) -> bool {
        let is_staying = |held: &Held| !held.is_leaving && clock::instant() < held.lease.deadline;
        lock(&self.held).get(&partition(mailbox)).is_some_and(is_staying)
    }

    /// Begins a cycle, if that may be.
    pub fn begin(self: &Arc<Self>, mailbox: Uuid) -> Option<Turn> {
        // Counted first, so that a partition which is given back in between is not.
        let partition = partition(mailbox);
        *lock(&self.running).entry(partition).or_insert(0) += 1;
        let turn = Turn { ownership: Arc::clone(self), partition };
        self.may_begin(mailbox).then_some(turn)
    }

    /// How many partitions are held.
    pub fn partitions(&self) -> usize {
        let now = clock::instant();
        lock(&self.held).values().filter(|held| now < held.lease.deadline).count()
    }

    /// Which partitions are held.
    pub fn held(&self) -> HashSet<u16> {
        let now = clock::instant();
        lock(&self.held).iter().filter(|(_, held)| now < held.lease.deadline).map(|(id, _)| *id).collect()
    }

    /// The workers that take mailboxes.
    pub fn members(&self) -> Vec<String> {
        lock(&self.members).clone()
    }

    /// How many workers take mailboxes.
    pub fn member_count(&self) -> usize {
        lock(&self.members).len()
    }

    /// Gives everything back and takes nothing more, until the process ends.
    pub fn drain(&self) {
        if !self.is_draining.swap(true, Ordering::Relaxed) {
            tracing::info!("this worker drains: its mailboxes go to the others");
        }
        self.look.notify_one();
    }

    /// Whether it drains.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// The last time for which NATS did not answer.
    pub fn interruption(&self) -> Option<Interruption> {
        lock(&self.interruptions).last()
    }

    /// Tells when partitions were won or lost.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Claims, renews and gives back until shutdown; then hands everything over.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), String> {
        let Some(buckets) = self.open(&shutdown).await? else { return Ok(()) };
        let mut membership = None;
        let listening = CancellationToken::new();
        let _stop = listening.clone().drop_guard();
        let listens = self.listen(&buckets, &listening);
        let works = async {
            while !shutdown.is_cancelled() {
                let began = clock::instant();
                self.round_in_time(&buckets, &mut membership).await;
                // Several rounds fit into a lease, so that one lost answer loses nothing.
                let pause = (self.lease / 4).saturating_sub(elapsed(began)).max(Duration::from_millis(20));
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.look.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            self.hand_over(&buckets, &mut membership).await;
        };
        tokio::select! {
            () = listens => {}
            () = works => {}
        }
        Ok(())
    }

    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Buckets>, String> {
        let open = async {
            let [leases, members] = BUCKETS;
            let leases = Leases::open(&self.nats, leases, self.lease, self.replicas).await?;
            let members = Leases::open(&self.nats, members, self.lease, self.replicas).await?;
            Ok::<_, Error>(Buckets { leases, members })
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
                self.hear_of_members(&buckets.members).await;
            }
        };
        let partitions = async {
            while !until.is_cancelled() {
                self.hear_of_partitions(&buckets.leases).await;
            }
        };
        tokio::join!(members, partitions);
    }

    async fn hear_of_members(&self, members: &Leases) {
        if let Ok(mut changes) = members.watch().await {
            while let Some(change) = changes.next().await {
                if change.is_given_back == lock(&self.members).contains(&change.key) {
                    self.look.notify_one();
                }
            }
        }
        tokio::time::sleep(self.lease / 4).await;
    }

    /// Listens only while a partition is awaited: every renewal of every worker is heard as well.
    async fn hear_of_partitions(&self, leases: &Leases) {
        let mut awaits = self.awaits.subscribe();
        if awaits.wait_for(|awaits| *awaits).await.is_err() {
            return;
        }
        if let Ok(mut changes) = leases.watch().await {
            // What was given back before is found by looking once more.
            self.look.notify_one();
            loop {
                tokio::select! {
                    change = changes.next() => match change {
                        Some(change) if change.is_given_back => self.look.notify_one(),
                        Some(_) => {}
                        None => break,
                    },
                    _ = awaits.wait_for(|awaits| !*awaits) => return,
                }
            }
        }
        tokio::time::sleep(self.lease / 4).await;
    }

    async fn round_in_time(&self, buckets: &Buckets, membership: &mut Option<Lease>) {
        let limit = self.lease / 2;
        let result = match tokio::time::timeout(limit, self.round(buckets, membership)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("NATS does not answer within {} ms", limit.as_millis())),
        };
        let lost = self.forget_expired();
        let told = match result {
            Ok(()) => lock(&self.interruptions).answered(clock::instant(), clock::now()),
            Err(error) => lock(&self.interruptions).failed(&error, lost, clock::instant(), clock::now()),
        };
        if let Some(told) = told {
            tracing::warn!("{told}");
        }
    }

    async fn round(&self, buckets: &Buckets, membership: &mut Option<Lease>) -> Result<(), Error> {
        self.take_part(buckets, membership).await?;
        let mut live: Vec<_> = buckets.members.keys().await?;
        live.sort();
        lock(&self.members).clone_from(&live);
        let held: HashSet<u16> = lock(&self.held).keys().copied().collect();
        let plan = plan(&self.name, &live, |one| held.contains(&one));
        for (partition, held) in lock(&self.held).iter_mut() {
            held.is_leaving = plan.leave.contains(partition);
        }
        let before = self.partitions();
        self.give_back(&buckets.leases).await;
        self.renew(&buckets.leases).await?;
        self.claim(&buckets.leases, plan.want).await?;
        if self.partitions() != before || !plan.leave.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Says that this worker takes mailboxes, or does not any more.
    async fn take_part(&self, buckets: &Buckets, membership: &mut Option<Lease>) -> Result<(), Error> {
        if self.is_draining() {
            if let Some(lease) = membership.as_ref() {
                buckets.members.release(lease).await?;
                *membership = None;
            }
            return Ok(());
        }
        if let Some(lease) = membership.clone() {
            *membership = buckets.members.renew(lease).await?;
        }
        if membership.is_none() {
            *membership = buckets.members.acquire(&self.name, &self.name).await?;
        }
        Ok(())
    }

    /// Gives back what is placed elsewhere and where nothing runs any more.
    async fn give_back(&self, leases: &Leases) {
        let leaving: Vec<(u16, Lease)> = {
            let running = lock(&self.running);
            let mut held = lock(&self.held);
            let done = |partition: &u16, held: &Held| held.is_leaving && !running.contains_key(partition);
            let done: Vec<u16> = held.iter().filter(|(id, one)| done(id, one)).map(|(id, _)| *id).collect();
            done.into_iter().filter_map(|id| held.remove(&id).map(|one| (id, one.lease))).collect()
        };
        changed("given_back", leaving.len());
        let releases = leaving.into_iter().map(|(partition, lease)| async move {
            if let Err(error) = leases.release(&lease).await {
                tracing::debug!(partition, error = %error, "a lease could not be given back; it will run out");
            }
        });
        futures::future::join_all(releases).await;
    }

    async fn renew(&self, leases: &Leases) -> Result<(), Error> {
        let held: Vec<_> = lock(&self.held).iter().map(|(id, held)| (*id, held.lease.clone())).collect();
        let renewals = held.into_iter().map(|(partition, lease)| async move {
            match leases.renew(lease).await {
                Ok(Some(lease)) => {
                    if let Some(held) = lock(&self.held).get_mut(&partition) {
                        held.lease = lease;
                    }
                    Ok(())
                }
                Ok(None) => {
                    changed("lost", lock(&self.held).remove(&partition).iter().len());
                    Ok(())
                }
                // Kept until its deadline: the renewal may have arrived.
                Err(error) => Err(error),
            }
        });
        futures::future::join_all(renewals).await.into_iter().collect()
    }

    /// Claims what is free of what is wanted, and awaits the rest.
    async fn claim(&self, leases: &Leases, wanted: Vec<u16>) -> Result<(), Error> {
        let taken: HashSet<String> =
            if wanted.is_empty() { HashSet::new() } else { leases.keys().await?.into_iter().collect() };
        let free = wanted.iter().copied().filter(|partition| !taken.contains(&key_of(*partition)));
        let claims = free.map(|partition| async move {
            if let Some(lease) = leases.acquire(&key_of(partition), &self.name).await? {
                lock(&self.held).insert(partition, Held { lease, is_leaving: false });
                changed("acquired", 1);
            }
            Ok(())
        });
        let claimed = futures::future::join_all(claims).await.into_iter().collect();
        let is_held = |partition| lock(&self.held).contains_key(partition);
        let awaits = !wanted.iter().all(is_held);
        self.awaits.send_if_modified(|known| std::mem::replace(known, awaits) != awaits);
        claimed
    }

    /// Lets go of what ran out; gives how many partitions that were.
    fn forget_expired(&self) -> usize {
        let now = clock::instant();
        let mut held = lock(&self.held);
        let before = held.len();
        held.retain(|_, held| now < held.lease.deadline);
        let lost = before - held.len();
        drop(held);
        if lost > 0 {
            changed("lost", lost);
            self.changed.send_modify(|count| *count += 1);
        }
        lost
    }

    /// The others learn first that this worker takes nothing more; then each partition goes as soon as nothing runs in it.
    async fn hand_over(&self, buckets: &Buckets, membership: &mut Option<Lease>) {
        self.is_draining.store(true, Ordering::Relaxed);
        let deadline = clock::instant() + self.lease.min(Duration::from_secs(8));
        if self.take_part(buckets, membership).await.is_err() {
            return;
        }
        lock(&self.held).values_mut().for_each(|held| held.is_leaving = true);
        loop {
            self.give_back(&buckets.leases).await;
            if lock(&self.held).is_empty() {
                return;
            }
            let left = deadline.saturating_duration_since(clock::instant());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
        // What still runs is fenced by the journal.
        lock(&self.running).clear();
        self.give_back(&buckets.leases).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = lock(&self.ownership.running);
        if let Some(count) = running.get_mut(&self.partition) {
            *count -= 1;
            if *count > 0 {
                return;
            }
            running.remove(&self.partition);
        }
        drop(running);
        let is_leaving = lock(&self.ownership.held).get(&self.partition).is_some_and(|held| held.is_leaving);
        if is_leaving {
            self.ownership.look.notify_one();
        }
    }
}

/// Leases came or went.
fn changed(how: &str, leases: usize) {
    SYNC.lease_changes.with_label_values(&[how]).inc_by(leases as u64);
}

fn key_of(partition: u16) -> String {
    format!("p{partition:03}")
}

fn elapsed(since: Instant) -> Duration {
    clock::instant().saturating_duration_since(since)
}
