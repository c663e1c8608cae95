//! What can go wrong with a request, told apart as finely as the remedy differs.

use std::{fmt, time::Duration};

use crate::{
    AddressRefused, AuthenticationScheme, Class, ResponseCode, ResponseError, evidence::Exchange, soap::SoapFault,
    xml::XmlError,
};

mod challenge;
mod diagnostics;
mod http;
mod network;
mod openssl;
mod token;

pub use challenge::{Challenge, Refusal, Scheme};
pub use diagnostics::{Diagnostics, TokenDefect};
pub use http::{HttpMeaning, RedirectMeaning};
pub(crate) use http::{classify, is_page};
pub use network::{ConnectFailure, TlsFailure};
pub(crate) use network::{kind as network, tls};
pub use token::{TokenError, TokenFailure};

/// A failed request, with the evidence. Cheap to move.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    exchange: Exchange,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The host's name has no address.
    Dns(String),
    /// The host's name leads to an address that must not be connected to.
    Address(AddressRefused),
    /// No connection.
    Connect(ConnectFailure),
    /// No TLS connection that can be trusted.
    Tls(TlsFailure),
    /// No complete answer in this time.
    Timeout(Duration),
    /// The connection ended, or the answer did, before it was complete. What was asked for may have been done.
    Truncated(String),
    /// The answer is larger than this many bytes.
    TooLarge(usize),
    /// No access token could be had, so that nothing was asked.
    Token(TokenFailure),
    /// 401.
    Unauthorized(Challenge),
    /// 3xx; never followed.
    Redirect {
        /// The status.
        status: u16,
        /// Where to.
        location: String,
        /// What is behind it.
        meaning: RedirectMeaning,
    },
    /// Any other status without a SOAP envelope.
    Http {
        /// The status.
        status: u16,
        /// What it says.
        meaning: HttpMeaning,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A web page or another document that is no SOAP message, with status 200.
    Page {
        /// Its title, if it has one.
        title: Option<String>,
    },
    /// The answer cannot be read.
    Malformed(XmlError),
    /// The server refused the request as a whole.
    Fault(SoapFault),
    /// The operation has one result, and it is an error.
    Response(ResponseError),
}

// === impl Error ===

impl Error {
    pub(crate) fn new(kind: Kind, exchange: Exchange) -> Self {
        Self(Box::new(Inner { kind, exchange }))
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// What was said on the wire.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    /// Exchange's own code, if Exchange answered.
    #[must_use]
    pub fn code(&self) -> Option<&ResponseCode> {
        match self.kind() {
            Kind::Fault(fault) => Some(fault.effective_code()),
            Kind::Response(error) => Some(error.effective_code()),
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.kind() {
            Kind::Dns(_) | Kind::Connect(_) | Kind::Timeout(_) | Kind::Truncated(_) | Kind::Malformed(_) => {
                Class::Transient
            }
            Kind::Tls(failure) => failure.class(),
            Kind::Address(_) => Class::Config,
            Kind::TooLarge(_) => Class::ItemPermanent,
            Kind::Token(failure) => failure.class(),
            Kind::Unauthorized(challenge) => challenge.refusal().class(),
            Kind::Redirect { meaning, .. } => meaning.class(),
            Kind::Http { meaning, .. } => meaning.class(),
            Kind::Page { .. } => Class::Config,
            Kind::Fault(fault) => fault.effective_code().class(),
            Kind::Response(error) => error.class(),
        }
    }

    /// How long the server wants to be left alone. Zero does occur: use at least a pause of your own.
    #[must_use]
    pub fn back_off(&self) -> Option<Duration> {
        match self.kind() {
            Kind::Http { retry_after, .. } => *retry_after,
            Kind::Token(failure) => failure.back_off(),
            Kind::Fault(fault) => fault.back_off(),
            Kind::Response(error) => error.back_off(),
            _ => None,
        }
    }

    /// Whether the same request can succeed later although nobody does anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.class().is_retryable()
    }

    /// Whether the location itself is in doubt, so that Autodiscover is worth asking again.
    #[must_use]
    pub fn doubts_location(&self) -> bool {
        self.class() == Class::Rediscover
            || matches!(
                self.kind(),
                Kind::Dns(_)
                    | Kind::Connect(_)
                    | Kind::Tls(TlsFailure::NameMismatch { .. })
                    // The front end may be one that no longer serves the mailbox; asking is cheap, and at most hourly.
                    | Kind::Http { meaning: HttpMeaning::Gateway | HttpMeaning::Unavailable, .. }
            )
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.kind(), formatter)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", self.kind())
            .field("url", &self.0.exchange.url)
            .finish_non_exhaustive()
    }
}

impl Kind {
    /// The same, knowing with what the request was sent: what a 401 means depends on it.
    pub(crate) fn answering(mut self, sent: AuthenticationScheme) -> Self {
        if let Self::Unauthorized(challenge) = &mut self {
            challenge.sent = Some(sent);
        }
        self
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(reason) => write!(formatter, "the name cannot be resolved: {reason}"),
            Self::Address(refused) => write!(formatter, "{refused}"),
            Self::Connect(failure) => write!(formatter, "{failure}"),
            Self::Tls(failure) => write!(formatter, "{failure}"),
            Self::Timeout(time) => write!(formatter, "no complete answer within {} s", time.as_secs_f32()),
            Self::Truncated(reason) => write!(formatter, "the answer broke off: {reason}"),
            Self::TooLarge(limit) => write!(formatter, "the answer is larger than {limit} bytes"),
            Self::Token(failure) => write!(formatter, "no access token: {failure}"),
            Self::Unauthorized(challenge) => write!(formatter, "401, {challenge}"),
            Self::Redirect { status, location, .. } => write!(formatter, "{status} to {location}"),
            Self::Http { status, meaning, .. } => write!(formatter, "{status}, {meaning}"),
            Self::Page { title: Some(title) } => write!(formatter, "a page answered: {title}"),
            Self::Page { title: None } => formatter.write_str("a page answered"),
            Self::Malformed(error) => write!(formatter, "{error}"),
            Self::Fault(fault) => coded(formatter, fault.effective_code(), &fault.message, fault.back_off()),
            Self::Response(error) => coded(formatter, error.effective_code(), &error.message, error.back_off()),
        }
    }
}

fn coded(
    formatter: &mut fmt::Formatter<'_>,
    code: &ResponseCode,
    message: &str,
    back_off: Option<Duration>,
) -> fmt::Result {
    write!(formatter, "{code}")?;
    if !message.is_empty() {
        write!(formatter, ": {message}")?;
    }
    match back_off {
        Some(time) => write!(formatter, " (wait {} ms)", time.as_millis()),
        None => Ok(()),
    }
}
