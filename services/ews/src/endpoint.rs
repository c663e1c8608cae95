//! Where requests go.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;
use url::Host;

/// An https URL without user name, query secrets or fragment: nothing else ever gets credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL at all.
    #[error("it is no URL: {0}")]
    Invalid(String),
    /// Another scheme than https.
    #[error("its scheme is {0}; only https is used")]
    Scheme(String),
    /// A user name or password in the URL.
    #[error("it contains a user name")]
    UserName,
    /// No host.
    #[error("it has no host")]
    Host,
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads an endpoint.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let mut url = Url::parse(text.trim()).map_err(|error| EndpointError::Invalid(error.to_string()))?;
        if url.scheme() != "https" {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserName);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::Host);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// Another URL, absolute or relative to this one: what a redirect names.
    pub fn join(&self, location: &str) -> Result<Self, EndpointError> {
        let url = self.0.join(location.trim()).map_err(|error| EndpointError::Invalid(error.to_string()))?;
        Self::parse(url.as_str())
    }

    /// The host, in lower case; internationalised names in their ASCII form.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The host's address, if the host is a number and no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// The port; 443 unless given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl TryFrom<Url> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: Url) -> Result<Self, EndpointError> {
        Self::parse(url.as_str())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text)
    }
}

impl TryFrom<&postroad_core::location::Location> for Endpoint {
    type Error = EndpointError;

    fn try_from(location: &postroad_core::location::Location) -> Result<Self, EndpointError> {
        Self::parse(&location.url())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn reads_https_urls() {
        let endpoint = Endpoint::parse(" https://Mail.Contoso.example:8443/EWS/Exchange.asmx#x ").unwrap();
        assert_eq!(endpoint.as_str(), "https://mail.contoso.example:8443/EWS/Exchange.asmx");
        assert_eq!((endpoint.host(), endpoint.port()), ("mail.contoso.example", 8443));
    }

    #[rstest]
    #[case("http://mail/EWS", EndpointError::Scheme("http".to_owned()))]
    #[case("https://user:secret@mail/EWS", EndpointError::UserName)]
    #[case("mail/EWS", EndpointError::Invalid("relative URL without a base".to_owned()))]
    #[case("https://", EndpointError::Invalid("empty host".to_owned()))]
    fn refuses(#[case] text: &str, #[case] error: EndpointError) {
        assert_eq!(Endpoint::parse(text), Err(error));
    }
}
