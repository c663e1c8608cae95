//! Content kept outside the journal: bodies, originals and attachments, encrypted under a data key of their email.
//!
//! Within an email a content is stored once, by its digest. Two emails share nothing: what they shared could not be destroyed for the one without
//! the other. Destroying the key is destroying the content, in every copy and backup.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    email::Content,
    fault::{Code, Report},
};
use postroad_journal::sealing::{self, DataKey, Keyring, new_data_key};
use postroad_rig::clock;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::Mutex,
};
use uuid::Uuid;

mod bucket;
mod cipher;
mod keys;
mod memory;

pub use bucket::Bucket;
use cipher::Cipher;
pub use keys::{Held, KeyBucket, KeyMemory, Keys};
pub use memory::Memory;

/// Contents up to this size are read whole before they are stored, so that a broken upload leaves nothing behind.
const BUFFERED: u64 = 2 * 1024 * 1024;

/// A key that is so old, and of no email, is of a promotion that broke off and was not repeated. Long against any promotion.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// A reader of content.
pub type Reader<'a> = dyn AsyncRead + Send + Unpin + 'a;

/// Where objects are kept: the port. One contract test runs over all implementations.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// The size of an object, if it is there.
    async fn size(&self, name: &str) -> Result<Option<u64>, Error>;
    /// Stores an object. If the reader fails, nothing becomes visible.
    async fn put(&self, name: &str, content: &mut Reader<'_>) -> Result<(), Error>;
    /// Opens an object, if it is there.
    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error>;
    /// Removes an object; one that is not there is no error.
    async fn remove(&self, name: &str) -> Result<(), Error>;
}

