//! The journal on a JetStream stream.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Statistics,
    jetstream::{
        self, Context,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        context::PublishErrorKind,
        message::{PublishMessage, StreamMessage},
        stream::{Config, DirectGetErrorKind, DiscardPolicy, StorageType, Stream},
    },
};
use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use postroad_metric::{IntGauge, journal::JOURNAL};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    Denials, Error, Extent, Options,
    backend::{AppendError, Backend, Entry, Stored, Update},
    trace,
};

/// Servers below silently ignore headers that the journal relies on.
const OLDEST: (u32, u32) = (2, 12);
/// How often a follower looks whether its connection is still the same one.
const LOOK: Duration = Duration::from_millis(250);
const ACTOR: &str = "Postroad-Actor";
const ID: &str = "Nats-Msg-Id";

/// The stream.
pub struct Jetstream {
    context: Context,
    stream: Stream,
    denials: Denials,
}

impl Jetstream {
    /// Opens the stream, or makes it.
    pub async fn open(client: &async_nats::Client, options: Options) -> Result<Self, Error> {
        check(client)?;
        let denials = options.denials;
        let context = jetstream::new(client.clone());
        context.query_account().await.map_err(|error| Error::WithoutJetstream(error.to_string()))?;
        let config = Config {
            name: options.stream,
            subjects: vec!["journal.>".to_owned()],
            storage: StorageType::File,
            num_replicas: options.replicas,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            allow_direct: true,
            // Only what belongs to an erased person is ever deleted; who may do so is NATS's permissions' to say.
            deny_delete: false,
            deny_purge: true,
            ..Config::default()
        };
        let stream =
            context.get_or_create_stream(config).await.map_err(|error| Error::Unreachable(error.to_string()))?;
        Ok(Self { context, stream, denials })
    }

    async fn last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        found(self.stream.direct_get_last_for_subject(subject).await)
    }
}

#[async_trait]
impl Backend for Jetstream {
    async fn append(&self, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        let size = entry.payload.len();
        let message = PublishMessage::build()
            .headers(trace::headers())
            .payload(entry.payload)
            .message_id(entry.id.to_string())
            .header(ACTOR, entry.actor.as_str())
            .expected_last_subject_sequence(expected);
        let denied = self.denials.about(subject);
        let acknowledged = async {
            match self.context.send_publish(subject.to_owned(), message).await {
                Ok(acknowledged) => acknowledged.await,
                Err(error) => Err(error),
            }
        };
        let acknowledged = tokio::select! {
            acknowledged = acknowledged => acknowledged,
            said = denied => return Err(AppendError::Journal(Error::Denied(said))),
        };
        let error = match acknowledged {
            Ok(acknowledged) => return Ok(acknowledged.sequence),
            Err(error) => error,
        };
        match error.kind() {
            // A retry of an append whose acknowledgement was lost is answered like this, not as a duplicate.
            PublishErrorKind::WrongLastSequence => match self.last(subject).await.map_err(AppendError::Journal)? {
                Some(last) if last.id == entry.id => Ok(last.sequence),
                _ => Err(AppendError::Conflict),
            },
            PublishErrorKind::MaxPayloadExceeded => Err(AppendError::Journal(Error::TooLarge { size })),
            _ => Err(AppendError::Journal(Error::Unreachable(error.to_string()))),
        }
    }

    async fn read(&self, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let mut commits = Vec::new();
        let mut next = after + 1;
        while commits.len() < limit {
            match found(self.stream.direct_get_next_for_subject(subject, Some(next)).await)? {
                Some(stored) => {
                    next = stored.sequence + 1;
                    commits.push(stored);
                }
                None => break,
            }
        }
        Ok(commits)
    }

    async fn erase(&self, sequence: u64) -> Result<(), Error> {
        match self.stream.delete_message(sequence).await {
            Ok(_) => Ok(()),
            Err(error) => match found(self.stream.direct_get(sequence).await)? {
                None => Ok(()),
                Some(_) => Err(Error::Undeletable { sequence, why: error.to_string() }),
            },
        }
    }

    async fn at(&self, sequence: u64) -> Result<Option<Stored>, Error> {
        found(self.stream.direct_get(sequence).await)
    }

    async fn extent(&self) -> Result<Extent, Error> {
        let info = self.stream.get_info().await.map_err(|error| Error::Unreachable(error.to_string()))?;
        Ok(Extent { created: info.created.unix_timestamp_nanos(), last: info.state.last_sequence })
    }

