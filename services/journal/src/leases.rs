//! Leases on a KV bucket: who may do what for how long.
//!
//! The bucket's `max_age` is the lease time, so a lease that is not renewed ends by itself; a key's own time to live would
//! be lost at its first renewal. Creating the key acquires, updating it by revision renews, deleting it by revision
//! releases.
//!
//! A holder stops at [`Lease::deadline`] by its own clock. A lease cannot stop a paused process: what must not happen
//! twice is fenced by the journal.

use std::time::{Duration, Instant};

use async_nats::{
    Client,
    jetstream::{
        self,
        kv::{Config, Operation, Store, UpdateError, UpdateErrorKind},
        stream::StorageType,
    },
};
use bytes::Bytes;
use postroad_core::fault::{Code, Report};
use uuid::Uuid;

use crate::{error::Cause, jetstream::Direct};

/// Leases in one bucket.
#[derive(Clone)]
pub struct Leases {
    store: Store,
    direct: Direct,
    bucket: String,
    duration: Duration,
}

/// A lease that was acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// On what.
    pub key: String,
    /// By whom.
    pub holder: String,
    /// Until when it is held, by the holder's own monotonic clock; taken before the renewal was sent, so the bucket never
    /// ends it earlier.
    pub deadline: Instant,
    revision: u64,
    /// Tells this acquisition from another one by a holder of the same name.
    token: Uuid,
}

/// Why a lease could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket does not answer. The change may have happened nevertheless.
    #[error("the leases do not answer ({doing})")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A key has characters that a bucket does not allow.
    #[error("`{0}` cannot be leased: only letters, digits and - _ = . / are allowed")]
    Key(String),
    /// The bucket exists with another lease time.
    #[error("the bucket {bucket} has a lease time of {found:?} instead of {wanted:?}; all workers must be configured alike")]
    Duration {
        /// The bucket.
        bucket: String,
        /// What it has.
        found: Duration,
        /// What is configured.
        wanted: Duration,
    },
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        match self {
            Self::Unreachable { doing, source } => Report::new(Code::JournalUnavailable, format!("{doing}: {source}")),
            Self::Key(_) => Report::new(Code::Internal, self.to_string()),
            Self::Duration { .. } => Report::new(Code::ConfigurationInvalid, self.to_string()),
        }
    }
}

/// What a failed update means.
enum Failed {
    /// Somebody else changed the key, or it has expired.
    Moved,
    Error(Error),
}

impl Leases {
    /// Opens a bucket, making it if it does not exist. `duration` is the lease time; servers keep it to about a tenth of a
    /// second, so less than half a second makes little sense.
    pub async fn open(client: &Client, bucket: &str, duration: Duration, replicas: usize) -> Result<Self, Error> {
        let context = jetstream::new(client.clone());
        let config = Config {
            bucket: bucket.to_owned(),
            description: "Postroad's leases".to_owned(),
            history: 1,
            max_age: duration,
            storage: StorageType::File,
            num_replicas: replicas,
            ..Config::default()
        };
        let store = match context.get_key_value(bucket).await {
            Ok(store) => store,
            Err(_) => match context.create_key_value(config).await {
                Ok(store) => store,
                // Another worker may have been faster.
                Err(error) => context.get_key_value(bucket).await.map_err(|_| unreachable("making the bucket")(error))?,
            },
        };
        let found = store.status().await.map_err(unreachable("asking for the bucket"))?.max_age();
        if found != duration {
            return Err(Error::Duration { bucket: bucket.to_owned(), found, wanted: duration });
        }
        let direct = Direct::new(client.clone(), &format!("KV_{bucket}"));
        Ok(Self { store, direct, bucket: bucket.to_owned(), duration })
    }

