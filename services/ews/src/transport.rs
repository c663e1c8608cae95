//! HTTPS with a pool of connections that many mailboxes share.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use postroad_core::network::Reach;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderValue, LOCATION},
};
use tokio::time::Instant;

use crate::{
    Endpoint,
    error::{Error, Kind, network},
    evidence::Exchange,
    names::{Guard, Names, refused},
    xml::Filter,
};

mod backend;
pub(crate) mod trust;

pub use backend::Tls;
pub use trust::{TrustAnchorError, count_certificates};

/// An answer's largest size: some 48 MB of message in base64.
pub const RESPONSE_LIMIT: usize = 64 << 20;
/// What is read of an answer that is not a success; faults are far smaller.
const FAILURE_LIMIT: usize = 256 << 10;
/// IIS closes idle connections after two minutes; being earlier avoids requests into a closing connection.
const IDLE: Duration = Duration::from_secs(90);

/// A pool that nobody uses is kept for so long.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// What a pool of connections depends on. Mailboxes with equal options share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransportOptions {
    /// Certificates to trust besides the system's, as PEM.
    pub trust_anchors: Vec<String>,
    /// What speaks TLS.
    pub tls: Tls,
    /// The time for name, connection and TLS together.
    pub connect_timeout: Duration,
    /// An answer's largest size in bytes.
    pub response_limit: usize,
    /// Addresses of hosts that the DNS does not have, or has otherwise. The port counts for URLs without one.
    pub hosts: BTreeMap<String, SocketAddr>,
    /// Which addresses names may lead to; what stands in `hosts` is free of it.
    pub reach: Reach,
    /// The header `User-Agent`; administrators allow and block EWS clients by it.
    pub user_agent: String,
}

/// A pool of connections; a cheap clone. TLS 1.2 and 1.3 only unless [`Tls::System`] is asked for, HTTP/1.1 only, no redirects, no cookies, no proxies.
#[derive(Clone)]
pub struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    options: TransportOptions,
    names: Names,
}

/// Why a pool cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A trust anchor is no certificate.
    #[error("a trust anchor cannot be used")]
    TrustAnchor(#[from] TrustAnchorError),
    /// [`Tls::System`] is asked for.
    #[error("the system's TLS is asked for, and this Postroad was built without the feature legacy-tls")]
    SystemTlsNotBuilt,
    /// The user agent cannot stand in a header.
    #[error("the user agent has characters that a header cannot carry")]
    UserAgent,
    /// TLS cannot be set up, for example because the system has no certificates at all.
    #[error("TLS cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// Pools by their options, each made once and kept while it is used, and for a quarter of an hour after: making one means to read the
/// system's certificates, and each of its connections a handshake.
#[derive(Default)]
pub struct Transports {
    names: Names,
    pools: Mutex<HashMap<TransportOptions, Pool>>,
}

struct Pool {
    inner: Arc<Inner>,
    used: Instant,
}

/// A request on its way.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub method: Method,
    pub endpoint: Endpoint,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body holds a secret, so that no evidence of it is kept.
    pub is_secret: bool,
    pub timeout: Duration,
    pub limit: usize,
}

/// An answer as it came, with legal characters only.
pub(crate) struct Incoming {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub exchange: Exchange,
}

/// What an opened stream is.
pub(crate) enum Opened {
    /// A success: what comes is still on its way.
    Stream(reqwest::Response, Exchange),
    /// A whole answer that is none.
    Refused(Incoming),
}

