//! Assertions that stand for a secret (RFC 7523 §3), signed with PS256 by the registered certificate.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY};

use crate::options::Application;

/// Why an assertion does not count: number and text.
type Refusal = (u32, &'static str);

const MALFORMED: Refusal = (50_027, "The client assertion is malformed.");
const SIGNATURE: Refusal = (700_027, "The client assertion failed signature validation.");

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    jti: String,
    nbf: i64,
    exp: i64,
}

/// Verifies an assertion; gives its id.
pub(super) fn verify(text: &str, application: &Application, audience: &str) -> Result<String, Refusal> {
    let (message, signature) = text.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, claims) = message.split_once('.').ok_or(MALFORMED)?;
    let header: Header = part(header)?;
    let claims: Claims = part(claims)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
    let pem = application.certificate.as_deref().ok_or(SIGNATURE)?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| SIGNATURE)?;
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    if header.alg != "PS256" || header.typ != "JWT" || header.thumbprint != thumbprint {
        return Err((700_027, "The certificate with identifier used to sign the client assertion is not registered."));
    }
    EndEntityCert::try_from(&certificate)
        .and_then(|holder| holder.verify_signature(RSA_PSS_2048_8192_SHA256_LEGACY_KEY, message.as_bytes(), &signature))
        .map_err(|_| SIGNATURE)?;
    if claims.aud != audience {
        return Err((700_023, "The client assertion audience claim does not match the realm issuer."));
    }
    if claims.iss != application.client_id || claims.sub != application.client_id {
        return Err((700_021, "The client assertion application identifier does not match client_id."));
    }
    let now = Timestamp::now().as_second();
    if now < claims.nbf || claims.exp <= now {
        return Err((700_024, "The client assertion is not within its valid time range."));
    }
    Ok(claims.jti)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED)?;
    serde_json::from_slice(&bytes).map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    use rustls::SignatureScheme;
    use rustls::crypto::aws_lc_rs::sign::any_supported_type;
    use rustls::pki_types::PrivateKeyDer;
    use serde_json::{Value, json};

    use super::*;

    const AUDIENCE: &str = "https://localhost/contoso.example/oauth2/v2.0/token";

    fn key() -> KeyPair {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
    }

    fn signed(key: &KeyPair, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let key = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signer.sign(message.as_bytes()).unwrap()))
    }

    #[test]
    fn only_what_is_signed_for_here_and_now_counts() {
        let (own, other) = (key(), key());
        let certificate = CertificateParams::default().self_signed(&own).unwrap();
        let application = Application { certificate: Some(certificate.pem()), ..Application::new("app") };
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
        let now = Timestamp::now().as_second();
        let claims =
            json!({ "aud": AUDIENCE, "iss": "app", "sub": "app", "jti": "1", "nbf": now - 60, "exp": now + 600 });
        let verify = |text: &str| verify(text, &application, AUDIENCE).map_err(|(number, _)| number);
        let with = |part: &Value, name: &str, value: Value| {
            let mut part = part.clone();
            part[name] = value;
            part
        };
        let right = signed(&own, &header, &claims);
        assert_eq!(verify(&right), Ok("1".to_owned()));
        assert_eq!(verify(&signed(&other, &header, &claims)), Err(700_027));
        let (message, signature) = right.rsplit_once('.').unwrap();
        let (head, _) = message.split_once('.').unwrap();
        let changed = URL_SAFE_NO_PAD.encode(with(&claims, "jti", json!("2")).to_string());
        assert_eq!(verify(&format!("{head}.{changed}.{signature}")), Err(700_027));
        for (name, value, number) in [
            ("aud", json!("https://localhost/other/oauth2/v2.0/token"), 700_023),
            ("iss", json!("other"), 700_021),
            ("sub", json!("other"), 700_021),
            ("exp", json!(now - 1), 700_024),
            ("nbf", json!(now + 100), 700_024),
            ("exp", json!("soon"), 50_027),
        ] {
            assert_eq!(verify(&signed(&own, &header, &with(&claims, name, value))), Err(number), "{name}");
        }
        for (name, value) in [("alg", "RS256"), ("x5t#S256", "AAAA")] {
            assert_eq!(verify(&signed(&own, &with(&header, name, json!(value)), &claims)), Err(700_027), "{name}");
        }
        assert_eq!(verify("a.b"), Err(50_027));
    }
}
