//! Access tokens by client credentials (RFC 6749 §4.4): fetched once, shared, and renewed before they expire.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Authentication, AuthenticationScheme, ProofError,
    answer::{self, Issued},
    assertion::Certificate,
};
use crate::{
    Endpoint, Transport,
    error::{Challenge, Error, Kind, Refusal, TokenDefect, TokenFailure},
    evidence::Exchange,
    transport::{Incoming, Outgoing},
};

/// The time a token may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer's largest size; tokens have some two kilobytes.
const LIMIT: usize = 64 << 10;
/// Tokens are renewed this long before they expire, short ones after nine tenths of their life.
const MARGIN: Duration = Duration::from_secs(300);
/// After a failure, and after a token that was renewed because it was refused, the service is left alone for this time.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest time that the service may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Permissions and audience do not change within this time: a token this young is not renewed because of them.
const YOUNG: Duration = Duration::from_secs(300);

/// What a token depends on.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Where tokens are issued, such as `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
    pub endpoint: Endpoint,
    /// The application's id.
    pub client_id: String,
    /// What the token is for, such as `https://outlook.office365.com/.default`.
    pub scope: String,
    /// What proves that it is the application who asks.
    pub proof: Proof,
}

/// What proves that it is the application who asks.
#[derive(Clone)]
pub enum Proof {
    /// A client secret.
    Secret(SecretString),
    /// A certificate that is registered with the application, and its RSA key.
    Certificate {
        /// As PEM.
        certificate: String,
        /// As PEM, PKCS#8 or PKCS#1.
        private_key: SecretString,
    },
}

/// Where the access tokens of an application come from. All who share it share its token.
pub struct TokenSource {
    transport: Transport,
    endpoint: Endpoint,
    client_id: String,
    scope: String,
    prover: Prover,
    state: Mutex<State>,
}

enum Prover {
    Secret(SecretString),
    Certificate(Certificate),
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<(Error, Instant)>,
    /// When a token was last dropped because it was refused.
    dropped: Option<Instant>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    fetched: Instant,
    renewed_from: Instant,
    expires: Instant,
}

// === impl Proof ===

impl Proof {
    /// A certificate where there is one, whose key the secret is; otherwise a client secret.
    #[must_use]
    pub fn new(certificate: &str, secret: SecretString) -> Self {
        if certificate.trim().is_empty() {
            return Self::Secret(secret);
        }
        Self::Certificate { certificate: certificate.to_owned(), private_key: secret }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Secret(_) => "Secret([hidden])",
            Self::Certificate { .. } => "Certificate([hidden])",
        })
    }
}

// === impl TokenSource ===

impl TokenSource {
    /// A source of its own; [`super::TokenSources`] shares sources. Nothing is asked before the first token is needed.
    ///
    /// # Errors
    /// The certificate cannot sign.
    pub fn new(transport: &Transport, options: &TokenOptions) -> Result<Self, ProofError> {
        let prover = match &options.proof {
            Proof::Secret(secret) => Prover::Secret(secret.clone()),
            Proof::Certificate { certificate, private_key } => {
                Prover::Certificate(Certificate::read(certificate, private_key)?)
            }
        };
        Ok(Self {
            transport: transport.clone(),
            endpoint: options.endpoint.clone(),
            client_id: options.client_id.clone(),
            scope: options.scope.clone(),
            prover,
            state: Mutex::default(),
        })
    }

