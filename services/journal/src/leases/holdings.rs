//! Who holds what, until it is given back or its holder is gone: a KV bucket whose keys do not end by themselves.
//!
//! A holder says with one lease that it lives, instead of renewing each thing that it holds. What was taken or given back without
//! an answer, or late, is known by following the bucket alone. Whoever takes a thing from one that is gone must have read the
//! holding before it found no lease: a holder that comes back takes its things anew, by which their revisions change, and what was
//! read before no longer fits.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures::{Stream, StreamExt as _};

use super::{Error, is_refused, open, text};

/// A thing, as the bucket has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which one.
    pub key: String,
    /// Who holds it, if it lives; `None` once it was given back.
    pub holder: Option<String>,
    /// By which it is told whether anything changed since. Whatever was never held has the revision zero.
    pub revision: u64,
    /// Nothing more is known to the replica that tells it.
    pub is_last: bool,
}

/// The holdings of one kind; a cheap clone.
#[derive(Clone)]
pub struct Holdings {
    bucket: kv::Store,
}

impl Holdings {
    /// Opens a bucket, or makes it.
    pub async fn open(nats: &async_nats::Client, bucket: &str, replicas: usize) -> Result<Self, Error> {
        let description = "who holds what, as long as its holder has a lease";
        Ok(Self { bucket: open(nats, bucket, description, Duration::ZERO, replicas).await? })
    }

    /// Takes what has this revision; gives the new one, or `None` if it has another one by now.
    pub async fn take(&self, key: &str, holder: &str, revision: u64) -> Result<Option<u64>, Error> {
        match self.bucket.update(key, holder.to_owned().into(), revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Gives back what has this revision; nothing happens if it has another one by now.
    pub async fn give_back(&self, key: &str, revision: u64) -> Result<(), Error> {
        match self.bucket.delete_expect_revision(key, Some(revision)).await {
            Ok(()) => Ok(()),
            Err(error) if is_refused(&error) => Ok(()),
            Err(error) => Err(text(error)),
        }
    }

    /// The revision of the last change, as the leader knows it; zero if nothing is said of anything.
    pub async fn last(&self) -> Result<u64, Error> {
        // Not `status`, which tells what was when the bucket was opened.
        let state = self.bucket.stream.get_info().await.map_err(text)?.state;
        Ok(if state.messages == 0 { 0 } else { state.last_sequence })
    }

    /// Everything as one of the replicas has it, and then each change. Ends when the connection says nothing for some time. A bucket that
    /// was restored or made anew meanwhile is not noticed: to be called again now and then.
    pub async fn follow(&self) -> Result<impl Stream<Item = Holding> + Send + Unpin + use<>, Error> {
        let watch = self.bucket.watch_with_history(">").await.map_err(text)?;
        Ok(watch
            .take_while(|entry| std::future::ready(entry.is_ok()))
            .filter_map(|entry| std::future::ready(entry.ok()))
            .map(|entry| {
                let is_held = entry.operation == kv::Operation::Put;
                let holder = is_held.then(|| String::from_utf8_lossy(&entry.value).into_owned());
                Holding { key: entry.key, holder, revision: entry.revision, is_last: entry.delta == 0 }
            })
            .boxed())
    }
}
