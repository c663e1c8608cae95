//! Answers as bytes: statuses, headers, compression, and answers that break off.

use std::convert::Infallible;
use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{Stream, StreamExt as _, stream};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    SET_COOKIE,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

use crate::streaming;

/// An answer for hyper.
pub type HttpResponse = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// Answers below this many bytes are not compressed.
const COMPRESSED: usize = 2048;
/// An answer that will break off is written in pieces of this size, each flushed before the next.
const PIECE: usize = 16 << 10;

/// An answer before it is written.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    stream: Option<streaming::Body>,
}

// === impl Reply ===

impl Reply {
    /// A SOAP or POX answer.
    pub fn xml(status: u16, body: String) -> Self {
        Self::new(status, Some("text/xml; charset=utf-8"), body)
    }

    /// An answer that comes piece by piece.
    pub fn stream(body: streaming::Body) -> Self {
        Self { stream: Some(body), ..Self::xml(200, String::new()) }
    }

    /// Sets a cookie.
    pub fn set_cookie(&mut self, cookie: &str) {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            self.headers.insert(SET_COOKIE, value);
        }
    }

    /// An answer of the token endpoint.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, Some("application/json; charset=utf-8"), body.to_string())
    }

    /// A status as IIS answers it.
    pub fn bare(status: u16, retry_after: Option<u32>, location: Option<&str>) -> Self {
        let body = match (status, retry_after) {
            (413, _) => String::new(),
            (503, None) => "<h2>Service Unavailable</h2>".to_owned(),
            (503, Some(_)) | (300..=399, _) => String::new(),
            _ => format!("<html><head><title>{status}</title></head><body><h1>Server Error</h1></body></html>"),
        };
        let mut reply = Self::new(status, (!body.is_empty()).then_some("text/html"), body);
        let mut set = |name: HeaderName, value: Option<String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                reply.headers.insert(name, value);
            }
        };
        set(RETRY_AFTER, retry_after.map(|seconds| seconds.to_string()));
        set(LOCATION, location.map(str::to_owned));
        reply
    }

    /// A page to log on, with status 200.
    pub fn page() -> Self {
        let body = "<!DOCTYPE html><html><head><title>Outlook Web App</title></head><body>Sign in</body></html>";
        Self::new(200, Some("text/html; charset=utf-8"), body.to_owned())
    }

    /// 401.
    pub fn unauthorized(challenge: HeaderMap) -> Self {
        let mut reply = Self::new(401, None, String::new());
        reply.headers.extend(challenge);
        reply
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    fn new(status: u16, content_type: Option<&'static str>, body: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("server", HeaderValue::from_static("Microsoft-IIS/10.0"));
        headers.insert("x-feserver", HeaderValue::from_static("CAS01"));
        if let Ok(id) = HeaderValue::try_from(uuid::Uuid::new_v4().to_string()) {
            headers.insert("request-id", id);
        }
        if let Some(kind) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body,
            stream: None,
        }
    }

    /// Writes the answer; with `cut`, only that share of its bytes, and then the connection ends.
    pub fn into_response(mut self, request: &HeaderMap, cut: Option<u8>) -> HttpResponse {
        if let Some(pieces) = self.stream.take() {
            let pieces = stream::unfold(pieces, |mut pieces| async {
                let piece = pieces.recv().await?;
                Some((piece.map(Frame::data), pieces))
            });
            return self.finished(StreamBody::new(pieces).boxed_unsync());
        }
        let mut body = Bytes::from(std::mem::take(&mut self.body));
        let accepts = request.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if body.len() >= COMPRESSED
            && accepts.contains("gzip")
            && let Some(compressed) = compress(&body)
        {
            body = compressed;
            self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if request.contains_key("return-client-request-id")
            && let Some(id) = request.get("client-request-id")
        {
            self.headers.insert("client-request-id", id.clone());
        }
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let body = match cut {
            Some(percent) => broken(body, percent),
            None => Full::new(body).map_err(|error: Infallible| match error {}).boxed_unsync(),
        };
        self.finished(body)
    }

    fn finished(self, body: UnsyncBoxBody<Bytes, std::io::Error>) -> HttpResponse {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn broken(body: Bytes, percent: u8) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let length = body.len() * usize::from(percent.min(99)) / 100;
    let pieces: Vec<Bytes> = body.slice(..length).chunks(PIECE).map(Bytes::copy_from_slice).collect();
    let pieces = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    let end = Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by a fault"));
    StreamBody::new(with_pauses(pieces.chain([end]))).boxed_unsync()
}

/// hyper drops what it has not flushed when a body fails, and it flushes when a body has nothing to give for a moment.
fn with_pauses<T>(pieces: impl Iterator<Item = T> + Send) -> impl Stream<Item = T> + Send
where
    T: Send,
{
    stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    })
}
