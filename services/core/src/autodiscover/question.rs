//! What a discovery asks, and what can be answered.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::fault::Report;

/// One of Autodiscover's services on a host (§1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Service {
    /// SOAP; Exchange 2010 and later.
    Soap,
    /// Plain old XML.
    Pox,
}

/// A question to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// GET without credentials: is it an Autodiscover service?
    Probe(Url),
    /// GET over plain http, without anything: only a redirect is of interest (§3, 3).
    Hint(Url),
    /// The SRV records of a name.
    Records(String),
    /// With credentials: where is the mailbox of this address?
    Ask {
        /// Which service.
        service: Service,
        /// Where.
        url: Url,
        /// About whom.
        address: String,
    },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing that can be used; why.
    Unanswered(Report),
    /// To a probe: an Autodiscover service that offers these ways of authentication.
    Recognised(Vec<String>),
    /// 301, 302, 307, 308.
    Redirect {
        /// The status.
        status: u16,
        /// The header `Location`.
        location: String,
    },
    /// Another status, or a page.
    Status(u16),
    /// The server asks to come later.
    Busy(String),
    /// The credentials, or the way they are given, are refused.
    Rejected(Report),
    /// The account is locked: nothing more may be tried with it.
    Locked(Report),
    /// SRV records.
    Records(Vec<ServiceRecord>),
    /// Where the mailbox is.
    Settings(Settings),
    /// Ask about this address instead.
    RedirectAddress(String),
    /// Ask there instead.
    RedirectUrl(String),
    /// There is no such mailbox in this organisation.
    UserUnknown(String),
    /// The service reports an error.
    Refused {
        /// Its code.
        code: String,
        /// Its text.
        message: String,
    },
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The lowest is taken first.
    pub priority: u16,
    /// Among equal priorities, the highest first.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host.
    pub target: String,
}

/// The settings that locate a mailbox (§4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// For callers outside of the firewall.
    pub external: Option<String>,
    /// For callers inside.
    pub internal: Option<String>,
    /// For other servers.
    pub partner: Option<String>,
    /// Mailboxes with the same value can share a streaming connection.
    pub grouping: Option<String>,
    /// Schema versions that the server speaks, as it lists them.
    pub schemas: Option<String>,
}

impl Service {
    /// The end of its path.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Soap => ".svc",
            Self::Pox => ".xml",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soap => "SOAP",
            Self::Pox => "POX",
        }
    }
}

impl Settings {
    /// The location for a client outside of the firewall; the internal one only where the profile allows internal hosts,
    /// since an internal name resolved in the internet could be somebody else's.
    pub fn location(&self, internal: bool) -> Option<&str> {
        let inside = self.internal.as_deref().filter(|_| internal);
        self.external.as_deref().or(self.partner.as_deref()).or(inside)
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Probe(url) => write!(formatter, "GET {url} without credentials"),
            Self::Hint(url) => write!(formatter, "GET {url} without credentials"),
            Self::Records(name) => write!(formatter, "DNS SRV {name}"),
            Self::Ask { service, url, address } => {
                write!(formatter, "POST {url} ({}) for {address}", service.name())
            }
        }
    }
}
