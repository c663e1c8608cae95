//! How a mailbox is reached: where, as whom, for whom.

use std::time::Duration;

use crate::{Credentials, Endpoint, RequestServerVersion};

/// The time one request may take, connection included. The server itself stops a batch after about a minute.
pub const TIMEOUT: Duration = Duration::from_secs(100);

/// Everything that tells one mailbox's requests from another's.
#[derive(Clone, Debug)]
pub struct Access {
    /// The server.
    pub endpoint: Endpoint,
    /// Who logs on.
    pub credentials: Credentials,
    /// Whose mailbox is used.
    pub identity: Identity,
    /// The schema of requests and answers.
    pub version: RequestServerVersion,
    /// The time one request may take from its first byte sent to the last received.
    pub timeout: Duration,
}

/// Whose mailbox the requests are about (MS-OXWSCDATA, ExchangeImpersonation).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The account's own.
    Own,
    /// Another one, by its primary address; a secondary address is refused with `ErrorNonPrimarySmtpAddress`.
    PrimaryAddress(String),
    /// Another one, by any of its addresses.
    AnyAddress(String),
}

// === impl Access ===

impl Access {
    /// Access to the mailbox of an address, impersonated by the account, with the defaults for version and timeout.
    #[must_use]
    pub fn impersonating(endpoint: Endpoint, credentials: Credentials, address: impl Into<String>) -> Self {
        let identity = Identity::PrimaryAddress(address.into());
        Self { endpoint, credentials, identity, version: RequestServerVersion::default(), timeout: TIMEOUT }
    }

    /// Access to the account's own mailbox, with the defaults for version and timeout.
    #[must_use]
    pub fn own(endpoint: Endpoint, credentials: Credentials) -> Self {
        Self {
            endpoint,
            credentials,
            identity: Identity::Own,
            version: RequestServerVersion::default(),
            timeout: TIMEOUT,
        }
    }
}

// === impl Identity ===

impl Identity {
    /// The address of the impersonated mailbox.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Own => None,
            Self::PrimaryAddress(address) | Self::AnyAddress(address) => Some(address),
        }
    }
}