    /// Whoever comes while a token is fetched waits for that one.
    async fn current(&self) -> Result<HeaderValue, Error> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renewed_from) {
            return Ok(token.header.clone());
        }
        let error = match &state.failure {
            Some((error, until)) if now < *until => error.clone(),
            _ => match self.fetch(now).await {
                Ok(token) => {
                    let header = token.header.clone();
                    (state.token, state.failure) = (Some(token), None);
                    return Ok(header);
                }
                Err(error) => {
                    let pause = error.back_off().unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
                    state.failure = Some((error.clone(), Instant::now() + pause));
                    error
                }
            },
        };
        // What is due for renewal still counts for a while.
        let now = Instant::now();
        state.token.as_ref().filter(|token| now < token.expires).map(|token| token.header.clone()).ok_or(error)
    }

    async fn fetch(&self, now: Instant) -> Result<Token, Error> {
        let outgoing = Outgoing {
            method: Method::POST,
            endpoint: self.endpoint.clone(),
            headers: headers(),
            body: self.form().map_err(|reason| {
                let exchange = Exchange::begin(&Method::POST, self.endpoint.as_str(), &HeaderMap::new(), &Bytes::new());
                Error::new(Kind::Token(TokenFailure::Unsigned(reason)), exchange)
            })?,
            is_secret: true,
            timeout: TIMEOUT,
            limit: LIMIT,
        };
        let Incoming { status, headers, text, mut exchange } =
            self.transport.exchange(outgoing).await.map_err(|error| {
                let failure = TokenFailure::Unavailable(Box::new(error.kind().clone()));
                Error::new(Kind::Token(failure), error.exchange().clone())
            })?;
        match answer::read(status, &headers, &text, &self.endpoint) {
            Ok(Issued { header, life }) => {
                let margin = MARGIN.min(life / 10);
                // A life beyond what the clock can count is a day as well as any.
                let expires = now.checked_add(life).unwrap_or(now + Duration::from_secs(86_400));
                Ok(Token { header, fetched: now, renewed_from: expires - margin, expires })
            }
            Err(failure) => {
                // A success that cannot be read may hold a token nevertheless.
                if !(200..300).contains(&status) {
                    exchange.keep(&text);
                }
                Err(Error::new(Kind::Token(failure), exchange))
            }
        }
    }

    fn form(&self) -> Result<Bytes, String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &self.scope);
        match &self.prover {
            Prover::Secret(secret) => form.append_pair("client_secret", secret.expose_secret()),
            Prover::Certificate(certificate) => {
                let assertion = certificate.assertion(self.endpoint.as_str(), &self.client_id)?;
                form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .append_pair("client_assertion", assertion.expose_secret())
            }
        };
        Ok(Bytes::from(form.finish()))
    }

    /// Drops a token that was refused, unless a new one cannot be better. Says whether to try again.
    async fn drop_refused(&self, sent: &HeaderValue, challenge: &Challenge) -> bool {
        let mut state = self.state.lock().await;
        let Some(token) = state.token.as_ref().filter(|token| token.header == *sent) else {
            // Somebody else was told before, and dropped it.
            return true;
        };
        let now = Instant::now();
        let challenge = Challenge { sent: Some(AuthenticationScheme::Bearer), ..challenge.clone() };
        let is_lasting = matches!(challenge.token_defect(), TokenDefect::Permission | TokenDefect::Audience);
        let is_hopeless = match challenge.refusal() {
            Refusal::TokenRefused | Refusal::TokenPermissionMissing => is_lasting && now - token.fetched < YOUNG,
            _ => true,
        };
        let is_tried = state.dropped.is_some_and(|dropped| now - dropped < PAUSE);
        if is_hopeless || is_tried {
            return false;
        }
        (state.token, state.dropped) = (None, Some(now));
        true
    }
}

impl Authentication for TokenSource {
    fn scheme(&self) -> AuthenticationScheme {
        AuthenticationScheme::Bearer
    }

    fn user(&self) -> &str {
        &self.client_id
    }

    fn authorization(&self) -> BoxFuture<'_, Result<HeaderValue, Error>> {
        self.current().boxed()
    }

    fn refused<'a>(&'a self, sent: &'a HeaderValue, challenge: &'a Challenge) -> BoxFuture<'a, bool> {
        self.drop_refused(sent, challenge).boxed()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("TokenSource");
        shown.field("endpoint", &self.endpoint).field("client_id", &self.client_id).field("scope", &self.scope);
        shown.finish_non_exhaustive()
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
    headers.extend(id.ok().map(|id| (HeaderName::from_static("client-request-id"), id)));
    headers
}
