//! What a certificate says.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{Oid, OidRegistry},
    prelude::FromDer,
    public_key::PublicKey,
};

/// A certificate as the server presents it. Its signature is not checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, as `CN=mail.contoso.example, O=Contoso`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names and addresses it is for.
    pub names: Vec<String>,
    /// It has no alternative names; `names` is its common name, which nobody accepts any more.
    pub named_by_subject_only: bool,
    /// The begin of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Subject and issuer are the same.
    pub is_self_signed: bool,
    /// The serial number, as hexadecimal digits with colons.
    pub serial: String,
    /// The SHA-256 fingerprint, as hexadecimal digits with colons.
    pub fingerprint: String,
    /// How it is signed, such as `sha256WithRSAEncryption`.
    pub signature_algorithm: String,
    /// The kind of its key: `RSA`, `EC`, or another's name.
    pub key_algorithm: String,
    /// The size of its key, if it is known.
    pub key_bits: Option<usize>,
}

// === impl Certificate ===

impl Certificate {
    /// Reads a certificate in DER form; `None` if it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let alternative = alternative_names(&parsed);
        let named_by_subject_only = alternative.is_empty();
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned);
        let key = parsed.public_key();
        let (key_algorithm, key_bits) = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => ("RSA".to_owned(), Some(rsa.key_size())),
            Ok(PublicKey::EC(point)) => ("EC".to_owned(), Some(point.key_size())),
            _ => (algorithm(&key.algorithm.algorithm), None),
        };
        Some(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: if named_by_subject_only { common.collect() } else { alternative },
            named_by_subject_only,
            not_before: Timestamp::from_second(parsed.validity().not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?,
            is_self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            serial: hexadecimal(parsed.raw_serial()),
            fingerprint: hexadecimal(&Sha256::digest(der)),
            signature_algorithm: algorithm(&parsed.signature_algorithm.algorithm),
            key_algorithm,
            key_bits: key_bits.filter(|bits| *bits > 0),
        })
    }
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for extension in parsed.extensions() {
        if let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() {
            names.extend(alternative.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
                _ => None,
            }));
        }
    }
    names
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))).ok()
}

fn algorithm(oid: &Oid<'_>) -> String {
    let registry = OidRegistry::default().with_crypto();
    registry.get(oid).map_or_else(|| oid.to_id_string(), |entry| entry.sn().to_owned())
}

fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        let separator = if text.is_empty() { "" } else { ":" };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{octet:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_certificate_says() {
        let mut params = rcgen::CertificateParams::new(vec![
            "mail.contoso.example".to_owned(),
            "192.0.2.7".to_owned(),
            "2001:db8::7".to_owned(),
        ])
        .unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Mail");
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2034, 1, 1);
        params.serial_number = Some(rcgen::SerialNumber::from(vec![1, 0xab]));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = Certificate::read(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!(certificate.names, ["mail.contoso.example", "192.0.2.7", "2001:db8::7"]);
        assert!(!certificate.named_by_subject_only && certificate.is_self_signed);
        assert!(certificate.subject.contains("CN=Mail"), "{}", certificate.subject);
        assert_eq!(certificate.not_after, "2034-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(certificate.serial, "01:AB");
        assert_eq!(certificate.fingerprint.len(), 95);
        assert_eq!((certificate.key_algorithm.as_str(), certificate.key_bits), ("EC", Some(256)));
        assert_eq!(certificate.signature_algorithm, "ecdsa-with-SHA256");
    }

    #[test]
    fn falls_back_to_the_common_name_and_says_so() {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "mail.contoso.example");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = Certificate::read(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!(certificate.names, ["mail.contoso.example"]);
        assert!(certificate.named_by_subject_only);
        assert_eq!(Certificate::read(b"none"), None);
    }
}
