//! The settings of TLS between roles.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Mutual TLS of all gRPC: between roles, and from the command line. The files are read again when they change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// This process's certificate (PEM), followed by the intermediate ones. A role's carries the DNS name
    /// `ROLE.roles.postroad.internal`, that of `postroad all` carries all five.
    pub certificate_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub key_file: Option<PathBuf>,
    /// The authorities (PEM) that others' certificates must come from; more than one while the authority changes.
    pub authority_file: Option<PathBuf>,
    /// Lets roles listen beyond loopback without TLS, where something else encrypts, such as a service mesh.
    pub allow_plaintext: bool,
}

impl Tls {
    /// Whether TLS is spoken.
    pub fn is_on(&self) -> bool {
        self.authority_file.is_some()
    }

    /// Whether a role can serve TLS with it.
    pub fn serves(&self) -> bool {
        self.is_on() && self.certificate_file.is_some() && self.key_file.is_some()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |setting: &str, rule: &str| Err(Error::Configuration(format!("tls.{setting}: {rule}")));
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return wrong("key_file", "certificate_file and key_file belong together");
        }
        if self.certificate_file.is_some() && self.authority_file.is_none() {
            return wrong("authority_file", "is required where certificate_file is set: others are checked against it");
        }
        Ok(())
    }
}
