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
