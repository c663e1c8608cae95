//! Autodiscover: one question about one address to one host (AUTODISCOVER of the reference pack, 1, 2, 4).
//!
//! Which hosts are asked, in which order, and which may get credentials is decided by the caller
//! (`postroad_core::autodiscover`).

pub(crate) mod pox;
pub(crate) mod soap;

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

pub use postroad_core::autodiscover::{Service, Settings};
use url::Url;

use crate::{
    Credentials, Endpoint, Error, Kind, Refusal, Transport, authentication,
    client::envelope_headers,
    error::{classify, is_page},
    transport::{Incoming, Outgoing},
    xml::XmlError,
};

/// An answer's largest size: real ones have some ten kilobytes.
const LIMIT: usize = 1 << 20;
/// What an Exchange server's Autodiscover says of itself in a 401.
const MARKS: [&str; 3] = ["x-soap-enabled", "x-wssecurity-enabled", "x-oauth-enabled"];

/// What the service says about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Where the mailbox is served.
    Settings(Settings),
    /// Ask about another address instead: the mailbox lives elsewhere.
    RedirectAddress(String),
    /// Ask another URL.
    RedirectUrl(String),
    /// There is no such mailbox in this organisation; conclusive.
    UserUnknown(String),
    /// The service has no answer now.
    Failed {
        /// Its code.
        code: String,
        /// Its text.
        message: String,
        /// Whether asking later can help.
        transient: bool,
    },
}

/// What a host is, found out without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An Autodiscover service that offers these schemes of authentication.
    Autodiscover(Vec<String>),
    /// It redirects.
    Redirect {
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Something else answers, with this status.
    Other(u16),
}

/// Asks a host, without credentials, whether it is an Autodiscover service.
///
/// # Errors
/// There is no answer.
pub async fn probe(transport: &Transport, endpoint: &Endpoint, timeout: Duration) -> Result<Probe, Error> {
    let outgoing = Outgoing {
        method: Method::GET,
        endpoint: endpoint.clone(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        is_secret: false,
        timeout,
        limit: LIMIT,
    };
    let Incoming { status, headers, text, .. } = transport.exchange(outgoing).await?;
    Ok(recognise(status, &headers, &text, endpoint))
}

fn recognise(status: u16, headers: &HeaderMap, text: &str, endpoint: &Endpoint) -> Probe {
    let is_marked = MARKS.iter().any(|mark| headers.contains_key(*mark));
    match classify(status, headers, text, endpoint) {
        Kind::Redirect { status, location, .. } => Probe::Redirect { status, location },
        Kind::Unauthorized(challenge) if is_marked => {
            Probe::Autodiscover(challenge.offered.into_iter().map(|scheme| scheme.name).collect())
        }
        _ if (200..300).contains(&status) && pox::read(text).is_ok() => Probe::Autodiscover(Vec::new()),
        _ => Probe::Other(status),
    }
}

/// Asks over plain http where to ask instead: no credentials, no cookies, and of the answer only the redirect is looked at.
///
/// # Errors
/// There is no answer.
pub async fn hint(transport: &Transport, url: &Url, timeout: Duration) -> Result<Probe, Error> {
    transport.hint(url, timeout).await.map(|(status, location)| match location {
        Some(location) if (300..400).contains(&status) => Probe::Redirect { status, location },
        _ => Probe::Other(status),
    })
}

/// The question about an address, as a service at a URL is asked.
#[must_use]
pub fn question(service: Service, url: &str, address: &str) -> String {
    match service {
        Service::Soap => soap::request(url, address),
        Service::Pox => pox::request(address),
    }
}

/// Asks a service where the mailbox of an address is served.
///
/// # Errors
/// There is no answer, or none of an Autodiscover service.
pub async fn ask(
    transport: &Transport,
    service: Service,
    endpoint: &Endpoint,
    credentials: &Credentials,
    address: &str,
    timeout: Duration,
) -> Result<Outcome, Error> {
    let mut headers = match service {
        Service::Soap => soap_headers(),
        Service::Pox => pox_headers(),
    };
    let body = question(service, endpoint.as_str(), address);
    if let Ok(anchor) = HeaderValue::from_str(address) {
        headers.insert("x-anchormailbox", anchor);
    }
    let body = Bytes::from(body);
    let (method, is_secret, limit) = (Method::POST, false, LIMIT);
    let outgoing = Outgoing { method, endpoint: endpoint.clone(), headers, body, is_secret, timeout, limit };
    let Incoming { status, headers, text, mut exchange } =
        authentication::exchange(transport, credentials, outgoing).await?;
    let kind = if (200..300).contains(&status) {
        let read = match service {
            Service::Soap => soap::read(&text),
            Service::Pox => pox::read(&text),
        };
        match read {
            Ok(outcome) => return Ok(outcome),
            Err(_) if is_page(&headers, &text) => classify(status, &headers, &text, endpoint),
            Err(XmlError::Truncated) => Kind::Truncated("it ends inside an element".to_owned()),
            Err(error) => Kind::Malformed(error),
        }
    } else {
        classify(status, &headers, &text, endpoint)
    };
    exchange.keep(&text);
    Err(Error::new(kind.answering(credentials.scheme()), exchange))
}

/// Whether an error says that the credentials themselves are wrong, so that other hosts must not be tried with them.
#[must_use]
pub fn is_credentials(error: &Error) -> bool {
    match error.kind() {
        Kind::Unauthorized(challenge) => challenge.refusal() == Refusal::Rejected,
        // Without a token nobody else can be asked either.
        Kind::Token(_) => true,
        _ => false,
    }
}

fn soap_headers() -> HeaderMap {
    let mut headers = envelope_headers();
    headers.insert("soapaction", HeaderValue::from_static(soap::ACTION_HEADER));
    headers
}

fn pox_headers() -> HeaderMap {
    let mut headers = envelope_headers();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_what_looks_like_autodiscover_gets_credentials() {
        let endpoint = Endpoint::parse("https://contoso.example/autodiscover/autodiscover.xml").unwrap();
        let basic = ("www-authenticate", "Basic realm=\"x\"");
        let marked = headers(&[basic, ("x-soap-enabled", "True")]);
        assert_eq!(recognise(401, &marked, "", &endpoint), Probe::Autodiscover(vec!["Basic".to_owned()]));
        assert_eq!(recognise(401, &headers(&[basic]), "", &endpoint), Probe::Other(401));
        assert_eq!(recognise(200, &HeaderMap::new(), "<html><title>Shop</title></html>", &endpoint), Probe::Other(200));
        let elsewhere = headers(&[("location", "https://evil.example/autodiscover/autodiscover.xml")]);
        assert!(matches!(recognise(302, &elsewhere, "", &endpoint), Probe::Redirect { .. }));
    }

    #[test]
    fn a_pox_error_proves_life() {
        let Some(text) = crate::reference::sample("305-pox-error-600.resp.xml") else { return };
        let endpoint = Endpoint::parse("https://contoso.example/autodiscover/autodiscover.xml").unwrap();
        assert_eq!(recognise(200, &HeaderMap::new(), &text, &endpoint), Probe::Autodiscover(Vec::new()));
    }
}
