//! Following a stream: what was there by batches, then what is republished as it is stored. That comes as any message of NATS does, without a
//! promise; but each has its place in the stream, so that a missing one is noticed by the next one, or by the look that is taken now and then.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Subscriber, jetstream::message::StreamMessage};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, Fuse, FusedFuture as _},
    stream::BoxStream,
};
use postroad_metric::{IntGauge, journal::JOURNAL};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{
    batch::{Batches, Reach},
    republished, stored,
};
use crate::{
    backend::{Stored, Update, Wanted},
    trace,
};

/// How often a follower looks whether its connection is still the same one.
const LOOK: Duration = Duration::from_millis(250);
/// How many of these looks apart it asks how far the stream goes.
const ASK: u32 = 4;
/// How often in a row that may not be answered, while commits may still come.
const UNANSWERED: u32 = 2;
/// How long the leader may lack what a replica gave.
const AHEAD: Duration = Duration::from_secs(10);
/// How long what is known to exist is waited for where a replica does not have it yet, at first and in all.
const LAG: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Follows what is wanted of a stream.
#[expect(clippy::disallowed_methods, reason = "the task ends when nobody follows any more, and never fails")]
pub fn follow(batches: Batches, wanted: Wanted) -> BoxStream<'static, Update> {
    let (updates, received) = mpsc::channel(256);
    let labels = [wanted.follower.as_str(), batches.name()];
    let pending = JOURNAL.pending.with_label_values(&labels);
    let interrupted = JOURNAL.interrupted.with_label_values(&labels);
    let next = wanted.after + 1;
    let view = View { wanted, updates, next, created: None, last: 0, ahead: None, told: false, pending };
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
    /// When the stream was made that it follows.
    created: Option<i128>,
    /// How far the stream is known to go.
    last: u64,
    /// Since when it is said to end before what was followed.
    ahead: Option<Instant>,
    told: bool,
    pending: IntGauge,
}

impl Follower {
    /// Follows until nobody listens, or something breaks.
    async fn run(&mut self) -> Result<(), String> {
        let statistics = self.batches.client().statistics();
        let connects = statistics.connects.load(Ordering::Relaxed);
        self.look().await?;
        self.interrupted.set(0);
        // What there is much of before anything is listened to, and would wait.
        self.reach(self.view.last).await?;
        let mut commits = self.listen().await?;
        self.look().await?;
        self.reach(self.view.last).await?;
        self.view.tell().await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looks, mut unanswered, mut seen) = (0, 0, self.view.next);
        // An answer that is waited for holds up no commit.
        let mut asked = Fuse::<BoxFuture<'static, Result<Reach, String>>>::terminated();
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
                    if looks % ASK == 0 && asked.is_terminated() {
                        let batches = self.batches.clone();
                        asked = async move { batches.reach().await }.boxed().fuse();
                    }
                    continue;
                }
                reach = &mut asked => {
                    unanswered = match reach {
                        Ok(reach) => self.view.looked(reach).map(|()| 0)?,
                        Err(error) if unanswered >= UNANSWERED => return Err(error),
                        Err(_) => unanswered + 1,
                    };
                    // While commits come, they tell by themselves what is missing.
                    if self.view.next == seen {
                        self.reach(self.view.last).await?;
                    }
                    seen = self.view.next;
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
        let subject = republished(self.batches.name());
        self.batches.client().subscribe(subject).await.map_err(|error| error.to_string())
    }

    async fn look(&mut self) -> Result<(), String> {
        self.view.looked(self.batches.reach().await?)
    }

    /// Reads up to a sequence that is known to have existed.
    async fn reach(&mut self, target: u64) -> Result<(), String> {
        let mut lag: Option<(Instant, Duration)> = None;
        while self.view.next <= target && !self.view.updates.is_closed() {
            let from = self.view.next;
            let mut batch = self.batches.from(from).await?;
            while let Some(message) = batch.next().await? {
                if !self.view.give(message).await {
                    return Ok(());
                }
            }
            if self.view.next > from {
                lag = None;
                self.look().await?;
            } else if self.batches.is_deleted(from, target).await? {
                self.view.next = target + 1;
            } else {
                let (since, pause) = lag.unwrap_or_else(|| (Instant::now(), LAG.0));
                if since.elapsed() >= LAG.1 {
                    return Err(format!("the message {from} is in the stream, and no server gives it"));
                }
                tokio::time::sleep(pause).await;
                lag = Some((since, pause * 2));
            }
        }
        Ok(())
    }
}

impl View {
    /// Takes over how far the stream goes. One that was set back or made anew holds other commits than those that were given, which a view
    /// cannot take back.
    fn looked(&mut self, reach: Reach) -> Result<(), String> {
        let Reach { created, last } = reach;
        if *self.created.get_or_insert(created) != created {
            return Err(
                "the stream was made anew: the role has to be restarted, as it has what is no longer there".to_owned()
            );
        }
        if last + 1 >= self.next {
            (self.last, self.ahead) = (last, None);
            self.note();
            return Ok(());
        }
        // A replica may have applied what the leader has not yet.
        let since = *self.ahead.get_or_insert_with(Instant::now);
        if since.elapsed() < AHEAD {
            return Ok(());
        }
        let followed = self.next - 1;
        Err(format!(
            "the stream ends at {last}, and was followed to {followed}: it was set back, and the role has to be restarted"
        ))
    }

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
        // What existed before belongs to nothing that happens now.
        let trace = if self.told { trace::parent(Some(&message.headers)) } else { None };
        let stored = Stored { trace, ..stored(message) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_before_what_was_followed_is_told_once_it_stays_so() {
        let wanted = Wanted { part: Part::Crm, kinds: Vec::new(), after: 0, follower: "none".to_owned() };
        let pending = JOURNAL.pending.with_label_values(&["none", "none"]);
        let updates = mpsc::channel(1).0;
        let mut view = View { wanted, updates, next: 12, created: None, last: 0, ahead: None, told: true, pending };
        let reach = |created, last| Reach { created, last };
        assert!(view.looked(reach(1, 11)).is_ok() && view.looked(reach(1, 10)).is_ok(), "the leader may be behind");
        tokio::time::advance(AHEAD / 2).await;
        assert!(view.looked(reach(1, 11)).is_ok() && view.looked(reach(1, 10)).is_ok());
        tokio::time::advance(AHEAD).await;
        let error = view.looked(reach(1, 10)).unwrap_err();
        assert!(error.contains("ends at 10") && error.contains("followed to 11"), "{error}");
        assert!(view.looked(reach(1, 10)).is_err() && view.looked(reach(2, 20)).is_err());
        assert!(view.looked(reach(1, 20)).is_ok());
    }
}
