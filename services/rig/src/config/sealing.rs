//! The sealing keys' settings.
#![expect(clippy::disallowed_methods, reason = "the key may come from the environment")]

use std::path::PathBuf;

use postroad_core::fault::{Code, Report};
use postroad_journal::sealing::Keyring;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The environment variable that may hold the current key.
pub const VARIABLE: &str = "POSTROAD_SEALING_KEY";

/// Which keys seal and open passwords. A key is 32 bytes in Base64, as `postroad key new` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sealing {
    /// The id of the current key; it is stored with what the key seals.
    pub key_id: String,
    /// A file with the current key; without it the variable `POSTROAD_SEALING_KEY` is read.
    pub key_file: Option<PathBuf>,
    /// Files with former keys by id, which still open what they sealed.
    pub former_keys: std::collections::BTreeMap<String, PathBuf>,
}

impl Default for Sealing {
    fn default() -> Self {
        Self { key_id: "1".into(), key_file: None, former_keys: std::collections::BTreeMap::new() }
    }
}

impl Sealing {
    /// Reads the keys.
    pub fn keyring(&self) -> Result<Keyring, Error> {
        let current = match &self.key_file {
            Some(file) => read("sealing.key_file", file)?,
            None => SecretString::from(
                std::env::var(VARIABLE)
                    .map_err(|_| Error::Fault(Report::new(Code::SealingKeyMissing, "sealing.key_file is not set")))?,
            ),
        };
        let mut keys = vec![(self.key_id.clone(), current)];
        for (id, file) in &self.former_keys {
            keys.push((id.clone(), read("sealing.former_keys", file)?));
        }
        Keyring::load(keys).map_err(|error| Error::Configuration(format!("sealing: {error}")))
    }
}

fn read(setting: &str, file: &PathBuf) -> Result<SecretString, Error> {
    std::fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| Error::Configuration(format!("{setting} = \"{}\" cannot be read: {error}", file.display())))
}
