//! Who lives, or may do something, for so long: a KV bucket whose `max_age` is the lease time.
//!
//! Creating a key acquires, updating it by revision renews, deleting it by revision releases. Per-key TTLs are not used: they
//! are lost on update. A lease does not stop a paused holder; whoever acts under one must be fenced by the journal as well.
#![expect(clippy::disallowed_methods, reason = "the deadline is taken here, before the renewal is sent")]

use std::time::{Duration, Instant};

use async_nats::{
    HeaderMap,
    jetstream::{self, ErrorCode, kv, stream::LastRawMessageErrorKind},
};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

pub mod holdings;

/// Why leases could not be asked for.
#[derive(Debug, thiserror::Error)]
#[error("leases could not be asked for: {0}")]
pub struct Error(String);

/// A held lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What is held.
    pub key: String,
    /// Until when its holder may count on it: taken before the request was sent, so never later than the server's end.
    pub deadline: Instant,
    value: String,
    revision: u64,
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Whether it was given back; otherwise it was acquired or renewed.
    pub is_given_back: bool,
}

/// The leases of one kind; a cheap clone.
#[derive(Clone)]
pub struct Leases {
    bucket: kv::Store,
    time: Duration,
}

impl Leases {
    /// Opens a bucket, or makes it; an existing one takes over the lease time.
    pub async fn open(nats: &async_nats::Client, bucket: &str, time: Duration, replicas: usize) -> Result<Self, Error> {
        let description = "leases; each key disappears when it is not renewed";
        Ok(Self { bucket: open(nats, bucket, description, time, replicas).await?, time })
    }

