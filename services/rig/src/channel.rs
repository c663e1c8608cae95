//! Connections to roles: the one place that knows where they are and how they are spoken to.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};

use crate::{
    Error, Identity, Role,
    caller::{Introduced, Introduction, may_carry_token},
    config::{Config, Endpoints},
};

mod disagreement;
mod traced;

pub use traced::Traced;

/// How long an answer may take to begin; the contents of a large message are taken in seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The way to the roles.
#[derive(Clone)]
pub struct Channels {
    endpoints: Endpoints,
    identity: Option<Identity>,
    introduction: Introduction,
    /// Whether something else encrypts where TLS is not spoken.
    is_encrypted_elsewhere: bool,
}

impl Channels {
    /// The roles at `endpoints`; with an identity, by TLS and nothing else.
    pub fn new(endpoints: Endpoints, identity: Option<Identity>) -> Self {
        Self { endpoints, identity, introduction: Introduction::default(), is_encrypted_elsewhere: false }
    }

    /// The way of somebody who is no role, such as the command line. Its certificate, if it has one, says who it is.
    pub fn open(config: &Config) -> Result<Self, Error> {
        Ok(Self::new(config.endpoints.clone(), Identity::open(&config.tls, None)?))
    }

    /// The same way, saying who calls. A token goes to this machine's own roles, and elsewhere only encrypted.
    #[must_use]
    pub fn introduced_as(self, introduction: Introduction, is_encrypted_elsewhere: bool) -> Self {
        Self { introduction, is_encrypted_elsewhere, ..self }
    }

    /// The same way in the name of somebody.
    #[must_use]
    pub fn named(mut self, actor: &str) -> Self {
        self.introduction = self.introduction.named(actor);
        self
    }

    /// Whether there is a token, and it must not go to a role, since nothing would encrypt it on its way.
    pub fn withholds_token(&self, role: Role) -> bool {
        let is_encrypted = self.identity.is_some() || self.is_encrypted_elsewhere;
        self.introduction.has_token() && !may_carry_token(self.endpoint(role), is_encrypted)
    }

    /// A connection as [`Channels::to`] opens it, whose calls say who makes them and are part of the caller's trace.
    pub fn introduced(&self, role: Role) -> Result<Introduced, Error> {
        let withheld = self.withholds_token(role);
        let introduction = self.introduction.clone();
        let introduction = if withheld { introduction.without_token() } else { introduction };
        Ok(Introduced::new(Traced::new(self.to(role)?), introduction))
    }

    /// Where a role is.
    pub fn endpoint(&self, role: Role) -> &str {
        self.endpoints.of(role)
    }

    /// The same way with a role elsewhere.
    #[must_use]
    pub fn with(mut self, role: Role, endpoint: &str) -> Self {
        endpoint.clone_into(self.endpoints.of_mut(role));
        self
    }

    /// A lazily opened connection to a role; it is reopened by itself after the role was away.
    pub fn to(&self, role: Role) -> Result<Channel, Error> {
        let setting = self.endpoints.of(role);
        let wrong = |why: String| Error::Configuration(format!("endpoints.{} = \"{setting}\": {why}", role.name()));
        let shape =
            |why: &dyn std::fmt::Display| wrong(format!("it is not an endpoint such as http://127.0.0.1:7401: {why}"));
        // The scheme says how a site writes its addresses; whether TLS is spoken is decided by [tls] alone.
        let plain = match setting.strip_prefix("https://") {
            Some(_) if self.identity.is_none() => {
                return Err(wrong("https needs the section [tls] with authority_file".to_owned()));
            }
            Some(rest) => format!("http://{rest}"),
            None => setting.to_owned(),
        };
        let endpoint = Endpoint::from_shared(plain).map_err(|error| shape(&error))?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(5))
            // Whoever does not answer in this time is asked again; a call that waits for ever would keep its mailbox for ever.
            .timeout(LIMIT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let Some(identity) = self.identity.clone() else { return Ok(endpoint.connect_lazy()) };
        let connect = tower::service_fn(move |uri: Uri| {
            let identity = identity.clone();
            async move { encrypted(&identity, role, &uri).await.map(TokioIo::new) }
        });
        Ok(endpoint.connect_with_connector_lazy(connect))
    }
}

/// Each connection is made with the certificates of that moment.
async fn encrypted(identity: &Identity, role: Role, uri: &Uri) -> io::Result<TlsStream<TcpStream>> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let (connector, name) = identity.connector(role).map_err(io::Error::other)?;
    connector.connect(name, stream).await
}