/// Why content could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store does not answer, or is full.
    #[error("the object store failed: {what}")]
    Store {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The reader failed while content was stored.
    #[error("the content could not be read")]
    Read(#[source] std::io::Error),
    /// The data key of an email cannot be wrapped or unwrapped.
    #[error("the data key of an email: {0}")]
    Sealing(#[from] sealing::Error),
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        let detail = match self {
            Self::Store { what, source } => format!("object store, {what}: {source}"),
            Self::Read(source) => format!("content: {source}"),
            Self::Sealing(error) => return error.report(),
        };
        Report::new(Code::JournalUnavailable, detail)
    }
}

/// The contents of activities.
#[derive(Clone)]
pub struct Contents {
    objects: Arc<dyn Objects>,
    keys: Arc<dyn Keys>,
    keyring: Arc<Keyring>,
    /// The same message often arrives in many mailboxes at once; whoever comes second finds its contents stored.
    locks: Arc<[Mutex<()>; 64]>,
    hasher: RandomState,
}

/// The data key of one email, for storing its contents.
pub struct Chest {
    email: Uuid,
    key: DataKey,
    /// The key is new, so nothing can be there yet.
    is_new: bool,
}

impl Contents {
    /// Contents kept in `objects` under data keys in `keys`, which the deployment's keyring wraps.
    pub fn new(objects: Arc<dyn Objects>, keys: Arc<dyn Keys>, keyring: Arc<Keyring>) -> Self {
        let locks = Arc::new(std::array::from_fn(|_| Mutex::new(())));
        Self { objects, keys, keyring, locks, hasher: RandomState::new() }
    }

    /// Contents in memory under a key of their own, for tests.
    ///
    /// # Errors
    /// None that could happen.
    pub fn memory() -> Result<Self, Error> {
        let keyring = Keyring::load([("1".to_owned(), Keyring::new_key().into())])?;
        Ok(Self::new(Arc::new(Memory::default()), Arc::new(KeyMemory::default()), Arc::new(keyring)))
    }

    /// The data key of an email; made where it has none.
    pub async fn chest(&self, email: Uuid) -> Result<Chest, Error> {
        let key = new_data_key();
        if self.keys.create(email, &self.keyring.wrap(&key)?).await? {
            return Ok(Chest { email, key, is_new: true });
        }
        loop {
            let Some(Held { key, revision, since }) = self.keys.get(email).await? else {
                // Destroyed in this very moment: the next attempt learns why.
                return Err(failed("reading a key", std::io::Error::other("it was destroyed meanwhile")));
            };
            // Made young again before it can be taken for abandoned: whoever does so meanwhile means another revision.
            let is_young = clock::now().duration_since(since) < ABANDONED / 2;
            if is_young || self.keys.replace(email, revision, &key).await? {
                return Ok(Chest { email, key: self.keyring.unwrap(&key.key_id, &key.bytes)?, is_new: false });
            }
        }
    }

    /// The revision of the key of an email, where it is so old that no promotion can still be at work with it.
    pub async fn abandoned(&self, email: Uuid, now: Timestamp) -> Result<Option<u64>, Error> {
        let held = self.keys.get(email).await?;
        Ok(held.filter(|held| now.duration_since(held.since) >= ABANDONED).map(|held| held.revision))
    }

    /// Destroys a key that was abandoned, unless it is used again: what it encrypted cannot be read any more.
    pub async fn destroy_abandoned(&self, email: Uuid, revision: u64) -> Result<(), Error> {
        self.keys.destroy_revision(email, revision).await
    }

    async fn key(&self, email: Uuid) -> Result<Option<DataKey>, Error> {
        let held = self.keys.get(email).await?;
        Ok(held.map(|Held { key, .. }| self.keyring.unwrap(&key.key_id, &key.bytes)).transpose()?)
    }

    /// Stores a content unless it is there. The reader must fail where what it reads does not have the digest: it is
    /// always read to its end.
    pub async fn store(&self, chest: &Chest, content: &Content, reader: &mut Reader<'_>) -> Result<(), Error> {
        let cipher = Cipher::new(&chest.key).map_err(Error::Read)?;
        let name = object(chest.email, &cipher, &content.digest);
        if content.size > BUFFERED {
            if self.holds(chest, &name, content).await? {
                tokio::io::copy(reader, &mut tokio::io::sink()).await.map_err(Error::Read)?;
                return Ok(());
            }
            let mut sealed = cipher.seal(&name, reader).map_err(Error::Read)?;
            return self.objects.put(&name, &mut *sealed).await;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(content.size).unwrap_or_default());
        reader.read_to_end(&mut bytes).await.map_err(Error::Read)?;
        // Held only while the object store works, never while a client is waited for.
        let stripe = self.hasher.hash_one(&name) % 64;
        let lock = usize::try_from(stripe).ok().and_then(|stripe| self.locks.get(stripe));
        let _guard = match lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if self.holds(chest, &name, content).await? {
            return Ok(());
        }
        let mut plain = bytes.as_slice();
        let mut sealed = cipher.seal(&name, &mut plain).map_err(Error::Read)?;
        self.objects.put(&name, &mut *sealed).await
    }

    /// Whether a content is stored. While the key is new nothing can be.
    async fn holds(&self, chest: &Chest, name: &str, content: &Content) -> Result<bool, Error> {
        Ok(!chest.is_new && self.objects.size(name).await? == Some(Cipher::sealed_size(content.size)))
    }

    /// Opens a content of an email, if it is there.
    pub async fn open(&self, email: Uuid, digest: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        if let Some(key) = self.key(email).await? {
            let cipher = Cipher::new(&key).map_err(Error::Read)?;
            let name = object(email, &cipher, digest);
            if let Some(sealed) = self.objects.open(&name).await? {
                return Ok(Some(cipher.open(&name, sealed)));
            }
        }
        // As versions before erasure kept it.
        self.objects.open(digest).await
    }

    /// Destroys the contents of an email: its objects, then the key without which no copy of them can be read. `is_shared` says of a digest
    /// whether another email has it too: then what versions before erasure kept of it stays.
    pub async fn destroy<'a>(
        &self,
        email: Uuid,
        digests: impl Iterator<Item = &'a str> + Send,
        is_shared: impl Fn(&str) -> bool + Send,
    ) -> Result<(), Error> {
        // A key that cannot be unwrapped is destroyed all the same.
        let key = match self.key(email).await {
            Err(Error::Sealing(_)) => None,
            found => found?,
        };
        let cipher = key.map(|key| Cipher::new(&key)).transpose().map_err(Error::Read)?;
        for digest in digests {
            if let Some(cipher) = &cipher {
                self.objects.remove(&object(email, cipher, digest)).await?;
            }
            if self.objects.size(digest).await?.is_some() && !is_shared(digest) {
                self.objects.remove(digest).await?;
            }
        }
        self.keys.destroy(email).await
    }

    /// Puts the data key of an email under the present key of the deployment; gives whether it was under another one.
    pub async fn reseal(&self, email: Uuid) -> Result<bool, Error> {
        loop {
            let Some(Held { key, revision, .. }) = self.keys.get(email).await? else { return Ok(false) };
            let Some(again) = self.keyring.rewrap_key(&key)? else { return Ok(false) };
            if self.keys.replace(email, revision, &again).await? {
                return Ok(true);
            }
        }
    }

    /// Whether the data key of an email is under another key of the deployment than the present one.
    pub async fn is_under_former(&self, email: Uuid) -> Result<bool, Error> {
        let Some(Held { key, .. }) = self.keys.get(email).await? else { return Ok(false) };
        Ok(self.keyring.rewrap_key(&key)?.is_some())
    }

    /// The emails that have a data key.
    pub async fn emails(&self) -> Result<BoxStream<'static, Result<Uuid, Error>>, Error> {
        self.keys.emails().await
    }
}

/// The name of a content's object.
fn object(email: Uuid, cipher: &Cipher, digest: &str) -> String {
    format!("{email}.{}", cipher.name(digest))
}

fn failed(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Store { what, source: Box::new(source) }
}

/// The digest of a content, as it is named.
pub fn digest(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text has the form of a digest.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
