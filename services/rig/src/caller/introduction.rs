//! How this process says who it is to the roles that it calls.

use std::sync::Arc;

use http::Uri;
use secrecy::ExposeSecret as _;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};

use super::{ACTOR, TokenFile};
use crate::Traced;

/// A channel whose calls say who makes them and are part of a trace.
pub type Introduced = InterceptedService<Traced, Introduction>;

/// Who makes calls: a token, where there is one, and a name.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    token: Option<Arc<TokenFile>>,
    actor: Option<MetadataValue<Ascii>>,
}

impl Introduction {
    /// By the token of a file.
    pub const fn new(token: Option<Arc<TokenFile>>) -> Self {
        Self { token, actor: None }
    }

    /// With a name, which the holder of the local token may choose.
    #[must_use]
    pub fn named(self, actor: &str) -> Self {
        Self { actor: Self::said(actor), ..self }
    }

    /// Without the token: it must not go where others can read it.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { token: None, ..self }
    }

    /// Whether it has a token.
    pub const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// A name as metadata, which carries visible ASCII only; a name in another script must not make the call fail.
    pub fn said(actor: &str) -> Option<MetadataValue<Ascii>> {
        let ascii: String = actor.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
        ascii.parse().ok()
    }
}

impl Interceptor for Introduction {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        // Whoever acts for somebody has said so.
        if let Some(actor) = self.actor.as_ref().filter(|_| !metadata.contains_key(ACTOR)) {
            metadata.insert(ACTOR, actor.clone());
        }
        if let Some(file) = &self.token
            && let Ok(mut bearer) = format!("Bearer {}", file.token().expose_secret()).parse::<MetadataValue<Ascii>>()
        {
            bearer.set_sensitive(true);
            metadata.insert("authorization", bearer);
        }
        Ok(request)
    }
}

/// Whether a token may go to an endpoint: it stays on this machine, or something encrypts it.
pub fn may_carry_token(endpoint: &str, is_encrypted: bool) -> bool {
    let is_loopback = || {
        let uri: Uri = endpoint.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        Some(host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()))
    };
    is_encrypted || is_loopback().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_on_this_machine_unless_it_is_encrypted() {
        for endpoint in ["http://127.0.0.1:7401", "http://localhost:7401", "http://[::1]:7401"] {
            assert!(may_carry_token(endpoint, false), "{endpoint}");
        }
        for endpoint in ["http://10.0.0.7:7401", "http://localhost.example:1", "http://127.0.0.1.example", "", "x"] {
            assert!(!may_carry_token(endpoint, false) && may_carry_token(endpoint, true), "{endpoint}");
        }
    }

    #[test]
    fn a_call_carries_token_and_name_and_debugging_shows_neither() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(TokenFile::open_or_make("access.token_file", &folder.path().join("token")).unwrap());
        let token = file.token().expose_secret().to_owned();
        let mut introduction = Introduction::new(Some(file)).named("admin Zoë");
        let request = introduction.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap().to_str().unwrap(), format!("Bearer {token}"));
        assert_eq!(request.metadata().get(ACTOR).unwrap().to_str().unwrap(), "admin Zo?");
        assert!(!format!("{request:?} {introduction:?}").contains(&token));
    }

    #[test]
    fn whoever_acts_for_somebody_has_said_so() {
        let mut request = Request::new(());
        request.metadata_mut().insert(ACTOR, Introduction::said("ada@contoso.example (OIDC)").unwrap());
        let request = Introduction::default().named("role profile").call(request).unwrap();
        assert_eq!(request.metadata().get(ACTOR).unwrap().to_str().unwrap(), "ada@contoso.example (OIDC)");
    }
}
