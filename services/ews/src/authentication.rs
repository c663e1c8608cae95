//! Who logs on, and with what.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::SecretString;

use crate::{
    Transport,
    error::{Challenge, Error},
    transport::{Incoming, Opened, Outgoing},
};

mod answer;
mod assertion;
mod basic;
mod registry;
mod token;

pub(crate) use answer::read_answer;
pub use assertion::ProofError;
pub use registry::TokenSources;
pub use token::{Proof, TokenOptions, TokenSource};

/// The scheme of the header `Authorization`: what a 401 means depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticationScheme {
    /// A name and password.
    Basic,
    /// An access token.
    Bearer,
}

/// A way to log on.
pub trait Authentication: Send + Sync {
    /// What the header begins with.
    fn scheme(&self) -> AuthenticationScheme;

    /// Who logs on, for people.
    fn user(&self) -> &str;

    /// The value of the header `Authorization` for the next request, marked so that it is never printed.
    ///
    /// # Errors
    /// It has to be fetched first, and that failed.
    fn authorization(&self) -> BoxFuture<'_, Result<HeaderValue, Error>>;

    /// Takes note of a 401, and says whether the request is worth sending once more with [`Authentication::authorization`]
    /// asked again.
    fn refused<'a>(&'a self, sent: &'a HeaderValue, challenge: &'a Challenge) -> BoxFuture<'a, bool>;
}

/// What proves who logs on; a cheap clone.
#[derive(Clone)]
pub struct Credentials(Arc<dyn Authentication>);

// === impl Credentials ===

impl Credentials {
    /// Any way to log on.
    #[must_use]
    pub fn new(authentication: Arc<dyn Authentication>) -> Self {
        Self(authentication)
    }

    /// A name, in UPN form, and password, sent with each request without waiting for a challenge.
    #[must_use]
    pub fn basic(user: impl Into<String>, password: SecretString) -> Self {
        Self(Arc::new(basic::Basic::new(user.into(), &password)))
    }

    /// Access tokens of an application; mailboxes with the same source share its token.
    #[must_use]
    pub fn oauth(source: Arc<TokenSource>) -> Self {
        Self(source)
    }

    /// The user name, or the client id of the application, for people.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0.user()
    }

    /// What is sent.
    #[must_use]
    pub fn scheme(&self) -> AuthenticationScheme {
        self.0.scheme()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.scheme() {
            AuthenticationScheme::Basic => "Basic",
            AuthenticationScheme::Bearer => "Bearer",
        };
        formatter.debug_struct(name).field("user", &self.user()).finish_non_exhaustive()
    }
}

/// Sends a request with credentials, and once more if that is worth it.
pub(crate) async fn exchange(
    transport: &Transport,
    credentials: &Credentials,
    outgoing: Outgoing,
) -> Result<Incoming, Error> {
    let (incoming, sent) = attempt(transport, credentials, outgoing.clone()).await?;
    if incoming.status != 401 || !credentials.0.refused(&sent, &Challenge::read(&incoming.headers)).await {
        return Ok(incoming);
    }
    attempt(transport, credentials, outgoing).await.map(|(incoming, _)| incoming)
}

/// Sends a request with credentials whose answer is a stream, and once more if that is worth it.
pub(crate) async fn open(
    transport: &Transport,
    credentials: &Credentials,
    outgoing: Outgoing,
) -> Result<Opened, Error> {
    let mut first = outgoing.clone();
    let sent = credentials.0.authorization().await?;
    first.headers.insert(AUTHORIZATION, sent.clone());
    let opened = transport.open(first).await?;
    let Opened::Refused(incoming) = &opened else { return Ok(opened) };
    if incoming.status != 401 || !credentials.0.refused(&sent, &Challenge::read(&incoming.headers)).await {
        return Ok(opened);
    }
    let mut again = outgoing;
    again.headers.insert(AUTHORIZATION, credentials.0.authorization().await?);
    transport.open(again).await
}

async fn attempt(
    transport: &Transport,
    credentials: &Credentials,
    mut outgoing: Outgoing,
) -> Result<(Incoming, HeaderValue), Error> {
    let authorization = credentials.0.authorization().await?;
    outgoing.headers.insert(AUTHORIZATION, authorization.clone());
    Ok((transport.exchange(outgoing).await?, authorization))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Endpoint};

    #[tokio::test]
    async fn credentials_are_never_printed() {
        let endpoint = Endpoint::parse("https://mail/EWS/Exchange.asmx").unwrap();
        let credentials = Credentials::basic("crm@contoso.example", SecretString::from("Pass-word1"));
        let header = credentials.0.authorization().await.unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic Y3JtQGNvbnRvc28uZXhhbXBsZTpQYXNzLXdvcmQx");
        let access = Access::impersonating(endpoint, credentials, "user1@contoso.example");
        for printed in [format!("{access:?}"), format!("{header:?}")] {
            assert!(!printed.contains("Pass-word1") && !printed.contains("Y3Jt"), "{printed}");
        }
    }
}
