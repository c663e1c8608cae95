//! A view as it was at a moment, so that a role begins there and not at the beginning of the journal.
//!
//! A snapshot is a cache, never the truth. It is written while commits arrive: each record says up to where its aggregate is known, the
//! head up to where the journal was read when writing began; what follows is folded onto it. One that is missing, torn, of another
//! version or of another journal is discarded, and the journal is replayed.
//!
//! It is one object: frames, each with its length before it; a head, batches of records, an end that counts them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use crate::{Error, Journal, Part};

mod bucket;
mod mailboxes;
mod memory;

pub(crate) use bucket::Bucket;
pub use mailboxes::Record;
pub(crate) use memory::Memory;

/// What an object is read from.
pub(crate) type Reader<'a> = dyn AsyncRead + Send + Unpin + 'a;

/// No frame is longer: more is damage.
const LONGEST: usize = 64 * 1024 * 1024;
/// The version of the frames themselves.
const FRAMES: u32 = 1;

/// Where snapshots lie.
#[async_trait]
pub(crate) trait Shelf: Send + Sync {
    /// Replaces an object; the old one stays whole until the new one is.
    async fn put(&self, name: &str, content: &mut Reader<'_>) -> Result<(), Error>;
    /// Opens an object.
    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error>;
}

/// Which journal it is, and how far a part of it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// When the part's stream was made, in nanoseconds of Unix time: a new one of the same name is another journal.
    pub created: i128,
    /// The sequence of its last commit.
    pub last: u64,
}

#[derive(Serialize, Deserialize)]
enum Frame<R> {
    Head { frames: u32, version: u32, created: i128, sequence: u64 },
    Records(R),
    End { records: u64 },
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is of version {found} and not {wanted}")]
    Version { found: u32, wanted: u32 },
    #[error("it is of another journal, or the journal was set back")]
    Journal,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it cannot be decoded: {0}")]
    Decode(#[from] postcard::Error),
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("{0}")]
    Shelf(#[from] Error),
}

/// How far writing is.
enum Stage {
    Head,
    Records,
    Done,
}

impl Journal {
    /// Which journal it is, and how far a part of it goes.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn extent(&self, part: Part) -> Result<Extent, Error> {
        self.backend.extent(part).await
    }

    /// Keeps a view of one part under a name, in place of the one before; gives its size in bytes. `sequence` is up to where the view had
    /// folded that part before the first batch was taken; `version` rises with every change of what records are made of.
    ///
    /// # Errors
    /// NATS does not answer. The snapshot before stays.
    pub async fn keep<R, S>(
        &self,
        part: Part,
        (name, version): (&str, u32),
        sequence: u64,
        batches: S,
    ) -> Result<u64, Error>
    where
        R: Serialize + Send,
        S: Stream<Item = Vec<R>> + Send + Unpin,
    {
        let created = self.extent(part).await?.created;
        let head = Frame::Head { frames: FRAMES, version, created, sequence };
        let frames =
            stream::unfold((Stage::Head, Some(head), batches, 0_u64), async |(stage, head, mut batches, records)| {
                let (stage, frame, records) = match stage {
                    Stage::Head => (Stage::Records, head?, records),
                    Stage::Records => match batches.next().await {
                        Some(batch) => {
                            let records = records + batch.len() as u64;
                            (Stage::Records, Frame::Records(batch), records)
                        }
                        None => (Stage::Done, Frame::End { records }, records),
                    },
                    Stage::Done => return None,
                };
                Some((encoded(&frame), (stage, None, batches, records)))
            });
        let mut bytes = 0;
        let counted = frames.inspect(|frame| bytes += frame.as_ref().map_or(0, |frame| frame.len() as u64));
        self.shelf.put(name, &mut StreamReader::new(Box::pin(counted))).await?;
        Ok(bytes)
    }

    /// Reads what was kept under a name, batch by batch, and gives the sequence after which commits are to be folded onto it. `None`: there is
    /// none that can be used, and whatever `each` was given is to be forgotten.
    pub async fn kept<R: DeserializeOwned>(
        &self,
        part: Part,
        (name, version): (&str, u32),
        each: impl FnMut(Vec<R>),
    ) -> Option<u64> {
        match self.read_kept(part, name, version, each).await {
            Ok(sequence) => sequence,
            Err(error) => {
                tracing::warn!(name, %error, "a snapshot is discarded, and the journal is replayed");
                None
            }
        }
    }

    async fn read_kept<R: DeserializeOwned>(
        &self,
        part: Part,
        name: &str,
        wanted: u32,
        mut each: impl FnMut(Vec<R>),
    ) -> Result<Option<u64>, Unusable> {
        let Some(mut reader) = self.shelf.open(name).await? else { return Ok(None) };
        let mut buffer = Vec::new();
        let Frame::<Vec<R>>::Head { frames, version, created, sequence } = next(&mut reader, &mut buffer).await? else {
            return Err(Unusable::Damaged("it has no head"));
        };
        if (frames, version) != (FRAMES, wanted) {
            return Err(Unusable::Version { found: version, wanted });
        }
        let extent = self.extent(part).await?;
        if created != extent.created || sequence > extent.last {
            return Err(Unusable::Journal);
        }
        let mut read = 0;
        loop {
            match next::<Vec<R>>(&mut reader, &mut buffer).await? {
                Frame::Head { .. } => return Err(Unusable::Damaged("it has two heads")),
                Frame::Records(batch) => {
                    read += batch.len() as u64;
                    each(batch);
                }
                Frame::End { records } if records == read => break,
                Frame::End { .. } => return Err(Unusable::Damaged("records are missing")),
            }
        }
        // Only a reader that came to its end has compared the digest of the whole.
        match reader.read(&mut [0]).await? {
            0 => Ok(Some(sequence)),
            _ => Err(Unusable::Damaged("something follows its end")),
        }
    }
}

fn encoded<R: Serialize>(frame: &Frame<R>) -> std::io::Result<Bytes> {
    let body = postcard::to_extend(frame, vec![0; 4]).map_err(std::io::Error::other)?;
    let length = u32::try_from(body.len() - 4).ok().filter(|length| *length as usize <= LONGEST);
    let length = length.ok_or_else(|| std::io::Error::other("a batch of records is too large"))?;
    let mut body = body;
    for (place, byte) in body.iter_mut().zip(length.to_le_bytes()) {
        *place = byte;
    }
    Ok(body.into())
}

async fn next<R: DeserializeOwned>(reader: &mut Reader<'_>, buffer: &mut Vec<u8>) -> Result<Frame<R>, Unusable> {
    let length = reader.read_u32_le().await? as usize;
    if length > LONGEST {
        return Err(Unusable::Damaged("a frame is too long"));
    }
    buffer.clear();
    // Grown by what arrives, not by what a damaged length says.
    let taken = reader.take(length as u64).read_to_end(buffer).await?;
    if taken < length {
        return Err(Unusable::Damaged("it ends in the middle"));
    }
    Ok(postcard::from_bytes(buffer)?)
}

#[cfg(test)]
mod tests;
