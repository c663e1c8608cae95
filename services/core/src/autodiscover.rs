//! Which hosts Autodiscover may ask, and which the credentials may go to (AUTODISCOVER.md §3, §6).

use crate::{EmailAddress, Refusal, address::is_host_name, fault::Code};

/// One of Autodiscover's services on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// SOAP; Exchange 2010 and later.
    Soap,
    /// Plain old XML.
    Pox,
}

impl Service {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Soap => "/autodiscover/autodiscover.svc",
            Self::Pox => "/autodiscover/autodiscover.xml",
        }
    }
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The host.
    pub host: String,
    /// The service.
    pub service: Service,
}

/// The candidates for an address, in order: the domain itself, then `autodiscover.` and the domain, SOAP before POX.
/// They come from the full domain only; no label is ever cut off.
pub fn candidates(address: &EmailAddress) -> Result<Vec<Candidate>, Refusal> {
    let domain = address.domain();
    let named = is_host_name(&domain) && domain.contains('.') && domain.parse::<std::net::IpAddr>().is_err();
    if !named {
        return Err(Refusal::new(Code::AddressInvalid, "email_address", format!("`{domain}` is no domain to ask")));
    }
    let hosts = [domain.clone(), format!("autodiscover.{domain}")];
    let both = |host: &String| [Service::Soap, Service::Pox].map(|service| Candidate { host: host.clone(), service });
    Ok(hosts.iter().flat_map(both).collect())
}

/// INV-5: whether credentials for mailboxes of `domain` may go to `host`: the domain itself, a subdomain of it, or a host
/// that an administrator released, by name or as `*.name`.
pub fn is_released(host: &str, domain: &str, released: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    let below = |parent: &str| host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
    let domain = domain.to_lowercase();
    host == domain
        || below(&domain)
        || released.iter().map(|pattern| pattern.trim().to_lowercase()).any(|pattern| {
            match pattern.strip_prefix("*.") {
                Some(parent) => !parent.is_empty() && below(parent),
                None => pattern == host,
            }
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn candidates_come_from_the_full_domain_only() {
        let found = candidates(&EmailAddress::trusted("ada@mail.contoso.co.uk")).unwrap();
        let hosts: Vec<_> = found.iter().map(|candidate| (candidate.host.as_str(), candidate.service)).collect();
        assert_eq!(
            hosts,
            [
                ("mail.contoso.co.uk", Service::Soap),
                ("mail.contoso.co.uk", Service::Pox),
                ("autodiscover.mail.contoso.co.uk", Service::Soap),
                ("autodiscover.mail.contoso.co.uk", Service::Pox),
            ]
        );
    }

    #[rstest]
    #[case("ada@localhost")]
    #[case("ada@10.0.0.1")]
    fn what_is_no_domain_is_not_asked(#[case] address: &str) {
        assert!(candidates(&EmailAddress::trusted(address)).is_err());
    }

    #[rstest]
    #[case("contoso.com", true)]
    #[case("mail.contoso.com", true)]
    #[case("MAIL.Contoso.com.", true)]
    #[case("mail.hoster.example", true)]
    #[case("a.cloud.example", true)]
    #[case("cloud.example", false)]
    #[case("evil-contoso.com", false)]
    #[case("contoso.com.evil.example", false)]
    #[case("com", false)]
    #[case("autodiscover.com", false)]
    #[case("", false)]
    fn credentials_go_to_released_hosts_only(#[case] host: &str, #[case] released: bool) {
        let patterns = ["mail.hoster.example".to_owned(), "*.cloud.example".to_owned(), "*.".to_owned()];
        assert_eq!(is_released(host, "contoso.com", &patterns), released);
    }
}
