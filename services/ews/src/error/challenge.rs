//! 401: what the server asks for, and what that means (RFC 9110 §11.6.1).

use std::fmt;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use super::{Diagnostics, TokenDefect};
use crate::{AuthenticationScheme, Class};

/// The schemes that a 401 offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// In the server's order.
    pub offered: Vec<Scheme>,
    /// `x-ms-diagnostics`: why a token is refused.
    pub diagnostics: Option<Diagnostics>,
    /// What the request was sent with; without knowledge it is read as Basic.
    pub sent: Option<AuthenticationScheme>,
}

/// One scheme of `WWW-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// `Basic`, `NTLM`, `Negotiate`, `Bearer` and so on, as it was written.
    pub name: String,
    /// Its parameters, names in lower case.
    pub parameters: Vec<(String, String)>,
}

/// What a 401 means, by what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Basic is offered: the name or password is wrong, or the account is locked, disabled or expired.
    Rejected,
    /// Basic is not enabled on the virtual directory, or a proxy strips it.
    BasicNotOffered,
    /// Only tokens are accepted: Exchange Online, or hybrid modern authentication.
    TokenRequired,
    /// Nothing is offered: a proxy or publishing rule answered.
    NotExchange,
    /// A token was sent, and tokens are not offered.
    BearerNotOffered,
    /// The token is not accepted: expired, for another resource, of an issuer that is not trusted.
    TokenRefused,
    /// The token is right, and lacks the permission for EWS.
    TokenPermissionMissing,
    /// The server failed while it checked the token.
    TokenUnchecked,
}

// === impl Challenge ===

impl Challenge {
    /// Reads all fields, whether separate or folded into one by commas.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut offered = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            schemes(&String::from_utf8_lossy(value.as_bytes()), &mut offered);
        }
        let diagnostics = Diagnostics::read(headers);
        Self { offered, diagnostics, sent: None }
    }

    /// The scheme of this name, if it is offered.
    #[must_use]
    pub fn scheme(&self, name: &str) -> Option<&Scheme> {
        self.offered.iter().find(|scheme| scheme.name.eq_ignore_ascii_case(name))
    }

    /// What it means, by what was sent.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self.sent {
            Some(AuthenticationScheme::Bearer) => self.refusal_of_token(),
            Some(AuthenticationScheme::Basic) | None => self.refusal_of_password(),
        }
    }

    /// What is wrong with the token that was sent, as far as the server tells.
    #[must_use]
    pub fn token_defect(&self) -> TokenDefect {
        let expired = || {
            let bearer = self.scheme("bearer")?;
            let described = bearer.parameter("error_description")?.to_ascii_lowercase();
            described.contains("expired").then_some(TokenDefect::Expired)
        };
        self.diagnostics.as_ref().map(Diagnostics::defect).or_else(expired).unwrap_or(TokenDefect::Unknown)
    }

    fn refusal_of_token(&self) -> Refusal {
        // Only Exchange sends diagnostics: it looked at the token, whatever it offers.
        match self.diagnostics {
            None if self.offered.is_empty() => Refusal::NotExchange,
            None if self.scheme("bearer").is_none() => Refusal::BearerNotOffered,
            None | Some(_) => match self.token_defect() {
                TokenDefect::Permission => Refusal::TokenPermissionMissing,
                TokenDefect::Internal => Refusal::TokenUnchecked,
                _ => Refusal::TokenRefused,
            },
        }
    }

    fn refusal_of_password(&self) -> Refusal {
        let token = self.scheme("bearer").is_some();
        match self.scheme("basic") {
            // Exchange Online still lists Basic, with an empty realm, and never accepts it.
            Some(basic) if token && basic.realm().is_none_or(str::is_empty) => Refusal::TokenRequired,
            Some(_) => Refusal::Rejected,
            None if self.offered.is_empty() => Refusal::NotExchange,
            None if token && self.scheme("ntlm").is_none() => Refusal::TokenRequired,
            None => Refusal::BasicNotOffered,
        }
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(AuthenticationScheme::Bearer), Some(diagnostics)) = (self.sent, &self.diagnostics) {
            return write!(formatter, "{diagnostics}");
        }
        if self.offered.is_empty() {
            return formatter.write_str("no scheme is offered");
        }
        let names: Vec<&str> = self.offered.iter().map(|scheme| scheme.name.as_str()).collect();
        write!(formatter, "offered: {}", names.join(", "))
    }
}

// === impl Scheme ===

