//! `x-ms-diagnostics`: why Exchange refuses a token, such as
//! `2000003;reason="The audience claim value is invalid";error_category="invalid_resource"` (PROTOCOL of the reference pack, 1).

use std::fmt;

use reqwest::header::HeaderMap;

/// The longest reason that is kept.
const LONGEST: usize = 512;

/// What the header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// Its number, 2000000 and up.
    pub number: Option<u32>,
    /// The server's words.
    pub reason: String,
    /// `invalid_resource`, `token_expired` and so on; empty if the server names none.
    pub category: String,
}

/// What is wrong with a token, as far as the remedy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenDefect {
    /// It was right once.
    Expired,
    /// It is for another resource: the scope does not name the host that was asked.
    Audience,
    /// It carries no permission for EWS.
    Permission,
    /// The server failed while it checked.
    Internal,
    /// Signature, issuer, tenant, client or user, or something that is not known here; the reason tells.
    Unknown,
}

// === impl Diagnostics ===

impl Diagnostics {
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        headers.get("x-ms-diagnostics").map(|value| Self::parse(&String::from_utf8_lossy(value.as_bytes())))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for part in split(text) {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                Some((name, value)) if name.eq_ignore_ascii_case("reason") => {
                    found.reason = value.chars().take(LONGEST).collect();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("error_category") => {
                    found.category = value.to_ascii_lowercase();
                }
                Some(_) => {}
                None => found.number = found.number.or_else(|| part.parse().ok()),
            }
        }
        if found == Self::default() {
            found.reason = text.trim().chars().take(LONGEST).collect();
        }
        found
    }

    /// What is wrong. The category counts before the number: servers differ in what they number.
    #[must_use]
    pub fn defect(&self) -> TokenDefect {
        match (self.category.as_str(), self.number) {
            ("token_expired" | "invalid_lifetime", _) | ("", Some(2_000_002)) => TokenDefect::Expired,
            ("invalid_resource" | "invalid_audience", _) | ("", Some(2_000_003)) => TokenDefect::Audience,
            ("invalid_grant", _) | ("", Some(2_000_008)) => TokenDefect::Permission,
            ("internal_error", _) | ("", Some(2_000_007)) => TokenDefect::Internal,
            _ if self.reason.to_ascii_lowercase().contains("token has expired") => TokenDefect::Expired,
            _ => TokenDefect::Unknown,
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.category.is_empty() { "token refused" } else { &self.category })?;
        if let Some(number) = self.number {
            write!(formatter, " {number}")?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.reason) }
    }
}

/// The parts between semicolons that are outside of quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = text.split(move |c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "2000003;reason=\"The audience claim value is invalid\";error_category=\"invalid_resource\"",
        TokenDefect::Audience
    )]
    #[case("2000002; Reason=\"a; b\"; Error_Category=Token_Expired", TokenDefect::Expired)]
    #[case("2000001;reason=\"The token has expired.\";error_category=\"invalid_token\"", TokenDefect::Expired)]
    #[case(
        "2000008;reason=\"The token contains no permissions, or permissions can not be understood.\";error_category=\"invalid_grant\"",
        TokenDefect::Permission
    )]
    #[case(
        "2000008;reason=\"The user in the token does not exist\";error_category=\"invalid_user\"",
        TokenDefect::Unknown
    )]
    #[case("2000002", TokenDefect::Expired)]
    #[case("2000007", TokenDefect::Internal)]
    #[case("2000000;error_category=\"invalid_signature\"", TokenDefect::Unknown)]
    #[case("2999999;reason=\"x\";error_category=\"future\"", TokenDefect::Unknown)]
    #[case("\";;=\"", TokenDefect::Unknown)]
    #[case("", TokenDefect::Unknown)]
    fn tells_defects_apart(#[case] text: &str, #[case] defect: TokenDefect) {
        assert_eq!(Diagnostics::parse(text).defect(), defect);
    }

    #[test]
    fn reads_all_parts() {
        let found = Diagnostics::parse("2000003;reason=\"a; b\";other=1;error_category=\"Invalid_Resource\"");
        let (reason, category) = ("a; b".to_owned(), "invalid_resource".to_owned());
        assert_eq!(found, Diagnostics { number: Some(2_000_003), reason, category });
        assert_eq!(found.to_string(), "invalid_resource 2000003: a; b");
        assert_eq!(Diagnostics::parse("free text").to_string(), "token refused: free text");
    }
}
