//! Contents under their email's data key: AES-256-GCM over segments, so that any size is encrypted and read as it streams.
//!
//! An object is a version, a random prefix, and segments of 64 KiB with a tag each. A segment's nonce is the prefix, its number, and whether it is
//! the last: none can be left out, moved or taken from another object, whose name is bound to it as well.

use std::io;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac, rand,
};
use bytes::Bytes;
use futures::stream;
use postroad_journal::sealing::DataKey;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::StreamReader;

use super::{Reader, hexadecimal};

/// Of the form of objects.
const VERSION: u8 = 1;
/// Random bytes of each object.
const PREFIX: usize = 7;
/// What precedes the segments.
const HEAD: usize = 1 + PREFIX;
/// Plain bytes of a segment.
const SEGMENT: usize = 64 * 1024;
/// What a segment grows by.
const TAG: usize = 16;

/// What an email's data key is used for: two keys are derived from it.
pub struct Cipher {
    contents: LessSafeKey,
    names: hmac::Key,
}

/// One object's part of every nonce.
#[derive(Clone, Copy)]
struct Object {
    prefix: [u8; PREFIX],
    number: u32,
}

impl Cipher {
    /// The cipher of a data key.
    pub fn new(key: &DataKey) -> io::Result<Self> {
        let derive = |purpose: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), purpose);
        let contents = UnboundKey::new(&AES_256_GCM, derive(b"postroad contents").as_ref()).map_err(|_| unusable())?;
        let names = hmac::Key::new(hmac::HMAC_SHA256, derive(b"postroad names").as_ref());
        Ok(Self { contents: LessSafeKey::new(contents), names })
    }

    /// The name of a content's object: without the key it does not tell which content it was.
    pub fn name(&self, digest: &str) -> String {
        hexadecimal(hmac::sign(&self.names, digest.as_bytes()).as_ref())
    }

    /// The size of the object of a content.
    pub const fn sealed_size(plain: u64) -> u64 {
        let segments = if plain == 0 { 1 } else { plain.div_ceil(SEGMENT as u64) };
        HEAD as u64 + plain + segments * TAG as u64
    }

    /// A content as its object, encrypted while it is read.
    pub fn seal<'a>(self, name: &str, content: &'a mut Reader<'_>) -> io::Result<Box<Reader<'a>>> {
        let mut prefix = [0; PREFIX];
        rand::fill(&mut prefix).map_err(|_| unusable())?;
        let sealing =
            Sealing { cipher: self, name: name.to_owned(), object: Object { prefix, number: 0 }, next: None, content };
        let segments = stream::try_unfold(Some(sealing), async |sealing| match sealing {
            None => Ok(None),
            Some(sealing) => sealing.segment().await.map(Some),
        });
        Ok(Box::new(StreamReader::new(Box::pin(segments))))
    }

    /// The content of an object, decrypted while it is read. Reading fails where a byte of it is another one than was sealed.
    pub fn open(self, name: &str, object: Box<Reader<'static>>) -> Box<Reader<'static>> {
        let opening = Opening { cipher: self, name: name.to_owned(), object: None, next: Vec::new(), sealed: object };
        let segments = stream::try_unfold(Some(opening), async |opening| match opening {
            None => Ok(None),
            Some(opening) => opening.segment().await.map(Some),
        });
        Box::new(StreamReader::new(Box::pin(segments)))
    }
}

struct Sealing<'a, 'b> {
    cipher: Cipher,
    name: String,
    object: Object,
    /// The segment after the one that is given; `None` before the first.
    next: Option<Vec<u8>>,
    content: &'a mut Reader<'b>,
}

impl Sealing<'_, '_> {
    async fn segment(mut self) -> io::Result<(Bytes, Option<Self>)> {
        let (mut segment, is_first) = match self.next.take() {
            Some(segment) => (segment, false),
            None => (filled(self.content, SEGMENT).await?, true),
        };
        let next = if segment.len() < SEGMENT { Vec::new() } else { filled(self.content, SEGMENT).await? };
        let is_last = next.is_empty();
        let nonce = self.object.nonce(is_last);
        let sealed =
            self.cipher.contents.seal_in_place_append_tag(nonce, Aad::from(self.name.as_bytes()), &mut segment);
        sealed.map_err(|_| unusable())?;
        if is_first {
            let head = [VERSION].into_iter().chain(self.object.prefix);
            drop(segment.splice(0..0, head));
        }
        if is_last {
            return Ok((segment.into(), None));
        }
        self.object.number = self.object.number.checked_add(1).ok_or_else(unusable)?;
        self.next = Some(next);
        Ok((segment.into(), Some(self)))
    }
}

