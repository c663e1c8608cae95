//! An issuer of access tokens (OpenID Connect) over TLS that changes its keys, goes away, and lies when it is asked to.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{EncodingKey, Header, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::Authority;

/// What it does when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It answers.
    #[default]
    Honest,
    /// It closes connections.
    Away,
    /// It takes a request, and does not answer until it behaves otherwise.
    Hanging,
    /// Its document is that of another issuer.
    Impostor,
    /// It sends to another place.
    Redirecting,
    /// Its answers have no end.
    Endless,
    /// Its keys are to be had without TLS.
    Plain,
    /// It publishes a secret as if it were a key.
    Secret,
}

/// An issuer that runs.
pub struct Issuer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<Signing>>,
    conduct: watch::Sender<Conduct>,
    asked: AtomicU32,
}

#[derive(Clone)]
struct Signing {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    /// Starts one on `https://localhost`, with a certificate of `authority` and an RSA key.
    pub async fn start(authority: &Authority) -> io::Result<Self> {
        let issued = authority.issue(&["localhost"]).map_err(io::Error::other)?;
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared {
            url: format!("https://localhost:{}", listener.local_addr()?.port()),
            keys: Mutex::new(vec![signing(Algorithm::RS256)?]),
            conduct: watch::Sender::default(),
            asked: AtomicU32::new(0),
        });
        let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)), shared: Arc::clone(&shared) };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(tls, router).await;
        });
        Ok(Self { shared, task })
    }

    /// What its tokens call it.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// How often it was asked for anything.
    pub fn asked(&self) -> u32 {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Behaves like this from now on.
    pub fn conduct(&self, conduct: Conduct) {
        self.shared.conduct.send_replace(conduct);
    }

    /// Replaces its keys by a new one.
    pub fn rotate(&self, algorithm: Algorithm) -> io::Result<()> {
        *lock(&self.shared.keys) = vec![signing(algorithm)?];
        Ok(())
    }

    /// The first key that it publishes, as it does.
    pub fn published(&self) -> Value {
        lock(&self.shared.keys).first().map(|signing| signing.jwk.clone()).unwrap_or_default()
    }

    /// A header as its tokens have.
    pub fn header(&self) -> Header {
        let keys = lock(&self.shared.keys);
        let mut header = Header::new(keys.first().map(|signing| signing.algorithm).unwrap_or_default());
        header.kid = keys.first().map(|signing| signing.id.clone());
        header
    }

    /// Claims of a token that holds for five minutes, and whatever else; `null` takes a claim away.
    pub fn claims(&self, audience: &str, more: Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut claims = json!({
            "iss": self.url(), "aud": audience, "sub": "8f14e45f", "iat": now, "nbf": now, "exp": now + 300,
        });
        if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
            for (name, value) in more {
                if value.is_null() {
                    claims.remove(&name);
                } else {
                    claims.insert(name, value);
                }
            }
        }
        claims
    }

    /// A token for an audience.
    pub fn token(&self, audience: &str, more: Value) -> io::Result<String> {
        self.sign(&self.header(), &self.claims(audience, more))
    }

    /// Signs whatever it is given with its first key.
    pub fn sign(&self, header: &Header, claims: &Value) -> io::Result<String> {
        let signing = lock(&self.shared.keys).first().cloned().ok_or_else(|| io::Error::other("no key"))?;
        jsonwebtoken::encode(header, claims, &signing.key).map_err(io::Error::other)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signing(algorithm: Algorithm) -> io::Result<Signing> {
    let failed = |error: rcgen::Error| io::Error::other(error);
    let published = |key: &EncodingKey| {
        let jwk = Jwk::from_encoding_key(key, algorithm).map_err(io::Error::other)?;
        serde_json::to_value(jwk).map_err(io::Error::other)
    };
    let (key, mut jwk) = match algorithm {
        Algorithm::ES256 => {
            let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
            let key = EncodingKey::from_ec_der(&pair.serialize_der());
            let jwk = published(&key)?;
            (key, jwk)
        }
        Algorithm::EdDSA => {
            let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
            let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x });
            (EncodingKey::from_ed_der(&pair.serialize_der()), jwk)
        }
        _ => {
            let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
            // The RSA key itself follows the 26 bytes by which PKCS#8 says that it is one.
            let key = EncodingKey::from_rsa_der(pair.serialize_der().get(26..).unwrap_or_default());
            let jwk = published(&key)?;
            (key, jwk)
        }
    };
    let id = format!("key-{:016x}", rand::random::<u64>());
    if let Some(jwk) = jwk.as_object_mut() {
        jwk.insert("kid".to_owned(), id.clone().into());
        jwk.insert("use".to_owned(), "sig".into());
    }
    Ok(Signing { id, algorithm, key, jwk })
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let conduct = match shared.conduct.subscribe().wait_for(|conduct| *conduct != Conduct::Hanging).await {
        Ok(conduct) => *conduct,
        Err(_) => Conduct::Away,
    };
    let url = &shared.url;
    let json = |value: Value| ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response();
    match (request.uri().path(), conduct) {
        // On a connection that was open before.
        (_, Conduct::Away) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        (_, Conduct::Redirecting) => {
            (StatusCode::FOUND, [(header::LOCATION, format!("{url}/elsewhere"))]).into_response()
        }
        (_, Conduct::Endless) => {
            let piece = axum::body::Bytes::from(vec![b' '; 64 * 1024]);
            let endless = futures::stream::repeat_with(move || Ok::<_, io::Error>(piece.clone()));
            axum::body::Body::from_stream(endless).into_response()
        }
        ("/.well-known/openid-configuration" | "/elsewhere", _) => {
            let issuer = if conduct == Conduct::Impostor { "https://login.other.example" } else { url };
            let keys = if conduct == Conduct::Plain { url.replacen("https", "http", 1) } else { url.clone() };
            json(json!({ "issuer": issuer, "jwks_uri": format!("{keys}/keys") }))
        }
        ("/keys", Conduct::Secret) => {
            let secret = HashMap::from([
                ("kty", "oct"),
                ("kid", "secret"),
                ("k", "c2VjcmV0LXRoYXQtZXZlcnlib2R5LWtub3dzLWJ5LW5vdw"),
            ]);
            json(json!({ "keys": [secret] }))
        }
        ("/keys", _) => {
            let keys: Vec<Value> = lock(&shared.keys).iter().map(|signing| signing.jwk.clone()).collect();
            json(json!({ "keys": keys }))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Connections over TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            if *self.shared.conduct.borrow() == Conduct::Away {
                continue;
            }
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
