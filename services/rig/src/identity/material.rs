//! Certificate, key and authorities as they were read, and the TLS configurations they make.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use postroad_core::fault::{Code, Report};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::WebPkiClientVerifier,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    Role,
    config::Tls,
    peer::{self, Names},
};

/// What the files held.
pub(super) struct Material {
    /// For accepting; `None` without a certificate of one's own.
    pub server: Option<Arc<ServerConfig>>,
    /// For connecting.
    pub client: Arc<ClientConfig>,
    /// When the first certificate of one's own chain ends.
    pub expires: Option<Timestamp>,
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Material {
    /// Reads and checks everything, so that what cannot work is said before it is used.
    pub fn read(tls: &Tls, role: Option<Role>) -> Result<Self, Report> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(authorities(tls)?);
        let own = own(tls, role)?;
        let expires = own.as_ref().and_then(|(chain, _)| chain.iter().filter_map(end).min());
        let wrong = |error: String| unusable("tls.certificate_file", tls.certificate_file.as_deref(), &error);
        let server = match &own {
            None => None,
            Some((chain, key)) => {
                let config = server(&provider, Arc::clone(&roots), chain.clone(), key.clone_key());
                Some(Arc::new(config.map_err(wrong)?))
            }
        };
        let client = Arc::new(client(&provider, roots, own).map_err(wrong)?);
        Ok(Self { server, client, expires })
    }
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, String> {
    // A person may come with a token instead of a certificate: who may do what is decided call by call.
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A session that is resumed would bring back a certificate whose authority has gone since.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(provider: &Arc<CryptoProvider>, roots: Arc<RootCertStore>, own: Option<Own>) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match own {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn authorities(tls: &Tls) -> Result<RootCertStore, Report> {
    let mut roots = RootCertStore::empty();
    let Some(file) = tls.authority_file.as_deref() else { return Ok(roots) };
    let wrong = |error: String| unusable("tls.authority_file", Some(file), &error);
    for certificate in certificates(file).map_err(wrong)? {
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}

fn own(tls: &Tls, role: Option<Role>) -> Result<Option<Own>, Report> {
    let (Some(certificate), Some(key)) = (tls.certificate_file.as_deref(), tls.key_file.as_deref()) else {
        return Ok(None);
    };
    let wrong = |error: String| unusable("tls.certificate_file", Some(certificate), &error);
    let chain = certificates(certificate).map_err(wrong)?;
    let Some(first) = chain.first() else { return Err(wrong("it holds no certificate in PEM form".to_owned())) };
    let names = Names::read(first).ok_or_else(|| wrong("its first certificate cannot be read".to_owned()))?;
    if let Some(role) = role.filter(|role| !names.is_role(*role)) {
        let (missing, carried) = (peer::name_of(role), names.dns.join(", "));
        return Err(wrong(format!("it must carry the DNS name {missing}; it carries: {carried}")));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unusable("tls.key_file", Some(key), &key_reason(key, &error)))?;
    Ok(Some((chain, secret)))
}

/// When the certificates of a file end, in their order.
pub(super) fn ends(setting: &str, file: &Path) -> Result<Vec<Timestamp>, Report> {
    let wrong = |error: &str| unusable(setting, Some(file), error);
    let ends: Option<Vec<_>> = certificates(file).map_err(|error| wrong(&error))?.iter().map(end).collect();
    match ends {
        Some(ends) if !ends.is_empty() => Ok(ends),
        Some(_) => Err(wrong("it holds no certificate in PEM form")),
        None => Err(wrong("a certificate in it cannot be read")),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| reason(&error))
}

/// The parser's own words would quote the file, which may be a key.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("it cannot be read: {error}"),
        pem::Error::NoItemsFound => "it holds none in PEM form".to_owned(),
        _ => "it is no valid PEM".to_owned(),
    }
}

fn key_reason(file: &Path, error: &pem::Error) -> String {
    let is_encrypted = std::fs::read_to_string(file).is_ok_and(|text| text.contains("ENCRYPTED"));
    match error {
        _ if is_encrypted => {
            "it is encrypted, and nobody is there to enter its passphrase: write it without one, by openssl pkey"
                .to_owned()
        }
        pem::Error::NoItemsFound => "it holds no private key in PEM form".to_owned(),
        _ => reason(error),
    }
}

fn unusable(setting: &str, file: Option<&Path>, error: &str) -> Report {
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    Report::new(Code::CertificateUnusable, format!("{setting} = \"{file}\": {error}"))
}

fn end(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
}
