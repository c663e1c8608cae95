//! Why no access token could be had (RFC 6749 §5.2).

use std::{fmt, time::Duration};

use super::Kind;
use crate::Class;

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFailure {
    /// The token service cannot be reached or fails.
    Unavailable(Box<Kind>),
    /// Its answer is no token.
    Unreadable(String),
    /// The secret or the certificate is not accepted (`invalid_client`).
    Rejected(TokenError),
    /// The request is not accepted: tenant, application or scope.
    Refused(TokenError),
    /// The certificate's key cannot sign.
    Unsigned(String),
}

/// What a token service says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenError {
    /// `invalid_client`, `invalid_scope` and so on.
    pub error: String,
    /// Its words, without what differs each time.
    pub description: String,
    /// Its own numbers; those of Microsoft Entra follow `AADSTS`.
    pub codes: Vec<u32>,
}

// === impl TokenFailure ===

impl TokenFailure {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Unavailable(kind) => match kind.as_ref() {
                Kind::Tls(failure) => failure.class(),
                _ => Class::Transient,
            },
            Self::Unreadable(_) => Class::Transient,
            Self::Rejected(_) => Class::Auth,
            Self::Refused(_) | Self::Unsigned(_) => Class::Config,
        }
    }

    /// How long the token service wants to be left alone.
    #[must_use]
    pub fn back_off(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(kind) => match kind.as_ref() {
                Kind::Http { retry_after, .. } => *retry_after,
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for TokenFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(kind) => write!(formatter, "{kind}"),
            Self::Unreadable(reason) => write!(formatter, "the answer is no token: {reason}"),
            Self::Rejected(error) | Self::Refused(error) => write!(formatter, "{error}"),
            Self::Unsigned(reason) => write!(formatter, "the assertion cannot be signed: {reason}"),
        }
    }
}

// === impl TokenError ===

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.error.is_empty() { "refused" } else { &self.error })?;
        if self.description.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.description) }
    }
}
