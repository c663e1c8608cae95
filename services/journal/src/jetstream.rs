//! The journal on NATS JetStream.
//!
//! Appends and the last commit of a subject go to the stream's leader. What lies before it may come from any replica
//! (direct get), which can be behind: so a read knows from the leader how far it has to come.

use async_nats::{
    Client, HeaderMap, HeaderValue, header,
    jetstream::{
        self,
        context::{Context, PublishErrorKind},
        message::PublishMessage,
        stream::{DirectGetErrorKind, LastRawMessageErrorKind},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use uuid::Uuid;

use crate::{
    Actor, Error, Kind,
    backend::{Appended, Backend, Outgoing, Signal, Stored},
    commit::COMMIT_BYTES,
    subject::Subject,
};

pub(crate) mod direct;
mod follow;
mod setup;
mod version;

pub(crate) use direct::Direct;

/// Who made a commit.
const ACTOR: &str = "Postroad-Actor";
/// W3C trace context.
const TRACE_PARENT: &str = "traceparent";

/// Which stream, and how safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The stream's name.
    pub stream: String,
    /// On how many servers it is kept: 1, 3 or 5.
    pub replicas: usize,
}

pub(crate) struct Jetstream {
    context: Context,
    stream: jetstream::stream::Stream,
    direct: Direct,
    name: String,
}

impl Jetstream {
    /// Checks the server, and makes the stream if it does not exist.
    pub(crate) async fn connect(client: &Client, options: &Options) -> Result<Self, Error> {
        let context = jetstream::new(client.clone());
        setup::check_server(client, &context).await?;
        let stream = setup::stream(&context, options).await?;
        let direct = Direct::new(client.clone(), &options.stream);
        Ok(Self { context, stream, direct, name: options.stream.clone() })
    }

    /// The subject's last commit, as the leader knows it.
    async fn last(&self, subject: Subject) -> Result<Option<Stored>, Error> {
        match self.stream.get_last_raw_message_by_subject(&subject.to_string()).await {
            Ok(message) => stored(message.subject.as_str(), message.sequence, &message.headers, message.payload).map(Some),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Error::unreachable("reading the last commit", error)),
        }
    }

    /// The subject's next commit from a sequence on, as the leader knows it.
    async fn next(&self, subject: Subject, from: u64) -> Result<Stored, Error> {
        let get = self.stream.raw_message_builder().sequence(from).next_by_subject(subject.to_string());
        let message = get.send().await.map_err(|error| Error::unreachable("reading the next commit", error))?;
        stored(message.subject.as_str(), message.sequence, &message.headers, message.payload)
    }
}

#[async_trait]
impl Backend for Jetstream {
    async fn append(&self, subject: Subject, expected: u64, outgoing: &Outgoing) -> Result<Appended, Error> {
        let message = PublishMessage::build()
            .payload(outgoing.payload.clone())
            .headers(headers(&outgoing.actor))
            .message_id(outgoing.commit_id.to_string())
            .expected_stream(&self.name)
            .expected_last_subject_sequence(expected);
        let sent = self.context.send_publish(subject.to_string(), message).await;
        let acknowledged = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(acknowledgement) => Ok(Appended::Stored { sequence: acknowledgement.sequence }),
            Err(error) => failed(error, outgoing.payload.len()),
        }
    }

    async fn read(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let Some(last) = self.last(subject).await?.filter(|last| last.sequence > after && limit > 0) else {
            return Ok(Vec::new());
        };
        let mut commits = Vec::new();
        let mut from = after + 1;
        while from < last.sequence && commits.len() < limit {
            let batch = self.direct.next_by_subject(&subject.to_string(), from, limit - commits.len()).await?;
            if batch.is_empty() {
                // The replica that answered is behind.
                commits.push(self.next(subject, from).await?);
            }
            for message in batch {
                commits.push(stored(&message.subject, message.sequence, &message.headers, message.payload)?);
            }
            from = commits.last().map_or(u64::MAX, |commit: &Stored| commit.sequence.saturating_add(1));
        }
        if from <= last.sequence && commits.len() < limit {
            commits.push(last);
        }
        Ok(commits)
    }

    async fn at(&self, sequence: u64) -> Result<Option<Stored>, Error> {
        let message = match self.stream.direct_get(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                // The replica that answered may be behind; the leader is not.
                match self.stream.get_raw_message(sequence).await {
                    Ok(message) => message,
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                    Err(error) => return Err(Error::unreachable("reading a commit", error)),
                }
            }
            Err(error) => return Err(Error::unreachable("reading a commit", error)),
        };
        stored(message.subject.as_str(), message.sequence, &message.headers, message.payload).map(Some)
    }

    fn follow(&self, kinds: &[Kind]) -> BoxStream<'static, Signal> {
        let follower = follow::Follower::new(self.stream.clone(), self.context.clone(), &self.name, kinds);
        stream::unfold(follower, |mut follower| async move { Some((follower.next().await, follower)) }).boxed()
    }
}

fn headers(actor: &Actor) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACTOR, HeaderValue::from(actor.as_str()));
    if let Some(trace_parent) = actor.trace_parent() {
        headers.insert(TRACE_PARENT, HeaderValue::from(trace_parent));
    }
    headers
}

/// A message of the stream as a commit.
fn stored(subject: &str, sequence: u64, headers: &HeaderMap, payload: Bytes) -> Result<Stored, Error> {
    let corrupt = |reason: &str| Error::Corrupt { subject: subject.to_owned(), sequence, reason: reason.to_owned() };
    let text = |name: &str| headers.get(name).map(|value| value.as_str());
    let parsed = Subject::parse(subject).ok_or_else(|| corrupt("the subject is unknown"))?;
    let commit_id = headers.get(header::NATS_MESSAGE_ID).and_then(|id| Uuid::try_parse(id.as_str()).ok());
    let commit_id = commit_id.ok_or_else(|| corrupt("the commit id is missing"))?;
    let actor = Actor::new(text(ACTOR).unwrap_or_default());
    let actor = text(TRACE_PARENT).map_or_else(|| actor.clone(), |parent| actor.clone().within_trace(parent));
    Ok(Stored { subject: parsed, sequence, commit_id, actor, payload })
}

/// What a failed append means. What is not certainly refused may have been stored.
fn failed(error: jetstream::context::PublishError, size: usize) -> Result<Appended, Error> {
    use std::error::Error as _;
    match error.kind() {
        PublishErrorKind::WrongLastSequence => return Ok(Appended::Conflict),
        PublishErrorKind::MaxPayloadExceeded => return Err(Error::TooLarge { size, most: COMMIT_BYTES }),
        _ => {}
    }
    let refused = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    match refused.map(|refused| (refused.error_code(), refused.to_string())) {
        // Another append to the subject is under way.
        Some((jetstream::ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT, _)) => Ok(Appended::Conflict),
        Some((jetstream::ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, _)) => {
            Err(Error::TooLarge { size, most: COMMIT_BYTES })
        }
        Some((jetstream::ErrorCode::STREAM_STORE_FAILED | jetstream::ErrorCode::INSUFFICIENT_RESOURCES, said)) => {
            Err(Error::Full(said))
        }
        _ => Err(Error::unreachable("appending a commit", error)),
    }
}
