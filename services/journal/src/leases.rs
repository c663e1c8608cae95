//! Who owns what, for so long: a KV bucket whose `max_age` is the lease time.
//!
//! Creating a key acquires, updating it by revision renews, deleting it by revision releases. Per-key TTLs are not used: they
//! are lost on update. A lease does not stop a paused holder; whoever acts under one must be fenced by the journal as well.
#![expect(clippy::disallowed_methods, reason = "the deadline is taken here, before the renewal is sent")]

use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use futures::{Stream, StreamExt as _, TryStreamExt as _};

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
        let jetstream = async_nats::jetstream::new(nats.clone());
        let config = kv::Config {
            bucket: bucket.to_owned(),
            description: "leases; each key disappears when it is not renewed".to_owned(),
            history: 1,
            max_age: time,
            num_replicas: replicas,
            ..kv::Config::default()
        };
        // A role may not be allowed to change a bucket, and need not.
        let found = jetstream.get_key_value(bucket).await.ok();
        let fits = |bucket: &kv::Store| bucket.stream.cached_info().config.max_age == time;
        let bucket = match found.filter(fits) {
            Some(bucket) => bucket,
            None => jetstream.create_or_update_key_value(config).await.map_err(text)?,
        };
        Ok(Self { bucket, time })
    }

    /// Acquires a key; `None` if another holds it.
    pub async fn acquire(&self, key: &str, value: &str) -> Result<Option<Lease>, Error> {
        let deadline = Instant::now() + self.time;
        match self.bucket.create(key, value.to_owned().into()).await {
            Ok(revision) => Ok(Some(Lease { key: key.to_owned(), deadline, value: value.to_owned(), revision })),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Renews a lease; `None` if it was lost.
    pub async fn renew(&self, lease: Lease) -> Result<Option<Lease>, Error> {
        let deadline = Instant::now() + self.time;
        match self.bucket.update(&lease.key, lease.value.clone().into(), lease.revision).await {
            Ok(revision) => Ok(Some(Lease { deadline, revision, ..lease })),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Gives a lease back; nothing happens if it was lost.
    pub async fn release(&self, lease: &Lease) -> Result<(), Error> {
        match self.bucket.delete_expect_revision(&lease.key, Some(lease.revision)).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(()),
            Err(error) => Err(text(error)),
        }
    }

    /// Every acquisition, renewal and return of a key from now on; not the end of one that ran out. Ends when NATS forgets who
    /// listens: to be called again then.
    pub async fn watch(&self) -> Result<impl Stream<Item = Change> + Send + Unpin + use<>, Error> {
        let watch = self.bucket.watch_all().await.map_err(text)?;
        let change = |entry: kv::Entry| Change { is_given_back: entry.operation != kv::Operation::Put, key: entry.key };
        Ok(watch
            .take_while(|entry| std::future::ready(entry.is_ok()))
            .filter_map(|entry| std::future::ready(entry.ok()))
            .map(change)
            .boxed())
    }

    /// The keys that are held by anybody.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let keys = self.bucket.keys().await.map_err(text)?;
        keys.try_collect().await.map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> Error {
    Error(error.to_string())
}
