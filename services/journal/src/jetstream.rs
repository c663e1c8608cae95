//! The journal on JetStream: a stream for each part.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{CreateStreamErrorKind, PublishErrorKind},
    message::{PublishMessage, StreamMessage},
    stream::{Config, DirectGetErrorKind, DiscardPolicy, StorageType, Stream},
};
use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use uuid::Uuid;

use crate::{
    Denials, Error, Extent, Options, Part,
    backend::{AppendError, Backend, Entry, Stored, Update, Wanted},
    trace,
};

mod follower;

/// Servers below silently ignore headers that the journal relies on.
const OLDEST: (u32, u32) = (2, 12);
const ACTOR: &str = "Postroad-Actor";
const ID: &str = "Nats-Msg-Id";

/// The streams.
pub struct Jetstream {
    context: Context,
    /// The name that the streams' names are made of.
    base: String,
    streams: HashMap<Part, Stream>,
    denials: Denials,
}

impl Jetstream {
    /// Opens the streams of the parts that are asked for, or makes them.
    pub async fn open(client: &async_nats::Client, options: Options) -> Result<Self, Error> {
        check(client)?;
        let context = jetstream::new(client.clone());
        context.query_account().await.map_err(|error| Error::WithoutJetstream(error.to_string()))?;
        let mut streams = HashMap::new();
        for part in &options.parts {
            streams.insert(*part, open(&context, *part, &options).await?);
        }
        Ok(Self { context, base: options.stream, streams, denials: options.denials })
    }

    fn stream(&self, part: Part) -> Result<&Stream, Error> {
        self.streams.get(&part).ok_or_else(|| Error::Closed { stream: part.stream(&self.base) })
    }

    async fn last(&self, part: Part, subject: &str) -> Result<Option<Stored>, Error> {
        found(self.stream(part)?.direct_get_last_for_subject(subject).await)
    }
}

/// Opens the stream of a part, or makes it. One that exists stays as it is: an older version must not undo what a newer one has changed.
async fn open(context: &Context, part: Part, options: &Options) -> Result<Stream, Error> {
    let (name, subjects) = (part.stream(&options.stream), part.subjects());
    let config = Config {
        name: name.clone(),
        subjects: subjects.clone(),
        storage: StorageType::File,
        num_replicas: options.replicas,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        allow_direct: true,
        // Only what belongs to an erased person is ever deleted; who may do so is NATS's permissions' to say.
        deny_delete: !part.is_erasable(),
        deny_purge: true,
        ..Config::default()
    };
    let stream = match context.get_or_create_stream(config).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                CreateStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP => {
                    Error::Layout { stream: name, why: format!("another stream holds {}", subjects.join(", ")) }
                }
                _ => Error::Unreachable(error.to_string()),
            });
        }
    };
    fits(part, &options.stream, &stream.cached_info().config.subjects)?;
    Ok(stream)
}

/// Whether a stream that holds these subjects can be a part of the journal whose first stream is `base`. It may hold more: what a newer
/// version keeps there.
///
/// # Errors
/// It lacks some: [`Error::Layout`].
pub fn fits(part: Part, base: &str, held: &[String]) -> Result<(), Error> {
    let wanted = part.subjects();
    if wanted.iter().all(|subject| held.contains(subject)) {
        return Ok(());
    }
    let why = format!("it holds {} and not {}", held.join(", "), wanted.join(", "));
    Err(Error::Layout { stream: part.stream(base), why })
}

#[async_trait]
impl Backend for Jetstream {
    async fn append(&self, part: Part, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        self.stream(part).map_err(AppendError::Journal)?;
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
            PublishErrorKind::WrongLastSequence => {
                match self.last(part, subject).await.map_err(AppendError::Journal)? {
                    Some(last) if last.id == entry.id => Ok(last.sequence),
                    _ => Err(AppendError::Conflict),
                }
            }
            PublishErrorKind::MaxPayloadExceeded => Err(AppendError::Journal(Error::TooLarge { size })),
            _ => Err(AppendError::Journal(Error::Unreachable(error.to_string()))),
        }
    }

    async fn read(&self, part: Part, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let stream = self.stream(part)?;
        let mut commits = Vec::new();
        let mut next = after + 1;
        while commits.len() < limit {
            match found(stream.direct_get_next_for_subject(subject, Some(next)).await)? {
                Some(stored) => {
                    next = stored.sequence + 1;
                    commits.push(stored);
                }
                None => break,
            }
        }
        Ok(commits)
    }

    async fn erase(&self, part: Part, sequence: u64) -> Result<(), Error> {
        let stream = self.stream(part)?;
        match stream.delete_message(sequence).await {
            Ok(_) => Ok(()),
            Err(error) => match found(stream.direct_get(sequence).await)? {
                None => Ok(()),
                Some(_) => Err(Error::Undeletable { sequence, why: error.to_string() }),
            },
        }
    }

    async fn at(&self, part: Part, sequence: u64) -> Result<Option<Stored>, Error> {
        found(self.stream(part)?.direct_get(sequence).await)
    }

    async fn extent(&self, part: Part) -> Result<Extent, Error> {
        let info = self.stream(part)?.get_info().await.map_err(|error| Error::Unreachable(error.to_string()))?;
        Ok(Extent { created: info.created.unix_timestamp_nanos(), last: info.state.last_sequence })
    }

    fn follow(&self, wanted: Wanted) -> BoxStream<'static, Update> {
        match self.stream(wanted.part) {
            Ok(stream) => {
                let (name, statistics) = (wanted.part.stream(&self.base), self.context.client().statistics());
                follower::follow(stream.clone(), &name, statistics, wanted)
            }
            Err(error) => {
                tracing::error!(%error, follower = wanted.follower, "a part of the journal cannot be followed");
                futures::stream::empty().boxed()
            }
        }
    }
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
