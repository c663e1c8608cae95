//! A deployment that can be hurt: its connections run over wires, its processes have clocks of their own, and a stranger on the network
//! listens for credentials.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use mockex::hostile::{Act, Certificate, Seen, Theatre, always};
use stage::{Wire, clock::Clock};

use crate::{Error, Role};

/// Workers beside the first one for which there are wires.
pub const MOST_WORKERS: usize = 4;
/// A host that nobody released.
pub const STRANGER: &str = "mail.stranger.example";

/// A process of Postroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A role; of the sync role the first worker.
    Role(Role),
    /// A worker beside the first one.
    Worker(usize),
}

/// A way between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// From one process to NATS.
    Nats(Member),
    /// From all others to a role.
    Role(Role),
    /// To the mail servers of a region, by its number.
    Region(usize),
    /// To Autodiscover.
    Autodiscover,
    /// To the mail relay.
    Relay,
}

/// Where everything really listens, on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Ports {
    /// NATS.
    pub nats: u16,
    /// The roles.
    pub roles: BTreeMap<Role, u16>,
    /// The regions, in their order.
    pub regions: Vec<u16>,
    /// Autodiscover.
    pub autodiscover: u16,
    /// The relay.
    pub relay: u16,
}

/// The wires, the clocks, and the stranger.
pub struct Fragile {
    wires: BTreeMap<Link, Wire>,
    clocks: BTreeMap<Member, Clock>,
    stranger: Theatre,
    stranger_at: SocketAddr,
}

impl Member {
    /// All processes of a deployment with so many workers beside the first one.
    pub fn all(workers: usize) -> impl Iterator<Item = Self> {
        Role::ALL.into_iter().map(Self::Role).chain((0..workers).map(Self::Worker))
    }

    /// What it is called in files.
    pub fn name(self) -> String {
        match self {
            Self::Role(role) => role.name().to_owned(),
            Self::Worker(index) => format!("worker-{}", index + 2),
        }
    }
}

impl Link {
    /// All ways of a deployment.
    pub fn all(workers: usize, regions: usize) -> impl Iterator<Item = Self> {
        let (nats, roles) = (Member::all(workers).map(Self::Nats), Role::ALL.into_iter().map(Self::Role));
        nats.chain(roles).chain((0..regions).map(Self::Region)).chain([Self::Autodiscover, Self::Relay])
    }
}

impl Fragile {
    /// Opens all wires, whole, and sets all clocks right.
    pub async fn open(ports: &Ports, folder: &Path) -> Result<Self, Error> {
        let mut wires = BTreeMap::new();
        for link in Link::all(MOST_WORKERS, ports.regions.len()) {
            let to = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let any = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
            let (begin, server) = match link {
                Link::Nats(_) => (any, to(ports.nats)),
                Link::Role(role) => (any, to(ports.roles.get(&role).copied().unwrap_or_default())),
                Link::Region(index) => {
                    // The port is in the URLs that servers hand out, so the wire begins at the same one of another address.
                    let port = ports.regions.get(index).copied().unwrap_or_default();
                    ((IpAddr::V4(region_address()), port), to(port))
                }
                Link::Autodiscover => (any, to(ports.autodiscover)),
                Link::Relay => (any, to(ports.relay)),
            };
            wires.insert(link, Wire::open(begin, server).await?);
        }
        let mut clocks = BTreeMap::new();
        for member in Member::all(MOST_WORKERS) {
            if let Some(clock) = Clock::new(folder, &member.name())? {
                clocks.insert(member, clock);
            }
        }
        let failed = |error: mockex::Error| Error::Exchange(error.to_string());
        let mut stranger = Theatre::open().await.map_err(failed)?;
        let part = always(Act::unauthorized(&["Basic realm=\"mail\""], true));
        let stranger_at = stranger.host(STRANGER, Certificate::Right, Arc::clone(&part)).await.map_err(failed)?;
        Ok(Self { wires, clocks, stranger, stranger_at })
    }

    /// A wire.
    pub fn wire(&self, link: Link) -> Option<&Wire> {
        self.wires.get(&link)
    }

    /// All wires.
    pub fn wires(&self) -> impl Iterator<Item = (Link, &Wire)> {
        self.wires.iter().map(|(link, wire)| (*link, wire))
    }

    /// The clock of a process; `None` where libfaketime is not installed.
    pub fn clock(&self, member: Member) -> Option<&Clock> {
        self.clocks.get(&member)
    }

    /// All clocks.
    pub fn clocks(&self) -> impl Iterator<Item = &Clock> {
        self.clocks.values()
    }

    /// What the stranger saw.
    pub fn seen_by_stranger(&self) -> Vec<Seen> {
        self.stranger.seen()
    }

    /// Where the stranger listens.
    pub const fn stranger_at(&self) -> SocketAddr {
        self.stranger_at
    }

    /// The authority of the stranger's certificate, PEM: one that clients trust, or it would never be spoken to.
    pub fn stranger_authority(&self) -> &str {
        self.stranger.ca_pem()
    }
}

/// Where the wires to regions begin; all of 127.0.0.0/8 is this machine.
pub const fn region_address() -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 2)
}
