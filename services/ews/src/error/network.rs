//! Failures below HTTP: names, connections, TLS.

use std::{error::Error, fmt, io};

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::{Kind, openssl};
use crate::{Class, ReachError};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nothing listens there.
    Refused,
    /// The connection was accepted and dropped again, before or in the TLS handshake.
    Dropped,
    /// No answer.
    TimedOut,
    /// There is no way to the address.
    Unreachable,
    /// Anything else.
    Other(String),
}

/// Why there is no TLS connection that can be trusted. Never answered with weaker checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The certificate's authority is not trusted, or intermediate certificates are missing.
    UntrustedIssuer,
    /// The certificate is for other names.
    NameMismatch {
        /// The names it is for, as far as they are known.
        presented: Vec<String>,
    },
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate cannot be used for another reason.
    Certificate(String),
    /// No protocol version or cipher suite in common: the server offers only old ones.
    Obsolete(String),
    /// The handshake failed otherwise.
    Handshake(String),
    /// What answers does not speak TLS.
    NotTls,
}

/// What a failure to send or receive means.
pub(crate) fn kind(error: &reqwest::Error) -> Kind {
    if let Some(failure) = causes(error).find_map(tls) {
        return Kind::Tls(failure);
    }
    if let Some(reach) = causes(error).find_map(|cause| cause.downcast_ref::<ReachError>()) {
        return match reach {
            ReachError::Refused(refused) => Kind::Address(refused.clone()),
            ReachError::Names(names) => Kind::Dns(names.to_string()),
        };
    }
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    if error.is_dns() || (error.is_connect() && causes(error).any(|cause| cause.to_string().starts_with("dns error"))) {
        return Kind::Dns(reason(error));
    }
    if error.is_connect() {
        return Kind::Connect(match io {
            _ if error.is_timeout() => ConnectFailure::TimedOut,
            Some(io) => ConnectFailure::of(io).unwrap_or_else(|| ConnectFailure::Other(reason(error))),
            None if openssl::is_dropped(&reason(error)) => ConnectFailure::Dropped,
            None => ConnectFailure::Other(reason(error)),
        });
    }
    Kind::Truncated(reason(error))
}

/// What a failure of the TLS handshake itself means; `None` if the connection failed below it.
pub(crate) fn tls(cause: &(dyn Error + 'static)) -> Option<TlsFailure> {
    let Some(error) = rustls_error(cause) else { return openssl::failure(&cause.to_string()) };
    Some(match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::InvalidMessage(message) => unreadable(message),
        rustls::Error::AlertReceived(alert) => alerted(*alert),
        rustls::Error::PeerIncompatible(reason) => TlsFailure::Obsolete(format!("{reason:?}")),
        other => TlsFailure::Handshake(other.to_string()),
    })
}

/// What breaks the record layer is no TLS; what breaks within a message of the handshake is.
fn unreadable(message: &InvalidMessage) -> TlsFailure {
    match message {
        InvalidMessage::InvalidContentType
        | InvalidMessage::UnknownProtocolVersion
        | InvalidMessage::MessageTooLarge
        | InvalidMessage::MessageTooShort
        | InvalidMessage::InvalidEmptyPayload => TlsFailure::NotTls,
        InvalidMessage::UnsupportedCurveType | InvalidMessage::UnsupportedKeyExchangeAlgorithm(_) => {
            TlsFailure::Obsolete(format!("{message:?}"))
        }
        other => TlsFailure::Handshake(format!("{other:?}")),
    }
}

/// An io::Error hides what it wraps from the chain of sources, and may wrap another one.
fn rustls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(error);
    }
    let wrapped: &(dyn Error + 'static) = cause.downcast_ref::<io::Error>()?.get_ref()?;
    rustls_error(wrapped)
}

fn certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::UnknownIssuer => TlsFailure::UntrustedIssuer,
        CertificateError::NotValidForName => TlsFailure::NameMismatch { presented: Vec::new() },
        CertificateError::NotValidForNameContext { presented, .. } => {
            TlsFailure::NameMismatch { presented: presented.iter().map(|name| plain_name(name)).collect() }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFailure::NotYetValid,
        other => TlsFailure::Certificate(other.to_string()),
    }
}

/// `DnsName("mail.contoso.example")` without what is around the name.
fn plain_name(name: &str) -> String {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name).to_owned()
}

fn alerted(alert: AlertDescription) -> TlsFailure {
    let reason = format!("the server answered with the alert {alert:?}");
    match alert {
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => TlsFailure::Obsolete(reason),
        _ => TlsFailure::Handshake(reason),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The innermost message: the outer ones repeat the URL.
fn reason(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default().chars().take(200).collect()
}

// === impl TlsFailure ===

impl TlsFailure {
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::NameMismatch { .. } => Class::Rediscover,
            _ => Class::Config,
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UntrustedIssuer => formatter.write_str("the certificate's authority is not trusted"),
            Self::NameMismatch { presented } if presented.is_empty() => {
                formatter.write_str("the certificate is for another name")
            }
            Self::NameMismatch { presented } => write!(formatter, "the certificate is for {}", presented.join(", ")),
            Self::Expired => formatter.write_str("the certificate has expired"),
            Self::NotYetValid => formatter.write_str("the certificate is not valid yet"),
            Self::Certificate(reason) => write!(formatter, "the certificate cannot be used: {reason}"),
            Self::Obsolete(reason) => write!(formatter, "no TLS version or cipher suite in common: {reason}"),
            Self::Handshake(reason) => write!(formatter, "no TLS connection can be agreed: {reason}"),
            Self::NotTls => formatter.write_str("what answers does not speak TLS"),
        }
    }
}

// === impl ConnectFailure ===

impl ConnectFailure {
    /// What an error of a socket means, if it is known.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        Some(match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Dropped,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => return None,
        })
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => formatter.write_str("the connection is refused"),
            Self::Dropped => formatter.write_str("the connection is dropped as soon as it is made"),
            Self::TimedOut => formatter.write_str("no answer to the attempt to connect"),
            Self::Unreachable => formatter.write_str("the address cannot be reached"),
            Self::Other(reason) => write!(formatter, "no connection: {reason}"),
        }
    }
}
