//! Following a stream: what was there by batches, then what is republished as it is stored. That comes as any message of NATS does, without a
//! promise; but each has its place in the stream, so that a missing one is noticed by the next one, or by the look that is taken now and then.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Subscriber, jetstream::message::StreamMessage};
use futures::{StreamExt as _, stream::BoxStream};
use postroad_metric::{IntGauge, journal::JOURNAL};
use tokio::sync::mpsc;

use super::{REPUBLISHED, actor_of, batch::Batches, id_of};
use crate::{
    backend::{Stored, Update, Wanted},
    trace,
};

/// How often a follower looks whether its connection is still the same one.
const LOOK: Duration = Duration::from_millis(250);
/// How many of these looks apart it asks how far the stream goes.
const ASK: u32 = 4;
/// How long what is known to exist is waited for where a replica does not have it yet.
const LAG: Duration = Duration::from_millis(50);

/// Follows what is wanted of a stream.
#[expect(clippy::disallowed_methods, reason = "the task ends when nobody follows any more, and never fails")]
pub fn follow(batches: Batches, wanted: Wanted) -> BoxStream<'static, Update> {
    let (updates, received) = mpsc::channel(256);
    let labels = [wanted.follower.as_str(), batches.name()];
    let pending = JOURNAL.pending.with_label_values(&labels);
    let interrupted = JOURNAL.interrupted.with_label_values(&labels);
    let next = wanted.after + 1;
    let view = View { wanted, updates, next, last: 0, told: false, pending };
    let mut follower = Follower { batches, view, interrupted };
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(50);
        while !follower.view.updates.is_closed() {
            let before = follower.view.next;
            let next = before;
            match follower.run().await {
                Ok(()) => continue,
                // Said once for an absence, however often it is tried again.
                Err(error) if follower.interrupted.get() == 0 => {
                    follower.interrupted.set(1);
                    tracing::warn!(error, next, "following the journal broke off and is resumed");
                }
                Err(error) => tracing::debug!(error, next, "the journal cannot be followed yet"),
            }
            pause = if follower.view.next > before {
                Duration::from_millis(50)
            } else {
                (pause * 2).min(Duration::from_secs(5))
            };
            tokio::time::sleep(pause).await;
        }
    });
    let next = async |mut received: mpsc::Receiver<Update>| received.recv().await.map(|update| (update, received));
    futures::stream::unfold(received, next).boxed()
}

struct Follower {
    batches: Batches,
    view: View,
    interrupted: IntGauge,
}

/// Who follows, and how far it is.
struct View {
    wanted: Wanted,
    updates: mpsc::Sender<Update>,
    /// The first sequence that it does not have.
    next: u64,
    /// How far the stream is known to go.
    last: u64,
    told: bool,
    pending: IntGauge,
}

impl Follower {
    /// Follows until nobody listens, or something breaks.
    async fn run(&mut self) -> Result<(), String> {
        let statistics = self.batches.client().statistics();
        let connects = statistics.connects.load(Ordering::Relaxed);
        // First, so that what is stored while the rest is read waits here.
        let mut commits = self.listen().await?;
        self.look().await?;
        self.reach(self.view.last).await?;
        self.view.tell().await;
        self.interrupted.set(0);
        let mut look = tokio::time::interval(LOOK);
        let (mut looks, mut seen) = (0, self.view.next);
        loop {
            let message = tokio::select! {
                () = self.view.updates.closed() => return Ok(()),
                _ = look.tick() => {
                    // What was stored in between was published to nobody.
                    if statistics.connects.load(Ordering::Relaxed) != connects {
                        return Err("the connection was lost and made again".to_owned());
                    }
                    self.view.note();
                    looks += 1;
                    if looks % ASK == 0 {
                        self.look().await?;
                        // While commits come, they tell by themselves what is missing.
                        if self.view.next == seen {
                            self.reach(self.view.last).await?;
                        }
                        seen = self.view.next;
                    }
                    continue;
                }
                message = commits.next() => message.ok_or("the connection is closed")?,
            };
            let message = StreamMessage::try_from(message).map_err(|error| error.to_string())?;
            if message.sequence > self.view.next {
                self.reach(message.sequence - 1).await?;
            }
            self.view.give(message).await;
        }
    }

    async fn listen(&self) -> Result<Subscriber, String> {
        let subject = format!("{REPUBLISHED}.{}.>", self.batches.name());
        self.batches.client().subscribe(subject).await.map_err(|error| error.to_string())
    }

    async fn look(&mut self) -> Result<(), String> {
        self.view.last = self.view.last.max(self.batches.last().await?);
        self.view.note();
        Ok(())
    }

    /// Reads up to a sequence that is known to have existed.
    async fn reach(&mut self, target: u64) -> Result<(), String> {
        while self.view.next <= target && !self.view.updates.is_closed() {
            let from = self.view.next;
            let mut batch = self.batches.from(from).await?;
            while let Some(message) = batch.next().await? {
                if !self.view.give(message).await {
                    return Ok(());
                }
            }
            if self.view.next > from {
                continue;
            }
            if self.batches.is_deleted(from, target).await? {
                self.view.next = target + 1;
            } else {
                tokio::time::sleep(LAG).await;
            }
        }
        Ok(())
    }
}

impl View {
    /// Gives a commit, unless it was given already; gives whether anybody listens.
    async fn give(&mut self, message: StreamMessage) -> bool {
        if message.sequence < self.next {
            return true;
        }
        self.next = message.sequence + 1;
        self.last = self.last.max(message.sequence);
        self.note();
        if !self.wanted.has(&message.subject) {
            return true;
        }
        let stored = Stored {
            subject: message.subject.to_string(),
            sequence: message.sequence,
            id: id_of(Some(&message.headers)),
            actor: actor_of(Some(&message.headers)),
            // What existed before belongs to nothing that happens now.
            trace: if self.told { trace::parent(Some(&message.headers)) } else { None },
            payload: message.payload,
        };
        self.updates.send(Update::Stored(stored)).await.is_ok()
    }

    /// How many commits the view does not have yet: those that the server has, and those that wait here.
    fn note(&self) {
        let waiting = self.updates.max_capacity() - self.updates.capacity();
        let pending = (self.last + 1).saturating_sub(self.next).saturating_add(waiting as u64);
        self.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    async fn tell(&mut self) {
        if !self.told {
            self.told = true;
            // A follower that is gone is noticed with the next message.
            let _ = self.updates.send(Update::CaughtUp).await;
        }
    }
}
