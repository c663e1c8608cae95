//! The mail server over Exchange Web Services.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use postroad_core::{
    fault::{Code, Report},
    network::Reach,
    profile::TlsLibrary,
};
use postroad_ews::{
    Access, Client, Credentials, Endpoint, Identity, Names, NamesError, Proof, RequestServerVersion, Tls, TokenOptions,
    TokenSources, Transport, TransportOptions, Transports,
};
use postroad_rig::config::Network;

use super::Exchange;
use crate::place::Place;

mod failure;
mod folders;
mod mailbox;
mod sending;

pub use folders::folder;

/// Connections to mail servers, shared by the mailboxes of a server.
pub struct Ews {
    transports: Transports,
    tokens: TokenSources,
    response_limit: usize,
    hosts: BTreeMap<String, SocketAddr>,
    reach: Reach,
}

impl Ews {
    /// No connections yet.
    ///
    /// # Errors
    /// The DNS servers of the configuration cannot be used.
    pub fn new(response_limit: usize, network: &Network) -> Result<Self, NamesError> {
        let transports = Transports::new(Names::servers(&network.resolvers)?);
        Ok(Self {
            transports,
            tokens: TokenSources::default(),
            response_limit,
            hosts: network.hosts.clone(),
            reach: network.reach(),
        })
    }

    /// Whether anybody answers at a place: one request without credentials. A reverse proxy that has nobody behind it is nobody.
    pub async fn reach(&self, place: &Place) -> Result<(), Report> {
        let endpoint = Endpoint::parse(&place.url)
            .map_err(|error| Report::new(Code::LocationInvalid, format!("{}: {error}", place.url)))?;
        let transport = self.transport(place)?;
        let status = transport.reach(&endpoint, place.timeout).await;
        let status = status.map_err(|error| Report::new(error.fault(), format!("{}: {error}", endpoint.host())))?;
        if status >= 500 {
            return Err(Report::new(Code::HttpUnavailable, format!("{}: HTTP {status}", endpoint.host())));
        }
        Ok(())
    }

    fn transport(&self, place: &Place) -> Result<Transport, Report> {
        let options = TransportOptions {
            trust_anchors: place.trust_anchors.clone(),
            connect_timeout: place.timeout.min(std::time::Duration::from_secs(30)),
            response_limit: self.response_limit,
            hosts: self.hosts.clone(),
            reach: place.reach.or(self.reach),
            tls: match place.tls {
                TlsLibrary::Postroad => Tls::Rustls,
                TlsLibrary::System => Tls::System,
            },
            ..TransportOptions::default()
        };
        self.transports.get(&options).map_err(|error| Report::new(error.fault(), error.to_string()))
    }

    /// A mailbox at its place. Opens no connection.
    pub fn open(&self, place: &Place) -> Result<Arc<dyn Exchange>, Report> {
        Ok(Arc::new(mailbox::Mailbox { client: self.client(place)? }))
    }

    /// The client of a mailbox at its place. Opens no connection.
    pub fn client(&self, place: &Place) -> Result<Client, Report> {
        let endpoint = Endpoint::parse(&place.url)
            .map_err(|error| Report::new(Code::LocationInvalid, format!("{}: {error}", place.url)))?;
        let transport = self.transport(place)?;
        let identity = if place.impersonate { Identity::PrimaryAddress(place.address.clone()) } else { Identity::Own };
        let access = Access {
            endpoint,
            credentials: self.credentials(place, &transport)?,
            identity,
            version: RequestServerVersion::default(),
            timeout: place.timeout,
        };
        Ok(Client::new(&transport, access))
    }

    fn credentials(&self, place: &Place, transport: &Transport) -> Result<Credentials, Report> {
        let Some(client) = &place.client_credentials else {
            return Ok(Credentials::basic(place.user_name.clone(), place.password.clone()));
        };
        // A person entered where tokens are issued: it may be internal.
        let options = TransportOptions { reach: Reach::INTERNAL.or(self.reach), ..transport.options().clone() };
        let transport = self.transports.get(&options).map_err(|error| Report::new(error.fault(), error.to_string()))?;
        let url = client.token_location.url();
        let endpoint =
            Endpoint::parse(&url).map_err(|error| Report::new(Code::LocationInvalid, format!("{url}: {error}")))?;
        let options = TokenOptions {
            endpoint,
            client_id: client.client_id.clone(),
            scope: client.scope.clone(),
            proof: Proof::new(client.certificate.as_deref().unwrap_or_default(), place.password.clone()),
        };
        let source = self.tokens.get(&transport, &options);
        source.map(Credentials::oauth).map_err(|error| Report::new(Code::ClientCredentialsRejected, error.to_string()))
    }
}
