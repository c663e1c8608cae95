//! The settings of NATS.

use std::path::PathBuf;

use postroad_journal::{Denials, Options, Part};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The NATS server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// `nats://` or `tls://` URL.
    pub url: String,
    /// The authorities (PEM) that the server's certificate must come from; none means the system's.
    pub authority_file: Option<PathBuf>,
    /// A certificate (PEM) for the server; with `verify_and_map` its first name that is a user is who connects.
    pub certificate_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub key_file: Option<PathBuf>,
    /// The user, where certificates do not say it.
    pub user_name: Option<String>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// A credentials file of NATS; it counts before a user name.
    pub credentials_file: Option<PathBuf>,
    /// Its monitoring port, as `http://HOST:PORT`: `postroad doctor` sees there what clients are not told.
    pub monitoring: Option<String>,
    /// The name of the journal's first stream; the others' begin with it.
    pub stream: String,
    /// Replicas of streams and buckets: 1 on a single server, 3 on a cluster.
    pub replicas: usize,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            authority_file: None,
            certificate_file: None,
            key_file: None,
            user_name: None,
            password_file: None,
            credentials_file: None,
            monitoring: None,
            stream: "JOURNAL".into(),
            replicas: 1,
        }
    }
}

impl Nats {
    /// How the journal is kept, and which parts of it are opened.
    pub fn journal(&self, parts: impl IntoIterator<Item = Part>, denials: Denials) -> Options {
        Options { stream: self.stream.clone(), parts: parts.into_iter().collect(), replicas: self.replicas, denials }
    }

    /// The host of the URL.
    pub fn host(&self) -> Option<String> {
        let uri: http::Uri = self.url.parse().ok()?;
        Some(uri.host()?.trim_matches(['[', ']']).to_owned())
    }

    /// Whether what is sent to NATS leaves this machine, and nothing here sees to it that it is encrypted: NATS may want TLS, but whoever sits
    /// in between may say that it does not.
    pub fn is_exposed(&self) -> bool {
        let is_encrypted = ["tls://", "wss://"].iter().any(|scheme| self.url.starts_with(scheme))
            || self.authority_file.is_some()
            || self.certificate_file.is_some();
        let host = self.host().unwrap_or_default();
        let is_here = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        !is_encrypted && !is_here
    }

    /// A password must not cross a network in the clear because a setting was forgotten.
    pub(super) fn check_exposure(&self, is_encrypted_elsewhere: bool) -> Result<(), Error> {
        let has_password = self.password_file.is_some() && self.credentials_file.is_none();
        if is_encrypted_elsewhere || !has_password || !self.is_exposed() {
            return Ok(());
        }
        Err(Error::Configuration(format!(
            "nats.url = \"{}\": the password in nats.password_file would be sent there in the clear; make it tls://, with nats.authority_file where \
             the authority is not the system's, or set allow_plaintext = true under [tls] if something else encrypts",
            self.url
        )))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |setting: &str, rule: &str| Err(Error::Configuration(format!("nats.{setting}: {rule}")));
        if !self.url.contains("://") {
            return wrong("url", "must be a URL such as nats://127.0.0.1:4222");
        }
        // The URL is in logs and errors; what stands before an @ is not shown here either.
        if self.url.contains('@') {
            return wrong(
                "url",
                "must not hold a user, password or token: set user_name and password_file, or credentials_file",
            );
        }
        if self.monitoring.as_ref().is_some_and(|url| url.contains('@')) {
            return wrong("monitoring", "must not hold a user or password: NATS' monitoring port asks for none");
        }
        if !(1..=5).contains(&self.replicas) {
            return wrong("replicas", "must be between 1 and 5");
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return wrong("key_file", "certificate_file and key_file belong together");
        }
        if self.user_name.is_some() != self.password_file.is_some() {
            return wrong("password_file", "user_name and password_file belong together");
        }
        Ok(())
    }
}
