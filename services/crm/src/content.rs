//! Content kept outside the journal, by its digest: bodies, originals and attachments.
//!
//! An object's name is the SHA-256 of its content, so storing twice is storing once, and what is stored never changes.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, sync::Arc};

use async_trait::async_trait;
use postroad_core::{
    email::Content,
    fault::{Code, Report},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::Mutex,
};

mod bucket;
mod memory;

pub use bucket::Bucket;
pub use memory::Memory;

/// Contents up to this size are read whole before they are stored, so that a broken upload leaves nothing behind.
const BUFFERED: u64 = 2 * 1024 * 1024;

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
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        let detail = match self {
            Self::Store { what, source } => format!("object store, {what}: {source}"),
            Self::Read(source) => format!("content: {source}"),
        };
        Report::new(Code::JournalUnavailable, detail)
    }
}

/// The contents of activities.
#[derive(Clone)]
pub struct Contents {
    objects: Arc<dyn Objects>,
    /// The same attachment often arrives in many mailboxes at once; whoever comes second finds it stored.
    locks: Arc<[Mutex<()>; 64]>,
    hasher: RandomState,
}

impl Contents {
    /// Contents kept in `objects`.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects, locks: Arc::new(std::array::from_fn(|_| Mutex::new(()))), hasher: RandomState::new() }
    }

    /// Stores a content unless it is there. The reader must fail where what it reads does not have the digest: it is
    /// always read to its end.
    pub async fn store(&self, content: &Content, reader: &mut Reader<'_>) -> Result<(), Error> {
        if content.size > BUFFERED {
            if self.holds(content).await? {
                tokio::io::copy(reader, &mut tokio::io::sink()).await.map_err(Error::Read)?;
                return Ok(());
            }
            return self.objects.put(&content.digest, reader).await;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(content.size).unwrap_or_default());
        reader.read_to_end(&mut bytes).await.map_err(Error::Read)?;
        // Held only while the object store works, never while a client is waited for.
        let stripe = self.hasher.hash_one(&content.digest) % 64;
        let lock = usize::try_from(stripe).ok().and_then(|stripe| self.locks.get(stripe));
        let _guard = match lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if self.holds(content).await? {
            return Ok(());
        }
        self.objects.put(&content.digest, &mut bytes.as_slice()).await
    }

    /// Opens a content, if it is there.
    pub async fn open(&self, digest: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        self.objects.open(digest).await
    }

    async fn holds(&self, content: &Content) -> Result<bool, Error> {
        Ok(self.objects.size(&content.digest).await? == Some(content.size))
    }
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
