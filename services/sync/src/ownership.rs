//! Which mailboxes this worker may process: partitions, placed by rendezvous hashing over the live members.
//!
//! A worker says with one lease that it lives, and its partitions are its own as long as that lasts: until a local monotonic
//! deadline that was taken before the renewal was sent. A lease does not stop a paused worker; the journal does, by the epoch.
//! A partition is given back when what runs in it has ended, and whoever it is placed with hears of that at once: handing over
//! costs no pause.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use postroad_core::placement::partition;
use postroad_rig::{Context, clock};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::lock::lock;

mod interruption;
mod mirror;
mod round;

pub use interruption::Interruption;
use interruption::Interruptions;
use mirror::Mirror;

/// The bucket of what workers say of themselves: that they live, and that they take mailboxes.
pub const LEASES: &str = "leases";
/// The bucket of who holds which partition.
pub const PARTITIONS: &str = "partitions";

/// The leases of one worker.
pub struct Ownership {
    nats: async_nats::Client,
    replicas: usize,
    name: String,
    lease: Duration,
    /// Until when this worker counts as one that lives.
    deadline: Mutex<Option<Instant>>,
    held: Mutex<HashMap<u16, Held>>,
    /// What the bucket says; `None` until all of it was told.
    mirror: Mutex<Option<Mirror>>,
    /// Why the bucket cannot be followed.
    unfollowed: Mutex<Option<String>>,
    /// Partitions that are placed here and not held.
    wanted: Mutex<HashSet<u16>>,
    /// Cycles under way, by partition.
    running: Mutex<HashMap<u16, u32>>,
    members: Mutex<Vec<String>>,
    is_draining: AtomicBool,
    interruptions: Mutex<Interruptions>,
    changed: watch::Sender<u64>,
    /// Something happened that may change who has what.
    look: Notify,
    /// Workers came or went since they were listed.
    is_news: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    revision: u64,
    /// Placed elsewhere: nothing new is begun.
    is_leaving: bool,
}

/// A cycle under way in a mailbox: its partition is not given back before it ends.
pub struct Turn {
    ownership: Arc<Ownership>,
    partition: u16,
}

impl Ownership {
    /// Nothing is held yet.
    pub fn new(context: &Context, name: &str) -> Self {
        Self {
            nats: context.nats.clone(),
            replicas: context.config.nats.replicas,
            name: name.to_owned(),
            lease: Duration::from_millis(context.config.sync.lease_ms),
            deadline: Mutex::default(),
            held: Mutex::default(),
            mirror: Mutex::default(),
            unfollowed: Mutex::default(),
            wanted: Mutex::default(),
            running: Mutex::default(),
            members: Mutex::default(),
            is_draining: AtomicBool::new(false),
            interruptions: Mutex::default(),
            changed: watch::Sender::new(0),
            look: Notify::new(),
            is_news: AtomicBool::new(true),
        }
    }

    /// Whether a mailbox is this worker's at this moment: what runs there may go on.
    pub fn holds(&self, mailbox: Uuid) -> bool {
        self.lives() && lock(&self.held).contains_key(&partition(mailbox))
    }

    /// Whether this worker holds the first partition: who does cares for what one worker is enough for.
    pub fn holds_first(&self) -> bool {
        self.lives() && lock(&self.held).get(&0).is_some_and(|held| !held.is_leaving)
    }

    /// Whether something new may be begun in a mailbox: it is this worker's, and stays so.
    pub fn may_begin(&self, mailbox: Uuid) -> bool {
        self.lives() && lock(&self.held).get(&partition(mailbox)).is_some_and(|held| !held.is_leaving)
    }

    /// Whether this worker's lease lasts.
    fn lives(&self) -> bool {
        lock(&self.deadline).is_some_and(|deadline| clock::instant() < deadline)
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
        if self.lives() { lock(&self.held).len() } else { 0 }
    }

    /// Which partitions are held.
    pub fn held(&self) -> HashSet<u16> {
        if self.lives() { lock(&self.held).keys().copied().collect() } else { HashSet::new() }
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
