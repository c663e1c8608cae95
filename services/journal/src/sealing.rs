//! Sealing of passwords: AES-256-GCM under a data key of their own, which a key of the deployment wraps.
//!
//! The id of the wrapping key is kept beside what it wraps, so keys can be rotated: the first key of a [`Keyring`] seals,
//! all of them open, and [`Keyring::rewrap`] puts what a former one wrapped under the present one. A keyring reads its keys again
//! ([`Keyring::renew`]), at once where something needs a key that it does not have.

use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroad_core::{
    fault::{Code, Report},
    profile::Sealed,
};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce.
const NONCE: usize = 12;
/// Binds ciphertexts to their purpose; stored passwords depend on it.
const PASSWORD: &[u8] = b"postroad password";

/// The keys of the deployment.
pub struct Keyring {
    keys: RwLock<Keys>,
    source: Option<Box<Source>>,
}

/// Where keys are read, again and again: ids with 32 bytes in Base64, the one that seals first; or why they cannot be read.
pub type Source = dyn Fn() -> Result<Vec<(String, SecretString)>, String> + Send + Sync;

/// The first one seals; never empty.
type Keys = Arc<[Key]>;

#[derive(PartialEq, Eq)]
struct Key {
    id: String,
    bytes: Zeroizing<[u8; KEY]>,
}

/// Why a password could not be sealed or opened, or a key not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no key.
    #[error("no key is configured")]
    NoKey,
    /// A key is none.
    #[error("the key with the id `{key_id}` is not {KEY} bytes in Base64; make one with: postroad key new")]
    Unusable {
        /// Its id.
        key_id: String,
    },
    /// An id is empty or names two keys.
    #[error("the key id `{key_id}` is empty or used twice")]
    Ambiguous {
        /// The id.
        key_id: String,
    },
    /// The key is not known.
    #[error("it was sealed with the key with the id `{key_id}`, which is not configured")]
    LostKey {
        /// The id of the key that is needed.
        key_id: String,
    },
    /// The key with this id is another one than it was sealed with.
    #[error("it was sealed with another key than the one that is configured with the id `{key_id}`")]
    WrongKey {
        /// The id of the key that is needed.
        key_id: String,
    },
    /// The key is right, the content is not what was sealed.
    #[error("what was sealed with the key with the id `{key_id}` is damaged")]
    Damaged {
        /// The id of the key.
        key_id: String,
    },
    /// The keys cannot be read again; those that were read before go on.
    #[error("the sealing keys cannot be read: {0}")]
    Source(String),
    /// It could not be encrypted.
    #[error("the password could not be sealed")]
    Failed,
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        let code = match self {
            Self::NoKey => Code::SealingKeyMissing,
            Self::Unusable { .. } | Self::Ambiguous { .. } | Self::Source(_) => Code::ConfigurationInvalid,
            Self::LostKey { .. } => Code::SealingKeyLost,
            Self::WrongKey { .. } | Self::Damaged { .. } => Code::SealingKeyWrong,
            Self::Failed => Code::Internal,
        };
        Report::new(code, self.to_string())
    }
}

impl Keyring {
    /// Keys by id, each of 32 bytes in Base64; the first one seals, all of them open.
    pub fn load(entries: impl IntoIterator<Item = (String, SecretString)>) -> Result<Self, Error> {
        let mut keys = Vec::<Key>::new();
        for (id, text) in entries {
            if id.trim().is_empty() || keys.iter().any(|known| known.id == id) {
                return Err(Error::Ambiguous { key_id: id });
            }
            match decode(&text) {
                Some(bytes) => keys.push(Key { id, bytes }),
                None => return Err(Error::Unusable { key_id: id }),
            }
        }
        if keys.is_empty() {
            return Err(Error::NoKey);
        }
        Ok(Self { keys: RwLock::new(keys.into()), source: None })
    }

    /// Keys that are read from a source now, and again with [`Keyring::renew`].
    pub fn reading(
        source: impl Fn() -> Result<Vec<(String, SecretString)>, String> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let read = source().map_err(Error::Source)?;
        Ok(Self { source: Some(Box::new(source)), ..Self::load(read)? })
    }

    /// Reads the keys again; gives whether they are others now. What cannot be used changes nothing.
    pub fn renew(&self) -> Result<bool, Error> {
        let Some(source) = &self.source else { return Ok(false) };
        let read = Self::load(source().map_err(Error::Source)?)?.keys();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = *keys != read;
        *keys = read;
        Ok(is_other)
    }

    /// A new key in Base64, to be kept in a file or the environment.
    pub fn new_key() -> String {
        STANDARD.encode(*random_key())
    }

    /// The id of the key that seals.
    pub fn current(&self) -> String {
        self.keys().first().map(|key| key.id.clone()).unwrap_or_default()
    }

