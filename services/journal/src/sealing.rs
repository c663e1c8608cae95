//! Sealing of passwords: AES-256-GCM under a data key of their own, which a key of the deployment wraps.
//!
//! The id of the wrapping key is kept beside what it wraps, so keys can be rotated: the first key of a [`Keyring`] seals,
//! all of them open.

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
    /// The first one seals; never empty.
    keys: Vec<Key>,
}

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
    /// The key is not known, or is another one than it was sealed with.
    #[error("it was sealed with the key with the id `{key_id}`, which is not configured or is another one")]
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
    /// It could not be encrypted.
    #[error("the password could not be sealed")]
    Failed,
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        let code = match self {
            Self::NoKey => Code::SealingKeyMissing,
            Self::Unusable { .. } | Self::Ambiguous { .. } => Code::ConfigurationInvalid,
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
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self { keys }) }
    }

    /// A new key in Base64, to be kept in a file or the environment.
    pub fn new_key() -> String {
        STANDARD.encode(*random_key())
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        self.keys.first().map_or("", |key| key.id.as_str())
    }

    /// Seals a password with the current key.
    pub fn seal(&self, secret: &SecretString) -> Result<Sealed, Error> {
        let key = self.keys.first().ok_or(Error::NoKey)?;
        let data_key = random_key();
        let ciphertext = encrypt(&data_key, secret.expose_secret().as_bytes(), PASSWORD)?;
        let wrapped_key = encrypt(&key.bytes, data_key.as_slice(), key.id.as_bytes())?;
        Ok(Sealed { key_id: key.id.clone(), wrapped_key, ciphertext })
    }

    /// Opens what this or a former key has sealed.
    pub fn open(&self, sealed: &Sealed) -> Result<SecretString, Error> {
        let key_id = || sealed.key_id.clone();
        let key =
            self.keys.iter().find(|key| key.id == sealed.key_id).ok_or_else(|| Error::WrongKey { key_id: key_id() })?;
        let unwrapped = decrypt(&key.bytes, &sealed.wrapped_key, key.id.as_bytes());
        let unwrapped = unwrapped.ok_or_else(|| Error::WrongKey { key_id: key_id() })?;
        let data_key = whole(&unwrapped).ok_or_else(|| Error::Damaged { key_id: key_id() })?;
        let plain =
            decrypt(&data_key, &sealed.ciphertext, PASSWORD).ok_or_else(|| Error::Damaged { key_id: key_id() })?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::Damaged { key_id: key_id() })?;
        Ok(SecretString::from(text))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
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
mod tests {
    use super::*;

    fn key(fill: u8) -> SecretString {
        SecretString::from(STANDARD.encode([fill; KEY]))
    }

    fn keyring(keys: &[(&str, u8)]) -> Keyring {
        Keyring::load(keys.iter().map(|(id, fill)| ((*id).to_owned(), key(*fill)))).unwrap()
    }

    fn password() -> SecretString {
        SecretString::from("pässword ☂")
    }

    #[test]
    fn what_is_sealed_opens() {
        let keyring = keyring(&[("2024", 1)]);
        let sealed = keyring.seal(&password()).unwrap();
        assert_eq!(sealed.key_id, "2024");
        assert_eq!(keyring.open(&sealed).unwrap().expose_secret(), password().expose_secret());
        assert_eq!(keyring.open(&keyring.seal(&SecretString::from("")).unwrap()).unwrap().expose_secret(), "");
    }

    #[test]
    fn sealing_twice_gives_different_texts() {
        let keyring = keyring(&[("1", 1)]);
        let (first, second) = (keyring.seal(&password()).unwrap(), keyring.seal(&password()).unwrap());
        assert_ne!(first.ciphertext, second.ciphertext);
        assert_ne!(first.wrapped_key, second.wrapped_key);
    }

    #[test]
    fn a_rotated_key_still_opens_and_the_new_one_seals() {
        let old = keyring(&[("1", 1)]).seal(&password()).unwrap();
        let rotated = keyring(&[("2", 2), ("1", 1)]);
        assert_eq!(rotated.current(), "2");
        assert_eq!(rotated.open(&old).unwrap().expose_secret(), password().expose_secret());
        assert_eq!(rotated.seal(&password()).unwrap().key_id, "2");
    }

    #[test]
    fn the_key_that_is_needed_is_named() {
        let sealed = keyring(&[("1", 1)]).seal(&password()).unwrap();
        let wrong = Error::WrongKey { key_id: "1".to_owned() };
        assert_eq!(keyring(&[("2", 1)]).open(&sealed).unwrap_err(), wrong);
        // The same id, another key.
        assert_eq!(keyring(&[("1", 9)]).open(&sealed).unwrap_err(), wrong);
        assert_eq!(wrong.report().code, Code::SealingKeyWrong);
        assert!(wrong.report().detail.contains("`1`"));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let keyring = keyring(&[("1", 1)]);
        let sealed = keyring.seal(&password()).unwrap();
        for at in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[at] ^= 1;
            assert_eq!(keyring.open(&changed).unwrap_err(), Error::Damaged { key_id: "1".to_owned() });
        }
        for at in 0..sealed.wrapped_key.len() {
            let mut changed = sealed.clone();
            changed.wrapped_key[at] ^= 1;
            assert!(keyring.open(&changed).is_err());
        }
        let other = keyring.seal(&password()).unwrap();
        let mixed = Sealed { ciphertext: other.ciphertext, ..sealed };
        assert!(keyring.open(&mixed).is_err());
        assert!(keyring.open(&Sealed { wrapped_key: Vec::new(), ..mixed }).is_err());
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let load = |keys: &[(&str, &str)]| {
            Keyring::load(keys.iter().map(|(id, text)| ((*id).to_owned(), SecretString::from(*text)))).unwrap_err()
        };
        let good = Keyring::new_key();
        assert_eq!(load(&[]), Error::NoKey);
        assert_eq!(load(&[("1", "short")]), Error::Unusable { key_id: "1".to_owned() });
        assert_eq!(load(&[("1", &STANDARD.encode([0; 16]))]), Error::Unusable { key_id: "1".to_owned() });
        assert_eq!(load(&[("", &good)]), Error::Ambiguous { key_id: String::new() });
        assert_eq!(load(&[("1", &good), ("1", &good)]), Error::Ambiguous { key_id: "1".to_owned() });
        assert!(Keyring::load([("1".to_owned(), SecretString::from(format!("{good}\n")))]).is_ok());
    }

    #[test]
    fn nothing_shows_a_secret() {
        let keyring = keyring(&[("1", 7)]);
        let sealed = keyring.seal(&password()).unwrap();
        let error = keyring.open(&Sealed { key_id: "9".to_owned(), ..sealed.clone() }).unwrap_err();
        let shown = format!("{keyring:?} {sealed:?} {error:?} {error}");
        assert_eq!(format!("{keyring:?}"), r#"["1"]"#);
        assert!(!shown.contains(key(7).expose_secret()) && !shown.contains("pässword"));
        assert!(!shown.contains("7, 7"));
    }
}
