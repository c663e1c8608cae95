//! Ranges of addresses: which of them a server may live in (AUTODISCOVER.md §6, 7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// What an address is for (IANA special-purpose address registries).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// Anybody's.
    Public,
    /// Networks of one organisation: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    Private,
    /// This machine: 127/8, ::1.
    Loopback,
    /// One cable, and the metadata services of clouds: 169.254/16, fe80::/10.
    LinkLocal,
    /// Never a server: unspecified, multicast, broadcast, documentation, reserved.
    Unusable,
}

/// Which ranges may be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reach {
    /// [`Range::Private`].
    pub private: bool,
    /// [`Range::Loopback`].
    pub loopback: bool,
    /// [`Range::LinkLocal`].
    pub link_local: bool,
}

impl Range {
    /// The range of an address. An address that carries another one inside is in the range of that one.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }

    /// For people and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Unusable => "unusable",
        }
    }
}

impl Reach {
    /// Public addresses only.
    pub const PUBLIC: Self = Self { private: false, loopback: false, link_local: false };
    /// Besides, the own network and this machine: for a location that a person entered.
    pub const INTERNAL: Self = Self { private: true, loopback: true, link_local: false };

    /// Whether an address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        match Range::of(address) {
            Range::Public => true,
            Range::Private => self.private,
            Range::Loopback => self.loopback,
            Range::LinkLocal => self.link_local,
            Range::Unusable => false,
        }
    }

    /// What either allows.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            private: self.private || other.private,
            loopback: self.loopback || other.loopback,
            link_local: self.link_local || other.link_local,
        }
    }
}

fn v4(address: Ipv4Addr) -> Range {
    let [first, second, third, _] = address.octets();
    match (first, second) {
        (127, _) => Range::Loopback,
        (169, 254) => Range::LinkLocal,
        (10, _) | (192, 168) => Range::Private,
        (172, 16..=31) | (100, 64..=127) => Range::Private,
        (0, _) | (224..=255, _) | (198, 18..=19) => Range::Unusable,
        (192, 0) if third == 0 || third == 2 => Range::Unusable,
        (198, 51) if third == 100 => Range::Unusable,
        (203, 0) if third == 113 => Range::Unusable,
        _ => Range::Public,
    }
}

fn v6(address: Ipv6Addr) -> Range {
    let segments = address.segments();
    let tail = || {
        let [.., a, b, c, d] = address.octets();
        v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Range::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Range::Unusable,
        // IPv4 inside: compatible, mapped and translated (NAT64) forms.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => tail(),
        // 6to4 carries its IPv4 address in front.
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            v4(Ipv4Addr::new(a, b, c, d))
        }
        [first, ..] if first & 0xfe00 == 0xfc00 => Range::Private,
        [first, ..] if first & 0xffc0 == 0xfe80 => Range::LinkLocal,
        [first, ..] if first & 0xff00 == 0xff00 => Range::Unusable,
        [0x2001, 0xdb8, ..] => Range::Unusable,
        _ => Range::Public,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("8.8.8.8", Range::Public)]
    #[case("2606:4700::1", Range::Public)]
    #[case("10.1.2.3", Range::Private)]
    #[case("172.31.255.255", Range::Private)]
    #[case("172.32.0.1", Range::Public)]
    #[case("192.168.0.1", Range::Private)]
    #[case("100.64.0.1", Range::Private)]
    #[case("fd00::1", Range::Private)]
    #[case("127.9.9.9", Range::Loopback)]
    #[case("::1", Range::Loopback)]
    #[case("::ffff:127.0.0.1", Range::Loopback)]
    #[case("::127.0.0.1", Range::Loopback)]
    #[case("64:ff9b::10.0.0.1", Range::Private)]
    #[case("2002:7f00:1::", Range::Loopback)]
    #[case("169.254.169.254", Range::LinkLocal)]
    #[case("::ffff:169.254.169.254", Range::LinkLocal)]
    #[case("fe80::1", Range::LinkLocal)]
    #[case("0.0.0.0", Range::Unusable)]
    #[case("::", Range::Unusable)]
    #[case("224.0.0.1", Range::Unusable)]
    #[case("255.255.255.255", Range::Unusable)]
    #[case("ff02::1", Range::Unusable)]
    fn every_form_of_an_address_is_in_its_range(#[case] address: &str, #[case] range: Range) {
        assert_eq!(Range::of(address.parse().unwrap()), range);
    }

    #[test]
    fn only_what_is_allowed_is_reached() {
        let address = |text: &str| text.parse().unwrap();
        assert!(!Reach::PUBLIC.allows(address("10.0.0.1")) && Reach::INTERNAL.allows(address("10.0.0.1")));
        assert!(!Reach::INTERNAL.allows(address("169.254.169.254")));
        let all = Reach { link_local: true, ..Reach::PUBLIC }.or(Reach::INTERNAL);
        assert!(all.allows(address("169.254.1.1")) && !all.allows(address("0.0.0.0")));
    }
}
