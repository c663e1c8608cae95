//! What an organisation consists of when it starts.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// A whole organisation. Ports are 0 unless given: the system chooses free ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The SMTP domains the organisation answers for; Autodiscover calls any other address unknown.
    pub domains: Vec<String>,
    /// The regions, each with its own EWS endpoint.
    pub regions: Vec<Region>,
    /// The account a synchroniser logs on with. It has no mailbox.
    pub service_account: ServiceAccount,
    /// What a 401 offers, and whether Basic and access tokens are accepted at all.
    #[serde(default)]
    pub challenge: Challenge,
    /// The application that gets access tokens, which count as the service account; without one there is no token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
    /// The host name in every URL the organisation hands out, for regions that name none. Certificates hold it.
    #[serde(default = "localhost")]
    pub public_host: String,
    /// More host names for the certificates, besides the domains and their `autodiscover.` names, for clients that map names to 127.0.0.1 themselves.
    #[serde(default)]
    pub host_names: Vec<String>,
    /// Whether `/autodiscover/autodiscover.svc` exists (404 otherwise).
    #[serde(default = "yes")]
    pub autodiscover_soap: bool,
    /// Whether `/autodiscover/autodiscover.xml` exists (404 otherwise).
    #[serde(default = "yes")]
    pub autodiscover_pox: bool,
    /// Whether more concurrent requests for one mailbox than EWSMaxConcurrency (10 on Exchange 2010, 27 on newer ones) are
    /// refused with `ErrorExceededConnectionCount`.
    #[serde(default)]
    pub limit_concurrency: bool,
    /// The largest message that may be made or sent, attachments included, in bytes (`ErrorMessageSizeExceeded` beyond it);
    /// any if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<usize>,
    /// The largest body of a request, in bytes (HTTP 413 beyond it); what the version of the server takes by default if none:
    /// 35 000 000 for Exchange 2010, 67 108 864 for newer ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_limit: Option<usize>,
    /// Subscriptions and hanging connections.
    #[serde(default)]
    pub streaming: Streaming,
    /// For measurements: requests are not checked against the schema and only counted, so that the fake is not what is measured.
    #[serde(default)]
    pub lean: bool,
    /// The address that everything listens on, the control API too, which anybody who reaches it may use.
    #[serde(default = "loopback")]
    pub address: IpAddr,
    /// The port of Autodiscover, 0 for any.
    #[serde(default)]
    pub autodiscover_port: u16,
    /// The port of the control API (plain HTTP), 0 for any.
    #[serde(default)]
    pub control_port: u16,
}

/// One site of the organisation: a server of one version, at one URL.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The name tests and faults use, e.g. `europe`.
    pub name: String,
    /// The version of its servers.
    pub version: ServerVersion,
    /// Its mailboxes at the start.
    #[serde(default)]
    pub mailboxes: Vec<Mailbox>,
    /// More mailboxes, by a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub many: Option<Many>,
    /// The host name in its URL; the organisation's `public_host` if none.
    #[serde(default)]
    pub public_host: Option<String>,
    /// The port, 0 for any.
    #[serde(default)]
    pub port: u16,
}

/// Mailboxes that differ by a number only.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Many {
    /// How many.
    pub count: usize,
    /// Their address, `{n}` in it standing for a number from 0.
    pub pattern: String,
}

/// Subscriptions and hanging connections (GetStreamingEvents).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streaming {
    /// Server processes of a region. A subscription lives in one of them, and is unknown to the others.
    pub back_ends: usize,
    /// After so long without an event a stream says that it lives.
    pub heartbeat_ms: u64,
    /// How long a minute of `ConnectionTimeout` lasts.
    pub minute_ms: u64,
    /// After so many minutes without a connection a subscription is forgotten.
    pub lifetime_minutes: u32,
    /// Hanging connections of one mailbox, or of the service account where none is impersonated; what the version of the server
    /// allows by default if none: 3 on Exchange 2013, 10 on others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hanging_limit: Option<usize>,
    /// Subscriptions of one mailbox; any if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_limit: Option<usize>,
}

