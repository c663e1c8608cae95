//! Who holds what, until it is given back or its holder is gone: a KV bucket whose keys do not end by themselves.
//!
//! A holder says with one lease that it lives, instead of renewing each thing that it holds. Whoever takes a thing from one that
//! is gone must have read the holding before it found no lease: a holder that comes back takes its things anew, by which their
//! revisions change, and what was read before no longer fits.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures::Stream;

use super::{Change, Error, delete, keys, open, text, watch};

/// A thing that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What is held.
    pub key: String,
    /// Who holds it, if it lives.
    pub holder: String,
    revision: u64,
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

    /// What is held of a key; possibly as it was a moment before.
    pub async fn get(&self, key: &str) -> Result<Option<Holding>, Error> {
        let entry = self.bucket.entry(key).await.map_err(text)?;
        Ok(entry.filter(|entry| entry.operation == kv::Operation::Put).map(|entry| Holding {
            holder: String::from_utf8_lossy(&entry.value).into_owned(),
            revision: entry.revision,
            key: entry.key,
        }))
    }

    /// Takes what nobody holds, or what is held as `over` says; `None` if that is not so any more.
    pub async fn take(&self, key: &str, holder: &str, over: Option<&Holding>) -> Result<Option<Holding>, Error> {
        let value = holder.to_owned().into();
        let taken = match over {
            Some(over) => match self.bucket.update(key, value, over.revision).await {
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => return Ok(None),
                taken => taken.map_err(text),
            },
            None => match self.bucket.create(key, value).await {
                Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => return Ok(None),
                taken => taken.map_err(text),
            },
        };
        Ok(Some(Holding { key: key.to_owned(), holder: holder.to_owned(), revision: taken? }))
    }

    /// Gives back what is held; nothing happens if it was taken.
    pub async fn give_back(&self, holding: &Holding) -> Result<(), Error> {
        delete(&self.bucket, &holding.key, holding.revision).await
    }

    /// Every key that is taken or given back from now on. Ends when NATS forgets who listens: to be called again then.
    pub async fn watch(&self) -> Result<impl Stream<Item = Change> + Send + Unpin + use<>, Error> {
        watch(&self.bucket).await
    }

    /// The keys that are held, also by holders that are gone.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        keys(&self.bucket).await
    }
}
