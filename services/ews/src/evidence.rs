//! What was said on the wire, for people who have to find out why it failed. Never a credential, never mail.

use std::{fmt, net::SocketAddr, time::Duration};

use reqwest::header::{HeaderMap, HeaderValue};

mod mask;

/// The beginning of a body that is kept.
const EXCERPT: usize = 4096;
/// Headers of which the value is not kept.
const SECRET: [&str; 6] =
    ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-backendoverridecookie", "authentication-info"];

/// One request and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// `POST` or `GET`.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The address it went to, once known.
    pub peer: Option<SocketAddr>,
    /// Request headers; secret values are replaced.
    pub request_headers: Vec<(String, String)>,
    /// The first 4 KiB of the request.
    pub request_body: String,
    /// The status line, once there is one.
    pub status: Option<String>,
    /// Answer headers; secret values are replaced.
    pub response_headers: Vec<(String, String)>,
    /// The first 4 KiB of the answer; what messages say is replaced by its length. Kept of failures only.
    pub response_body: String,
    /// From the first attempt to connect to the last byte.
    pub elapsed: Duration,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn begin(method: &str, url: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            request_headers: pairs(headers),
            request_body: excerpt(&String::from_utf8_lossy(body.get(..EXCERPT).unwrap_or(body))).to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn answered(&mut self, response: &reqwest::Response) {
        let status = response.status();
        self.status = Some(format!(
            "{:?} {} {}",
            response.version(),
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        ));
        if let Some(line) = &mut self.status {
            line.truncate(line.trim_end().len());
        }
        self.response_headers = pairs(response.headers());
        self.peer = response.remote_addr();
    }

    pub(crate) fn keep(&mut self, body: &str) {
        self.response_body = excerpt(&mask::mask(body, EXCERPT)).to_owned();
    }

    /// A header of the answer.
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The id that the server's logs know the request by, or ours if it gave none.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        let ours =
            || self.request_headers.iter().find(|(key, _)| key == "client-request-id").map(|(_, id)| id.as_str());
        self.response_header("request-id").or_else(ours)
    }
}

/// As it could have been seen on the wire.
impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} {}", self.method, self.url)?;
        part(formatter, &self.request_headers, &self.request_body)?;
        let peer = self.peer.map(|peer| format!(" from {peer}")).unwrap_or_default();
        let status = self.status.as_deref().unwrap_or("no answer");
        writeln!(formatter, "\n{status} ({} ms{peer})", self.elapsed.as_millis())?;
        part(formatter, &self.response_headers, &self.response_body)
    }
}

fn part(formatter: &mut fmt::Formatter<'_>, headers: &[(String, String)], body: &str) -> fmt::Result {
    for (name, value) in headers {
        writeln!(formatter, "{name}: {value}")?;
    }
    if body.is_empty() { Ok(()) } else { writeln!(formatter, "\n{body}") }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), shown(name.as_str(), value))).collect()
}

fn shown(name: &str, value: &HeaderValue) -> String {
    if value.is_sensitive() || SECRET.contains(&name) {
        return "[hidden]".to_owned();
    }
    String::from_utf8_lossy(value.as_bytes()).chars().take(1024).collect()
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
        let mut exchange = Exchange::begin("POST", "https://mail/EWS", &headers, body.as_bytes());
        exchange.keep(&body);
        let printed = exchange.to_string();
        assert!(printed.contains("authorization: [hidden]") && printed.contains("user1@contoso.example"));
        assert!(!printed.contains("c2VjcmV0"));
        assert!(exchange.request_body.len() <= EXCERPT && exchange.response_body.len() <= EXCERPT);
        assert!(printed.contains("no answer"));
    }
}
