//! Requests for one mailbox.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tracing::Instrument as _;

use crate::{
    Access, Affinity, EventStream, GetStreamingEvents, Identity, Operation, RequestServerVersion, ServerVersion,
    Transport, authentication,
    error::{Error, Kind, classify},
    evidence::Exchange,
    operation,
    response::ReadError,
    seen::Seen,
    soap::{self, Content},
    transport::{Incoming, Opened, Outgoing},
    xml::XmlError,
};

/// Sends operations for one mailbox over a shared [`Transport`]; a cheap clone.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    inner: Arc<Inner>,
}

struct Inner {
    access: Access,
    anchor: Option<HeaderValue>,
}

/// An answer with what is known about how it came.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// What the server says about itself; absent from some answers.
    pub server: Option<ServerVersion>,
    /// What was said on the wire, without the body.
    pub exchange: Exchange,
}

// === impl Client ===

impl Client {
    /// A client for one mailbox.
    #[must_use]
    pub fn new(transport: &Transport, access: Access) -> Self {
        let anchor =
            access.identity.address().and_then(|address| HeaderValue::from_bytes(address.trim().as_bytes()).ok());
        Self { transport: transport.clone(), inner: Arc::new(Inner { access, anchor }) }
    }

    /// How the mailbox is reached.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.inner.access
    }

    /// The same with another schema: what to do about [`crate::Class::Version`].
    #[must_use]
    pub fn at_version(&self, version: RequestServerVersion) -> Self {
        Self::new(&self.transport, Access { version, ..self.inner.access.clone() })
    }

    /// The same for another mailbox.
    #[must_use]
    pub fn for_identity(&self, identity: Identity) -> Self {
        Self::new(&self.transport, Access { identity, ..self.inner.access.clone() })
    }

    /// Does an operation.
    ///
    /// # Errors
    /// Whatever keeps it from having a result as a whole, with the evidence. Items of a batch have results of their own.
    pub async fn ask<O: Operation>(&self, operation: &O) -> Result<O::Response, Error> {
        self.call(operation).await.map(|answer| answer.value)
    }

    /// Does an operation, and tells about the server too.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<Answer<O::Response>, Error> {
        let seen = self.begin(O::NAME);
        let asked = async {
            let outgoing = self.outgoing(operation);
            let incoming = authentication::exchange(&self.transport, &self.inner.access.credentials, outgoing).await?;
            self.read(operation, incoming)
        };
        let result = asked.instrument(seen.span()).await;
        seen.end(result.as_ref().map(|answer| &answer.exchange));
        result
    }

    /// Does an operation on the back end that others of its group were sent to; the first answer tells which that is.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_with<O: Operation>(&self, operation: &O, affinity: &mut Affinity) -> Result<O::Response, Error> {
        let seen = self.begin(O::NAME);
        let asked = async {
            let mut outgoing = self.outgoing(operation);
            affinity.write(&mut outgoing.headers);
            let incoming = authentication::exchange(&self.transport, &self.inner.access.credentials, outgoing).await?;
            affinity.keep(&incoming.headers);
            self.read(operation, incoming)
        };
        let result = asked.instrument(seen.span()).await;
        seen.end(result.as_ref().map(|answer| &answer.exchange));
        result.map(|answer| answer.value)
    }

    /// Opens a hanging connection for events. The access's time limit is that of its first byte.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn stream(&self, operation: GetStreamingEvents, affinity: &Affinity) -> Result<EventStream, Error> {
        let seen = self.begin(GetStreamingEvents::NAME);
        let result = self.open(operation, affinity).instrument(seen.span()).await;
        seen.end(result.as_ref().map(EventStream::exchange));
        result
    }

    async fn open(&self, operation: GetStreamingEvents, affinity: &Affinity) -> Result<EventStream, Error> {
        let mut outgoing = self.outgoing(&operation);
        affinity.write(&mut outgoing.headers);
        // A compressed stream would be kept back until there is enough of it.
        outgoing.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let opened = authentication::open(&self.transport, &self.inner.access.credentials, outgoing).await?;
        match opened {
            Opened::Stream(response, exchange) => Ok(EventStream::new(response, operation, exchange)),
            Opened::Refused(incoming) => match self.read(&operation, incoming) {
                Ok(answer) => {
                    Err(Error::new(Kind::Truncated("an answer instead of a stream".to_owned()), answer.exchange))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn begin(&self, operation: &'static str) -> Seen {
        Seen::begin(operation, &self.inner.access.endpoint)
    }

    fn outgoing<O: Operation>(&self, operation: &O) -> Outgoing {
        let access = &self.inner.access;
        Outgoing {
            method: Method::POST,
            endpoint: access.endpoint.clone(),
            headers: self.headers(O::NAME, O::IS_SHORT),
            body: Bytes::from(operation::request(operation, access.version, &access.identity)),
            is_secret: false,
            timeout: access.timeout,
            limit: usize::MAX,
        }
    }

    fn headers(&self, operation: &str, is_short: bool) -> HeaderMap {
        let mut headers = envelope_headers();
        let action = format!("\"http://schemas.microsoft.com/exchange/services/2006/messages/{operation}\"");
        headers
            .extend(HeaderValue::from_str(&action).ok().map(|action| (HeaderName::from_static("soapaction"), action)));
        if is_short {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(anchor) = &self.inner.anchor {
            headers.insert("x-anchormailbox", anchor.clone());
        }
        headers
    }

    fn read<O: Operation>(&self, operation: &O, incoming: Incoming) -> Result<Answer<O::Response>, Error> {
        let Incoming { status, headers, text, mut exchange } = incoming;
        let kind = match soap::read(&text, |reader, element| operation.read(reader, element)) {
            Ok(envelope) => match envelope.content {
                Content::Answer(value) if (200..300).contains(&status) => {
                    return Ok(Answer { value, server: envelope.server, exchange });
                }
                Content::Answer(_) => classify(status, &headers, &text, &self.inner.access.endpoint),
                Content::Fault(fault) => Kind::Fault(fault),
            },
            Err(error) if (200..300).contains(&status) => {
                unreadable(error, &headers, &text, status, &self.inner.access)
            }
            Err(_) => classify(status, &headers, &text, &self.inner.access.endpoint),
        };
        exchange.keep(&text);
        Err(Error::new(kind.answering(self.inner.access.credentials.scheme()), exchange))
    }
}

fn unreadable(error: ReadError, headers: &HeaderMap, text: &str, status: u16, access: &Access) -> Kind {
    match error {
        ReadError::Response(error) => Kind::Response(error),
        ReadError::Xml(_) if crate::error::is_page(headers, text) => classify(status, headers, text, &access.endpoint),
        ReadError::Xml(XmlError::Truncated) => Kind::Truncated("it ends inside an element".to_owned()),
        ReadError::Xml(error) => Kind::Malformed(error),
    }
}

/// The headers that every SOAP request has.
pub(crate) fn envelope_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
    headers.insert("return-client-request-id", HeaderValue::from_static("true"));
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
    headers.extend(id.ok().map(|id| (HeaderName::from_static("client-request-id"), id)));
    headers
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("access", &self.inner.access).finish_non_exhaustive()
    }
}