    /// The ids of all keys, the one that seals first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().iter().map(|key| key.id.clone()).collect()
    }

    /// Seals a password with the current key.
    pub fn seal(&self, secret: &SecretString) -> Result<Sealed, Error> {
        let data_key = random_key();
        let ciphertext = encrypt(&data_key, secret.expose_secret().as_bytes(), PASSWORD)?;
        let Wrapped { key_id, bytes: wrapped_key } = self.wrap(&data_key)?;
        Ok(Sealed { key_id, wrapped_key, ciphertext })
    }

    /// Opens what this or a former key has sealed.
    pub fn open(&self, sealed: &Sealed) -> Result<SecretString, Error> {
        let damaged = || Error::Damaged { key_id: sealed.key_id.clone() };
        let data_key = self.unwrap(&sealed.key_id, &sealed.wrapped_key)?;
        let plain = decrypt(&data_key, &sealed.ciphertext, PASSWORD).ok_or_else(damaged)?;
        Ok(SecretString::from(std::str::from_utf8(&plain).map_err(|_| damaged())?))
    }

    /// The same secret under the current key; `None` if it is already. The secret itself is not decrypted.
    pub fn rewrap(&self, sealed: &Sealed) -> Result<Option<Sealed>, Error> {
        let again = self.rewrap_key(&Wrapped { key_id: sealed.key_id.clone(), bytes: sealed.wrapped_key.clone() })?;
        let ciphertext = || sealed.ciphertext.clone();
        Ok(again.map(|Wrapped { key_id, bytes }| Sealed { key_id, wrapped_key: bytes, ciphertext: ciphertext() }))
    }

    /// A data key under the current key.
    pub fn wrap(&self, data_key: &DataKey) -> Result<Wrapped, Error> {
        let keys = self.keys();
        let key = keys.first().ok_or(Error::NoKey)?;
        let bytes = encrypt(&key.bytes, data_key.as_slice(), key.id.as_bytes())?;
        Ok(Wrapped { key_id: key.id.clone(), bytes })
    }

    /// The data key that a key of the deployment wrapped.
    pub fn unwrap(&self, key_id: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        let wrong = || Error::WrongKey { key_id: key_id.to_owned() };
        let mut keys = self.keys();
        if keys.iter().all(|key| key.id != key_id) {
            // Whether this read them again or another did so just before: what counts is what is known now.
            let _ = self.renew();
            keys = self.keys();
        }
        let key = keys.iter().find(|key| key.id == key_id);
        let key = key.ok_or_else(|| Error::LostKey { key_id: key_id.to_owned() })?;
        let unwrapped = decrypt(&key.bytes, wrapped, key.id.as_bytes()).ok_or_else(wrong)?;
        whole(&unwrapped).ok_or_else(|| Error::Damaged { key_id: key_id.to_owned() })
    }

    /// The same data key under the current key; `None` if it is already.
    pub fn rewrap_key(&self, wrapped: &Wrapped) -> Result<Option<Wrapped>, Error> {
        // Opened also where nothing is to be done: what cannot be is to be known now.
        let data_key = self.unwrap(&wrapped.key_id, &wrapped.bytes)?;
        if wrapped.key_id == self.current() { Ok(None) } else { self.wrap(&data_key).map(Some) }
    }

    fn keys(&self) -> Keys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A key that encrypts something, itself kept wrapped only.
pub type DataKey = Zeroizing<[u8; KEY]>;

/// A fresh data key.
pub fn new_data_key() -> DataKey {
    random_key()
}

/// A data key that a key of the deployment wraps.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The id of the key that wraps it.
    pub key_id: String,
    /// The wrapped key with its nonce.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Wrapped(key {})", self.key_id)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.ids()).finish()
    }
}

fn decode(text: &SecretString) -> Option<Zeroizing<[u8; KEY]>> {
    let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret().trim()).ok()?);
    whole(&bytes)
}

fn whole(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY]>> {
    bytes.try_into().ok().map(Zeroizing::new)
}

fn random_key() -> Zeroizing<[u8; KEY]> {
    Zeroizing::new(rand::random())
}

/// The nonce, then the ciphertext with its tag.
fn encrypt(key: &[u8; KEY], plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, Error> {
    let nonce: [u8; NONCE] = rand::random();
    let cipher = Aes256Gcm::new(key.into());
    let payload = Payload { msg: plain, aad: bound_to };
    let encrypted = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::Failed)?;
    Ok([nonce.as_slice(), &encrypted].concat())
}

fn decrypt(key: &[u8; KEY], sealed: &[u8], bound_to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, encrypted) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: encrypted, aad: bound_to };
    Aes256Gcm::new(key.into()).decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
