//! The hanging connection of GetStreamingEvents, and what keeps its requests on one back end (PROTOCOL of the reference pack, §8).

use std::{collections::VecDeque, fmt, time::Duration};

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::{
    Class, Error, GetStreamingEvents, Known, Operation as _, StreamFailure, StreamMessage,
    error::{Kind, network},
    evidence::Exchange,
    soap::{self, Content},
    xml::{Filter, XmlError},
};

mod splitter;

use splitter::Splitter;

/// The cookies that keep requests on the back end of a subscription: 2010's, and that of 2013 and later.
const COOKIES: [&str; 2] = ["exchangecookie", "x-backendoverridecookie"];

/// What all requests for the subscriptions of one connection share, so that they reach the back end that has them.
#[derive(Clone, Default)]
pub struct Affinity {
    /// The address of the mailbox that stands for all: the same in every request.
    pub anchor: String,
    cookies: Vec<(String, String)>,
}

impl Affinity {
    /// Around a mailbox; the first answer tells the rest.
    #[must_use]
    pub fn around(anchor: impl Into<String>) -> Self {
        Self { anchor: anchor.into(), cookies: Vec::new() }
    }

    /// Whether a back end was told.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Keeps the cookies that an answer sets; it comes with the first one only.
    pub(crate) fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            if !COOKIES.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                continue;
            }
            self.cookies.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Ok(anchor) = HeaderValue::from_str(self.anchor.trim()) {
            headers.insert("x-anchormailbox", anchor);
        }
        headers.insert("x-preferserveraffinity", HeaderValue::from_static("true"));
        if self.cookies.is_empty() {
            return;
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Ok(mut value) = HeaderValue::from_str(&cookies.join("; ")) {
            value.set_sensitive(true);
            headers.insert("cookie", value);
        }
    }
}

impl fmt::Debug for Affinity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Affinity").field("anchor", &self.anchor).finish_non_exhaustive()
    }
}

/// What a failure of a subscription or a stream asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRemedy {
    /// A new subscription, and a look at what happened meanwhile.
    Resubscribe,
    /// A mailbox of the group is elsewhere: ask for its location again.
    Rediscover,
    /// Fewer hanging connections or subscriptions.
    Fewer,
    /// Another connection reads these subscriptions now.
    TakenOver,
    /// This server or mailbox cannot: poll.
    Poll,
    /// Wait, then try again.
    Wait,
}

impl StreamRemedy {
    /// What an error of the server asks for.
    #[must_use]
    pub fn of(code: &crate::ResponseCode) -> Self {
        match code.known() {
            Some(
                Known::ErrorSubscriptionNotFound
                | Known::ErrorInvalidSubscription
                | Known::ErrorExpiredSubscription
                | Known::ErrorReadEventsFailed
                | Known::ErrorMissedNotificationEvents
                | Known::ErrorInvalidWatermark
                | Known::ErrorSubscriptionUnsubscribed
                | Known::ErrorSubscriptionUnsubsribed,
            ) => Self::Resubscribe,
            Some(Known::ErrorProxyRequestNotAllowed) => Self::Rediscover,
            Some(Known::ErrorExceededConnectionCount | Known::ErrorExceededSubscriptionCount) => Self::Fewer,
            Some(Known::ErrorNewEventStreamConnectionOpened) => Self::TakenOver,
            Some(
                Known::ErrorSubscriptionDelegateAccessNotSupported
                | Known::ErrorInvalidSubscriptionRequest
                | Known::ErrorInvalidServerVersion
                | Known::ErrorInvalidOperation
                | Known::ErrorSchemaValidation
                | Known::ErrorInvalidRequest,
            ) => Self::Poll,
            Some(known) if known.class() == Class::Rediscover => Self::Rediscover,
            _ => Self::Wait,
        }
    }
}

/// An open stream of events.
pub struct EventStream {
    response: reqwest::Response,
    operation: GetStreamingEvents,
    splitter: Splitter,
    waiting: VecDeque<StreamMessage>,
    exchange: Exchange,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response, operation: GetStreamingEvents, exchange: Exchange) -> Self {
        Self { response, operation, splitter: Splitter::default(), waiting: VecDeque::new(), exchange }
    }

    /// How it was opened.
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The next message; `None` when the server ended the connection. A heartbeat comes every 45 seconds or so: a `silence` longer than
    /// two of them means that the connection is dead, or that a proxy keeps what should flow.
    ///
    /// # Errors
    /// The connection broke, was silent, or carries something else than envelopes.
    pub async fn next(&mut self, silence: Duration) -> Result<Option<StreamMessage>, Error> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            if let Some(envelope) = self.splitter.next() {
                self.read(&envelope)?;
                continue;
            }
            let chunk = tokio::time::timeout(silence, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| self.failed(Kind::Timeout(silence)))?;
            let Some(chunk) = chunk.map_err(|error| self.failed(network(&error)))? else {
                if self.splitter.is_within() {
                    return Err(self.failed(Kind::Truncated("the stream ends inside an envelope".to_owned())));
                }
                return Ok(None);
            };
            self.splitter.push(&chunk).map_err(|error| self.failed(malformed(error.to_string())))?;
        }
    }

    fn read(&mut self, envelope: &[u8]) -> Result<(), Error> {
        let messages = read(&self.operation, envelope).map_err(|kind| self.failed(kind))?;
        self.waiting.extend(messages);
        Ok(())
    }

    fn failed(&self, kind: Kind) -> Error {
        Error::new(kind, self.exchange.clone())
    }
}

