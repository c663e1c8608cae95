//! Following a stream: one consumer of all of it, since a server looks for the next message of several subjects some hundred times slower
//! than it reads a stream in order, and a part of the journal holds little that whoever reads it does not want.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Statistics,
    jetstream::{
        consumer::{DeliverPolicy, pull::OrderedConfig},
        stream::Stream,
    },
};
use futures::{StreamExt as _, stream::BoxStream};
use postroad_metric::{IntGauge, journal::JOURNAL};
use tokio::sync::mpsc;

use super::{actor_of, id_of};
use crate::{
    backend::{Stored, Update, Wanted},
    trace,
};

/// How often a follower looks whether its connection is still the same one.
const LOOK: Duration = Duration::from_millis(250);

/// Follows what is wanted of a stream, whose name is `name`.
#[expect(clippy::disallowed_methods, reason = "the task ends when nobody follows any more, and never fails")]
pub fn follow(stream: Stream, name: &str, statistics: Arc<Statistics>, wanted: Wanted) -> BoxStream<'static, Update> {
    let (updates, received) = mpsc::channel(256);
    let labels = [wanted.follower.as_str(), name];
    let pending = JOURNAL.pending.with_label_values(&labels);
    let interrupted = JOURNAL.interrupted.with_label_values(&labels);
    let next = wanted.after + 1;
    let mut follower = Follower { stream, statistics, wanted, updates, next, told: false, pending, interrupted };
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(50);
        while !follower.updates.is_closed() {
            let before = follower.next;
            match follower.run().await {
                Ok(()) => continue,
                // Said once for an absence, however often it is tried again.
                Err(error) if follower.interrupted.get() == 0 => {
                    follower.interrupted.set(1);
                    tracing::warn!(error, next = follower.next, "following the journal broke off and is resumed");
                }
                Err(error) => tracing::debug!(error, next = follower.next, "the journal cannot be followed yet"),
            }
            pause = if follower.next > before {
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
    stream: Stream,
    statistics: Arc<Statistics>,
    wanted: Wanted,
    updates: mpsc::Sender<Update>,
    next: u64,
    told: bool,
    pending: IntGauge,
    interrupted: IntGauge,
}

impl Follower {
    /// Follows until nobody listens, or something breaks.
    async fn run(&mut self) -> Result<(), String> {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        let mut look = tokio::time::interval(LOOK);
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            ..OrderedConfig::default()
        };
        let mut consumer = self.stream.create_consumer(config).await.map_err(|error| error.to_string())?;
        let mut behind = consumer.info().await.map_err(|error| error.to_string())?.num_pending;
        self.note(behind);
        if behind == 0 {
            self.tell().await;
        }
        let mut messages = consumer.messages().await.map_err(|error| error.to_string())?;
        self.interrupted.set(0);
        loop {
            let message = tokio::select! {
                () = self.updates.closed() => return Ok(()),
                // A consumer that a restarted server has forgotten would be missed only after several heartbeats.
                _ = look.tick() => {
                    if self.statistics.connects.load(Ordering::Relaxed) != connects {
                        return Err("the connection was lost and made again".to_owned());
                    }
                    self.note(behind);
                    continue;
                }
                message = messages.next() => message.ok_or("the consumer ended")?.map_err(|error| error.to_string())?,
            };
            let info = message.info().map_err(|error| error.to_string())?;
            let sequence = info.stream_sequence;
            behind = info.pending;
            self.next = sequence + 1;
            self.note(behind);
            if self.wanted.has(&message.subject) {
                let stored = Stored {
                    subject: message.subject.to_string(),
                    sequence,
                    id: id_of(message.headers.as_ref()),
                    actor: actor_of(message.headers.as_ref()),
                    payload: message.payload.clone(),
                    // What existed before belongs to nothing that happens now.
                    trace: if self.told { trace::parent(message.headers.as_ref()) } else { None },
                };
                if self.updates.send(Update::Stored(stored)).await.is_err() {
                    return Ok(());
                }
            }
            if behind == 0 {
                self.tell().await;
            }
        }
    }

    /// How many commits the view does not have yet: those that the server has, and those that wait here.
    fn note(&self, pending: u64) {
        let waiting = self.updates.max_capacity() - self.updates.capacity();
        self.pending.set(i64::try_from(pending.saturating_add(waiting as u64)).unwrap_or(i64::MAX));
    }

    async fn tell(&mut self) {
        if !self.told {
            self.told = true;
            // A follower that is gone is noticed with the next message.
            let _ = self.updates.send(Update::CaughtUp).await;
        }
    }
}
