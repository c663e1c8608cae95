//! Emails that the CRM wants sent: its outbox is asked for where it said that something waits, and otherwise every few minutes only.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use postroad_core::mailbox::Trigger;
use postroad_rig::clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{lock::lock, worker::Worker};

/// The outboxes of a worker's mailboxes.
pub struct Outboxes {
    /// The distance of looks that nobody asked for.
    every: Duration,
    /// Whether the CRM tells.
    is_told: AtomicBool,
    /// Mailboxes with something to send.
    waiting: Mutex<HashSet<Uuid>>,
    /// When each outbox was last asked for, while the CRM tells.
    listed: Mutex<HashMap<Uuid, Instant>>,
}

/// The distance of tries to listen to the CRM.
const RETRY: Duration = Duration::from_secs(1);
/// A CRM that cannot tell is asked again after so long: it may have been replaced.
const UNABLE: Duration = Duration::from_secs(60);

impl Outboxes {
    /// Nothing is known yet.
    pub fn new(every: Duration) -> Self {
        Self { every, is_told: AtomicBool::new(false), waiting: Mutex::default(), listed: Mutex::default() }
    }

    /// Whether a mailbox is known to have something to send.
    pub fn waits(&self, id: Uuid) -> bool {
        lock(&self.waiting).contains(&id)
    }

    /// Whether the outbox is to be asked for now.
    pub fn is_due(&self, id: Uuid) -> bool {
        if !self.is_told.load(Ordering::Relaxed) || self.waits(id) {
            return true;
        }
        lock(&self.listed).get(&id).is_none_or(|at| at.elapsed() >= self.every)
    }

    /// The outbox of a mailbox is asked for: what is said from now on is for the next look.
    pub fn looked(&self, id: Uuid) {
        lock(&self.waiting).remove(&id);
        if self.is_told.load(Ordering::Relaxed) {
            lock(&self.listed).insert(id, clock::instant());
        }
    }

    /// Something waits in a mailbox.
    pub fn wait(&self, id: Uuid) {
        lock(&self.waiting).insert(id);
    }

    /// A mailbox is another worker's now.
    pub fn leave(&self, id: Uuid) {
        lock(&self.waiting).remove(&id);
        lock(&self.listed).remove(&id);
    }
}

/// Listens to the CRM until shutdown; has mailboxes looked at through which something is to be sent.
pub async fn run(worker: Arc<Worker>, shutdown: CancellationToken) -> Result<(), String> {
    tokio::select! {
        () = listen(&worker) => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}

async fn listen(worker: &Worker) {
    let mut is_known = false;
    loop {
        let pause = match worker.crm.queued().await {
            Ok(Some(mut told)) => {
                while let Some(Ok(addresses)) = told.next().await {
                    // Whatever was queued while nobody listened is in the first message.
                    worker.outboxes.is_told.store(true, Ordering::Relaxed);
                    addresses.iter().for_each(|address| look(worker, address));
                }
                RETRY
            }
            Ok(None) => {
                if !std::mem::replace(&mut is_known, true) {
                    tracing::info!(
                        "the CRM does not tell when emails are queued: outboxes are asked for with each look"
                    );
                }
                UNABLE
            }
            Err(refused) => {
                let report = refused.report();
                tracing::debug!(detail = report.detail, "the CRM is not heard");
                RETRY
            }
        };
        worker.outboxes.is_told.store(false, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

fn look(worker: &Worker, address: &str) {
    if let Some(id) = worker.directory.find(address) {
        // Another worker's is looked at by that one; whoever gets it asks for its outbox the first time.
        if worker.ownership.holds(id) {
            worker.outboxes.wait(id);
            let span = tracing::debug_span!("queued", otel.kind = "consumer", mailbox.id = %id);
            span.in_scope(|| worker.ask(id, Trigger::Notified));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Uuid = Uuid::from_u128(1);

    #[test]
    fn where_the_crm_does_not_tell_each_look_asks() {
        let outboxes = Outboxes::new(Duration::from_secs(300));
        for _ in 0..3 {
            assert!(outboxes.is_due(ADA));
            outboxes.looked(ADA);
        }
    }

    #[test]
    fn where_it_tells_only_what_waits_is_asked_for() {
        let outboxes = Outboxes::new(Duration::from_secs(300));
        outboxes.is_told.store(true, Ordering::Relaxed);
        assert!(outboxes.is_due(ADA), "the first time");
        outboxes.looked(ADA);
        assert!(!outboxes.is_due(ADA));
        outboxes.wait(ADA);
        assert!(outboxes.is_due(ADA) && outboxes.waits(ADA));
        outboxes.looked(ADA);
        assert!(!outboxes.is_due(ADA));
        outboxes.leave(ADA);
        assert!(outboxes.is_due(ADA), "whoever gets it looks for himself");
    }

    #[test]
    fn it_is_asked_for_now_and_then_all_the_same() {
        let outboxes = Outboxes::new(Duration::ZERO);
        outboxes.is_told.store(true, Ordering::Relaxed);
        outboxes.looked(ADA);
        assert!(outboxes.is_due(ADA));
    }
}
