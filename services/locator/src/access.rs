//! How a mailbox's server is reached: what the caller sent, checked and opened.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use postroad_core::{
    EmailAddress, Refusal,
    autodiscover::{Pattern, Release, is_public_suffix},
    fault::{Code, Report},
    network::Reach,
    profile::Sealed,
};
use postroad_ews::{
    Access as MailboxAccess, Client, Credentials, Endpoint, Identity, Names, NamesError, Proof, RequestServerVersion,
    Tls, TokenOptions, TokenSources, Transport, TransportError, TransportOptions, Transports,
};
use postroad_journal::sealing::Keyring;
use postroad_proto::locator::v1 as wire;
use postroad_rig::config::Network;

/// The time for one request where the caller names none.
const TIMEOUT: Duration = Duration::from_secs(100);
/// The longest part of it for name, connection and TLS.
const CONNECT: Duration = Duration::from_secs(30);

/// Connections and keys, for all mailboxes.
pub struct Opener {
    transports: Transports,
    tokens: TokenSources,
    hosts: BTreeMap<String, SocketAddr>,
    released: Vec<Pattern>,
    reach: Reach,
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
    /// Connections to the mail server.
    pub transport: Transport,
    /// Connections to Autodiscover, which anybody may answer for.
    pub finding: Transport,
    /// Where the credentials may go.
    pub release: Release,
    /// The account, as the cache knows it.
    pub account: String,
    /// What changes with the password, and is none.
    pub proof: String,
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
    pub fn new(network: &Network, keyring: std::sync::Arc<Keyring>) -> Result<Self, NamesError> {
        Ok(Self {
            transports: Transports::new(Names::servers(&network.resolvers)?),
            tokens: TokenSources::default(),
            hosts: network.hosts.clone(),
            released: network.released_hosts.clone(),
            reach: network.reach(),
            keyring,
        })
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
        let release = self.release(&address, &access)?;
        let inside = if access.allow_internal_addresses { Reach::INTERNAL } else { Reach::PUBLIC };
        let finding = self.transport(&access, timeout, inside)?;
        let transport = match fixed {
            // A location that a person entered may be internal.
            Some(_) => self.transport(&access, timeout, Reach::INTERNAL)?,
            None => finding.clone(),
        };
        Ok(Access {
            credentials: self.credentials(&access, timeout)?,
            transport,
            finding,
            release,
            account: account(&access),
            proof: proof(&access),
            address,
            fixed,
            impersonate: access.impersonate,
            timeout,
            connections: access.maximum_concurrent_connections,
        })
    }

    fn credentials(&self, access: &wire::Access, timeout: Duration) -> Result<Credentials, Failure> {
        let client = access.client_credentials.as_ref();
        let is_named = !access.user_name.is_empty() || client.is_some();
        let sealed = access.password.as_ref().filter(|_| is_named).ok_or_else(|| {
            Failure::Fault(Report::new(Code::CredentialsMissing, "neither a user name nor a password came with it"))
        })?;
        let sealed = Sealed {
            key_id: sealed.key_id.clone(),
            wrapped_key: sealed.wrapped_key.clone(),
            ciphertext: sealed.ciphertext.clone(),
        };
        let password = self.keyring.open(&sealed).map_err(|error| Failure::Fault(error.report()))?;
        let Some(client) = client else { return Ok(Credentials::basic(access.user_name.clone(), password)) };
        let endpoint = Endpoint::parse(&client.token_location).map_err(|error| {
            Refusal::new(Code::LocationInvalid, "access.client_credentials.token_location", error.to_string())
        })?;
        // A person entered where tokens are issued: it may be internal.
        let transport = self.transport(access, timeout, Reach::INTERNAL)?;
        let options = TokenOptions {
            endpoint,
            client_id: client.client_id.clone(),
            scope: client.scope.clone(),
            proof: Proof::new(&client.certificate, password),
        };
        let source = self
            .tokens
            .get(&transport, &options)
            .map_err(|error| Failure::Fault(Report::new(Code::ClientCredentialsRejected, error.to_string())))?;
        Ok(Credentials::oauth(source))
    }

    fn release(&self, address: &EmailAddress, access: &wire::Access) -> Result<Release, Refusal> {
        let own = access.released_hosts.iter().map(|text| Pattern::parse("access.released_hosts", text));
        let mut patterns = own.collect::<Result<Vec<_>, _>>()?;
        patterns.extend(self.released.iter().cloned());
        let mut domains = vec![address.domain()];
        domains.extend(access.mailbox_domains.iter().map(|domain| domain.to_lowercase()));
        domains.retain(|domain| !is_public_suffix(domain));
        Ok(Release { domains, patterns, online: access.exchange_online, internal: access.allow_internal_addresses })
    }

    fn transport(&self, access: &wire::Access, timeout: Duration, reach: Reach) -> Result<Transport, Failure> {
        let options = TransportOptions {
            trust_anchors: access.trust_anchors.clone(),
            connect_timeout: timeout.min(CONNECT),
            hosts: self.hosts.clone(),
            reach: self.reach.or(reach),
            tls: if access.system_tls { Tls::System } else { Tls::Rustls },
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

fn account(access: &wire::Access) -> String {
    let client = access.client_credentials.as_ref().map(|client| client.client_id.as_str());
    client.unwrap_or(&access.user_name).to_lowercase()
}

/// A new password is sealed anew, so its ciphertext differs.
fn proof(access: &wire::Access) -> String {
    let sealed = access.password.as_ref().map(|sealed| sealed.ciphertext.as_slice()).unwrap_or_default();
    let anchors = access.trust_anchors.concat();
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &[sealed, anchors.as_bytes()].concat()).to_string()
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
