//! Who is calling: Basic, as the service account or as the owner of a mailbox; an access token, as the service account.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::directory::Account;
use crate::fault::Service;
use crate::options::Challenge;
use crate::organization::State;

/// Who was recognised.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The service account.
    Service,
    /// The owner of a mailbox.
    Owner(Arc<Account>),
}

const BEARER: &str = "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\", \
    trusted_issuers=\"00000001-0000-0000-c000-000000000000@*\", \
    token_types=\"app_asserted_user_v1 service_asserted_app_v1\", \
    authorization_uri=\"https://login.windows.net/common/oauth2/authorize\"";

/// Who sent a request, if its credentials are right and of a scheme that is accepted.
pub fn caller(state: &State, headers: &HeaderMap) -> Option<Caller> {
    if let Some(token) = token(state, headers) {
        return state.tokens.check(token).is_ok().then_some(Caller::Service);
    }
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !state.challenge.takes_basic() || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(token.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    let service = state.service_account();
    if service.principal_name.eq_ignore_ascii_case(name) {
        return (service.password == password).then_some(Caller::Service);
    }
    drop(service);
    let account = state.directory.by_principal(name).or_else(|| state.directory.by_address(name))?;
    (account.has_password(password) && !account.disabled).then(|| Caller::Owner(Arc::clone(account)))
}

/// The headers of a 401 to a request with these headers.
pub fn challenge(state: &State, service: Service, host: &str, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if service == Service::Autodiscover && state.challenge != Challenge::Silent {
        for (name, value) in [
            ("x-soap-enabled", "True"),
            ("x-wssecurity-enabled", "True"),
            ("x-wssecurity-for", "None"),
            ("x-oauth-enabled", "True"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    let basic = format!("Basic realm=\"{host}\"");
    let offered: &[&str] = match state.challenge {
        Challenge::Basic => &["Negotiate", "NTLM", &basic],
        Challenge::WithoutBasic => &["Negotiate", "NTLM"],
        Challenge::Bearer => &[BEARER, "Basic Realm=\"\""],
        Challenge::Both => &["Negotiate", "NTLM", BEARER, &basic],
        Challenge::Silent => &[],
    };
    for value in offered.iter().filter_map(|text| HeaderValue::from_str(text).ok()) {
        headers.append(WWW_AUTHENTICATE, value);
    }
    if let Some(Err(reason)) = token(state, request).map(|token| state.tokens.check(token))
        && let Ok(diagnostics) = HeaderValue::from_str(&reason)
    {
        headers.insert("x-ms-diagnostics", diagnostics);
    }
    headers
}

/// The access token of a request, where tokens are accepted.
fn token<'a>(state: &State, headers: &'a HeaderMap) -> Option<&'a str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (state.challenge.takes_tokens() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}