/// A server version with everything that follows from it: the request versions it knows, its schema, its policies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ServerVersion {
    /// Exchange 2010 SP3 (14.3).
    #[serde(rename = "2010SP3", alias = "2010")]
    Exchange2010Sp3,
    /// Exchange 2013 SP1 (15.0.847).
    #[serde(rename = "2013SP1", alias = "2013")]
    Exchange2013Sp1,
    /// Exchange 2016 (15.1).
    #[serde(rename = "2016")]
    Exchange2016,
}

/// A mailbox and the account that owns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    /// The primary SMTP address.
    pub address: String,
    /// The name in address lists; derived from the address if none.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Further SMTP addresses.
    #[serde(default)]
    pub proxy_addresses: Vec<String>,
    /// The user principal name; the primary address if none.
    #[serde(default)]
    pub principal_name: Option<String>,
    /// The owner's password; without one the owner cannot log on.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether the account is disabled: impersonating it is refused with `ErrorAccountDisabled`.
    #[serde(default)]
    pub disabled: bool,
    /// Addresses of others that its owner may send as; mail from any other is refused with `ErrorSendAsDenied`.
    #[serde(default)]
    pub send_as: Vec<String>,
    /// Whether it is full: nothing can be created in it (`ErrorQuotaExceeded`), but mail still arrives.
    #[serde(default)]
    pub full: bool,
}

/// The synchroniser's account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// Its user principal name.
    pub principal_name: String,
    /// Its password.
    pub password: String,
    /// The scope of its role ApplicationImpersonation.
    #[serde(default)]
    pub impersonates: Impersonates,
}

/// An application that logs on with access tokens, by client credentials.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The tenant in the path of the token endpoint.
    pub tenant: String,
    /// Its id.
    pub client_id: String,
    /// Its secret; without one it cannot ask with a secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// Its certificate (PEM); without one it cannot ask with an assertion.
    #[serde(default)]
    pub certificate: Option<String>,
    /// How many seconds its tokens live.
    #[serde(default = "hour")]
    pub token_seconds: u64,
}

/// Which mailboxes the service account may impersonate.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Impersonates {
    /// Every mailbox.
    #[default]
    All,
    /// No mailbox: the role is missing.
    None,
    /// Only these primary addresses.
    Only(Vec<String>),
}

/// What a 401 says in `WWW-Authenticate`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// Negotiate, NTLM and Basic, in separate headers; Basic is accepted.
    #[default]
    Basic,
    /// Negotiate and NTLM: Basic is not enabled on the virtual directory, and refused.
    WithoutBasic,
    /// Bearer, and Basic with an empty realm, as Exchange Online: only access tokens are accepted.
    Bearer,
    /// Negotiate, NTLM, Bearer and Basic, as hybrid modern authentication: both are accepted.
    Both,
    /// No header at all: a publishing rule in front of Exchange answers, and refuses.
    Silent,
}

// === impl Options ===

impl Options {
    /// An organisation of the domain `contoso.example` with these regions and the service account
    /// `crm@contoso.example`, which may impersonate everyone.
    #[must_use]
    pub fn contoso(regions: Vec<Region>) -> Self {
        Self {
            domains: vec!["contoso.example".to_owned()],
            regions,
            service_account: ServiceAccount {
                principal_name: "crm@contoso.example".to_owned(),
                password: "Pass-word1".to_owned(),
                impersonates: Impersonates::All,
            },
            challenge: Challenge::Basic,
            application: None,
            public_host: localhost(),
            host_names: Vec::new(),
            autodiscover_soap: true,
            autodiscover_pox: true,
            limit_concurrency: false,
            message_limit: None,
            request_limit: None,
            streaming: Streaming::default(),
            lean: false,
            address: loopback(),
            autodiscover_port: 0,
            control_port: 0,
        }
    }
}

// === impl Region ===

impl Region {
    /// A region with these mailboxes, named by their primary addresses.
    #[must_use]
    pub fn new<'a>(name: &str, version: ServerVersion, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            name: name.to_owned(),
            version,
            mailboxes: addresses.into_iter().map(Mailbox::new).collect(),
            many: None,
            public_host: None,
            port: 0,
        }
    }
}

