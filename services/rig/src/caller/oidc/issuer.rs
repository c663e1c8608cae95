//! Questions to the issuer: where its keys are, and which.

use std::time::Duration;

use serde_json::Value;

use super::keys::Keys;
use crate::{Error, config};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const LARGEST: usize = 256 * 1024;

/// An issuer that can be asked.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    http: reqwest::Client,
}

impl Issuer {
    /// Speaks TLS only, and follows no redirect: the keys decide who gets in.
    pub fn new(settings: &config::Oidc) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(LIMIT)
            .timeout(LIMIT)
            .user_agent(concat!("Postroad/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &settings.authority_file {
            let wrong = |why: String| {
                Error::Configuration(format!("access.oidc.authority_file = \"{}\" {why}", file.display()))
            };
            let pem = std::fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| wrong(format!("does not hold certificates in PEM form: {error}")))?;
            if authorities.is_empty() {
                return Err(wrong("does not hold a certificate in PEM form".to_owned()));
            }
            builder = builder.tls_certs_merge(authorities);
        }
        let http = builder.build().map_err(|error| Error::Configuration(format!("access.oidc: {error}")))?;
        Ok(Self { url: settings.issuer.clone(), http })
    }

    /// What its tokens call it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its keys.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn keys(&self) -> Result<Keys, String> {
        let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let document = self.get(&url).await?;
        // Whoever serves somebody else's document would otherwise have that one's keys count here (Discovery 1.0 §4.3).
        if document.get("issuer").and_then(Value::as_str) != Some(&self.url) {
            return Err(format!("{url} is the document of another issuer than {}", self.url));
        }
        let keys =
            document.get("jwks_uri").and_then(Value::as_str).ok_or_else(|| format!("{url} names no jwks_uri"))?;
        if !keys.starts_with("https://") {
            return Err(format!("{url} names a jwks_uri that is not https"));
        }
        let found = Keys::read(&self.get(keys).await?);
        if found.len() == 0 { Err(format!("{keys} holds no key that signs")) } else { Ok(found) }
    }

    async fn get(&self, url: &str) -> Result<Value, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", innermost(&error));
        let mut response = self.http.get(url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("{url} answers {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LARGEST {
                return Err(format!("{url} answers more than {LARGEST} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url} answers no JSON: {error}"))
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
