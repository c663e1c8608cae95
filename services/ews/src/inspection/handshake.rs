//! A TLS handshake that remembers what the server presented, also when it is refused.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postroad_core::fault::Code;
use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Certificate, socket};
use crate::{ConnectFailure, Kind, TlsFailure, error, transport::trust};

/// A TLS connection that could be trusted. It is closed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// `TLS 1.3` or `TLS 1.2`.
    pub protocol: String,
    /// The cipher suite by its registered name.
    pub cipher: String,
    /// What the server presents, its own certificate first.
    pub certificates: Vec<Certificate>,
}

/// No TLS connection that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why: [`Kind::Tls`]; [`Kind::Connect`] if the connection ended; [`Kind::Timeout`] if the server stays silent.
    pub failure: Kind,
    /// What the server presented, its own certificate first; none if it did not come so far.
    pub certificates: Vec<Certificate>,
}

/// Agrees TLS with a server and trusts what the transport trusts: the system's authorities and these anchors.
///
/// # Errors
/// TLS cannot be agreed, or the server cannot be trusted.
pub async fn handshake(
    stream: TcpStream,
    host: &str,
    trust_anchors: &[String],
    timeout: Duration,
) -> Result<Secured, Refused> {
    let recorder = match Recorder::new(trust_anchors) {
        Ok(recorder) => Arc::new(recorder),
        Err(failure) => return Err(Refused { failure: Kind::Tls(failure), certificates: Vec::new() }),
    };
    let agreed = agree(stream, host, &recorder);
    match tokio::time::timeout(timeout, agreed).await.unwrap_or(Err(Kind::Timeout(timeout))) {
        Ok((protocol, cipher)) => Ok(Secured { protocol, cipher, certificates: recorder.certificates() }),
        Err(failure) => Err(Refused { failure, certificates: recorder.certificates() }),
    }
}

async fn agree(stream: TcpStream, host: &str, recorder: &Arc<Recorder>) -> Result<(String, String), Kind> {
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(plain).map_err(|_| Kind::Dns(format!("{host} is no host name")))?;
    let config = recorder.config().map_err(|error| Kind::Tls(TlsFailure::Handshake(error.to_string())))?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| error::tls(&error).map_or_else(|| Kind::Connect(socket(&error)), Kind::Tls))?;
    let agreed = describe(&stream);
    // What the server makes of the farewell is no concern.
    let _ = stream.shutdown().await;
    Ok(agreed)
}

fn describe(stream: &TlsStream<TcpStream>) -> (String, String) {
    let (_, connection) = stream.get_ref();
    let protocol = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    (protocol, suite.replacen("TLS13_", "TLS_", 1))
}

/// The real verifier, and what was shown to it.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    verifier: Verifier,
    presented: Mutex<Vec<CertificateDer<'static>>>,
}

// === impl Recorder ===

impl Recorder {
    fn new(trust_anchors: &[String]) -> Result<Self, TlsFailure> {
        let failed = |error: &dyn fmt::Display| TlsFailure::Handshake(error.to_string());
        let anchors = trust::parse_all(trust_anchors).map_err(|error| failed(&error))?;
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let verifier =
            Verifier::new_with_extra_roots(anchors, Arc::clone(&provider)).map_err(|error| failed(&error))?;
        Ok(Self { provider, verifier, presented: Mutex::default() })
    }

    /// As the transport's: its versions, its suites, its application protocol.
    fn config(self: &Arc<Self>) -> Result<ClientConfig, rustls::Error> {
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Up to the first that cannot be read.
    fn certificates(&self) -> Vec<Certificate> {
        let presented = self.presented.lock().unwrap_or_else(PoisonError::into_inner);
        presented.iter().map_while(|certificate| Certificate::read(certificate)).collect()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

// === impl Refused ===

impl Refused {
    /// The row of the fault table. A connection that ends in the handshake was not refused by a port or a firewall.
    #[must_use]
    pub fn fault(&self) -> Code {
        match &self.failure {
            Kind::Connect(ConnectFailure::Dropped) => Code::TlsHandshake,
            failure => failure.fault(),
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Kind::Connect(ConnectFailure::Dropped) => {
                formatter.write_str("the server ended the connection in the TLS handshake")
            }
            Kind::Timeout(time) => write!(formatter, "no answer to the TLS handshake within {} s", time.as_secs_f32()),
            failure => fmt::Display::fmt(failure, formatter),
        }
    }
}