// === impl Many ===

impl Many {
    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = Mailbox> {
        (0..self.count).map(|number| Mailbox::new(&self.pattern.replace("{n}", &number.to_string())))
    }
}

// === impl Streaming ===

impl Default for Streaming {
    fn default() -> Self {
        Self {
            back_ends: 2,
            heartbeat_ms: 45_000,
            minute_ms: 60_000,
            lifetime_minutes: 30,
            hanging_limit: None,
            subscription_limit: None,
        }
    }
}

// === impl Mailbox ===

impl Mailbox {
    /// A mailbox whose owner cannot log on, with one address.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            display_name: None,
            proxy_addresses: Vec::new(),
            principal_name: None,
            password: None,
            disabled: false,
            send_as: Vec::new(),
            full: false,
        }
    }
}

// === impl Application ===

impl Application {
    /// An application of the tenant `contoso.example` with this id, that cannot ask yet.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            tenant: "contoso.example".to_owned(),
            client_id: client_id.to_owned(),
            secret: None,
            certificate: None,
            token_seconds: hour(),
        }
    }
}

// === impl Challenge ===

impl Challenge {
    pub(crate) const fn takes_basic(self) -> bool {
        matches!(self, Self::Basic | Self::Both)
    }

    pub(crate) const fn takes_tokens(self) -> bool {
        matches!(self, Self::Bearer | Self::Both)
    }
}

// === impl ServerVersion ===

impl ServerVersion {
    /// The major, minor, build and revision numbers of `ServerVersionInfo`.
    pub(crate) const fn build(self) -> [u16; 4] {
        match self {
            Self::Exchange2010Sp3 => [14, 3, 123, 3],
            Self::Exchange2013Sp1 => [15, 0, 847, 30],
            Self::Exchange2016 => [15, 1, 2507, 39],
        }
    }

    /// The `Version` of `ServerVersionInfo`, which on newer servers is no request version.
    pub(crate) const fn schema_name(self) -> &'static str {
        match self {
            Self::Exchange2010Sp3 => "Exchange2010_SP2",
            Self::Exchange2013Sp1 => "V2_8",
            Self::Exchange2016 => "V2017_07_11",
        }
    }

    /// The request versions the server takes (setting `EwsSupportedSchemas`), oldest first.
    pub(crate) fn request_versions(self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "Exchange2007",
            "Exchange2007_SP1",
            "Exchange2010",
            "Exchange2010_SP1",
            "Exchange2010_SP2",
            "Exchange2013",
            "Exchange2013_SP1",
            "Exchange2015",
            "Exchange2016",
        ];
        let known = match self {
            Self::Exchange2010Sp3 => 5,
            Self::Exchange2013Sp1 => 7,
            Self::Exchange2016 => 9,
        };
        ALL.get(..known).unwrap_or(ALL)
    }

    /// The largest body of a request, in bytes: what `maxAllowedContentLength` is set to after the installation.
    pub(crate) const fn request_limit(self) -> usize {
        match self {
            Self::Exchange2010Sp3 => 35_000_000,
            Self::Exchange2013Sp1 | Self::Exchange2016 => 67_108_864,
        }
    }

    /// HangingConnectionLimit of the default throttling policy; Exchange 2010 charges a copy of EWSMaxConcurrency.
    pub(crate) const fn hanging_limit(self) -> usize {
        match self {
            Self::Exchange2013Sp1 => 3,
            Self::Exchange2010Sp3 | Self::Exchange2016 => 10,
        }
    }

    /// EWSMaxConcurrency of the default throttling policy.
    pub(crate) const fn maximum_concurrency(self) -> usize {
        match self {
            Self::Exchange2010Sp3 => 10,
            Self::Exchange2013Sp1 | Self::Exchange2016 => 27,
        }
    }
}

const fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

const fn yes() -> bool {
    true
}

const fn hour() -> u64 {
    3600
}

fn localhost() -> String {
    "localhost".to_owned()
}
