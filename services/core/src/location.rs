//! Server locations: `https://HOST[:PORT]/PATH`.

use serde::{Deserialize, Serialize};

use crate::{Refusal, address::is_host_name, fault::Code};

/// The port of https, filled in where none is given (setup guide, Incoming and Outgoing Connection).
pub const HTTPS_PORT: u16 = 443;
/// The longest location (spec §1.1).
const LENGTH: usize = 2084;

/// The location of Exchange Web Services; https only, because TLS is mandatory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// DNS name or IP literal, in lower case.
    pub host: String,
    /// 1-65535.
    pub port: u16,
    /// With its leading `/`.
    pub path: String,
}

impl Location {
    /// Reads a location and the port that stands in a field of its own; both may name the port if they agree.
    pub fn parse(field: &str, text: &str, port_field: &str, port: Option<u32>) -> Result<Self, Refusal> {
        let text = text.trim();
        crate::refusal::required(field, text, LENGTH)?;
        let Some(rest) = strip_scheme(text) else {
            return Err(Refusal::new(Code::LocationNotHttps, field, format!("`{text}` does not start with https://")));
        };
        let invalid = |why: &str| Refusal::new(Code::LocationInvalid, field, format!("`{text}`: {why}"));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(invalid("user names do not belong into a location"));
        }
        if path.contains(['?', '#']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(invalid("the path has characters that do not belong there"));
        }
        let (host, named) = split_port(authority).ok_or_else(|| invalid("the port is no number"))?;
        if !is_host_name(host) && !is_ip_literal(host) {
            return Err(invalid("the host is not a DNS name or IP address"));
        }
        let port = agree(field, port_field, named, port)?;
        let path = if path.is_empty() || path == "/" { "/EWS/Exchange.asmx" } else { path };
        Ok(Self { host: host.to_lowercase(), port, path: path.to_owned() })
    }

    /// The location as a URL; the port is left out where it is the usual one.
    pub fn url(&self) -> String {
        if self.port == HTTPS_PORT {
            format!("https://{}{}", self.host, self.path)
        } else {
            format!("https://{}:{}{}", self.host, self.port, self.path)
        }
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked("https://".len())?;
    scheme.eq_ignore_ascii_case("https://").then_some(rest)
}

fn split_port(authority: &str) -> Option<(&str, Option<u32>)> {
    if let Some(end) = authority.strip_prefix('[').and_then(|_| authority.find(']')) {
        let (host, rest) = authority.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((authority, None)),
    }
}

fn is_ip_literal(host: &str) -> bool {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok())
}

fn agree(field: &str, port_field: &str, named: Option<u32>, given: Option<u32>) -> Result<u16, Refusal> {
    let range = |name: &str, port: u32| {
        crate::refusal::within(name, u64::from(port), 1, 65535).map(|()| u16::try_from(port).unwrap_or(HTTPS_PORT))
    };
    match (named, given) {
        (Some(named), Some(given)) if named != given => Err(Refusal::new(
            Code::LocationInvalid,
            port_field,
            format!("is {given}, while {field} names port {named}; give one of them or the same"),
        )),
        (Some(port), _) => range(field, port),
        (None, Some(port)) => range(port_field, port),
        (None, None) => Ok(HTTPS_PORT),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(text: &str, port: Option<u32>) -> Result<Location, Refusal> {
        Location::parse("incoming_location", text, "incoming_port", port)
    }

    #[rstest]
    #[case(
        "https://mail.contoso.example/EWS/Exchange.asmx",
        None,
        "https://mail.contoso.example/EWS/Exchange.asmx",
        443
    )]
    #[case("HTTPS://Mail.contoso.example", None, "https://mail.contoso.example/EWS/Exchange.asmx", 443)]
    #[case("https://mail:8443/x", None, "https://mail:8443/x", 8443)]
    #[case("https://mail/x", Some(8443), "https://mail:8443/x", 8443)]
    #[case("https://mail:8443/x", Some(8443), "https://mail:8443/x", 8443)]
    #[case("https://10.0.0.7/x", None, "https://10.0.0.7/x", 443)]
    #[case("https://[::1]:9443/x", None, "https://[::1]:9443/x", 9443)]
    fn reads_locations(#[case] text: &str, #[case] port: Option<u32>, #[case] url: &str, #[case] expected: u16) {
        let location = parse(text, port).unwrap();
        assert_eq!((location.url().as_str(), location.port), (url, expected));
    }

    #[rstest]
    #[case("http://mail.contoso.example/EWS/Exchange.asmx", None, Code::LocationNotHttps)]
    #[case("mail.contoso.example", None, Code::LocationNotHttps)]
    #[case("ftp://x", None, Code::LocationNotHttps)]
    #[case("", None, Code::FieldRequired)]
    #[case("https://", None, Code::LocationInvalid)]
    #[case("https://user:secret@mail/x", None, Code::LocationInvalid)]
    #[case("https://mail:port/x", None, Code::LocationInvalid)]
    #[case("https://ma il/x", None, Code::LocationInvalid)]
    #[case("https://mail:0/x", None, Code::ValueOutOfRange)]
    #[case("https://mail:65536/x", None, Code::ValueOutOfRange)]
    #[case("https://mail/x", Some(65536), Code::ValueOutOfRange)]
    #[case("https://mail:8443/x", Some(443), Code::LocationInvalid)]
    fn refuses(#[case] text: &str, #[case] port: Option<u32>, #[case] code: Code) {
        assert_eq!(parse(text, port).map_err(|r| r.code), Err(code));
    }
}
