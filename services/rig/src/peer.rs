//! Who is at the other end of a connection, as far as its certificate tells.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::Role;

/// What the names of roles end with. It is no public domain, so no public authority vouches for such a name.
pub(crate) const DOMAIN: &str = "roles.postroad.internal";

/// The name that a role's certificate carries, whatever host it runs on; also the role's user in NATS.
pub fn name_of(role: Role) -> String {
    format!("{}.{DOMAIN}", role.name())
}

/// The other end of a connection; every gRPC request has it as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The names of its certificate, which comes from the authority of `[tls]`; `None` if it presented none.
    pub names: Option<Arc<Names>>,
}

impl Peer {
    /// Whether its certificate is that of a role. `postroad all` has one certificate for all roles.
    pub fn is_role(&self, role: Role) -> bool {
        self.names.as_ref().is_some_and(|names| names.is_role(role))
    }
}

/// The names of a certificate that was verified, by their kinds: what one kind says is never taken for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its DNS names, in lower case.
    pub dns: Vec<String>,
    /// Its email addresses.
    pub email: Vec<String>,
    /// Its URIs, such as a SPIFFE id.
    pub uri: Vec<String>,
    /// Its subject's common name.
    pub common: Option<String>,
    /// When the certificate ends: nobody is known by it any longer.
    pub ends: Option<Timestamp>,
}

impl Names {
    /// Reads them from a certificate in DER form; `None` if it is none. Its signature is not checked here.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let ends = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
        let mut names = Self { common: common.map(str::to_owned), ends, ..Self::default() };
        let alternative = certificate.subject_alternative_name().ok().flatten();
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                GeneralName::RFC822Name(name) => names.email.push((*name).to_owned()),
                GeneralName::URI(name) => names.uri.push((*name).to_owned()),
                _ => {}
            }
        }
        Some(names)
    }

    /// Whether it is that of a role. Only the DNS name counts: anybody may be given any common name.
    pub fn is_role(&self, role: Role) -> bool {
        let name = name_of(role);
        self.dns.contains(&name)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.dns.iter().chain(&self.email).chain(&self.uri).chain(&self.common).map(String::as_str)
    }
}
