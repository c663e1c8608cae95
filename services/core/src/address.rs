//! Email addresses, and user names in UPN form, which have the same shape.

use serde::{Deserialize, Serialize};

use crate::{Refusal, fault::Code};

/// A syntactically valid email address. Compared without regard to case, as Exchange does.
#[derive(Clone, Serialize, Deserialize)]
pub struct EmailAddress(String);

/// The longest address: the CRM's column (spec §2.1, `emailaddress`).
pub const ADDRESS_LENGTH: usize = 100;

impl EmailAddress {
    /// Reads an address; white space around it is dropped.
    pub fn parse(field: &str, text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        crate::refusal::required(field, text, ADDRESS_LENGTH)?;
        if is_address(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Refusal::new(Code::AddressInvalid, field, format!("`{text}` is not an email address")))
    }

    /// An address that was checked before, such as one read from the journal.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As entered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that addresses are compared and looked up by.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part after the last `@`, in lower case.
    pub fn domain(&self) -> String {
        self.0.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_lowercase())
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EmailAddress {}

impl std::fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::fmt::Debug for EmailAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Checks that a user name is a UPN: `DOMAIN\user` makes Exchange answer `ErrorNonExistentMailbox` (spec §6.3).
pub fn user_principal_name(field: &str, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    crate::refusal::required(field, text, 250)?;
    if is_address(text) {
        return Ok(text.to_owned());
    }
    let rule = if text.contains('\\') {
        format!("`{text}` has the form DOMAIN\\user; the form user@domain is needed")
    } else {
        format!("`{text}` is not of the form user@domain")
    };
    Err(Refusal::new(Code::UserNameNotUpn, field, rule))
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    local_fits && is_host_name(domain) && domain.contains('.')
}

/// Whether a text is a DNS host name: labels of letters, digits and hyphens.
pub fn is_host_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ada@contoso.example")]
    #[case(" Ada.King+crm@mail.contoso.example ")]
    #[case("o'neil@contoso.example")]
    fn accepts_addresses(#[case] text: &str) {
        assert!(EmailAddress::parse("address", text).is_ok());
    }

    #[rstest]
    #[case("ada")]
    #[case("ada@")]
    #[case("@contoso.example")]
    #[case("ada@contoso")]
    #[case("ada@@contoso.example")]
    #[case("a da@contoso.example")]
    #[case("ada@-contoso.example")]
    #[case("ada@contoso..example")]
    #[case("ada..king@contoso.example")]
    #[case("CONTOSO\\ada")]
    fn refuses_what_is_none(#[case] text: &str) {
        assert_eq!(EmailAddress::parse("address", text).map_err(|r| r.code), Err(Code::AddressInvalid));
    }

    #[test]
    fn compares_without_case() {
        assert_eq!(EmailAddress::trusted("Ada@Contoso.example"), EmailAddress::trusted("ada@contoso.EXAMPLE"));
    }

    #[test]
    fn a_user_name_must_be_a_upn() {
        let refusal = user_principal_name("user_name", "CONTOSO\\crm").unwrap_err();
        assert_eq!(refusal.code, Code::UserNameNotUpn);
        assert!(refusal.rule.contains("DOMAIN\\user"));
    }
}
