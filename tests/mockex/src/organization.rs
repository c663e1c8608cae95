//! The running state: regions, accounts, faults.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::certificate::Authority;
use crate::control;
use crate::directory::Directory;
use crate::fault::{Faults, Service};
use crate::ledger::Ledger;
use crate::listener;
use crate::options::{Application, Challenge, Many, Options, ServerVersion, ServiceAccount};
use crate::running::{Error, Running};
use crate::subscription::Subscriptions;
use crate::token::Tokens;
use crate::transport::Transport;

/// A fake Exchange organisation.
#[derive(Debug)]
pub struct Organization;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub domains: Vec<String>,
    pub regions: Vec<Region>,
    pub directory: Directory,
    pub faults: Faults,
    pub ledger: Ledger,
    pub challenge: Challenge,
    pub application: Option<Application>,
    pub tokens: Tokens,
    pub public_host: String,
    pub autodiscover_port: u16,
    pub autodiscover_soap: bool,
    pub autodiscover_pox: bool,
    pub limit_concurrency: bool,
    pub request_limit: Option<usize>,
    pub transport: Transport,
    pub subscriptions: Arc<Subscriptions>,
    pub lean: bool,
    service_account: Mutex<ServiceAccount>,
}

/// A region as it runs.
#[derive(Debug)]
pub(crate) struct Region {
    pub name: String,
    pub version: ServerVersion,
    pub host: String,
    pub port: u16,
}

// === impl Organization ===

impl Organization {
    /// Starts an organisation; it ends when what is returned is dropped.
    ///
    /// # Errors
    /// A port cannot be had, or two mailboxes have one address.
    pub async fn start(options: Options) -> Result<Running, Error> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), options.public_host.clone()];
        names.extend(options.domains.iter().flat_map(|domain| [domain.clone(), format!("autodiscover.{domain}")]));
        names.extend(options.host_names.iter().cloned());
        names.extend(options.regions.iter().filter_map(|region| region.public_host.clone()));
        names.sort();
        names.dedup();
        let authority = Authority::new(&names)?;
        let mut sockets = Vec::new();
        for region in &options.regions {
            sockets.push(bind(options.address, region.port).await?);
        }
        let autodiscover = bind(options.address, options.autodiscover_port).await?;
        let control = bind(options.address, options.control_port).await?;
        let control_port = control.local_addr()?.port();
        let state = Arc::new(state(options, &sockets, autodiscover.local_addr()?.port())?);
        let mut tasks = JoinSet::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            tasks.spawn(listener::serve(
                socket,
                authority.acceptor.clone(),
                Arc::clone(&state),
                Service::Ews,
                Some(index),
            ));
        }
        let acceptor = authority.acceptor.clone();
        tasks.spawn(listener::serve(autodiscover, acceptor, Arc::clone(&state), Service::Autodiscover, None));
        tasks.spawn(control::serve(control, Arc::clone(&state)));
        Ok(Running::new(state, authority.pem, control_port, tasks))
    }
}

// === impl State ===

impl State {
    pub fn service_account(&self) -> MutexGuard<'_, ServiceAccount> {
        self.service_account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn region_named(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|region| region.name.eq_ignore_ascii_case(name))
    }
}

// === impl Region ===

impl Region {
    /// The URL of its EWS endpoint.
    pub fn url(&self) -> String {
        format!("https://{}:{}/EWS/Exchange.asmx", self.host, self.port)
    }
}

async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, Error> {
    Ok(TcpListener::bind((address, port)).await?)
}

fn state(options: Options, sockets: &[TcpListener], autodiscover_port: u16) -> Result<State, Error> {
    let mut directory = Directory::default();
    let mut regions = Vec::new();
    for (index, (region, socket)) in options.regions.iter().zip(sockets).enumerate() {
        for mailbox in region.mailboxes.iter().cloned().chain(region.many.iter().flat_map(Many::mailboxes)) {
            directory.add(&mailbox, index).map_err(Error::AddressTaken)?;
        }
        let host = region.public_host.clone().unwrap_or_else(|| options.public_host.clone());
        let port = socket.local_addr()?.port();
        regions.push(Region { name: region.name.clone(), version: region.version, host, port });
    }
    Ok(State {
        domains: options.domains.iter().map(|domain| domain.to_lowercase()).collect(),
        regions,
        directory,
        faults: Faults::default(),
        ledger: Ledger::default(),
        challenge: options.challenge,
        application: options.application,
        tokens: Tokens::default(),
        transport: Transport::new(options.public_host.clone(), options.message_limit),
        public_host: options.public_host,
        autodiscover_port,
        autodiscover_soap: options.autodiscover_soap,
        autodiscover_pox: options.autodiscover_pox,
        limit_concurrency: options.limit_concurrency,
        request_limit: options.request_limit,
        subscriptions: Subscriptions::new(options.streaming),
        lean: options.lean,
        service_account: Mutex::new(options.service_account),
    })
}