    #[expect(clippy::disallowed_methods, reason = "the task ends when nobody follows any more, and never fails")]
    fn follow(&self, subjects: Vec<String>, after: u64) -> BoxStream<'static, Update> {
        let (updates, received) = mpsc::channel(256);
        let stream = self.stream.clone();
        let statistics = self.context.client().statistics();
        tokio::spawn(async move {
            let name = name_of(&subjects);
            let pending = JOURNAL.pending.with_label_values(&[name.as_str()]);
            let interrupted = JOURNAL.interrupted.with_label_values(&[name.as_str()]);
            let next = after + 1;
            let mut follower =
                Follower { stream, statistics, subjects, updates, next, told: false, pending, interrupted };
            let mut pause = Duration::from_millis(50);
            while !follower.updates.is_closed() {
                let before = follower.next;
                match follower.run().await {
                    Ok(()) => continue,
                    Err(error) => {
                        follower.interrupted.set(1);
                        tracing::warn!(error, next = follower.next, "following the journal broke off and is resumed");
                    }
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
}

struct Follower {
    stream: Stream,
    statistics: Arc<Statistics>,
    subjects: Vec<String>,
    updates: mpsc::Sender<Update>,
    next: u64,
    told: bool,
    pending: IntGauge,
    interrupted: IntGauge,
}

impl Follower {
    async fn run(&mut self) -> Result<(), String> {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        let mut look = tokio::time::interval(LOOK);
        // A server looks for the next message of several subjects some twenty times slower than it reads all of them in order: what
        // existed is read in order, and only what comes is chosen by the server.
        let is_catching_up = !self.told;
        let config = OrderedConfig {
            filter_subjects: if is_catching_up { Vec::new() } else { self.subjects.clone() },
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            ..OrderedConfig::default()
        };
        let mut consumer = self.stream.create_consumer(config).await.map_err(|error| error.to_string())?;
        let pending = consumer.info().await.map_err(|error| error.to_string())?.num_pending;
        self.note(pending);
        if is_catching_up && pending == 0 {
            self.tell().await;
            return Ok(());
        }
        let mut messages = consumer.messages().await.map_err(|error| error.to_string())?;
        self.interrupted.set(0);
        let mut behind = pending;
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
            let (sequence, pending) = (info.stream_sequence, info.pending);
            self.next = sequence + 1;
            behind = pending;
            self.note(behind);
            let is_wanted = !is_catching_up || self.wants(&message.subject);
            let stored = Stored {
                subject: message.subject.to_string(),
                sequence,
                id: id_of(message.headers.as_ref()),
                actor: actor_of(message.headers.as_ref()),
                payload: message.payload.clone(),
                // What existed before belongs to nothing that happens now.
                trace: if is_catching_up { None } else { trace::parent(message.headers.as_ref()) },
            };
            if is_wanted && self.updates.send(Update::Stored(stored)).await.is_err() {
                return Ok(());
            }
            if is_catching_up && pending == 0 {
                self.tell().await;
                return Ok(());
            }
        }
    }

    /// How many commits the view does not have yet: those that the server has, and those that wait here.
    fn note(&self, pending: u64) {
        let waiting = self.updates.max_capacity() - self.updates.capacity();
        self.pending.set(i64::try_from(pending.saturating_add(waiting as u64)).unwrap_or(i64::MAX));
    }

    /// Whether a subject is one of those that are followed.
    fn wants(&self, subject: &str) -> bool {
        self.subjects.iter().any(|wanted| subject.starts_with(wanted.trim_end_matches('*')))
    }

    async fn tell(&mut self) {
        if !self.told {
            self.told = true;
            // A follower that is gone is noticed with the next message.
            let _ = self.updates.send(Update::CaughtUp).await;
        }
    }
}

/// The kinds that are followed, such as `mailbox+profile`.
fn name_of(subjects: &[String]) -> String {
    let kinds = subjects.iter().filter_map(|subject| subject.split('.').nth(1));
    kinds.collect::<Vec<_>>().join("+")
}

/// Refuses a server that is too old.
pub fn check(client: &async_nats::Client) -> Result<(), Error> {
    let found = client.server_info().version;
    match parse_version(&found).is_some_and(|version| version >= OLDEST) {
        true => Ok(()),
        false => Err(Error::TooOld { found }),
    }
}

fn found(answer: Result<StreamMessage, jetstream::stream::DirectGetError>) -> Result<Option<Stored>, Error> {
    match answer {
        Ok(message) => Ok(Some(Stored {
            subject: message.subject.to_string(),
            sequence: message.sequence,
            id: id_of(Some(&message.headers)),
            actor: actor_of(Some(&message.headers)),
            payload: message.payload,
            trace: None,
        })),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Unreachable(error.to_string())),
    }
}

fn id_of(headers: Option<&async_nats::HeaderMap>) -> Uuid {
    headers.and_then(|headers| headers.get(ID)).and_then(|id| Uuid::parse_str(id.as_str()).ok()).unwrap_or_default()
}

fn actor_of(headers: Option<&async_nats::HeaderMap>) -> String {
    headers.and_then(|headers| headers.get(ACTOR)).map(|actor| actor.as_str().to_owned()).unwrap_or_default()
}

fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_recognised() {
        let versions =
            [("2.9.10", false), ("2.11.9", false), ("2.12.0", true), ("v2.15.1", true), ("3.0.0", true), ("x", false)];
        for (version, fits) in versions {
            assert_eq!(parse_version(version).is_some_and(|version| version >= OLDEST), fits, "{version}");
        }
    }
}
