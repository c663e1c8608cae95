//! Who is calling: Basic, as the service account or as the owner of a mailbox.

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

/// Who sent a request, if its credentials are right and Basic is accepted.
pub fn caller(state: &State, headers: &HeaderMap) -> Option<Caller> {
    if state.challenge != Challenge::Basic {
        return None;
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let decoded = STANDARD.decode(token.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
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

/// The headers of a 401.
pub fn challenge(state: &State, service: Service, host: &str) -> HeaderMap {
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
    if state.challenge != Challenge::Silent {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate"));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("NTLM"));
    }
    if state.challenge == Challenge::Basic
        && let Ok(basic) = HeaderValue::try_from(format!("Basic realm=\"{host}\""))
    {
        headers.append(WWW_AUTHENTICATE, basic);
    }
    headers
}
