//! A signed assertion in place of a secret (RFC 7523 §2.2), as Microsoft Entra wants it: PS256, certificate by thumbprint.

use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, Signer},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

/// How long an assertion counts, in seconds.
const LIFE: i64 = 600;
/// How far the service's clock may be behind, in seconds.
const SKEW: i64 = 60;

/// Why a certificate cannot prove who asks for a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No certificate in PEM form.
    #[error("the certificate cannot be read as PEM: {0}")]
    Certificate(String),
    /// No private key in PEM form; keys in encrypted form cannot be read either.
    #[error("the private key cannot be read as PEM (PKCS#8 or PKCS#1, not encrypted)")]
    PrivateKey,
    /// The key belongs to another certificate, or one of them is damaged.
    #[error("certificate and private key do not fit: {0}")]
    Mismatch(String),
    /// PS256 needs RSA.
    #[error("the private key is no RSA key")]
    NotRsa,
}

/// A certificate with its private key.
pub(super) struct Certificate {
    signer: Box<dyn Signer>,
    header: String,
}

// === impl Certificate ===

impl Certificate {
    pub fn read(certificate: &str, private_key: &SecretString) -> Result<Self, ProofError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| ProofError::Certificate(error.to_string()))?;
        // What the reader says of a key could quote it.
        let key = PrivateKeyDer::from_pem_slice(private_key.expose_secret().as_bytes())
            .map_err(|_| ProofError::PrivateKey)?;
        let sha1 = URL_SAFE_NO_PAD.encode(digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate));
        let sha256 = URL_SAFE_NO_PAD.encode(digest::digest(&SHA256, &certificate));
        let certified = CertifiedKey::from_der(vec![certificate], key, &default_provider())
            .map_err(|error| ProofError::Mismatch(error.to_string()))?;
        let signer =
            Arc::clone(&certified.key).choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).ok_or(ProofError::NotRsa)?;
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t": sha1, "x5t#S256": sha256 }).to_string();
        Ok(Self { signer, header: URL_SAFE_NO_PAD.encode(header) })
    }

    /// An assertion for one request.
    pub fn assertion(&self, audience: &str, client_id: &str) -> Result<SecretString, String> {
        let now = now();
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": uuid::Uuid::new_v4().to_string(),
            "nbf": now.saturating_sub(SKEW),
            "exp": now.saturating_add(LIFE),
        });
        let message = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signer.sign(message.as_bytes()).map_err(|error| error.to_string())?;
        Ok(SecretString::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[expect(clippy::disallowed_methods, reason = "the token service compares it with its own clock; no rule sees it")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;

    fn rsa() -> (String, SecretString) {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), SecretString::from(key.serialize_pem()))
    }

    fn refusal(certificate: &str, key: &SecretString) -> ProofError {
        Certificate::read(certificate, key).err().unwrap()
    }

    #[test]
    fn what_cannot_sign_is_refused_at_once() {
        let ((certificate, key), (other, _)) = (rsa(), rsa());
        assert!(matches!(refusal("none", &key), ProofError::Certificate(_)));
        assert_eq!(refusal(&certificate, &SecretString::from("none")), ProofError::PrivateKey);
        assert!(matches!(refusal(&other, &key), ProofError::Mismatch(_)));
        let curve = KeyPair::generate().unwrap();
        let on_curve = CertificateParams::default().self_signed(&curve).unwrap();
        assert_eq!(refusal(&on_curve.pem(), &SecretString::from(curve.serialize_pem())), ProofError::NotRsa);
    }

    #[test]
    fn keys_in_the_old_form_are_read() {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        // The RSAPrivateKey is the octet string that ends a PKCS#8 structure (RFC 5208 §5).
        let der = key.serialize_der();
        let start = der.windows(4).position(|bytes| bytes[0] == 0x04 && bytes[1] == 0x82).unwrap() + 4;
        let body = base64::engine::general_purpose::STANDARD.encode(&der[start..]);
        let old = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n");
        let read = Certificate::read(&certificate.pem(), &SecretString::from(old)).unwrap();
        let assertion = read.assertion("https://login/token", "client").unwrap();
        assert_eq!(assertion.expose_secret().split('.').count(), 3);
    }
}