// === impl TransportOptions ===

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            trust_anchors: Vec::new(),
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(10),
            response_limit: RESPONSE_LIMIT,
            hosts: BTreeMap::new(),
            reach: Reach::INTERNAL,
            user_agent: concat!("Postroad/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

// === impl Transport ===

impl Transport {
    /// A pool of its own that resolves names as the system does. [`Transports`] shares pools.
    pub fn new(options: TransportOptions) -> Result<Self, TransportError> {
        Self::with_names(options, Names::default())
    }

    /// A pool of its own.
    pub fn with_names(options: TransportOptions, names: Names) -> Result<Self, TransportError> {
        let certificates = trust::certificates(&options.trust_anchors)?;
        let user_agent = HeaderValue::from_str(&options.user_agent).map_err(|_| TransportError::UserAgent)?;
        let mut builder = backend::select(reqwest::Client::builder(), options.tls)?
            .tls_certs_merge(certificates)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(user_agent)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .dns_resolver(Arc::new(Guard { names: names.clone(), reach: options.reach }));
        for (host, address) in &options.hosts {
            builder = builder.resolve(host, *address);
        }
        let http = builder.build().map_err(TransportError::Setup)?;
        Ok(Self { inner: Arc::new(Inner { http, options, names }) })
    }

    /// How names are resolved.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.inner.names
    }

    /// What it was made of.
    #[must_use]
    pub fn options(&self) -> &TransportOptions {
        &self.inner.options
    }

    /// Asks for the endpoint without credentials: name, connection and TLS are proven by any answer. Gives its status.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn reach(&self, endpoint: &Endpoint, timeout: Duration) -> Result<u16, Error> {
        let (method, endpoint, body) = (Method::GET, endpoint.clone(), Bytes::new());
        let (headers, limit) = (HeaderMap::new(), FAILURE_LIMIT);
        let outgoing = Outgoing { method, endpoint, headers, body, is_secret: false, timeout, limit };
        match self.exchange(outgoing).await {
            Ok(incoming) => Ok(incoming.status),
            // A page of any size is an answer.
            Err(error) if matches!(error.kind(), Kind::TooLarge(_)) => Ok(200),
            Err(error) => Err(error),
        }
    }

    /// GET over plain http, with nothing that could tell who asks. Gives the status and the header `Location`.
    pub(crate) async fn hint(&self, url: &Url, timeout: Duration) -> Result<(u16, Option<String>), Error> {
        let started = Instant::now();
        let mut exchange = Exchange::begin(&Method::GET, url.as_str(), &HeaderMap::new(), &Bytes::new());
        let options = &self.inner.options;
        let client = plain(options, self.inner.names.clone());
        let asked = async {
            let client = client.map_err(|error| network(&error))?;
            client.get(url.clone()).send().await.map_err(|error| network(&error))
        };
        let outcome = tokio::time::timeout(timeout, asked).await.unwrap_or(Err(Kind::Timeout(timeout)));
        exchange.elapsed = started.elapsed();
        match outcome {
            Ok(response) => {
                exchange.answered(&response);
                let location = response.headers().get(LOCATION);
                let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                Ok((response.status().as_u16(), location))
            }
            Err(kind) => Err(Error::new(kind, exchange)),
        }
    }

    /// Sends a request and receives the whole answer, whatever its status.
    pub(crate) async fn exchange(&self, outgoing: Outgoing) -> Result<Incoming, Error> {
        let started = Instant::now();
        let hidden = Bytes::from_static(b"[hidden]");
        let shown = if outgoing.is_secret { &hidden } else { &outgoing.body };
        let mut exchange = Exchange::begin(&outgoing.method, outgoing.endpoint.as_str(), &outgoing.headers, shown);
        let timeout = outgoing.timeout;
        let outcome = tokio::time::timeout(timeout, self.send(outgoing, &mut exchange)).await;
        exchange.elapsed = started.elapsed();
        match outcome.unwrap_or(Err(Kind::Timeout(timeout))) {
            Ok((status, headers, text)) => Ok(Incoming { status, headers, text, exchange }),
            Err(kind) => Err(Error::new(kind, exchange)),
        }
    }

    /// Sends a request whose answer is a stream: the time limit is for its beginning.
    pub(crate) async fn open(&self, outgoing: Outgoing) -> Result<Opened, Error> {
        let started = Instant::now();
        let mut exchange =
            Exchange::begin(&outgoing.method, outgoing.endpoint.as_str(), &outgoing.headers, &outgoing.body);
        let timeout = outgoing.timeout;
        let opened = async {
            let mut response = self.begin(outgoing).await?;
            exchange.answered(&response);
            if response.status().is_success() {
                return Ok(Ok(response));
            }
            let headers = std::mem::take(response.headers_mut());
            Ok(Err((response.status().as_u16(), headers, read_some(&mut response).await)))
        };
        let opened = tokio::time::timeout(timeout, opened).await.unwrap_or(Err(Kind::Timeout(timeout)));
        exchange.elapsed = started.elapsed();
        match opened {
            Ok(Ok(response)) => Ok(Opened::Stream(response, exchange)),
            Ok(Err((status, headers, text))) => Ok(Opened::Refused(Incoming { status, headers, text, exchange })),
            Err(kind) => Err(Error::new(kind, exchange)),
        }
    }

    async fn send(&self, outgoing: Outgoing, exchange: &mut Exchange) -> Result<(u16, HeaderMap, String), Kind> {
        let limit = outgoing.limit.min(self.inner.options.response_limit);
        let mut response = self.begin(outgoing).await?;
        exchange.answered(&response);
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let text = if status.is_success() { read(&mut response, limit).await? } else { read_some(&mut response).await };
        Ok((status.as_u16(), headers, text))
    }

    async fn begin(&self, outgoing: Outgoing) -> Result<reqwest::Response, Kind> {
        // A number in place of a name is not resolved, so it is checked here.
        if let Some(address) = outgoing.endpoint.address()
            && !self.inner.options.reach.allows(address)
        {
            return Err(Kind::Address(refused(outgoing.endpoint.host(), address)));
        }
        let request = self
            .inner
            .http
            .request(outgoing.method, outgoing.endpoint.url().clone())
            .headers(outgoing.headers)
            .body(outgoing.body);
        request.send().await.map_err(|error| network(&error))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transport").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

/// For plain http; made when it is needed, which is rare.
fn plain(options: &TransportOptions, names: Names) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_rustls()
        .tls_certs_only([])
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .user_agent(options.user_agent.clone())
        .connect_timeout(options.connect_timeout)
        .dns_resolver(Arc::new(Guard { names, reach: options.reach }));
    for (host, address) in &options.hosts {
        builder = builder.resolve(host, *address);
    }
    builder.build()
}

