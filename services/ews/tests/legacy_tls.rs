//! Old servers, played by `openssl s_server`: rustls refuses them by name, the system's TLS reaches what its policy allows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use postroad_core::fault::Code;
use postroad_ews::{Endpoint, Error, Kind, Tls, TlsFailure, Transport, TransportOptions};
use tempfile::TempDir;

const HOST: &str = "mail.contoso.example";
const PATIENCE: Duration = Duration::from_secs(20);
const MODERN: &[&str] = &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
/// Suites of TLS 1.2 that old Windows servers are left with: no forward secrecy, no authenticated encryption, or DHE.
const OLD_SUITES: &[&str] = &["AES128-SHA", "AES256-SHA256", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-GCM-SHA384"];
const OLD_VERSIONS: &[&str] = &["-tls1", "-tls1_1"];

/// A private authority and a certificate of it, with an RSA key as the old suites need one.
struct Certificates {
    folder: TempDir,
}

/// A server that ends with its value.
struct Server {
    process: Child,
    port: u16,
    /// Held open: the server ends when nobody listens to it.
    _said: BufReader<ChildStdout>,
}

// === impl Certificates ===

impl Certificates {
    /// `None` if there is no openssl.
    fn make() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: the program openssl is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("extensions"), format!("subjectAltName=DNS:{HOST}\n")).unwrap();
        let made = Self { folder };
        made.run("req -x509 -newkey rsa:2048 -nodes -sha256 -days 30 -subj /CN=authority -keyout ca.key -out ca.pem");
        made.run("req -newkey rsa:2048 -nodes -sha256 -subj /CN=server -keyout leaf.key -out leaf.csr");
        made.run(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days 30 -extfile extensions -out leaf.pem",
        );
        Some(made)
    }

    fn run(&self, line: &str) {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(self.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn authority(&self) -> String {
        std::fs::read_to_string(self.path().join("ca.pem")).unwrap()
    }

    /// A server that is restricted to this, at a port of the system's choice.
    fn serve(&self, restriction: &[&str]) -> Server {
        let mut process = Command::new("openssl")
            .args(["s_server", "-www", "-cert", "leaf.pem", "-key", "leaf.key", "-accept", "127.0.0.1:0"])
            .args(restriction)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let listening = said.by_ref().lines().map(Result::unwrap).find(|line| line.starts_with("ACCEPT 127.0.0.1:"));
        let listening = listening.unwrap_or_else(|| panic!("{restriction:?} is not served: {:?}", process.wait()));
        let port = listening.rsplit(':').next().unwrap().parse().unwrap();
        Server { process, port, _said: said }
    }
}

// === impl Server ===

impl Server {
    async fn reach(&self, tls: Tls, authority: Option<String>, host: &str) -> Result<u16, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let options = TransportOptions {
            trust_anchors: authority.into_iter().collect(),
            tls,
            hosts: BTreeMap::from([(host.to_owned(), address)]),
            ..TransportOptions::default()
        };
        let endpoint = Endpoint::parse(&format!("https://{host}:{}/", self.port)).unwrap();
        Transport::new(options).unwrap().reach(&endpoint, PATIENCE).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The restriction to an old suite of TLS 1.2.
fn suite(name: &str) -> Vec<String> {
    ["-tls1_2", "-cipher", &format!("{name}:@SECLEVEL=0")].map(str::to_owned).to_vec()
}

fn version(name: &str) -> Vec<String> {
    [name, "-cipher", "ALL:@SECLEVEL=0"].map(str::to_owned).to_vec()
}

fn old_servers() -> impl Iterator<Item = Vec<String>> {
    OLD_SUITES.iter().map(|name| suite(name)).chain(OLD_VERSIONS.iter().map(|name| version(name)))
}

fn borrowed(restriction: &[String]) -> Vec<&str> {
    restriction.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn rustls_refuses_old_servers_by_name_and_accepts_modern_ones() {
    let Some(certificates) = Certificates::make() else { return };
    let authority = certificates.authority();
    let server = certificates.serve(MODERN);
    assert_eq!(server.reach(Tls::Rustls, Some(authority.clone()), HOST).await.unwrap(), 200);
    for restriction in old_servers() {
        let server = certificates.serve(&borrowed(&restriction));
        let error = server.reach(Tls::Rustls, Some(authority.clone()), HOST).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Tls(TlsFailure::Obsolete(_))), "{restriction:?}: {error:?}");
        assert_eq!(error.fault(), Code::TlsObsolete);
    }
}

#[cfg(feature = "legacy-tls")]
#[tokio::test]
async fn the_systems_tls_reaches_old_servers() {
    let Some(certificates) = Certificates::make() else { return };
    let authority = certificates.authority();
    for restriction in
        OLD_SUITES.iter().map(|name| suite(name)).chain([MODERN.iter().map(ToString::to_string).collect()])
    {
        let server = certificates.serve(&borrowed(&restriction));
        let status = server.reach(Tls::System, Some(authority.clone()), HOST).await;
        assert_eq!(status.map_err(|error| format!("{restriction:?}: {error:?}")), Ok(200));
    }
    for name in OLD_VERSIONS {
        let server = certificates.serve(&borrowed(&version(name)));
        // OpenSSL's policy decides: many systems forbid what is older than TLS 1.2.
        match server.reach(Tls::System, Some(authority.clone()), HOST).await {
            Ok(status) => assert_eq!(status, 200),
            Err(error) => {
                eprintln!("{name} is forbidden by the system's policy: {error}");
                assert_eq!(error.fault(), Code::TlsObsolete, "{error:?}");
            }
        }
    }
}

/// OpenSSL reads its policy once, so this runs itself again with another one.
#[cfg(feature = "legacy-tls")]
#[test]
fn the_systems_policy_decides_about_old_versions() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("openssl.cnf");
    let sections = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = policy\n";
    std::fs::write(&policy, format!("{sections}[policy]\nMinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n"))
        .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "old_versions_by_a_lowered_policy", "--nocapture"])
        .env("OPENSSL_CONF", policy)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(feature = "legacy-tls")]
