//! Basic (RFC 7617), with the name and password in UTF-8.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::{BoxFuture, FutureExt as _, ready};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Authentication, AuthenticationScheme};
use crate::error::{Challenge, Error};

/// A name and password.
pub(super) struct Basic {
    user: String,
    header: HeaderValue,
}

// === impl Basic ===

impl Basic {
    pub fn new(user: String, password: &SecretString) -> Self {
        let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
        let encoded = STANDARD.encode(pair.expose_secret());
        let mut header =
            HeaderValue::try_from(format!("Basic {encoded}")).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        Self { user, header }
    }
}

impl Authentication for Basic {
    fn scheme(&self) -> AuthenticationScheme {
        AuthenticationScheme::Basic
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn authorization(&self) -> BoxFuture<'_, Result<HeaderValue, Error>> {
        ready(Ok(self.header.clone())).boxed()
    }

    /// A wrong password sent again only brings the account nearer to its lockout.
    fn refused<'a>(&'a self, _: &'a HeaderValue, _: &'a Challenge) -> BoxFuture<'a, bool> {
        ready(false).boxed()
    }
}
