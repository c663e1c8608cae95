//! INV-5: which hosts the service account's credentials may go to (AUTODISCOVER.md §6).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    Refusal,
    address::is_host_name,
    fault::{Code, Report},
};

/// Hosts of Exchange Online, each with everything below it. An on-premises account never goes there, and one of Exchange
/// Online goes nowhere else unless an administrator released it.
const ONLINE: [&str; 6] =
    ["outlook.com", "office365.com", "office.com", "office365.us", "outlook.office365.us", "partner.outlook.cn"];
/// Domains that every tenant of Exchange Online has.
const TENANTS: [&str; 2] = ["onmicrosoft.com", "onmicrosoft.us"];
const HTTPS: u16 = 443;

/// What one profile releases for one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Domains of mailboxes: themselves and what is below them.
    pub domains: Vec<String>,
    /// What the administrator released, and what the deployment did.
    pub patterns: Vec<Pattern>,
    /// Whether the profile is of the type Exchange Online.
    pub online: bool,
    /// Whether an internal location may be used (the profile allows internal addresses).
    pub internal: bool,
}

/// Released hosts: `HOST`, `*.HOST` for everything below it, either with `:PORT` or `:*` for another port than 443.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    below: bool,
    host: String,
    port: Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Port {
    Usual,
    Named(u16),
    Any,
}

