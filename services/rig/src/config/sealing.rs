//! The sealing keys' settings.
#![expect(clippy::disallowed_methods, reason = "the key may come from the environment")]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use postroad_core::fault::{Code, Report};
use postroad_journal::sealing::{self, Keyring};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The environment variable that may hold the current key.
pub const VARIABLE: &str = "POSTROAD_SEALING_KEY";

/// The file in the keys' directory that names the key that seals.
const CURRENT: &str = "current";

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Which keys seal and open passwords. A key is 32 bytes in Base64, as `postroad key new` prints it. The files are read again when they
/// change, so that keys are rotated without a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sealing {
    /// A directory of keys, each in a file whose name is the key's id; the file `current` holds the id of the key that seals. Instead of the
    /// other settings. Files that begin with a dot are none.
    pub keys_directory: Option<PathBuf>,
    /// The id of the current key; it is stored with what the key seals.
    pub key_id: String,
    /// A file with the current key; without it the variable `POSTROAD_SEALING_KEY` is read.
    pub key_file: Option<PathBuf>,
    /// Files with keys by id that open what they sealed: former ones, and those that are to come.
    pub former_keys: BTreeMap<String, PathBuf>,
}

impl Default for Sealing {
    fn default() -> Self {
        Self { keys_directory: None, key_id: "1".into(), key_file: None, former_keys: BTreeMap::new() }
    }
}

impl Sealing {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.keys_directory.is_some() && (self.key_file.is_some() || !self.former_keys.is_empty()) {
            let what = "sealing.keys_directory takes the place of key_file and former_keys: set the one or the others";
            return Err(Error::Configuration(what.to_owned()));
        }
        Ok(())
    }

    /// Reads the keys. The keyring reads them again when it needs one that it does not have.
    pub fn keyring(&self) -> Result<Keyring, Error> {
        let variable = std::env::var(VARIABLE).ok();
        if self.keys_directory.is_none() && self.key_file.is_none() && variable.is_none() {
            return Err(Error::Fault(Report::new(Code::SealingKeyMissing, "sealing.key_file is not set")));
        }
        self.check()?;
        let (settings, variable) = (self.clone(), variable.map(SecretString::from));
        Keyring::reading(move || settings.read(variable.as_ref())).map_err(|error| match error {
            sealing::Error::Source(what) => Error::Configuration(what),
            error => Error::Configuration(format!("sealing: {error}")),
        })
    }

    fn read(&self, variable: Option<&SecretString>) -> Result<Vec<(String, SecretString)>, String> {
        if let Some(directory) = &self.keys_directory {
            return read_directory(directory);
        }
        let current = match (&self.key_file, variable) {
            (Some(file), _) => read("sealing.key_file", file)?,
            (None, Some(variable)) => variable.clone(),
            (None, None) => return Err("sealing.key_file is not set".to_owned()),
        };
        let mut keys = vec![(self.key_id.clone(), current)];
        for (id, file) in &self.former_keys {
            keys.push((id.clone(), read("sealing.former_keys", file)?));
        }
        Ok(keys)
    }
}

/// Reads the keys again until shutdown, so that what is sealed is sealed with the present one.
pub async fn renew(keyring: Arc<Keyring>, shutdown: CancellationToken) -> Result<(), std::convert::Infallible> {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        let renewed = keyring.renew();
        match &renewed {
            Ok(true) => tracing::info!(keys = ?keyring, "the sealing keys were read again; the first one seals"),
            Ok(false) => {}
            // Once for each trouble.
            Err(error) if told.as_ref() != Some(error) => {
                tracing::error!(%error, "the sealing keys cannot be read again; those that are known go on");
            }
            Err(_) => {}
        }
        told = renewed.err();
    }
}

fn read_directory(directory: &Path) -> Result<Vec<(String, SecretString)>, String> {
    let setting = "sealing.keys_directory";
    let failed = |error: io::Error| format!("{setting} = \"{}\" cannot be read: {error}", directory.display());
    let current = fs::read_to_string(directory.join(CURRENT)).map_err(|error| {
        let path = directory.join(CURRENT);
        format!("{setting}: {} is to hold the id of the key that seals, and cannot be read: {error}", path.display())
    })?;
    let current = current.trim().to_owned();
    let mut keys = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A mounted Kubernetes secret has directories of its own, which begin with dots.
        if name == CURRENT || name.starts_with('.') {
            continue;
        }
        keys.push((name, read(setting, &entry.path())?));
    }
    keys.sort_by_key(|(id, _)| (*id != current, id.clone()));
    match keys.first() {
        Some((id, _)) if *id == current => Ok(keys),
        _ => {
            Err(format!("{setting}: the file `{CURRENT}` names the key `{current}`, and there is no file of that name"))
        }
    }
}

fn read(setting: &str, file: &Path) -> Result<SecretString, String> {
    fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| format!("{setting} = \"{}\" cannot be read: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(directory: &Path, current: &str, ids: &[&str]) {
        for id in ids {
            fs::write(directory.join(id), Keyring::new_key()).unwrap();
        }
        fs::write(directory.join(CURRENT), format!("{current}\n")).unwrap();
    }

    #[test]
    fn a_directory_of_keys_is_rotated_while_it_is_used() {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path(), "2026-01", &["2026-01"]);
        fs::create_dir(directory.path().join("..data")).unwrap();
        let settings = Sealing { keys_directory: Some(directory.path().to_owned()), ..Sealing::default() };
        let keyring = settings.keyring().unwrap();
        let old = keyring.seal(&SecretString::from("s3cret")).unwrap();
        keys(directory.path(), "2026-07", &["2026-07"]);
        assert_eq!(keyring.renew(), Ok(true));
        assert_eq!(keyring.ids(), ["2026-07", "2026-01"]);
        assert!(keyring.open(&old).is_ok() && keyring.rewrap(&old).unwrap().is_some());
        // A current key that is not there is refused, and changes nothing.
        fs::write(directory.path().join(CURRENT), "2027-01").unwrap();
        let told = keyring.renew().unwrap_err().to_string();
        assert!(told.contains("`2027-01`") && keyring.current() == "2026-07", "{told}");
        assert!(settings.keyring().is_err());
    }

    #[test]
    fn keys_are_set_in_one_way() {
        let both = Sealing { keys_directory: Some("a".into()), key_file: Some("b".into()), ..Sealing::default() };
        assert!(both.keyring().unwrap_err().to_string().contains("keys_directory"));
    }
}
