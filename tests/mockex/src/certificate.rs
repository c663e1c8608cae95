//! The organisation's own certificate authority.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::running::Error;

/// The authority, and what accepts TLS connections with a certificate of it.
pub struct Authority {
    pub pem: String,
    pub acceptor: TlsAcceptor,
}

impl Authority {
    /// An authority that has issued one certificate for these names and addresses.
    pub fn new(names: &[String]) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "mockex authority");
        let authority = params.self_signed(&key).map_err(|error| failed(&error))?;
        let issuer = Issuer::new(params, key);

        let leaf_key = KeyPair::generate().map_err(|error| failed(&error))?;
        let mut leaf = CertificateParams::new(names.to_vec()).map_err(|error| failed(&error))?;
        leaf.distinguished_name.push(DnType::CommonName, names.first().map_or("mockex", String::as_str));
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&leaf_key, &issuer).map_err(|error| failed(&error))?;
        let leaf_key = PrivateKeyDer::try_from(leaf_key.serialize_der()).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = vec![leaf.der().clone(), authority.der().clone()];
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, leaf_key))
            .map_err(|error| failed(&error))?;
        Ok(Self { pem: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
