//! Who holds what, until it is given back or its holder is gone: a KV bucket whose keys do not end by themselves.
//!
//! A holder says with one lease that it lives, instead of renewing each thing that it holds. What was taken or given back without
//! an answer, or late, is known by following the bucket alone. Whoever takes a thing from one that is gone must have read the
//! holding before it found no lease: a holder that comes back takes its things anew, by which their revisions change, and what was
//! read before no longer fits.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures::{Stream, StreamExt as _};

use super::{Error, open, text};

/// A thing, as the bucket has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which one.
    pub key: String,
    /// Who holds it, if it lives; `None` once it was given back.
    pub holder: Option<String>,
    /// By which it is told whether anything changed since. Whatever was never held has the revision zero.
    pub revision: u64,
    /// Nothing more is known: what was not told was never held.
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
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Gives back what has this revision; nothing happens if it has another one by now.
    pub async fn give_back(&self, key: &str, revision: u64) -> Result<(), Error> {
        match self.bucket.delete_expect_revision(key, Some(revision)).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(()),
            Err(error) => Err(text(error)),
        }
    }

    /// Whether nothing was ever held.
    pub async fn is_new(&self) -> Result<bool, Error> {
        // Not `status`, which tells what was when the bucket was opened.
        Ok(self.bucket.stream.get_info().await.map_err(text)?.state.messages == 0)
    }

    /// Everything as it is, possibly as it was a moment before, and then each change. Ends when NATS forgets who listens: to be called
    /// again then.
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
