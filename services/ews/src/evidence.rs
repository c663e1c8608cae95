//! What was said on the wire, for people who have to find out why it failed. Never a credential, never mail.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode, Version,
    header::{HeaderMap, HeaderValue},
};

mod mask;

/// The beginning of a body that is kept.
const EXCERPT: usize = 4096;
/// Headers of which the value is not kept.
const SECRET: [&str; 6] =
    ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-backendoverridecookie", "authentication-info"];

/// One request and its answer. Kept as it was said, and made readable only where somebody reads it: most requests succeed.
#[derive(Clone, Default)]
pub struct Exchange {
    method: Method,
    /// Where it went.
    pub url: String,
    /// The address it went to, once known.
    pub peer: Option<SocketAddr>,
    request_headers: HeaderMap,
    request_body: Bytes,
    status: Option<(Version, StatusCode)>,
    response_headers: HeaderMap,
    /// The first 4 KiB of the answer; what messages say is replaced by its length. Kept of failures only.
    pub response_body: String,
    /// From the first attempt to connect to the last byte.
    pub elapsed: Duration,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn begin(method: &Method, url: &str, headers: &HeaderMap, body: &Bytes) -> Self {
        Self {
            method: method.clone(),
            url: url.to_owned(),
            request_headers: headers.clone(),
            request_body: body.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn answered(&mut self, response: &reqwest::Response) {
        self.status = Some((response.version(), response.status()));
        self.response_headers = response.headers().clone();
        self.peer = response.remote_addr();
    }

    pub(crate) fn keep(&mut self, body: &str) {
        self.response_body = excerpt(&mask::mask(body, EXCERPT)).to_owned();
    }

    /// A header of the answer.
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers.get(name).filter(|value| !is_secret(name, value)).and_then(|value| value.to_str().ok())
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status.map(|(_, status)| status.as_u16())
    }

    /// The id that was sent with the request; the server's logs have it beside their own.
    #[must_use]
    pub fn client_request_id(&self) -> Option<&str> {
        self.request_headers.get("client-request-id").and_then(|value| value.to_str().ok())
    }

    /// The id that the server's logs know the request by, or ours if it gave none.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.response_header("request-id").or_else(|| self.client_request_id())
    }

    fn status_line(&self) -> String {
        let Some((version, status)) = self.status else { return "no answer".to_owned() };
        let reason = status.canonical_reason().unwrap_or_default();
        format!("{version:?} {} {reason}", status.as_u16()).trim_end().to_owned()
    }
}

/// As it could have been seen on the wire.
impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} {}", self.method, self.url)?;
        let body = self.request_body.get(..EXCERPT).unwrap_or(&self.request_body);
        part(formatter, &self.request_headers, excerpt(&String::from_utf8_lossy(body)))?;
        let peer = self.peer.map(|peer| format!(" from {peer}")).unwrap_or_default();
        writeln!(formatter, "\n{} ({} ms{peer})", self.status_line(), self.elapsed.as_millis())?;
        part(formatter, &self.response_headers, &self.response_body)
    }
}

/// The same: what is held is not fit to be seen.
impl fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn part(formatter: &mut fmt::Formatter<'_>, headers: &HeaderMap, body: &str) -> fmt::Result {
    for (name, value) in headers {
        writeln!(formatter, "{name}: {}", shown(name.as_str(), value))?;
    }
    if body.is_empty() { Ok(()) } else { writeln!(formatter, "\n{body}") }
}

fn shown(name: &str, value: &HeaderValue) -> String {
    if is_secret(name, value) {
        return "[hidden]".to_owned();
    }
    String::from_utf8_lossy(value.as_bytes()).chars().take(1024).collect()
}

fn is_secret(name: &str, value: &HeaderValue) -> bool {
    value.is_sensitive() || SECRET.contains(&name.to_ascii_lowercase().as_str())
}

fn excerpt(text: &str) -> &str {
    text.split_at_checked(EXCERPT).map_or_else(
        || if text.len() <= EXCERPT { text } else { text.get(..text.floor_char_boundary(EXCERPT)).unwrap_or_default() },
        |(start, _)| start,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_secrets_and_cuts_bodies() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Basic c2VjcmV0"));
        headers.insert("x-anchormailbox", HeaderValue::from_static("user1@contoso.example"));
        let body = "é".repeat(EXCERPT);
        let mut exchange = Exchange::begin(&Method::POST, "https://mail/EWS", &headers, &Bytes::from(body.clone()));
        exchange.keep(&body);
        let printed = exchange.to_string();
        assert!(printed.contains("authorization: [hidden]") && printed.contains("user1@contoso.example"));
        assert!(!printed.contains("c2VjcmV0"));
        assert!(exchange.response_body.len() <= EXCERPT && printed.len() < 3 * EXCERPT);
        assert_eq!(printed, format!("{exchange:?}"));
        assert!(printed.contains("no answer"));
    }
}
