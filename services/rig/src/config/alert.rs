//! The alert role's settings.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The alert role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alert {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The relay that sends notification mail; without it none is sent, and the wall says so.
    pub smtp: Option<Smtp>,
}

impl Default for Alert {
    fn default() -> Self {
        Self { listen: super::loopback(7404), smtp: None }
    }
}

/// How the relay is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// TLS from the start, usually port 465.
    Implicit,
    /// STARTTLS, required; usually port 587.
    #[default]
    Starttls,
    /// None; for a relay on the same machine only.
    None,
}

/// The relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its host name.
    pub host: String,
    /// Its port.
    #[serde(default = "submission_port")]
    pub port: u16,
    /// How it is spoken to.
    #[serde(default)]
    pub tls: SmtpTls,
    /// The sender's address.
    pub from: String,
    /// User name, where the relay wants one.
    pub user_name: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted besides the public authorities.
    pub trust_anchors_file: Option<PathBuf>,
    /// Time limit of a transaction.
    #[serde(default = "timeout")]
    pub timeout_ms: u64,
}

const fn submission_port() -> u16 {
    587
}

const fn timeout() -> u64 {
    30_000
}

impl Alert {
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(smtp) = &self.smtp else { return Ok(()) };
        let wrong = |setting: &str, rule: String| Err(Error::Configuration(format!("alert.smtp.{setting}: {rule}")));
        if let Err(refusal) = postroad_core::EmailAddress::parse("from", &smtp.from) {
            return wrong("from", refusal.rule);
        }
        if smtp.user_name.is_some() != smtp.password_file.is_some() {
            return wrong("password_file", "user_name and password_file belong together".to_owned());
        }
        let local = matches!(smtp.host.as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        if smtp.tls == SmtpTls::None && !local {
            return wrong("tls", "\"none\" is for a relay on the same machine only".to_owned());
        }
        Ok(())
    }
}
