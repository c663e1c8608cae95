//! How a mailbox is reached: where, as whom, for whom.

use std::{fmt, time::Duration};

use base64::Engine;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::{Endpoint, RequestServerVersion};

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

/// What proves who logs on.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and password, sent with each request without waiting for a challenge.
    Basic {
        /// In UPN form.
        user: String,
        /// The password.
        password: SecretString,
    },
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

// === impl Credentials ===

impl Credentials {
    /// A name and password.
    #[must_use]
    pub fn basic(user: impl Into<String>, password: SecretString) -> Self {
        Self::Basic { user: user.into(), password }
    }

    /// The user name, for people.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Basic { user, .. } => user,
        }
    }

    /// The value of the header `Authorization`, marked so that it is never printed.
    pub(crate) fn authorization(&self) -> HeaderValue {
        let Self::Basic { user, password } = self;
        let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair.expose_secret());
        let mut value =
            HeaderValue::try_from(format!("Basic {encoded}")).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => formatter.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        let endpoint = Endpoint::parse("https://mail/EWS/Exchange.asmx").unwrap();
        let credentials = Credentials::basic("crm@contoso.example", SecretString::from("Pass-word1"));
        let header = credentials.authorization();
        assert_eq!(header.to_str().unwrap(), "Basic Y3JtQGNvbnRvc28uZXhhbXBsZTpQYXNzLXdvcmQx");
        let access = Access::impersonating(endpoint, credentials, "user1@contoso.example");
        for printed in [format!("{access:?}"), format!("{header:?}")] {
            assert!(!printed.contains("Pass-word1") && !printed.contains("Y3Jt"), "{printed}");
        }
    }
}
