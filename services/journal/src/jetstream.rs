//! The journal on JetStream: a stream for each part, in one NATS account or in several.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind},
    message::{PublishMessage, StreamMessage},
    stream::{Config, DirectGetErrorKind, DiscardPolicy, Republish, StorageType, Stream},
};
use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use uuid::Uuid;

use crate::{
    Denials, Error, Extent, Options, Part,
    backend::{AppendError, Backend, Entry, Stored, Update, Wanted},
    trace,
};

mod accounts;
mod batch;
mod follower;

pub use accounts::{Accounts, SHARED_API};

/// Servers below silently ignore headers that the journal relies on.
const OLDEST: (u32, u32) = (2, 12);
const ACTOR: &str = "Postroad-Actor";
const ID: &str = "Nats-Msg-Id";

/// What each commit of a stream is published under again once it is stored: what followers listen to.
pub fn republished(stream: &str) -> String {
    format!("republished.{stream}.>")
}

/// The streams.
pub struct Jetstream {
    accounts: Accounts,
    /// The name that the streams' names are made of.
    base: String,
    streams: HashMap<Part, batch::Batches>,
    denials: Denials,
}

impl Jetstream {
    /// Opens the streams of the parts that are asked for, or makes them.
    pub async fn open(client: &async_nats::Client, options: Options) -> Result<Self, Error> {
        check(client)?;
        let is_shared = options.parts.iter().any(|part| part.is_shared());
        let accounts = if is_shared { Accounts::find(client).await? } else { Accounts::one(client) };
        Self::open_in(accounts, options).await
    }

    /// The same where it is known which accounts the parts are in.
    pub async fn open_in(accounts: Accounts, options: Options) -> Result<Self, Error> {
        let mut streams = HashMap::new();
        for part in &options.parts {
            let stream = match accounts.is_elsewhere(*part) {
                true => find(accounts.of(*part), *part, &options).await?,
                false => open(accounts.of(*part), *part, &options).await?,
            };
            fits(*part, &options.stream, &stream.cached_info().config.subjects)?;
            let batches = batch::Batches::new(accounts.client(), accounts.api(*part), stream);
            streams.insert(*part, batches);
        }
        Ok(Self { accounts, base: options.stream, streams, denials: options.denials })
    }

    fn batches(&self, part: Part) -> Result<&batch::Batches, Error> {
        self.streams.get(&part).ok_or_else(|| Error::Closed { stream: part.stream(&self.base) })
    }

    fn stream(&self, part: Part) -> Result<&Stream, Error> {
        self.batches(part).map(batch::Batches::stream)
    }

    /// Whether a commit is the last one of its subject: it was appended before.
    async fn known(&self, part: Part, subject: &str, id: Uuid) -> Result<u64, AppendError> {
        match self.last(part, subject).await.map_err(AppendError::Journal)? {
            Some(last) if last.id == id => Ok(last.sequence),
            _ => Err(AppendError::Conflict),
        }
    }

    async fn last(&self, part: Part, subject: &str) -> Result<Option<Stored>, Error> {
        found(self.stream(part)?.direct_get_last_for_subject(subject).await)
    }
}

/// Opens the stream of a part that is in another account: whoever may make one there has made it.
async fn find(context: &Context, part: Part, options: &Options) -> Result<Stream, Error> {
    let name = part.stream(&options.stream);
    let stream = match context.get_stream(&name).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Error::Unprepared { stream: name }
                }
                _ => Error::Unreachable(error.to_string()),
            });
        }
    };
    if !is_told(&stream.cached_info().config) {
        let remedy = "run: postroad nats prepare";
        tracing::warn!(stream = name, remedy, "the stream tells nobody of its commits, which come a second late");
    }
    Ok(stream)
}

/// Whether followers are told of what is committed to a stream.
pub fn is_told(config: &Config) -> bool {
    config.republish.as_ref().is_some_and(|republish| *republish == republish_of(&config.name))
}

