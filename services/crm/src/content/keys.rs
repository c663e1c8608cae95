//! The data keys of emails: outside the journal, so that they can be destroyed, and wrapped by the deployment's keys.

use std::{collections::HashMap, sync::PoisonError};

use async_nats::jetstream::{
    self, kv,
    stream::{self, DirectGetErrorKind},
};
use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use postroad_journal::sealing::Wrapped;
use postroad_rig::clock;
use uuid::Uuid;

use super::{Error, failed};

/// The name of the bucket.
const NAME: &str = "content_keys";
/// Its stream.
const STREAM: &str = "KV_content_keys";

/// A key that is kept.
#[derive(Clone, Debug)]
pub struct Held {
    /// The key, wrapped.
    pub key: Wrapped,
    /// Which of its wrappings.
    pub revision: u64,
    /// Since when it is this one.
    pub since: Timestamp,
}

/// Where data keys are kept: the port. One contract test runs over all implementations.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// Keeps a key unless there is one; gives whether it was kept.
    async fn create(&self, email: Uuid, key: &Wrapped) -> Result<bool, Error>;
    /// The key of an email.
    async fn get(&self, email: Uuid) -> Result<Option<Held>, Error>;
    /// Keeps another wrapping of a key, unless it changed or was destroyed since; gives whether it was kept.
    async fn replace(&self, email: Uuid, revision: u64, key: &Wrapped) -> Result<bool, Error>;
    /// Destroys a key for good, and overwrites where it stood.
    async fn destroy(&self, email: Uuid) -> Result<(), Error>;
    /// The same, unless it changed since.
    async fn destroy_revision(&self, email: Uuid, revision: u64) -> Result<(), Error>;
    /// The emails that have a key.
    async fn emails(&self) -> Result<BoxStream<'static, Result<Uuid, Error>>, Error>;
}

/// Keys in the KV bucket `content_keys`. Its stream allows deletion, which the buckets that NATS makes by itself do not.
pub struct KeyBucket {
    bucket: kv::Store,
    stream: stream::Stream,
}

impl KeyBucket {
    /// Opens the bucket, and creates it where it does not exist.
    pub async fn open(client: &async_nats::Client, replicas: usize) -> Result<Self, Error> {
        let context = jetstream::new(client.clone());
        let config = stream::Config {
            name: STREAM.to_owned(),
            description: Some("data keys of email contents, wrapped; destroyed when a person is erased".to_owned()),
            subjects: vec![format!("$KV.{NAME}.>")],
            max_messages_per_subject: 1,
            num_replicas: replicas,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            allow_rollup: true,
            allow_direct: true,
            deny_delete: false,
            ..stream::Config::default()
        };
        let opened = context.get_or_create_stream(config).await;
        let stream = opened.map_err(|error| failed("opening the keys' stream", error))?;
        let bucket = context.get_key_value(NAME).await.map_err(|error| failed("opening the keys", error))?;
        Ok(Self { bucket, stream })
    }

    /// The last message of a key, whatever it is.
    async fn last(&self, email: Uuid) -> Result<Option<u64>, Error> {
        match self.stream.direct_get_last_for_subject(format!("$KV.{NAME}.{email}")).await {
            Ok(found) => Ok(Some(found.sequence)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("looking for a key", error)),
        }
    }
}