    /// Acquires a key for a holder, whose name nobody else has; `None` if another one has the key. What the holder has already, since
    /// the answer to an earlier request was lost, is acquired.
    pub async fn acquire(&self, key: &str, holder: &str) -> Result<Option<Lease>, Error> {
        // Each acquisition begins a term: one that arrives late must not pass for a lease that never ended.
        let value = format!("{holder} {}", Uuid::now_v7().simple());
        let deadline = Instant::now() + self.time;
        match self.bucket.create(key, value.clone().into()).await {
            Ok(revision) => Ok(Some(Lease { key: key.to_owned(), deadline, value, revision })),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                self.find(key, |found| is_of(found, holder)).await
            }
            Err(error) => Err(text(error)),
        }
    }

    /// Renews a lease; `None` if it was lost. It is not lost by an earlier renewal whose answer did not arrive.
    pub async fn renew(&self, lease: Lease) -> Result<Option<Lease>, Error> {
        match self.update(&lease.key, &lease.value, lease.revision).await? {
            Some(renewed) => Ok(Some(renewed)),
            None => self.find(&lease.key, |found| found == lease.value).await,
        }
    }

    /// Renews a lease that is the holder's own, whatever its revision is.
    async fn find(&self, key: &str, is_own: impl Fn(&str) -> bool) -> Result<Option<Lease>, Error> {
        match self.last(key).await? {
            Some((revision, value)) if is_own(&value) => self.update(key, &value, revision).await,
            _ => Ok(None),
        }
    }

    async fn update(&self, key: &str, value: &str, revision: u64) -> Result<Option<Lease>, Error> {
        let deadline = Instant::now() + self.time;
        match self.bucket.update(key, value.to_owned().into(), revision).await {
            Ok(revision) => Ok(Some(Lease { key: key.to_owned(), deadline, value: value.to_owned(), revision })),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Gives a key back that a holder has, also by a request whose answer was lost; nothing happens if it does not have it.
    pub async fn release(&self, key: &str, holder: &str) -> Result<(), Error> {
        // A renewal that was on its way comes between at most once.
        for _ in 0..3 {
            let Some((revision, value)) = self.last(key).await? else { return Ok(()) };
            if !is_of(&value, holder) {
                return Ok(());
            }
            match self.bucket.delete_expect_revision(key, Some(revision)).await {
                Ok(()) => return Ok(()),
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(text(error)),
            }
        }
        Err(Error(format!("{key} changes all the time")))
    }

    /// Whether anybody holds a key now. The leader is asked: a replica may not know yet of a lease that was just acquired.
    pub async fn is_held(&self, key: &str) -> Result<bool, Error> {
        Ok(self.last(key).await?.is_some())
    }

    async fn last(&self, key: &str) -> Result<Option<(u64, String)>, Error> {
        let subject = format!("{}{key}", self.bucket.prefix);
        match self.bucket.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) if is_removal(&message.headers) => Ok(None),
            Ok(message) => Ok(Some((message.sequence, String::from_utf8_lossy(&message.payload).into_owned()))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Every acquisition, renewal and return of a key from now on; not the end of one that ran out. Ends when the connection says
    /// nothing for some time: to be called again then.
    pub async fn watch(&self) -> Result<impl Stream<Item = Change> + Send + Unpin + use<>, Error> {
        let watch = self.bucket.watch_all().await.map_err(text)?;
        let change = |entry: kv::Entry| Change { is_given_back: entry.operation != kv::Operation::Put, key: entry.key };
        Ok(watch
            .take_while(|entry| std::future::ready(entry.is_ok()))
            .filter_map(|entry| std::future::ready(entry.ok()))
            .map(change)
            .boxed())
    }

    /// The keys that are held by anybody, as one of the replicas knows them.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let keys = self.bucket.keys().await.map_err(text)?;
        keys.try_collect().await.map_err(text)
    }
}

/// Opens a bucket, or makes it; keys disappear after `max_age`, or never if that is zero.
async fn open(
    nats: &async_nats::Client,
    bucket: &str,
    description: &str,
    max_age: Duration,
    replicas: usize,
) -> Result<kv::Store, Error> {
    let context = jetstream::new(nats.clone());
    let config = kv::Config {
        bucket: bucket.to_owned(),
        description: description.to_owned(),
        history: 1,
        max_age,
        num_replicas: replicas,
        ..kv::Config::default()
    };
    // One that is as it has to be is not changed.
    let found = context.get_key_value(bucket).await.ok();
    let fits = |bucket: &kv::Store| bucket.stream.cached_info().config.max_age == max_age;
    match found.filter(fits) {
        Some(bucket) => Ok(bucket),
        None => context.create_or_update_key_value(config).await.map_err(text),
    }
}

/// Whether a write was refused since the key has another revision, or is being written by somebody else at this moment, which a
/// cluster answers with a code of its own.
fn is_refused(error: &kv::UpdateError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let is_being_written = std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    })
    .filter_map(|cause| cause.downcast_ref::<jetstream::Error>())
    .any(|error| error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT);
    error.kind() == kv::UpdateErrorKind::WrongLastRevision || is_being_written
}

/// Whether a lease is of a holder: its value is the name and the term.
fn is_of(value: &str, holder: &str) -> bool {
    value.split_once(' ').is_some_and(|(name, _)| name == holder)
}

/// Whether a message of a bucket takes a key away.
fn is_removal(headers: &HeaderMap) -> bool {
    headers.get(OPERATION).is_some_and(|operation| operation.as_str() != PUT)
}

/// The header that says what a message of a bucket does; without it, it sets the key.
const OPERATION: &str = "KV-Operation";
const PUT: &str = "PUT";

fn text(error: impl std::fmt::Display) -> Error {
    Error(error.to_string())
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::context::{PublishError, PublishErrorKind};

    use super::*;

    fn answered(code: u16) -> kv::UpdateError {
        let told = format!(r#"{{"code": 400, "err_code": {code}, "description": "wrong last sequence"}}"#);
        let told: jetstream::Error = serde_json::from_str(&told).unwrap();
        kv::UpdateError::from(PublishError::with_source(PublishErrorKind::Other, told))
    }

    #[test]
    fn a_write_while_another_one_is_under_way_is_refused() {
        assert!(is_refused(&answered(10164)));
        assert!(!is_refused(&answered(10077)));
        assert!(is_refused(&kv::UpdateError::new(kv::UpdateErrorKind::WrongLastRevision)));
        assert!(!is_refused(&kv::UpdateError::new(kv::UpdateErrorKind::TimedOut)));
    }
}