    /// Acquires a lease; `None` if another holds it. A holder that has lost track of its own lease gets it again, so names
    /// must be unique; a former lease of the same name cannot be renewed any more.
    pub async fn acquire(&self, key: &str, holder: &str) -> Result<Option<Lease>, Error> {
        let token = Uuid::now_v7();
        let current = self.store.entry(key).await.map_err(unreachable("reading a lease"))?;
        let revision = match current {
            Some(entry) if entry.operation == Operation::Put && read(&entry.value).is_none_or(|(_, by)| by != holder) => {
                return Ok(None);
            }
            // Its own, or released: the marker still has to be replaced by revision.
            Some(entry) => entry.revision,
            None => 0,
        };
        let deadline = self.deadline();
        match self.update(key, holder, token, revision).await {
            Ok(revision) => {
                Ok(Some(Lease { key: key.to_owned(), holder: holder.to_owned(), deadline, revision, token }))
            }
            Err(Failed::Moved) => Ok(None),
            Err(Failed::Error(error)) => Err(error),
        }
    }

    /// Renews a lease; `None` if it is lost.
    pub async fn renew(&self, lease: Lease) -> Result<Option<Lease>, Error> {
        let Lease { key, holder, revision, token, .. } = lease;
        let mut deadline = self.deadline();
        let renewed = match self.update(&key, &holder, token, revision).await {
            Err(Failed::Moved) => {
                // The acknowledgement of an earlier renewal may have been lost.
                let Some(own) = self.own(&key, token).await? else { return Ok(None) };
                deadline = self.deadline();
                self.update(&key, &holder, token, own).await
            }
            renewed => renewed,
        };
        match renewed {
            Ok(revision) => Ok(Some(Lease { key, holder, deadline, revision, token })),
            Err(Failed::Moved) => Ok(None),
            Err(Failed::Error(error)) => Err(error),
        }
    }

    /// Gives a lease back, so that another can acquire it at once. Nothing happens if it is lost.
    pub async fn release(&self, lease: &Lease) -> Result<(), Error> {
        match self.store.delete_expect_revision(&lease.key, Some(lease.revision)).await {
            Ok(()) => Ok(()),
            Err(error) => match failed(&lease.key, "releasing a lease", error) {
                Failed::Moved => Ok(()),
                Failed::Error(error) => Err(error),
            },
        }
    }

    /// What is held: keys with their holders, by key. At most 1024 keys.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let prefix = format!("$KV.{}.", self.bucket);
        let found = self.direct.last_of_each(&format!("{prefix}>")).await.map_err(unreachable("listing leases"))?;
        let mut held: Vec<_> = found
            .into_iter()
            .filter(|message| message.headers.get("KV-Operation").is_none())
            .filter_map(|message| {
                let key = message.subject.strip_prefix(&prefix)?.to_owned();
                Some((key, read(&message.payload)?.1.to_owned()))
            })
            .collect();
        held.sort();
        Ok(held)
    }

    async fn update(&self, key: &str, holder: &str, token: Uuid, revision: u64) -> Result<u64, Failed> {
        let value = Bytes::from(format!("{token} {holder}"));
        let updated = self.store.update(key, value, revision).await;
        updated.map_err(|error| failed(key, "writing a lease", error))
    }

    /// The revision of a lease that is this acquisition's.
    async fn own(&self, key: &str, token: Uuid) -> Result<Option<u64>, Error> {
        let entry = self.store.entry(key).await.map_err(unreachable("reading a lease"))?;
        let own = entry.filter(|entry| entry.operation == Operation::Put);
        Ok(own.filter(|entry| read(&entry.value).is_some_and(|(by, _)| by == token)).map(|entry| entry.revision))
    }

    fn deadline(&self) -> Instant {
        tokio::time::Instant::now().into_std() + self.duration
    }
}

/// Token and holder.
fn read(value: &[u8]) -> Option<(Uuid, &str)> {
    let (token, holder) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((Uuid::try_parse(token).ok()?, holder))
}

fn failed(key: &str, doing: &'static str, error: UpdateError) -> Failed {
    match error.kind() {
        UpdateErrorKind::WrongLastRevision => Failed::Moved,
        UpdateErrorKind::InvalidKey => Failed::Error(Error::Key(key.to_owned())),
        _ => Failed::Error(unreachable(doing)(error)),
    }
}

fn unreachable<E: Into<Cause>>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Unreachable { doing, source: error.into() }
}

#[cfg(test)]
mod tests;
