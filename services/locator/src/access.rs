//! How a mailbox's server is reached: what the caller sent, checked and opened.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use postroad_core::{
    EmailAddress, Refusal,
    fault::{Code, Report},
    profile::Sealed,
};
use postroad_ews::{
    Access as MailboxAccess, Client, Credentials, Endpoint, Identity, RequestServerVersion, Transport, TransportError,
    TransportOptions, Transports,
};
use postroad_journal::sealing::Keyring;
use postroad_proto::locator::v1 as wire;

/// The time for one request where the caller names none.
const TIMEOUT: Duration = Duration::from_secs(100);
/// The longest part of it for name, connection and TLS.
const CONNECT: Duration = Duration::from_secs(30);

/// Connections and keys, for all mailboxes.
pub struct Opener {
    transports: Transports,
    hosts: BTreeMap<String, SocketAddr>,
    keyring: std::sync::Arc<Keyring>,
}

/// Ready to be used for one mailbox.
pub struct Access {
    /// The mailbox's address.
    pub address: EmailAddress,
    /// The profile's fixed location.
    pub fixed: Option<Endpoint>,
    /// Who logs on.
    pub credentials: Credentials,
    /// Whether that account impersonates the mailbox.
    pub impersonate: bool,
    /// The connections.
    pub transport: Transport,
    /// Time for one request.
    pub timeout: Duration,
    /// Most connections that the profile allows; 0 if it says nothing.
    pub connections: u32,
}

/// Why it cannot be used.
pub enum Failure {
    /// The request is wrong.
    Refused(Refusal),
    /// Something is missing or does not fit.
    Fault(Report),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Opener {
    /// No connections yet.
    pub fn new(hosts: BTreeMap<String, SocketAddr>, keyring: std::sync::Arc<Keyring>) -> Self {
        Self { transports: Transports::default(), hosts, keyring }
    }

    /// Checks and opens what a caller sent. Opens no connection.
    pub fn open(&self, email_address: &str, access: Option<wire::Access>) -> Result<Access, Failure> {
        let address = EmailAddress::parse("email_address", email_address)?;
        let access = access.ok_or_else(|| Refusal::new(Code::FieldRequired, "access", "is required"))?;
        let fixed = match access.location.trim() {
            "" => None,
            url => Some(Endpoint::parse(url).map_err(|error| {
                Refusal::new(Code::LocationInvalid, "access.location", format!("`{url}`: {error}"))
            })?),
        };
        let timeout = match postroad_rig::wire::elapsed(access.timeout.as_ref()) {
            Duration::ZERO => TIMEOUT,
            timeout => timeout,
        };
        Ok(Access {
            credentials: self.credentials(&access)?,
            transport: self.transport(&access.trust_anchors, timeout)?,
            address,
            fixed,
            impersonate: access.impersonate,
            timeout,
            connections: access.maximum_concurrent_connections,
        })
    }

    fn credentials(&self, access: &wire::Access) -> Result<Credentials, Failure> {
        let sealed = access.password.as_ref().filter(|_| !access.user_name.is_empty()).ok_or_else(|| {
            Failure::Fault(Report::new(Code::CredentialsMissing, "neither a user name nor a password came with it"))
        })?;
        let sealed = Sealed {
            key_id: sealed.key_id.clone(),
            wrapped_key: sealed.wrapped_key.clone(),
            ciphertext: sealed.ciphertext.clone(),
        };
        let password = self.keyring.open(&sealed).map_err(|error| Failure::Fault(error.report()))?;
        Ok(Credentials::basic(access.user_name.clone(), password))
    }

    fn transport(&self, trust_anchors: &[String], timeout: Duration) -> Result<Transport, Failure> {
        let options = TransportOptions {
            trust_anchors: trust_anchors.to_vec(),
            connect_timeout: timeout.min(CONNECT),
            hosts: self.hosts.clone(),
            ..TransportOptions::default()
        };
        self.transports.get(&options).map_err(|error| {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let field = match error {
                TransportError::SystemTlsNotBuilt => "access.tls",
                _ => "access.trust_anchors",
            };
            Failure::Refused(Refusal::new(error.fault(), field, reason))
        })
    }
}

impl Access {
    /// A client for this mailbox at a location, as whoever is to be impersonated.
    pub fn client(&self, endpoint: &Endpoint) -> Client {
        let address = self.address.as_str().to_owned();
        let identity = if self.impersonate { Identity::PrimaryAddress(address) } else { Identity::Own };
        let access = MailboxAccess {
            endpoint: endpoint.clone(),
            credentials: self.credentials.clone(),
            identity,
            version: RequestServerVersion::default(),
            timeout: self.timeout,
        };
        Client::new(&self.transport, access)
    }
}