struct Opening {
    cipher: Cipher,
    name: String,
    /// `None` before its head was read.
    object: Option<Object>,
    next: Vec<u8>,
    sealed: Box<Reader<'static>>,
}

impl Opening {
    async fn segment(mut self) -> io::Result<(Bytes, Option<Self>)> {
        let (mut object, mut segment) = match self.object {
            Some(object) => (object, std::mem::take(&mut self.next)),
            None => {
                let mut head = [0; HEAD];
                self.sealed.read_exact(&mut head).await.map_err(|_| damaged())?;
                let [VERSION, prefix @ ..] = head else { return Err(damaged()) };
                (Object { prefix, number: 0 }, filled(&mut self.sealed, SEGMENT + TAG).await?)
            }
        };
        let is_full = segment.len() == SEGMENT + TAG;
        let next = if is_full { filled(&mut self.sealed, SEGMENT + TAG).await? } else { Vec::new() };
        let is_last = next.is_empty();
        let aad = Aad::from(self.name.as_bytes());
        let opened = self.cipher.contents.open_in_place(object.nonce(is_last), aad, &mut segment);
        let length = opened.map_err(|_| damaged())?.len();
        segment.truncate(length);
        if is_last {
            return Ok((segment.into(), None));
        }
        object.number = object.number.checked_add(1).ok_or_else(damaged)?;
        Ok((segment.into(), Some(Self { object: Some(object), next, ..self })))
    }
}

impl Object {
    fn nonce(self, is_last: bool) -> Nonce {
        let mut nonce = [0; 12];
        let bytes = self.prefix.into_iter().chain(self.number.to_be_bytes()).chain([u8::from(is_last)]);
        nonce.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// So many bytes, or what there is.
async fn filled(reader: &mut Reader<'_>, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stored content is damaged, or is another one")
}

fn unusable() -> io::Error {
    io::Error::other("the content cannot be encrypted")
}

#[cfg(test)]
mod tests {
    use postroad_journal::sealing::new_data_key;

    use super::*;

    async fn sealed(key: &DataKey, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut content = plain;
        let mut reader = Cipher::new(key).unwrap().seal("name", &mut content).unwrap();
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn opened(key: &DataKey, name: &str, object: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = Cipher::new(key)?.open(name, Box::new(io::Cursor::new(object)));
        reader.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_whatever_its_size() {
        let key = new_data_key();
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 7] {
            let object = sealed(&key, &plain(length)).await;
            assert_eq!(object.len() as u64, Cipher::sealed_size(length as u64), "{length}");
            assert!(opened(&key, "name", object).await.unwrap() == plain(length), "{length}");
        }
    }

    #[tokio::test]
    async fn nothing_opens_without_the_key_or_under_another_name() {
        let key = new_data_key();
        let object = sealed(&key, b"dear sir").await;
        assert!(opened(&new_data_key(), "name", object.clone()).await.is_err());
        assert!(opened(&key, "another", object).await.is_err());
        assert_ne!(sealed(&key, b"dear sir").await, sealed(&key, b"dear sir").await);
        let (one, other) = (Cipher::new(&key).unwrap(), Cipher::new(&new_data_key()).unwrap());
        assert!(one.name("d") == one.name("d") && one.name("d") != one.name("e") && one.name("d") != other.name("d"));
    }

    #[tokio::test]
    async fn what_is_cut_swapped_or_changed_does_not_open() {
        let key = new_data_key();
        let object = sealed(&key, &plain(2 * SEGMENT)).await;
        let (head, segments) = object.split_at(HEAD);
        let (first, second) = segments.split_at(SEGMENT + TAG);
        for wrong in [
            [head, first].concat(),
            [head, second, first].concat(),
            [head, second].concat(),
            [head, first, second, second].concat(),
            object.split_at(object.len() - 1).0.to_vec(),
            head.to_vec(),
            Vec::new(),
        ] {
            assert!(opened(&key, "name", wrong).await.is_err());
        }
        for at in [0, 1, HEAD, HEAD + SEGMENT, object.len() - 1] {
            let mut changed = object.clone();
            changed[at] ^= 1;
            assert!(opened(&key, "name", changed).await.is_err(), "{at}");
        }
    }
}
