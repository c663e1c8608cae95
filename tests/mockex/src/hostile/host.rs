//! One host: TLS or plain HTTP on one port, a connection for each request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Act, Certificate, Part, Seen};
use crate::running::Error;

/// More than any question has.
const LIMIT: usize = 1 << 20;
/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;

/// What accepts TLS with the certificate of a host.
pub fn acceptor(name: &str, kind: Certificate, issuer: &Issuer<'_, KeyPair>) -> Result<TlsAcceptor, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let shown = if kind == Certificate::OtherName { "www.other.example" } else { name };
    let mut params = CertificateParams::new(vec![shown.to_owned()]).map_err(|error| failed(&error))?;
    params.distinguished_name.push(DnType::CommonName, shown);
    params.use_authority_key_identifier_extension = true;
    if kind == Certificate::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, issuer).map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| failed(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .map_err(|error| failed(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Listens until it is dropped.
pub async fn start(
    name: String,
    acceptor: TlsAcceptor,
    part: Part,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            let (name, acceptor, part, seen) = (name.clone(), acceptor.clone(), Arc::clone(&part), Arc::clone(&seen));
            connections.spawn(async move { serve(&name, stream, acceptor, part, &seen).await });
        }
    });
    Ok(address)
}

async fn serve(name: &str, stream: TcpStream, acceptor: TlsAcceptor, part: Part, seen: &Mutex<Vec<Seen>>) {
    let mut first = [0_u8; 1];
    if !matches!(stream.peek(&mut first).await, Ok(1)) {
        return;
    }
    if first == [HANDSHAKE] {
        if let Ok(stream) = acceptor.accept(stream).await {
            talk(name, "https", stream, part, seen).await;
        }
    } else {
        talk(name, "http", stream, part, seen).await;
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    name: &str,
    scheme: &'static str,
    mut stream: S,
    part: Part,
    seen: &Mutex<Vec<Seen>>,
) {
    let Some(request) = read(&mut stream, name, scheme).await else { return };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let act = part(&request);
    // Whoever went away does not hear the rest.
    let _ = perform(&mut stream, act).await;
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, host: &str, scheme: &'static str) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
            if body.len() >= length {
                let mut line = head.lines().next()?.split(' ');
                let (method, path) = (line.next()?.to_owned(), line.next()?.to_owned());
                let secrets = ["authorization", "cookie", "proxy-authorization"];
                let with_credentials = secrets.iter().any(|name| header(head, name).is_some());
                return Some(Seen { host: host.to_owned(), scheme, method, path, with_credentials });
            }
        }
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0 && bytes.len() < LIMIT)?;
        bytes.extend_from_slice(buffer.get(..read)?);
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

async fn perform<S: AsyncWrite + Unpin>(stream: &mut S, act: Act) -> std::io::Result<()> {
    match act {
        Act::Close => Ok(()),
        Act::Hang => std::future::pending().await,
        Act::Answer(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} Told\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
            stream.flush().await
        }
        Act::Huge(length) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let piece = [b' '; 8192];
            for _ in 0..length.div_ceil(piece.len()) {
                stream.write_all(&piece).await?;
            }
            Ok(())
        }
        Act::SlowLoris => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000000\r\n\r\n<";
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
