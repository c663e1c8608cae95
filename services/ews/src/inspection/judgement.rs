//! What to make of the certificates that a server presents.

use std::net::IpAddr;

use jiff::Timestamp;

use super::Certificate;

const DAY: i64 = 86_400;

/// Those of the wanted host names and addresses that the certificate is not for (RFC 9525). All of them if it has only
/// a common name.
#[must_use]
pub fn missing_names(leaf: &Certificate, wanted: &[&str]) -> Vec<String> {
    let carries = |name: &str| !leaf.named_by_subject_only && leaf.names.iter().any(|carried| covers(carried, name));
    wanted.iter().filter(|name| !carries(name)).map(|name| (*name).to_owned()).collect()
}

/// The whole days that a certificate has left, if it ends within so many. `None` if it has ended: that is a failure.
#[must_use]
pub fn expires_within(leaf: &Certificate, now: Timestamp, days: i64) -> Option<i64> {
    let left = leaf.not_after.as_second() - now.as_second();
    (left >= 0 && left <= days.saturating_mul(DAY)).then_some(left / DAY)
}

/// Whether a server that is not trusted probably fails to send its intermediate certificates: it presents its own,
/// which another authority signed, and not the authority's. An authority that signs directly and is merely not among
/// the trust anchors looks the same.
#[must_use]
pub fn incomplete_chain(certificates: &[Certificate]) -> bool {
    certificates.split_first().is_some_and(|(leaf, others)| {
        !leaf.is_self_signed && others.iter().all(|authority| authority.subject != leaf.issuer)
    })
}

/// A wildcard stands for exactly the left-most label of a name, never for a whole domain or an address.
fn covers(carried: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if let Ok(address) = wanted.parse::<IpAddr>() {
        return carried.parse() == Ok(address);
    }
    let carried = carried.trim_end_matches('.');
    let Some(domain) = carried.strip_prefix("*.") else { return carried.eq_ignore_ascii_case(wanted) };
    domain.contains('.')
        && wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn certificate(subject: &str, issuer: &str) -> Certificate {
        Certificate {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            names: Vec::new(),
            named_by_subject_only: false,
            not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
            not_after: "2026-12-31T12:00:00Z".parse().unwrap(),
            is_self_signed: subject == issuer,
            serial: String::new(),
            fingerprint: String::new(),
            signature_algorithm: String::new(),
            key_algorithm: String::new(),
            key_bits: None,
        }
    }

    #[rstest]
    #[case("mail.contoso.example", "mail.contoso.example", true)]
    #[case("MAIL.contoso.example", "mail.Contoso.example.", true)]
    #[case("*.contoso.example", "mail.contoso.example", true)]
    #[case("*.contoso.example", "contoso.example", false)]
    #[case("*.contoso.example", "a.mail.contoso.example", false)]
    #[case("*.contoso.example", ".contoso.example", false)]
    #[case("ma*.contoso.example", "mail.contoso.example", false)]
    #[case("mail.*.example", "mail.contoso.example", false)]
    #[case("*.example", "contoso.example", false)]
    #[case("*", "localhost", false)]
    #[case("192.0.2.7", "192.0.2.7", true)]
    #[case("2001:db8::7", "[2001:db8:0::7]", true)]
    #[case("*.0.2.7", "192.0.2.7", false)]
    fn names_are_matched_by_the_rules(#[case] carried: &str, #[case] wanted: &str, #[case] covered: bool) {
        let leaf = Certificate { names: vec![carried.to_owned()], ..certificate("CN=a", "CN=b") };
        assert_eq!(missing_names(&leaf, &[wanted]).is_empty(), covered);
        let leaf = Certificate { named_by_subject_only: true, ..leaf };
        assert_eq!(missing_names(&leaf, &[wanted]), [wanted]);
    }

    #[rstest]
    #[case("2026-11-30T12:00:00Z", None)]
    #[case("2026-12-01T12:00:00Z", Some(30))]
    #[case("2026-12-01T12:00:01Z", Some(29))]
    #[case("2026-12-31T11:00:00Z", Some(0))]
    #[case("2026-12-31T12:00:01Z", None)]
    fn the_end_is_seen_coming(#[case] now: Timestamp, #[case] days: Option<i64>) {
        assert_eq!(expires_within(&certificate("CN=a", "CN=b"), now, 30), days);
    }

    #[test]
    fn a_chain_without_the_issuer_is_incomplete() {
        let (leaf, middle) = (certificate("CN=leaf", "CN=middle"), certificate("CN=middle", "CN=root"));
        let other = certificate("CN=other", "CN=other");
        assert!(incomplete_chain(std::slice::from_ref(&leaf)));
        assert!(incomplete_chain(&[leaf.clone(), other.clone()]));
        assert!(!incomplete_chain(&[leaf, other.clone(), middle]));
        assert!(!incomplete_chain(&[other]));
        assert!(!incomplete_chain(&[]));
    }
}