impl Scheme {
    /// The realm.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// A parameter, by its name in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Rejected | Self::TokenRequired | Self::TokenRefused | Self::TokenPermissionMissing => Class::Auth,
            Self::BasicNotOffered | Self::BearerNotOffered | Self::NotExchange => Class::Config,
            Self::TokenUnchecked => Class::Transient,
        }
    }
}

fn schemes(field: &str, offered: &mut Vec<Scheme>) {
    for part in split(field) {
        match parameter(part) {
            Some(parameter) => match offered.last_mut() {
                Some(scheme) => scheme.parameters.push(parameter),
                None => continue,
            },
            None => {
                let (name, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
                // What follows is a first parameter, or an opaque token that is of no interest.
                let parameters = parameter(rest.trim()).into_iter().collect();
                offered.push(Scheme { name: name.to_owned(), parameters });
            }
        }
    }
}

/// `name=value` or `name="value"`; a bare scheme and an NTLM token are none.
fn parameter(part: &str) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.!~*".contains(c));
    let is_padding = value.chars().all(|c| c == '=');
    if !is_token || (is_padding && name.len() > 20) {
        return None;
    }
    let unquoted = value.strip_prefix('"').map_or(value, |rest| rest.strip_suffix('"').unwrap_or(rest));
    Some((name.to_ascii_lowercase(), unquoted.replace("\\\"", "\"")))
}

/// The parts between commas that are outside of quotes.
fn split(field: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    let parts = field.split(|c: char| {
        let is_end = c == ',' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn challenge(fields: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, field.parse().unwrap());
        }
        Challenge::read(&headers)
    }

    #[rstest]
    #[case(&["Negotiate", "NTLM", "Basic realm=\"mail.contoso.example\""], Refusal::Rejected)]
    #[case(&["Negotiate, NTLM, Basic realm=\"a, b\""], Refusal::Rejected)]
    #[case(&["basic Realm=\"x\", Bearer authorization_uri=\"https://login\""], Refusal::Rejected)]
    #[case(&["Basic"], Refusal::Rejected)]
    #[case(&["Negotiate", "NTLM"], Refusal::BasicNotOffered)]
    #[case(&["NTLM TlRMTVNTUAACAAAADAAMADgAAAAFgomi0000000000000000AAAAAAAAAAA="], Refusal::BasicNotOffered)]
    #[case(&["Bearer client_id=\"0\", trusted_issuers=\"1@*\", token_types=\"a b\"", "Basic Realm=\"\""], Refusal::TokenRequired)]
    #[case(&["Bearer"], Refusal::TokenRequired)]
    #[case(&[], Refusal::NotExchange)]
    #[case(&["", " , "], Refusal::NotExchange)]
    fn reads_all_forms(#[case] fields: &[&str], #[case] refusal: Refusal) {
        assert_eq!(challenge(fields).refusal(), refusal);
    }

    #[rstest]
    #[case(&["Bearer client_id=\"0\"", "Basic Realm=\"\""], None, Refusal::TokenRefused)]
    #[case(&["Bearer"], Some("2000003;reason=\"x\";error_category=\"invalid_resource\""), Refusal::TokenRefused)]
    #[case(&["Bearer"], Some("2000008;reason=\"x\";error_category=\"invalid_grant\""), Refusal::TokenPermissionMissing)]
    #[case(&["Negotiate"], Some("2000008;reason=\"x\";error_category=\"invalid_grant\""), Refusal::TokenPermissionMissing)]
    #[case(&["Bearer"], Some("2000007;reason=\"x\";error_category=\"internal_error\""), Refusal::TokenUnchecked)]
    #[case(&["Negotiate", "NTLM", "Basic realm=\"x\""], None, Refusal::BearerNotOffered)]
    #[case(&[], None, Refusal::NotExchange)]
    fn a_token_is_refused_for_other_reasons(
        #[case] fields: &[&str],
        #[case] diagnostics: Option<&str>,
        #[case] refusal: Refusal,
    ) {
        let diagnostics = diagnostics.map(Diagnostics::parse);
        let sent = Some(AuthenticationScheme::Bearer);
        assert_eq!(Challenge { diagnostics, sent, ..challenge(fields) }.refusal(), refusal);
    }

    #[test]
    fn reads_parameters() {
        let challenge = challenge(&["Bearer client_id=\"0\", realm = \"a \\\"b\\\", c\" , x=y, Basic realm=z"]);
        let bearer = challenge.scheme("bearer").unwrap();
        assert_eq!(bearer.realm(), Some("a \"b\", c"));
        assert_eq!(bearer.parameters.len(), 3);
        assert_eq!(challenge.scheme("BASIC").unwrap().realm(), Some("z"));
        assert_eq!(challenge.to_string(), "offered: Bearer, Basic");
    }
}
