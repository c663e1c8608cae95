//! Which library speaks TLS.

use reqwest::ClientBuilder;

use super::TransportError;

/// What speaks TLS. Certificates and host names are checked in the same way by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tls {
    /// rustls: TLS 1.2 and 1.3 with suites that have forward secrecy and authenticated encryption.
    #[default]
    Rustls,
    /// The system's library (OpenSSL, Schannel), from TLS 1.0 on as far as the system's policy goes, for old servers.
    /// Needs the feature `legacy-tls`.
    System,
}

pub(super) fn select(builder: ClientBuilder, tls: Tls) -> Result<ClientBuilder, TransportError> {
    match tls {
        Tls::Rustls => Ok(builder.tls_backend_rustls()),
        Tls::System => system(builder),
    }
}

#[cfg(feature = "legacy-tls")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn system(builder: ClientBuilder) -> Result<ClientBuilder, TransportError> {
    Ok(builder.tls_backend_native().tls_version_min(reqwest::tls::Version::TLS_1_0))
}

#[cfg(not(feature = "legacy-tls"))]
fn system(_: ClientBuilder) -> Result<ClientBuilder, TransportError> {
    Err(TransportError::SystemTlsNotBuilt)
}

#[cfg(all(test, not(feature = "legacy-tls")))]
mod tests {
    use postroad_core::fault::Code;

    use super::*;
    use crate::{Transport, TransportOptions};

    #[test]
    fn what_is_not_built_is_said() {
        let options = TransportOptions { tls: Tls::System, ..TransportOptions::default() };
        let error = Transport::new(options).unwrap_err();
        assert!(matches!(error, TransportError::SystemTlsNotBuilt));
        assert_eq!(error.fault(), Code::SystemTlsNotBuilt);
    }
}