/// Why credentials may not go somewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// No https.
    #[error("it is not https")]
    Scheme,
    /// A user name in the URL, or no host.
    #[error("the URL is not usable")]
    Form,
    /// A number in place of a name.
    #[error("its host is an address, not a name")]
    Literal,
    /// A name under which anybody can register.
    #[error("{0} is open to registration by anybody")]
    Suffix(String),
    /// The profile is on premises, the host is Exchange Online's.
    #[error("{0} belongs to Exchange Online")]
    Online(String),
    /// Nobody released the host.
    #[error("{host} is not released")]
    Host {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host is released, but not on this port.
    #[error("{host} is not released on port {port}")]
    Port {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Release {
    /// Whether credentials may go to a URL.
    pub fn check(&self, url: &Url) -> Result<(), Withheld> {
        if url.scheme() != "https" {
            return Err(Withheld::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Withheld::Form);
        }
        let host = match url.host() {
            Some(Host::Domain(host)) => host.trim_end_matches('.').to_lowercase(),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => return Err(Withheld::Literal),
            None => return Err(Withheld::Form),
        };
        self.check_host(&host, url.port().unwrap_or(HTTPS))
    }

    fn check_host(&self, host: &str, port: u16) -> Result<(), Withheld> {
        // Names such as autodiscover.com.br were registered to collect passwords.
        let registrable = host.strip_prefix("autodiscover.").unwrap_or(host);
        if !host.contains('.') || is_public_suffix(registrable) {
            return Err(Withheld::Suffix(host.to_owned()));
        }
        if is_online(host) && !self.online {
            return Err(Withheld::Online(host.to_owned()));
        }
        let named: Vec<&Pattern> = self.patterns.iter().filter(|pattern| pattern.names(host)).collect();
        if named.iter().any(|pattern| pattern.port.fits(port)) {
            return Ok(());
        }
        let own = if self.online { is_online(host) } else { self.domains.iter().any(|domain| is_within(host, domain)) };
        match (own, port) {
            (true, HTTPS) => Ok(()),
            (false, _) if named.is_empty() => Err(Withheld::Host { host: host.to_owned(), port }),
            _ => Err(Withheld::Port { host: host.to_owned(), port }),
        }
    }
}

impl Withheld {
    /// The row of the fault table.
    pub fn report(&self, url: &Url) -> Report {
        let code = match self {
            Self::Online(_) => Code::MailboxInExchangeOnline,
            Self::Scheme => Code::LocationNotHttps,
            Self::Form | Self::Literal | Self::Suffix(_) | Self::Host { .. } | Self::Port { .. } => {
                Code::AutodiscoverHostRefused
            }
        };
        Report::new(code, format!("{url}: {self}"))
    }

    /// What an administrator would release, if that could help.
    pub fn wants(&self) -> Option<String> {
        match self {
            Self::Host { host, port: HTTPS } => Some(host.clone()),
            Self::Host { host, port } | Self::Port { host, port } => Some(format!("{host}:{port}")),
            Self::Scheme | Self::Form | Self::Literal | Self::Suffix(_) | Self::Online(_) => None,
        }
    }
}

impl Pattern {
    /// Reads a pattern; names are stored in lower case and ASCII form.
    pub fn parse(field: &str, text: &str) -> Result<Self, Refusal> {
        let invalid = |why: &str| Refusal::new(Code::HostPatternInvalid, field, format!("`{text}`: {why}"));
        if text.contains('/') {
            return Err(invalid("a host name is needed and no URL, such as mail.contoso.com or mail.contoso.com:8443"));
        }
        let (name, port) = match text.trim().rsplit_once(':') {
            None => (text.trim(), Port::Usual),
            Some((name, "*")) => (name, Port::Any),
            Some((name, port)) => match port.parse() {
                Ok(port) if port != 0 => (name, Port::Named(port)),
                _ => return Err(invalid("the port is none of 1-65535 or *")),
            },
        };
        let (below, name) = name.strip_prefix("*.").map_or((false, name), |rest| (true, rest));
        let Ok(Host::Domain(host)) = Host::parse(name) else {
            return Err(invalid("a host name is needed, such as mail.contoso.com or *.hoster.example"));
        };
        if !is_host_name(&host) || !host.contains('.') || host.parse::<IpAddr>().is_ok() {
            return Err(invalid("a full host name is needed, such as mail.contoso.com or *.hoster.example"));
        }
        if is_public_suffix(&host) {
            return Err(invalid("anybody can register names there"));
        }
        Ok(Self { below, host, port })
    }

    fn names(&self, host: &str) -> bool {
        if self.below { host != self.host && is_within(host, &self.host) } else { host == self.host }
    }
}

impl Port {
    fn fits(self, port: u16) -> bool {
        match self {
            Self::Usual => port == HTTPS,
            Self::Named(named) => port == named,
            Self::Any => true,
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{}", if self.below { "*." } else { "" }, self.host)?;
        match self.port {
            Port::Usual => Ok(()),
            Port::Named(port) => write!(formatter, ":{port}"),
            Port::Any => formatter.write_str(":*"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse("released_hosts", &text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// Whether a host is a domain or below it; by whole labels.
fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
}

/// Whether a host belongs to Exchange Online.
pub fn is_online(host: &str) -> bool {
    ONLINE.iter().chain(&TENANTS).any(|domain| is_within(host, domain))
}

/// Whether anybody can register names directly below, by the public suffix list's part on registries.
pub fn is_public_suffix(name: &str) -> bool {
    psl::suffix(name.as_bytes())
        .is_some_and(|suffix| suffix.as_bytes().len() == name.len() && suffix.typ() == Some(psl::Type::Icann))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn release() -> Release {
        let patterns = ["mail.hoster.example", "*.cloud.example", "ews.port.example:8443", "lab.example.org:*"];
        Release {
            domains: vec!["contoso.com".to_owned(), "fabrikam.co.uk".to_owned()],
            patterns: patterns.iter().map(|text| Pattern::parse("released_hosts", text).unwrap()).collect(),
            ..Release::default()
        }
    }

    #[rstest]
    #[case("https://contoso.com/x", true)]
    #[case("https://mail.contoso.com/x", true)]
    #[case("https://MAIL.Contoso.com./x", true)]
    #[case("https://mail.contoso.com:443/x", true)]
    #[case("https://mail.contoso.com:8443/x", false)]
    #[case("http://mail.contoso.com/x", false)]
    #[case("https://u:p@mail.contoso.com/x", false)]
    #[case("https://evil-contoso.com/x", false)]
    #[case("https://contoso.com.evil.example/x", false)]
    #[case("https://contoso.co/x", false)]
    #[case("https://com/x", false)]
    #[case("https://autodiscover.com/x", false)]
    #[case("https://autodiscover.co.uk/x", false)]
    #[case("https://autodiscover.fabrikam.co.uk/x", true)]
    #[case("https://co.uk/x", false)]
    #[case("https://mail.hoster.example/x", true)]
    #[case("https://mail.hoster.example:444/x", false)]
    #[case("https://x.mail.hoster.example/x", false)]
    #[case("https://a.cloud.example/x", true)]
    #[case("https://a.b.cloud.example/x", true)]
    #[case("https://cloud.example/x", false)]
    #[case("https://xcloud.example/x", false)]
    #[case("https://ews.port.example:8443/x", true)]
    #[case("https://ews.port.example/x", false)]
    #[case("https://lab.example.org:55555/x", true)]
    #[case("https://127.0.0.1/x", false)]
    #[case("https://[::1]/x", false)]
    #[case("https://2130706433/x", false)]
    #[case("https://outlook.office365.com/EWS/Exchange.asmx", false)]
    #[case("https://contoso.mail.onmicrosoft.com/x", false)]
    #[case("https://contöso.com/x", false)]
    fn credentials_go_to_released_hosts_only(#[case] url: &str, #[case] released: bool) {
        let checked = release().check(&Url::parse(url).unwrap());
        assert_eq!(checked.is_ok(), released, "{checked:?}");
    }

    #[rstest]
    #[case("https://outlook.office365.com/EWS/Exchange.asmx", true)]
    #[case("https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc", true)]
    #[case("https://mail.contoso.com/EWS/Exchange.asmx", false)]
    #[case("https://outlook.com.evil.example/x", false)]
    fn an_account_of_exchange_online_stays_there(#[case] url: &str, #[case] released: bool) {
        let release = Release { domains: vec!["contoso.com".to_owned()], online: true, ..Release::default() };
        assert_eq!(release.check(&Url::parse(url).unwrap()).is_ok(), released);
    }

    #[test]
    fn what_could_be_released_is_said() {
        let wants = |url: &str| release().check(&Url::parse(url).unwrap()).unwrap_err().wants();
        assert_eq!(wants("https://mail.other.example/x").as_deref(), Some("mail.other.example"));
        assert_eq!(wants("https://mail.other.example:444/x").as_deref(), Some("mail.other.example:444"));
        assert_eq!(wants("https://mail.contoso.com:8443/x").as_deref(), Some("mail.contoso.com:8443"));
        assert_eq!(wants("https://10.0.0.1/x"), None);
        assert_eq!(wants("https://outlook.office365.com/x"), None);
    }

    #[rstest]
    #[case("mail.contoso.com", "mail.contoso.com")]
    #[case(" *.Hoster.Example ", "*.hoster.example")]
    #[case("bücher.example:8443", "xn--bcher-kva.example:8443")]
    #[case("lab.example:*", "lab.example:*")]
    fn reads_patterns(#[case] text: &str, #[case] form: &str) {
        assert_eq!(Pattern::parse("released_hosts", text).unwrap().to_string(), form);
    }

    #[rstest]
    #[case("")]
    #[case("*")]
    #[case("*.")]
    #[case("*.com")]
    #[case("*.co.uk")]
    #[case("com")]
    #[case("localhost")]
    #[case("10.0.0.1")]
    #[case("https://mail.contoso.com")]
    #[case("mail.contoso.com:0")]
    #[case("mail.contoso.com:99999")]
    #[case("mail.*.com")]
    #[case("a b.com")]
    fn refuses_patterns_that_release_too_much_or_nothing(#[case] text: &str) {
        let refusal = Pattern::parse("released_hosts", text).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_str()), (Code::HostPatternInvalid, "released_hosts"));
    }
}
