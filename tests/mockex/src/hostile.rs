//! Hostile modes: hosts that do what is scripted, whatever an Exchange would do, and a DNS that lies.
//!
//! Every host speaks TLS and plain HTTP on one port, and everything that reaches it is remembered: a test proves by that
//! that no credential left for it.

pub mod answers;
mod dns;
mod host;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::task::JoinSet;

pub use dns::Record;

use crate::running::Error;

/// What reached a host.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The name that the host was given in the theatre.
    pub host: String,
    /// `https` or `http`.
    pub scheme: &'static str,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Whether `Authorization`, `Cookie` or `Proxy-Authorization` came with it.
    pub with_credentials: bool,
}

/// What a host does with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// This status with these headers and body.
    Answer(u16, Vec<(String, String)>, String),
    /// The headers of a success, and then a byte now and then for ever.
    SlowLoris,
    /// A success with so many bytes.
    Huge(usize),
    /// Nothing, for ever.
    Hang,
    /// The connection is closed.
    Close,
}

/// A host's part: what it does with each request.
pub type Part = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// Which certificate a host shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Certificate {
    /// One for its name, by the authority that clients trust.
    #[default]
    Right,
    /// One for another name.
    OtherName,
    /// One that has expired.
    Expired,
    /// One by an authority that nobody knows.
    Stranger,
}

/// Hosts and a DNS; dropping it stops everything.
pub struct Theatre {
    issuer: Issuer<'static, KeyPair>,
    stranger: Issuer<'static, KeyPair>,
    ca_pem: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    addresses: BTreeMap<String, SocketAddr>,
    dns: dns::Dns,
    tasks: JoinSet<()>,
}

impl Theatre {
    /// Opens a theatre without hosts.
    ///
    /// # Errors
    /// A port or a certificate cannot be had.
    pub async fn open() -> Result<Self, Error> {
        let (issuer, ca_pem) = authority("theatre authority")?;
        let (stranger, _) = authority("stranger")?;
        let mut tasks = JoinSet::new();
        let dns = dns::Dns::start(&mut tasks).await?;
        let seen = Arc::default();
        Ok(Self { issuer, stranger, ca_pem, seen, addresses: BTreeMap::new(), dns, tasks })
    }

    /// The certificate of the authority that clients trust, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Adds a host that plays a part; gives where it listens.
    ///
    /// # Errors
    /// A port or a certificate cannot be had.
    pub async fn host(&mut self, name: &str, certificate: Certificate, part: Part) -> Result<SocketAddr, Error> {
        let issuer = if certificate == Certificate::Stranger { &self.stranger } else { &self.issuer };
        let acceptor = host::acceptor(name, certificate, issuer)?;
        let address = host::start(name.to_owned(), acceptor, part, Arc::clone(&self.seen), &mut self.tasks).await?;
        self.addresses.insert(name.to_owned(), address);
        Ok(address)
    }

    /// Where the hosts listen, by their names.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// What reached the hosts, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the DNS listens, by UDP.
    #[must_use]
    pub const fn dns(&self) -> SocketAddr {
        self.dns.address
    }

    /// What the DNS says about a name from now on; each question takes one answer, and the last one stays. Other names do
    /// not exist.
    pub fn name(&self, name: &str, answers: Vec<Vec<Record>>) {
        self.dns.set(name, answers);
    }

    /// The names that the DNS was asked about.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.dns.asked()
    }
}

fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String), Error> {
    let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((Issuer::new(params, key), certificate.pem()))
}

impl Act {
    /// A status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Answer(status, vec![("Location".to_owned(), location.to_owned())], String::new())
    }

    /// A success with XML.
    #[must_use]
    pub fn xml(body: impl Into<String>) -> Self {
        Self::Answer(200, vec![("Content-Type".to_owned(), "text/xml; charset=utf-8".to_owned())], body.into())
    }

    /// A 401 that offers these schemes, as Exchange's Autodiscover marks it or without the marks.
    #[must_use]
    pub fn unauthorized(schemes: &[&str], marked: bool) -> Self {
        let mut headers: Vec<(String, String)> =
            schemes.iter().map(|scheme| ("WWW-Authenticate".to_owned(), (*scheme).to_owned())).collect();
        if marked {
            for mark in ["X-SOAP-Enabled", "X-WSSecurity-Enabled", "X-OAuth-Enabled"] {
                headers.push((mark.to_owned(), "True".to_owned()));
            }
        }
        Self::Answer(401, headers, String::new())
    }
}

/// A well-behaved Autodiscover that answers these documents to whoever shows credentials, right or wrong; without a
/// document the service does not exist.
#[must_use]
pub fn autodiscover(soap: Option<String>, pox: Option<String>) -> Part {
    Arc::new(move |seen| {
        if !seen.with_credentials {
            return Act::unauthorized(&["Negotiate", "NTLM", "Basic realm=\"x\""], true);
        }
        let document = if seen.path.to_lowercase().ends_with(".svc") { &soap } else { &pox };
        document.clone().map_or_else(|| Act::status(404), Act::xml)
    })
}

/// The same act for every request.
#[must_use]
pub fn always(act: Act) -> Part {
    Arc::new(move |_| act.clone())
}
