//! Trust anchors: certificates of private authorities, as PEM.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why a text is no trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustAnchorError {
    /// It has no certificate in PEM form.
    #[error("there is no certificate in PEM form")]
    Missing,
    /// The PEM form is damaged.
    #[error("the PEM form cannot be read: {0}")]
    Pem(String),
    /// What the PEM form holds is no certificate.
    #[error("certificate {number} is none: {reason}")]
    Certificate {
        /// Its place in the text, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The number of certificates in a text, all of which can be trust anchors.
pub fn count_certificates(pem: &str) -> Result<usize, TrustAnchorError> {
    parse(pem).map(|certificates| certificates.len())
}

pub(super) fn certificates(pems: &[String]) -> Result<Vec<reqwest::Certificate>, TrustAnchorError> {
    let mut certificates = Vec::new();
    for pem in pems {
        for (index, certificate) in parse(pem)?.iter().enumerate() {
            let invalid = |error: reqwest::Error| invalid(index, &error);
            certificates.push(reqwest::Certificate::from_der(certificate).map_err(invalid)?);
        }
    }
    Ok(certificates)
}

/// For a verifier of one's own.
pub(crate) fn parse_all(pems: &[String]) -> Result<Vec<CertificateDer<'static>>, TrustAnchorError> {
    let mut certificates = Vec::new();
    for pem in pems {
        certificates.extend(parse(pem)?);
    }
    Ok(certificates)
}

fn parse(pem: &str) -> Result<Vec<CertificateDer<'static>>, TrustAnchorError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TrustAnchorError::Pem(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TrustAnchorError::Missing);
    }
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| invalid(index, &error))?;
    }
    Ok(certificates)
}

fn invalid(index: usize, reason: &dyn std::fmt::Display) -> TrustAnchorError {
    TrustAnchorError::Certificate { number: index + 1, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_certificates() {
        let certificate = rcgen::generate_simple_self_signed(["mail".to_owned()]).unwrap().cert.pem();
        assert_eq!(count_certificates(&certificate), Ok(1));
        assert_eq!(count_certificates(&format!("{certificate}\n{certificate}")), Ok(2));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(count_certificates("text"), Err(TrustAnchorError::Missing));
        let damaged = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(count_certificates(damaged), Err(TrustAnchorError::Pem(_))));
        let other = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(count_certificates(other), Err(TrustAnchorError::Certificate { number: 1, .. })));
    }
}