/// Opens the stream of a part, or makes it. One that exists stays as it is: an older version must not undo what a newer one has changed. Only
/// what followers listen to is added to one that lacks it.
async fn open(context: &Context, part: Part, options: &Options) -> Result<Stream, Error> {
    context.query_account().await.map_err(|error| accounts::refused(&error))?;
    let wanted = wanted(part, options);
    let (name, subjects) = (wanted.name.clone(), wanted.subjects.join(", "));
    let stream = match context.get_or_create_stream(wanted.clone()).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                CreateStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP => {
                    Error::Layout { stream: name, why: format!("another stream holds {subjects}") }
                }
                _ => Error::Unreachable(error.to_string()),
            });
        }
    };
    let found = &stream.cached_info().config;
    if is_told(found) || fits(part, &options.stream, &found.subjects).is_err() {
        return Ok(stream);
    }
    let config = Config { republish: wanted.republish, ..found.clone() };
    context.update_stream(config).await.map_err(|error| Error::Unreachable(error.to_string()))?;
    Ok(stream)
}

fn republish_of(stream: &str) -> Republish {
    Republish { source: ">".to_owned(), destination: republished(stream), headers_only: false }
}

fn wanted(part: Part, options: &Options) -> Config {
    let name = part.stream(&options.stream);
    let republish = republish_of(&name);
    Config {
        name,
        subjects: part.subjects(),
        storage: StorageType::File,
        num_replicas: options.replicas,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        allow_direct: true,
        // Only what belongs to an erased person is ever deleted; who may do so is NATS's permissions' to say.
        deny_delete: !part.is_erasable(),
        deny_purge: true,
        republish: Some(republish),
        ..Config::default()
    }
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
            match self.accounts.of(part).send_publish(subject.to_owned(), message).await {
                Ok(acknowledged) => acknowledged.await,
                Err(error) => Err(error),
            }
        };
        let acknowledged = tokio::select! {
            acknowledged = acknowledged => acknowledged,
            said = denied => return Err(AppendError::Journal(Error::Denied(said))),
        };
        let error = match acknowledged {
            Ok(acknowledged) if !acknowledged.duplicate => return Ok(acknowledged.sequence),
            // What has this id may be somebody else's.
            Ok(_) => return self.known(part, subject, entry.id).await,
            Err(error) => error,
        };
        match error.kind() {
            // A retry of an append whose acknowledgement was lost is answered like this, not as a duplicate.
            PublishErrorKind::WrongLastSequence => self.known(part, subject, entry.id).await,
            PublishErrorKind::MaxPayloadExceeded => Err(AppendError::Journal(Error::TooLarge { size })),
            _ => Err(AppendError::Journal(Error::Unreachable(error.to_string()))),
        }
    }

    async fn read(&self, part: Part, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let batches = self.batches(part)?;
        let mut commits: Vec<Stored> = Vec::new();
        let mut next = after + 1;
        while commits.len() < limit {
            let (known, most) = (commits.len(), limit - commits.len());
            let mut batch = batches.of(subject, next, most).await.map_err(Error::Unreachable)?;
            while let Some(message) = batch.next().await.map_err(Error::Unreachable)? {
                next = message.sequence + 1;
                commits.push(stored(message));
            }
            if commits.len() == known {
                break;
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
        let mut batch = self.batches(part)?.at(sequence).await.map_err(Error::Unreachable)?;
        let found = batch.next().await.map_err(Error::Unreachable)?;
        Ok(found.filter(|message| message.sequence == sequence).map(stored))
    }

    async fn extent(&self, part: Part) -> Result<Extent, Error> {
        let batch::Reach { created, last } = self.batches(part)?.reach().await.map_err(Error::Unreachable)?;
        Ok(Extent { created, last })
    }

    fn follow(&self, wanted: Wanted) -> BoxStream<'static, Update> {
        match self.batches(wanted.part) {
            Ok(batches) => follower::follow(batches.clone(), wanted),
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
        Ok(message) => Ok(Some(stored(message))),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Unreachable(error.to_string())),
    }
}

/// A commit, without the trace that it belongs to.
fn stored(message: StreamMessage) -> Stored {
    let StreamMessage { subject, sequence, headers, payload, .. } = message;
    let id = headers.get(ID).and_then(|id| Uuid::parse_str(id.as_str()).ok()).unwrap_or_default();
    let actor = headers.get(ACTOR).map(|actor| actor.as_str().to_owned()).unwrap_or_default();
    Stored { subject: subject.to_string(), sequence, id, actor, payload, trace: None }
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
