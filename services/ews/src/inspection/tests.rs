//! Handshakes over real sockets with servers of every kind.
#![expect(clippy::disallowed_methods, reason = "tests spawn freely")]

use std::{net::Ipv4Addr, sync::LazyLock};

use postroad_core::fault::Code;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Kind, TlsFailure};

const HOST: &str = "mail.contoso.example";
const TIMEOUT: Duration = Duration::from_secs(20);

/// A private root, an authority below it, and what they issue.
struct Authorities {
    root: rcgen::Certificate,
    middle: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

static AUTHORITIES: LazyLock<Authorities> = LazyLock::new(|| {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params, KeyPair::generate().unwrap())
    };
    let (params, key) = authority("Contoso root");
    let root = params.self_signed(&key).unwrap();
    let root_issuer = Issuer::new(params, key);
    let (params, key) = authority("Contoso issuing");
    let middle = params.signed_by(&key, &root_issuer).unwrap();
    Authorities { root, middle, issuer: Issuer::new(params, key) }
});

/// A server with a certificate for these years; with the intermediate certificate or without.
async fn server(years: (i32, i32), is_complete: bool) -> SocketAddr {
    let mut params = CertificateParams::new(vec![HOST.to_owned(), "*.fabrikam.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, HOST);
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &AUTHORITIES.issuer).unwrap();
    let chain: Vec<CertificateDer<'static>> =
        if is_complete { vec![leaf.der().clone(), AUTHORITIES.middle.der().clone()] } else { vec![leaf.der().clone()] };
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = acceptor.accept(stream).await;
        }
    })
    .await
}

/// Does this with each connection.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

async fn inspect(address: SocketAddr, host: &str, is_trusted: bool) -> Result<Secured, Refused> {
    let anchors = if is_trusted { vec![AUTHORITIES.root.pem()] } else { Vec::new() };
    let connected = connect(&[address], TIMEOUT).await.unwrap();
    handshake(connected.stream, host, &anchors, TIMEOUT).await
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::test]
async fn a_good_server_is_described() {
    let address = server((2020, 2120), true).await;
    let secured = inspect(address, HOST, true).await.unwrap();
    assert_eq!(secured.protocol, "TLS 1.3");
    assert!(secured.cipher.starts_with("TLS_AES_"), "{}", secured.cipher);
    let [leaf, middle] = secured.certificates.as_slice() else { panic!("{secured:?}") };
    assert!(leaf.subject.contains(HOST) && leaf.issuer == middle.subject && !leaf.is_self_signed);
    assert_eq!(missing_names(leaf, &[HOST, "eu.fabrikam.example"]), Vec::<String>::new());
    assert_eq!(missing_names(leaf, &[HOST, "autodiscover.contoso.example"]), ["autodiscover.contoso.example"]);
    assert_eq!(expires_within(leaf, now(), 30), None);
    assert!(inspect(address, "eu.fabrikam.example", true).await.is_ok());
}

#[tokio::test]
async fn what_a_server_presents_is_known_although_it_is_refused() {
    let presented = |failure: TlsFailure| (Kind::Tls(failure), 2);
    let good = server((2020, 2120), true).await;
    let refused = inspect(good, HOST, false).await.unwrap_err();
    assert_eq!((refused.failure.clone(), refused.certificates.len()), presented(TlsFailure::UntrustedIssuer));
    assert_eq!(refused.fault(), Code::TlsUntrusted);
    assert!(!incomplete_chain(&refused.certificates));

    let names = vec![HOST.to_owned(), "*.fabrikam.example".to_owned()];
    let refused = inspect(good, "mail.other.example", true).await.unwrap_err();
    let mismatch = TlsFailure::NameMismatch { presented: names.clone() };
    assert_eq!((refused.failure, refused.certificates.len()), presented(mismatch));
    assert_eq!(refused.certificates[0].names, names);

    let expired = inspect(server((2020, 2021), true).await, HOST, true).await.unwrap_err();
    assert_eq!((expired.failure, expired.certificates.len()), presented(TlsFailure::Expired));
    let early = inspect(server((2110, 2120), true).await, HOST, true).await.unwrap_err();
    assert_eq!((early.failure, early.certificates.len()), presented(TlsFailure::NotYetValid));
}

#[tokio::test]
async fn a_missing_intermediate_certificate_is_seen() {
    let refused = inspect(server((2020, 2120), false).await, HOST, true).await.unwrap_err();
    assert_eq!(refused.failure, Kind::Tls(TlsFailure::UntrustedIssuer));
    assert!(incomplete_chain(&refused.certificates));
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_apart() {
    let plain = listen(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    });
    let refused = inspect(plain.await, HOST, true).await.unwrap_err();
    assert_eq!((&refused.failure, refused.fault()), (&Kind::Tls(TlsFailure::NotTls), Code::TlsNotSpoken));

    let dropping = listen(|mut stream| async move {
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 16]).await;
    });
    let refused = inspect(dropping.await, HOST, true).await.unwrap_err();
    assert_eq!((&refused.failure, refused.fault()), (&Kind::Connect(ConnectFailure::Dropped), Code::TlsHandshake));

    let alert = listen(|mut stream| async move {
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
        // A fatal alert: handshake failure.
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
    });
    let refused = inspect(alert.await, HOST, true).await.unwrap_err();
    assert_eq!(refused.fault(), Code::TlsObsolete, "{refused}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let silent = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let connected = connect(&[silent.await], TIMEOUT).await.unwrap();
    let short = Duration::from_millis(50);
    let refused = handshake(connected.stream, HOST, &[], short).await.unwrap_err();
    assert_eq!((&refused.failure, refused.certificates.len()), (&Kind::Timeout(short), 0));
    assert_eq!(refused.to_string(), "no answer to the TLS handshake within 0.05 s");
}

#[tokio::test]
async fn each_address_is_tried() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let refused = connect(&[free], TIMEOUT).await.unwrap_err();
    assert_eq!(refused.failure(), ConnectFailure::Refused);
    assert_eq!(refused.to_string(), format!("{free}: the connection is refused"));
    assert!(connect(&[], TIMEOUT).await.unwrap_err().attempts.is_empty());

    let good = server((2020, 2120), true).await;
    let connected = connect(&[free, good], TIMEOUT).await.unwrap();
    assert_eq!((connected.address, connected.failed.len()), (good, 1));
}

#[tokio::test]
async fn unusable_input_is_refused() {
    let good = server((2020, 2120), true).await;
    let connected = connect(&[good], TIMEOUT).await.unwrap();
    let refused = handshake(connected.stream, HOST, &["no PEM".to_owned()], TIMEOUT).await.unwrap_err();
    assert!(matches!(refused.failure, Kind::Tls(TlsFailure::Handshake(_))), "{refused}");
    let refused = inspect(good, "no host name", true).await.unwrap_err();
    assert!(matches!(refused.failure, Kind::Dns(_)), "{refused}");
}