fn malformed(what: String) -> Kind {
    Kind::Malformed(XmlError::Unexpected(what))
}

/// The envelopes of some bytes that come in chunks of a size.
pub(crate) fn envelopes_of(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut splitter, mut envelopes) = (Splitter::default(), Vec::new());
    for chunk in bytes.chunks(size) {
        if splitter.push(chunk).is_err() {
            break;
        }
        envelopes.extend(std::iter::from_fn(|| splitter.next()));
    }
    envelopes
}

/// Reads one envelope; a fault is a message like any other failure.
pub(crate) fn read(operation: &GetStreamingEvents, envelope: &[u8]) -> Result<Vec<StreamMessage>, Kind> {
    let mut filter = Filter::with_capacity(envelope.len());
    filter.push(envelope.trim_ascii_start());
    let text = filter.finish();
    let envelope = soap::read(&text, |reader, element| operation.read(reader, element));
    match envelope {
        Ok(envelope) => match envelope.content {
            Content::Answer(messages) => Ok(messages),
            Content::Fault(fault) => Err(Kind::Fault(fault)),
        },
        Err(crate::ReadError::Response(error)) => {
            Ok(vec![StreamMessage::Failed(StreamFailure { error, subscriptions: Vec::new() })])
        }
        Err(crate::ReadError::Xml(error)) => Err(Kind::Malformed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn operation() -> GetStreamingEvents {
        GetStreamingEvents { subscriptions: Vec::new(), minutes: 30 }
    }

    #[test]
    fn a_whole_stream_is_read() {
        let Some(sample) = reference::sample("112-getstreamingevents.resp.stream") else { return };
        let mut splitter = Splitter::default();
        let mut messages = Vec::new();
        for chunk in sample.as_bytes().chunks(17) {
            splitter.push(chunk).unwrap();
            while let Some(envelope) = splitter.next() {
                messages.extend(read(&operation(), &envelope).unwrap());
            }
        }
        assert_eq!(messages.first(), Some(&StreamMessage::Alive));
        assert!(messages.iter().any(|message| matches!(message, StreamMessage::Notifications(_))));
    }

    #[test]
    fn only_the_cookies_of_affinity_are_kept_and_never_printed() {
        let mut headers = HeaderMap::new();
        for cookie in
            ["X-BackEndOverrideCookie=server~1; path=/; secure", "session=secret", "exchangecookie=abc; HttpOnly"]
        {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        let mut affinity = Affinity::around("ada@contoso.example");
        assert!(!affinity.is_settled());
        affinity.keep(&headers);
        let mut sent = HeaderMap::new();
        affinity.write(&mut sent);
        assert_eq!(sent.get("cookie").unwrap(), "X-BackEndOverrideCookie=server~1; exchangecookie=abc");
        assert_eq!(sent.get("x-anchormailbox").unwrap(), "ada@contoso.example");
        assert!(sent.get("cookie").unwrap().is_sensitive());
        assert!(!format!("{affinity:?}").contains("server~1"));
    }

    #[test]
    fn what_is_no_envelope_is_an_error() {
        assert!(matches!(read(&operation(), b"<html></Envelope>"), Err(Kind::Malformed(_))));
    }

    #[test]
    fn errors_ask_for_what_helps() {
        let remedy = |code: &str| StreamRemedy::of(&crate::ResponseCode::read(code));
        assert_eq!(remedy("ErrorSubscriptionNotFound"), StreamRemedy::Resubscribe);
        assert_eq!(remedy("ErrorProxyRequestNotAllowed"), StreamRemedy::Rediscover);
        assert_eq!(remedy("ErrorMailboxMoveInProgress"), StreamRemedy::Rediscover);
        assert_eq!(remedy("ErrorExceededConnectionCount"), StreamRemedy::Fewer);
        assert_eq!(remedy("ErrorSubscriptionDelegateAccessNotSupported"), StreamRemedy::Poll);
        assert_eq!(remedy("ErrorServerBusy"), StreamRemedy::Wait);
    }
}