#[tokio::test]
#[ignore = "the_systems_policy_decides_about_old_versions runs it"]
async fn old_versions_by_a_lowered_policy() {
    let Some(certificates) = Certificates::make() else { return };
    for name in OLD_VERSIONS {
        let server = certificates.serve(&borrowed(&version(name)));
        let status = server.reach(Tls::System, Some(certificates.authority()), HOST).await;
        assert_eq!(status.map_err(|error| format!("{name}: {error:?}")), Ok(200));
        let error = server.reach(Tls::System, None, HOST).await.unwrap_err();
        assert_eq!(error.fault(), Code::TlsUntrusted, "{error:?}");
    }
}

#[cfg(feature = "legacy-tls")]
#[tokio::test]
async fn the_systems_tls_checks_certificates_and_names() {
    let Some(certificates) = Certificates::make() else { return };
    for restriction in [suite("AES128-SHA"), MODERN.iter().map(ToString::to_string).collect()] {
        let server = certificates.serve(&borrowed(&restriction));
        let error = server.reach(Tls::System, None, HOST).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Tls(TlsFailure::UntrustedIssuer), "{error:?}");
        let error = server.reach(Tls::System, Some(certificates.authority()), "mail.other.example").await.unwrap_err();
        assert_eq!(error.fault(), Code::TlsNameMismatch, "{error:?}");
    }
}

#[cfg(feature = "legacy-tls")]
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests spawn freely")]
async fn what_is_no_tls_is_told_apart_by_the_systems_tls_too() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    let transport = Transport::new(TransportOptions { tls: Tls::System, ..TransportOptions::default() }).unwrap();
    let endpoint = Endpoint::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    for code in [Code::TlsNotSpoken, Code::ConnectRefused] {
        let error = transport.reach(&endpoint, PATIENCE).await.unwrap_err();
        assert_eq!(error.fault(), code, "{error:?}");
    }
}
