//! How many connections there are, in all and from each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::Limits;

/// The places for connections of one listener.
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place that is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    source: IpAddr,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many connections.
    All,
    /// There are too many from this address.
    Source,
}

impl Places {
    /// All of them free.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// Takes one for a connection from an address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let source = source(address);
        let mut taken = self.taken();
        if taken.all >= self.limits.connections {
            return Err(Full::All);
        }
        let held = taken.by_source.entry(source).or_default();
        if *held >= self.limits.connections_per_address {
            return Err(Full::Source);
        }
        *held += 1;
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), source })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(held) = taken.by_source.get_mut(&self.source) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

/// A host has a whole network of 64 bits of IPv6 to itself, and could call from each address of it.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Arc<Places> {
        Places::new(Limits { connections: 3, connections_per_address: 2, ..Limits::default() })
    }

    #[test]
    fn nobody_takes_all_places() {
        let (places, [one, other, third]) =
            (places(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap()));
        let held = [places.take(one).unwrap(), places.take(one).unwrap()];
        assert_eq!(places.take(one).err(), Some(Full::Source));
        let last = places.take(other).unwrap();
        assert_eq!(places.take(third).err(), Some(Full::All));
        drop(held);
        assert!(places.take(one).is_ok());
        drop(last);
        assert!(places.taken().by_source.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_mapped_addresses_are_those_of_ipv4() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
