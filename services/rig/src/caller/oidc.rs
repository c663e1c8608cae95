//! Access tokens of an issuer (OpenID Connect Core, Discovery 1.0; RFC 7519, 8725).

use std::{sync::Arc, time::Instant};

use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use postroad_core::fault::{Code, Report};
use serde_json::Value;

use super::{decision::Person, token::LONGEST};
use crate::{Error, config};

mod cache;
mod claims;
mod issuer;
mod keys;

use cache::{Age, Cache};
use issuer::Issuer;
use keys::Keys;

pub use cache::Patience;

/// What tokens may be signed with. Neither nothing, nor a secret that both sides have: public keys would be taken for it.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// An issuer, with its keys as they were last fetched.
#[derive(Debug)]
pub struct Oidc {
    settings: config::Oidc,
    validation: Validation,
    keys: Arc<Cache>,
}

impl Oidc {
    /// Nothing is fetched before the first token comes.
    ///
    /// # Errors
    /// The authority cannot be read.
    pub fn open(settings: &config::Oidc) -> Result<Self, Error> {
        Self::with_patience(settings, Patience::default())
    }

    /// The same with other distances of questions to the issuer.
    ///
    /// # Errors
    /// The authority cannot be read.
    pub fn with_patience(settings: &config::Oidc, patience: Patience) -> Result<Self, Error> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[&settings.audience]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let keys = Arc::new(Cache::new(Issuer::new(settings)?, patience));
        Ok(Self { settings: settings.clone(), validation, keys })
    }

    /// Asks the issuer for its keys; gives how many sign.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn look(&self) -> Result<usize, Report> {
        self.keys.fetch(None).await?;
        Ok(self.keys.known().map_or(0, |(keys, _)| keys.len()))
    }

    /// Who a token says calls.
    ///
    /// # Errors
    /// It is not one of the issuer's for us, or the issuer's keys cannot be had.
    pub async fn identify(&self, token: &str) -> Result<Person, Report> {
        let refused = |why: &str| Report::new(Code::AccessTokenRefused, why);
        if token.len() > LONGEST {
            return Err(refused("it is longer than tokens are"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| refused(&reason(&error)))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused("it is signed with an algorithm that is not accepted"));
        }
        if header.crit.is_some() {
            return Err(refused("it demands an extension that is not known"));
        }
        let candidates = self.candidates(header.kid.as_deref(), header.alg).await?;
        // The library wants keys to fit each algorithm that is accepted: accepted is what the header says, out of ours.
        let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
        let mut last = refused("it is signed with a key that the issuer does not publish");
        for key in candidates {
            match jsonwebtoken::decode::<Value>(token, &key, &validation) {
                Ok(token) => return claims::person(&token.claims, &self.settings),
                Err(error) => last = refused(&reason(&error)),
            }
        }
        Err(last)
    }

    /// The keys that may have signed a token. One that is not known yet is looked for at the issuer; nobody waits for it to say that
    /// those that are known still count.
    async fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<keys::Key>, Report> {
        let find = |known: Option<&(Arc<Keys>, Instant)>| {
            known.map(|(keys, _)| keys.candidates(id, algorithm)).unwrap_or_default()
        };
        let known = self.keys.known();
        let found = find(known.as_ref());
        let fetched_at = known.map(|(_, at)| at);
        if let (false, Some(at)) = (found.is_empty(), fetched_at) {
            match self.keys.age(at) {
                Age::Fresh => return Ok(found),
                Age::Stale => {
                    self.keys.refresh();
                    return Ok(found);
                }
                Age::Overdue => {}
            }
        }
        let fetched = self.keys.fetch(fetched_at).await;
        let found = find(self.keys.known().as_ref());
        match fetched {
            // What is known counts while the issuer is away.
            Err(report) if found.is_empty() => Err(report),
            _ => Ok(found),
        }
    }
}

/// Why a token does not hold. Nothing of the token is in it.
fn reason(error: &jsonwebtoken::errors::Error) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "it was made for somebody else (aud)".to_owned(),
        ErrorKind::InvalidIssuer => "it comes from another issuer (iss)".to_owned(),
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            "it is signed with an algorithm that is not accepted, or that does not fit the key".to_owned()
        }
        ErrorKind::MissingRequiredClaim(claim) => format!("it lacks the claim {claim}"),
        ErrorKind::InvalidClaimFormat(claim) => format!("its claim {claim} has another form than it should"),
        _ => "it is no token of an issuer".to_owned(),
    }
}
