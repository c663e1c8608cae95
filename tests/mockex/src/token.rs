//! The token endpoint of an application (RFC 6749 §4.4, in the words of Microsoft Entra), and its access tokens.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::exchange::{Answer, Question};
use crate::options::Application;
use crate::organization::State;

mod assertion;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const EXPIRED: &str = "2000002;reason=\"The token has expired.\";error_category=\"token_expired\"";
const UNKNOWN: &str = "2000001;reason=\"The token is not known.\";error_category=\"invalid_token\"";

/// Access tokens that were issued.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// When each expires.
    issued: HashMap<String, Instant>,
    /// Assertions that were used; each counts once.
    used: HashSet<String>,
    refusal: Option<String>,
}

/// An error of the endpoint: status, `error`, number, text.
type Refusal = (u16, &'static str, u32, &'static str);

// === impl Tokens ===

impl Tokens {
    fn issue(&self, life: Duration) -> String {
        let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        self.lock().issued.insert(token.clone(), Instant::now() + life);
        token
    }

    /// Whether a token counts; the diagnostics if not.
    pub fn check(&self, token: &str) -> Result<(), String> {
        let book = self.lock();
        if let Some(refusal) = &book.refusal {
            return Err(refusal.clone());
        }
        match book.issued.get(token) {
            Some(expires) if Instant::now() < *expires => Ok(()),
            Some(_) => Err(EXPIRED.to_owned()),
            None => Err(UNKNOWN.to_owned()),
        }
    }

    pub fn revoke(&self) {
        self.lock().issued.clear();
    }

    pub fn expire(&self) {
        let now = Instant::now();
        self.lock().issued.values_mut().for_each(|expires| *expires = now);
    }

    pub fn refuse(&self, diagnostics: Option<String>) {
        self.lock().refusal = diagnostics;
    }

    /// Whether an assertion's id is new.
    fn first_use(&self, id: &str) -> bool {
        self.lock().used.insert(id.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The URL of the token endpoint.
pub(crate) fn url(state: &State) -> Option<String> {
    let tenant = &state.application.as_ref()?.tenant;
    Some(format!("https://{}:{}/{tenant}/oauth2/v2.0/token", state.public_host, state.autodiscover_port))
}

/// Whether a path is that of a token endpoint, of any tenant.
pub(crate) fn is_endpoint(state: &State, path: &str) -> bool {
    state.application.is_some() && tenant(path).is_some()
}

fn tenant(path: &str) -> Option<&str> {
    path.strip_suffix("/oauth2/v2.0/token")?.strip_prefix('/').filter(|tenant| !tenant.contains('/'))
}

/// Answers a request for a token.
pub(crate) fn answer(state: &State, question: &Question) -> Answer {
    let Some(application) = &state.application else { return Answer::bare(404, None, None) };
    if question.method != Method::POST {
        return Answer::bare(405, None, None);
    }
    match examine(state, application, question) {
        Ok(()) => {
            let life = application.token_seconds;
            let token = state.tokens.issue(Duration::from_secs(life));
            Answer::json(
                200,
                &json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token }),
            )
        }
        Err((status, error, number, text)) => {
            let (trace, correlation) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
            let description = format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation}");
            let body = json!({
                "error": error,
                "error_description": description,
                "error_codes": [number],
                "trace_id": trace.to_string(),
                "correlation_id": correlation.to_string(),
            });
            Answer::json(status, &body)
        }
    }
}

fn examine(state: &State, application: &Application, question: &Question) -> Result<(), Refusal> {
    let form: HashMap<String, String> = form_urlencoded::parse(question.text.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if tenant(&question.path) != Some(&application.tenant) {
        return Err((400, "invalid_request", 90_002, "Tenant not found."));
    }
    if field("grant_type") != "client_credentials" {
        return Err((400, "unsupported_grant_type", 70_003, "The grant type is not supported."));
    }
    if field("client_id") != application.client_id {
        return Err((400, "unauthorized_client", 700_016, "Application was not found in the directory."));
    }
    if !field("scope").ends_with("/.default") {
        return Err((
            400,
            "invalid_scope",
            1_002_012,
            "The scope is not valid: client credential flows want /.default.",
        ));
    }
    if form.contains_key("client_secret") {
        let is_right = application.secret.as_deref() == Some(field("client_secret"));
        return if is_right {
            Ok(())
        } else {
            Err((401, "invalid_client", 7_000_215, "Invalid client secret provided."))
        };
    }
    if field("client_assertion_type") != ASSERTION_TYPE {
        return Err((401, "invalid_client", 7_000_218, "The body must contain client_assertion or client_secret."));
    }
    let audience = url(state).unwrap_or_default();
    let id = assertion::verify(field("client_assertion"), application, &audience)
        .map_err(|(number, text)| (401, "invalid_client", number, text))?;
    if state.tokens.first_use(&id) {
        Ok(())
    } else {
        Err((401, "invalid_client", 700_027, "The client assertion was used before."))
    }
}
