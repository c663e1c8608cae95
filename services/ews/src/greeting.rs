//! What a location answers to somebody without credentials: who is there, and what he wants to see.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{Method, header::HeaderMap};

use crate::{
    Challenge, Endpoint, Error, Kind, Transport,
    error::classify,
    evidence::Exchange,
    transport::{Incoming, Outgoing},
};

/// What is read of an answer.
const LIMIT: usize = 256 << 10;

/// A 401: the only answer that an EWS location gives to a stranger.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The ways of authentication that are offered.
    pub challenge: Challenge,
    /// The header `Server`.
    pub server: Option<String>,
    /// The front end's name (`X-FEServer`), which only Exchange sends.
    pub front_end: Option<String>,
    /// The server's clock.
    pub date: Option<Timestamp>,
    /// What was said on the wire.
    pub exchange: Exchange,
}

/// Asks a location who is there.
///
/// # Errors
/// There is no answer, or one that no EWS location gives to a stranger.
pub async fn greet(transport: &Transport, endpoint: &Endpoint, timeout: Duration) -> Result<Greeting, Error> {
    let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
    let outgoing =
        Outgoing { method, endpoint: endpoint.clone(), headers, body, timeout, limit: LIMIT, is_secret: false };
    let Incoming { status, headers, text, mut exchange } = transport.exchange(outgoing).await?;
    exchange.keep(&text);
    match classify(status, &headers, &text, endpoint) {
        Kind::Unauthorized(challenge) => {
            let header = |name: &str| exchange.response_header(name).map(str::to_owned);
            let date = header("date")
                .and_then(|text| rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&text).ok());
            Ok(Greeting { challenge, server: header("server"), front_end: header("x-feserver"), date, exchange })
        }
        kind => Err(Error::new(kind, exchange)),
    }
}