#[async_trait]
impl Keys for KeyBucket {
    async fn create(&self, email: Uuid, key: &Wrapped) -> Result<bool, Error> {
        match self.bucket.create(email.to_string(), written(key).into()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("keeping a key", error)),
        }
    }

    async fn get(&self, email: Uuid) -> Result<Option<Held>, Error> {
        let entry = self.bucket.entry(email.to_string()).await.map_err(|error| failed("reading a key", error))?;
        let Some(entry) = entry.filter(|entry| entry.operation == kv::Operation::Put) else { return Ok(None) };
        let damaged = || failed("reading a key", std::io::Error::other("it is damaged"));
        let key = read(&entry.value).ok_or_else(damaged)?;
        let since = Timestamp::from_nanosecond(entry.created.unix_timestamp_nanos()).map_err(|_| damaged())?;
        Ok(Some(Held { key, revision: entry.revision, since }))
    }

    async fn replace(&self, email: Uuid, revision: u64, key: &Wrapped) -> Result<bool, Error> {
        match self.bucket.update(email.to_string(), written(key).into(), revision).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(failed("keeping a key", error)),
        }
    }

    async fn destroy(&self, email: Uuid) -> Result<(), Error> {
        // Not the bucket's own way, which would leave the key in its file until the server compacts it.
        while let Some(sequence) = self.last(email).await? {
            self.destroy_revision(email, sequence).await?;
        }
        Ok(())
    }

    async fn destroy_revision(&self, email: Uuid, revision: u64) -> Result<(), Error> {
        // A revision is the sequence of its message, of which there is one for each key.
        match self.stream.delete_message(revision).await {
            Err(error) if self.last(email).await? == Some(revision) => Err(failed("destroying a key", error)),
            _ => Ok(()),
        }
    }

    async fn emails(&self) -> Result<BoxStream<'static, Result<Uuid, Error>>, Error> {
        let keys = self.bucket.keys().await.map_err(|error| failed("listing keys", error))?;
        let id = async |key: Result<String, _>| match key {
            Ok(key) => Uuid::parse_str(&key).ok().map(Ok),
            Err(error) => Some(Err(failed("listing keys", error))),
        };
        Ok(keys.filter_map(id).boxed())
    }
}

/// The length of the wrapping key's id, that id, and what it wrapped.
fn written(key: &Wrapped) -> Vec<u8> {
    [(key.key_id.len() as u64).to_be_bytes().as_slice(), key.key_id.as_bytes(), &key.bytes].concat()
}

fn read(bytes: &[u8]) -> Option<Wrapped> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (key_id, wrapped) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    Some(Wrapped { key_id: std::str::from_utf8(key_id).ok()?.to_owned(), bytes: wrapped.to_vec() })
}

/// Keys in memory, for tests.
#[derive(Default)]
pub struct KeyMemory {
    keys: std::sync::Mutex<(HashMap<Uuid, Held>, u64)>,
}

impl KeyMemory {
    /// Makes a key as old as that.
    pub fn date(&self, email: Uuid, since: Timestamp) {
        self.look(|keys, _| {
            if let Some(held) = keys.get_mut(&email) {
                held.since = since;
            }
        });
    }

    fn look<T>(&self, look: impl FnOnce(&mut HashMap<Uuid, Held>, u64) -> T) -> T {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.1 += 1;
        let revision = keys.1;
        look(&mut keys.0, revision)
    }
}

#[async_trait]
impl Keys for KeyMemory {
    async fn create(&self, email: Uuid, key: &Wrapped) -> Result<bool, Error> {
        Ok(self.look(|keys, revision| match keys.entry(email) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Held { key: key.clone(), revision, since: clock::now() });
                true
            }
        }))
    }

    async fn get(&self, email: Uuid) -> Result<Option<Held>, Error> {
        Ok(self.look(|keys, _| keys.get(&email).cloned()))
    }

    async fn replace(&self, email: Uuid, revision: u64, key: &Wrapped) -> Result<bool, Error> {
        Ok(self.look(|keys, next| match keys.get_mut(&email) {
            Some(held) if held.revision == revision => {
                *held = Held { key: key.clone(), revision: next, since: clock::now() };
                true
            }
            _ => false,
        }))
    }

    async fn destroy(&self, email: Uuid) -> Result<(), Error> {
        self.look(|keys, _| keys.remove(&email));
        Ok(())
    }

    async fn destroy_revision(&self, email: Uuid, revision: u64) -> Result<(), Error> {
        self.look(|keys, _| {
            if keys.get(&email).is_some_and(|held| held.revision == revision) {
                keys.remove(&email);
            }
        });
        Ok(())
    }

    async fn emails(&self) -> Result<BoxStream<'static, Result<Uuid, Error>>, Error> {
        let ids: Vec<_> = self.look(|keys, _| keys.keys().copied().map(Ok).collect());
        Ok(futures::stream::iter(ids).boxed())
    }
}