/// Reads a whole answer; its text is filtered while it arrives.
async fn read(response: &mut reqwest::Response, limit: usize) -> Result<String, Kind> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > limit {
        return Err(Kind::TooLarge(limit));
    }
    let mut filter = Filter::with_capacity(announced.min(8 << 20));
    while let Some(chunk) = response.chunk().await.map_err(|error| network(&error))? {
        filter.push(&chunk);
        if filter.len() > limit {
            return Err(Kind::TooLarge(limit));
        }
    }
    Ok(filter.finish())
}

/// Reads what comes of a failure's body: the status counts, even if the body breaks off.
async fn read_some(response: &mut reqwest::Response) -> String {
    let mut filter = Filter::default();
    while let Ok(Some(chunk)) = response.chunk().await {
        filter.push(&chunk);
        if filter.len() > FAILURE_LIMIT {
            break;
        }
    }
    filter.finish()
}

// === impl Transports ===

impl Transports {
    /// No pools yet.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { names, pools: Mutex::default() }
    }

    /// The pool with these options.
    pub fn get(&self, options: &TransportOptions) -> Result<Transport, TransportError> {
        let now = Instant::now();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get_mut(options) {
            pool.used = now;
            return Ok(Transport { inner: Arc::clone(&pool.inner) });
        }
        let transport = Transport::with_names(options.clone(), self.names.clone())?;
        pools.retain(|_, pool| pool.is_wanted(now));
        pools.insert(options.clone(), Pool { inner: Arc::clone(&transport.inner), used: now });
        Ok(transport)
    }
}

impl Pool {
    fn is_wanted(&self, now: Instant) -> bool {
        Arc::strong_count(&self.inner) > 1 || now.saturating_duration_since(self.used) < KEPT
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transports").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_options_share_a_pool_while_it_is_used_and_after() {
        let transports = Transports::default();
        let options = TransportOptions::default();
        let first = transports.get(&options).unwrap();
        let inner = Arc::downgrade(&first.inner);
        let other = TransportOptions { connect_timeout: Duration::from_secs(3), ..options.clone() };
        assert!(!Arc::ptr_eq(&first.inner, &transports.get(&other).unwrap().inner));
        drop(first);
        let again = transports.get(&options).unwrap();
        assert!(inner.upgrade().is_some_and(|inner| Arc::ptr_eq(&again.inner, &inner)), "its connections are kept");
        let pool = |used| Pool { inner: Arc::clone(&again.inner), used };
        let used = Instant::now();
        assert!(pool(used).is_wanted(used + KEPT), "it is in use");
        let mut alone = pool(used);
        alone.inner = Transport::new(other).unwrap().inner;
        assert!(alone.is_wanted(used + KEPT / 2) && !alone.is_wanted(used + KEPT), "nobody uses it");
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        let options = TransportOptions { trust_anchors: vec!["no PEM".to_owned()], ..TransportOptions::default() };
        assert!(matches!(Transport::new(options), Err(TransportError::TrustAnchor(_))));
        let options = TransportOptions { user_agent: "a\nb".to_owned(), ..TransportOptions::default() };
        assert!(matches!(Transport::new(options), Err(TransportError::UserAgent)));
    }
}
