//! Access tokens of an issuer (OpenID Connect Core, Discovery 1.0; RFC 7519, 8725).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use postroad_core::fault::{Code, Report};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{decision::Person, token::LONGEST};
use crate::{Error, clock, config};

mod claims;
mod issuer;
mod keys;

use issuer::Issuer;
use keys::Keys;

/// What tokens may be signed with. Neither nothing, nor a secret that both sides have: public keys would be taken for it.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;
/// Keys are fetched again at this distance, so that those that the issuer withdraws end.
const FRESH: Duration = Duration::from_secs(3600);
/// Whoever makes up key ids must not have us ask the issuer each time.
const PAUSE: Duration = Duration::from_secs(10);

/// An issuer, with its keys as they were last fetched.
#[derive(Debug)]
pub struct Oidc {
    settings: config::Oidc,
    validation: Validation,
    issuer: Issuer,
    keys: RwLock<Option<(Arc<Keys>, Instant)>>,
    /// When the issuer was last asked, whatever came of it.
    asked: Mutex<Option<Instant>>,
    pause: Duration,
}

impl Oidc {
    /// Nothing is fetched before the first token comes.
    ///
    /// # Errors
    /// The authority cannot be read.
    pub fn open(settings: &config::Oidc) -> Result<Self, Error> {
        Self::with_pause(settings, PAUSE)
    }

    /// The same with another distance of questions to the issuer.
    ///
    /// # Errors
    /// The authority cannot be read.
    pub fn with_pause(settings: &config::Oidc, pause: Duration) -> Result<Self, Error> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[&settings.audience]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let issuer = Issuer::new(settings)?;
        let (keys, asked) = (RwLock::default(), Mutex::default());
        Ok(Self { settings: settings.clone(), validation, issuer, keys, asked, pause })
    }

    /// Asks the issuer for its keys; gives how many sign.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn look(&self) -> Result<usize, Report> {
        self.fetch(None).await?;
        Ok(self.known().map_or(0, |(keys, _)| keys.len()))
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

    /// The keys that may have signed a token. One that is not known yet is looked for at the issuer.
    async fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<keys::Key>, Report> {
        let known = self.known();
        let is_fresh = known.as_ref().is_some_and(|(_, at)| clock::instant().saturating_duration_since(*at) < FRESH);
        let find = |known: Option<(Arc<Keys>, Instant)>| {
            known.map(|(keys, _)| keys.candidates(id, algorithm)).unwrap_or_default()
        };
        let found = find(known.clone());
        if !found.is_empty() && is_fresh {
            return Ok(found);
        }
        let fetched = self.fetch(known.as_ref().map(|(_, at)| *at)).await;
        let found = find(self.known());
        match fetched {
            // What is known counts while the issuer is away.
            Err(report) if found.is_empty() => Err(report),
            _ => Ok(found),
        }
    }

    fn known(&self) -> Option<(Arc<Keys>, Instant)> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the issuer for its keys, unless it was asked just now. `seen` is when those were fetched that do not suffice.
    async fn fetch(&self, seen: Option<Instant>) -> Result<(), Report> {
        let mut asked = self.asked.lock().await;
        let known = self.known();
        // Somebody else has fetched them while this one waited.
        if known.as_ref().is_some_and(|(_, at)| seen.is_none_or(|seen| *at > seen)) {
            return Ok(());
        }
        let now = clock::instant();
        if asked.is_some_and(|at| now.saturating_duration_since(at) < self.pause) {
            let silent =
                || Report::new(Code::IssuerUnavailable, "it did not answer just now, and is asked again in seconds");
            return if known.is_some() { Ok(()) } else { Err(silent()) };
        }
        *asked = Some(now);
        match self.issuer.keys().await {
            Ok(keys) => {
                tracing::debug!(issuer = self.settings.issuer, keys = keys.len(), "the issuer's keys are known");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(keys), clock::instant()));
                Ok(())
            }
            Err(detail) => {
                tracing::warn!(issuer = self.settings.issuer, detail, "the issuer's keys cannot be fetched");
                Err(Report::new(Code::IssuerUnavailable, detail))
            }
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
