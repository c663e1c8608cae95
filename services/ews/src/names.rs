//! Names: addresses and SRV records, from the system's resolver or from servers that the deployment names.
//!
//! Whoever answers for a name decides where a connection goes, so every address is checked against the ranges that are
//! allowed, and the connection is made to the very addresses that were checked (AUTODISCOVER.md §6, 7).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};
use postroad_core::{autodiscover::ServiceRecord, network::Reach};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The time for one answer of the DNS.
const ANSWER: Duration = Duration::from_secs(5);

/// Resolves names; a cheap clone.
#[derive(Clone)]
pub struct Names(Source);

#[derive(Clone)]
enum Source {
    /// As every program of the machine does, hosts file included.
    System,
    /// The deployment's own servers.
    Servers(Arc<TokioResolver>),
}

/// A name without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// It does not exist, or has no such record.
    #[error("the name {0} does not exist")]
    Missing(String),
    /// The DNS did not answer in time.
    #[error("the DNS did not answer about {0} in time")]
    Silent(String),
    /// The DNS answered with an error.
    #[error("the DNS failed for {name}: {reason}")]
    Failed {
        /// The name.
        name: String,
        /// What it said.
        reason: String,
    },
}

/// A name that leads to an address that must not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, which is {range}")]
pub struct AddressRefused {
    /// The name.
    pub host: String,
    /// The first address.
    pub address: IpAddr,
    /// The range it is in.
    pub range: &'static str,
}

impl Default for Names {
    fn default() -> Self {
        Self(Source::System)
    }
}

impl Names {
    /// Asks these servers only; none means the system's resolver.
    ///
    /// # Errors
    /// The resolver cannot be set up.
    pub fn servers(servers: &[SocketAddr]) -> Result<Self, NamesError> {
        if servers.is_empty() {
            return Ok(Self::default());
        }
        let servers = servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            config.connections.iter_mut().for_each(|connection| connection.port = server.port());
            config
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = ANSWER;
        options.attempts = 1;
        // What is answered is used at once: keeping it would only hide changes.
        options.cache_size = 0;
        let resolver = builder.build().map_err(|error| failed("", &error))?;
        Ok(Self(Source::Servers(Arc::new(resolver))))
    }

    /// The addresses of a host; never none.
    ///
    /// # Errors
    /// There are none, or the DNS does not say.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        let found: Vec<IpAddr> = match &self.0 {
            Source::System => {
                let looked = tokio::time::timeout(ANSWER, tokio::net::lookup_host((host, 0_u16))).await;
                let looked = looked.map_err(|_| NamesError::Silent(host.to_owned()))?;
                // The system does not tell a missing name from a broken DNS in a way that can be relied on.
                looked.map_err(|_| NamesError::Missing(host.to_owned()))?.map(|address| address.ip()).collect()
            }
            Source::Servers(resolver) => {
                let name = format!("{}.", host.trim_end_matches('.'));
                resolver.lookup_ip(name).await.map_err(|error| failed(host, &error))?.iter().collect()
            }
        };
        if found.is_empty() { Err(NamesError::Missing(host.to_owned())) } else { Ok(found) }
    }

    /// The SRV records of a name; none if there are none.
    ///
    /// # Errors
    /// The DNS does not say.
    pub async fn records(&self, name: &str) -> Result<Vec<ServiceRecord>, NamesError> {
        let resolver = match &self.0 {
            Source::Servers(resolver) => Arc::clone(resolver),
            Source::System => {
                let builder = TokioResolver::builder_tokio().map_err(|error| failed(name, &error))?;
                Arc::new(builder.build().map_err(|error| failed(name, &error))?)
            }
        };
        let full = format!("{}.", name.trim_end_matches('.'));
        match tokio::time::timeout(ANSWER * 2, resolver.lookup(full, RecordType::SRV)).await {
            Err(_) => Err(NamesError::Silent(name.to_owned())),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(failed(name, &error)),
            Ok(Ok(lookup)) => Ok(lookup.answers().iter().filter_map(|record| record_of(&record.data)).collect()),
        }
    }

    /// The addresses of a host, each of which may be connected to.
    ///
    /// # Errors
    /// There are none, or one is outside of the ranges.
    pub async fn reachable(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, ReachError> {
        let addresses = self.addresses(host).await?;
        // One bad address is enough: an answer that mixes them is an attempt to get in, or a mistake to be told.
        match addresses.iter().find(|address| !reach.allows(**address)) {
            Some(address) => Err(ReachError::Refused(refused(host, *address))),
            None => Ok(addresses),
        }
    }
}

/// Why a host cannot be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// It has no address.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// It must not be connected to.
    #[error(transparent)]
    Refused(AddressRefused),
}

/// That an address is outside of the ranges.
pub(crate) fn refused(host: &str, address: IpAddr) -> AddressRefused {
    let range = postroad_core::network::Range::of(address).name();
    AddressRefused { host: host.to_owned(), address, range }
}

/// The resolver of a pool of connections.
pub(crate) struct Guard {
    pub names: Names,
    pub reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach, host) = (self.names.clone(), self.reach, name.as_str().to_owned());
        Box::pin(async move {
            let addresses = names.reachable(&host, reach).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.0 {
            Source::System => "Names(system)",
            Source::Servers(_) => "Names(servers)",
        })
    }
}

fn record_of(data: &RData) -> Option<ServiceRecord> {
    let RData::SRV(record) = data else { return None };
    let target = record.target.to_ascii();
    Some(ServiceRecord { priority: record.priority, weight: record.weight, port: record.port, target })
}

fn failed(name: &str, error: &NetError) -> NamesError {
    if error.is_no_records_found() {
        return NamesError::Missing(name.to_owned());
    }
    if matches!(error, NetError::Timeout) {
        return NamesError::Silent(name.to_owned());
    }
    NamesError::Failed { name: name.to_owned(), reason: error.to_string() }
}
