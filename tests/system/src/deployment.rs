//! Starting everything, and killing parts of it.

mod clients;
mod configuration;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use postroad_rig::{caller::TokenFile, nats::permission};
use stage::{
    Nats, Process,
    binaries::binaries,
    eventually, nats, ports,
    smtp::{Relay, Security},
};
use tempfile::TempDir;

use crate::{
    fragile::{Fragile, Member, Ports},
    security::Secured,
};

/// The host of regions that have none of their own.
const HOST: &str = "mail.contoso.example";

/// A role of Postroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Profiles and mailboxes.
    Profile,
    /// Locations.
    Locator,
    /// Cycles.
    Sync,
    /// Alerts.
    Alert,
    /// Records and activities.
    Crm,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [Self::Crm, Self::Locator, Self::Profile, Self::Alert, Self::Sync];

    /// The subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Locator => "locator",
            Self::Sync => "sync",
            Self::Alert => "alert",
            Self::Crm => "crm",
        }
    }
}

/// Distances that a test wants shorter than a deployment does.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Distance of polls.
    pub poll: Duration,
    /// The largest distance of polls while notifications arrive.
    pub idle_poll: Duration,
    /// A stream of notifications without a sign of life for so long is dead.
    pub stream_silence: Duration,
    /// Whether streaming notifications are used.
    pub notifications: bool,
    /// Distance of attempts after a failure.
    pub retry: Duration,
    /// Failures that disable a mailbox.
    pub retry_attempts: u32,
    /// Distance of the first probe of a disabled mailbox.
    pub first_probe: Duration,
    /// How long a partition stays with a dead worker.
    pub lease: Duration,
    /// Commits after which a snapshot of all mailboxes is kept.
    pub snapshot_commits: u64,
    /// Whether connections run over wires and processes have clocks of their own, so that both can be disturbed; and whether NATS
    /// syncs to disk, so that it can be killed.
    pub fragile: bool,
    /// Whether each role tells its figures.
    pub figures: bool,
    /// The port of who takes traces.
    pub traces: Option<u16>,
    /// Whether everything is TLS, with certificates for everybody and a NATS user for each role.
    pub secured: bool,
    /// Whether NATS knows the users of a secured deployment by passwords, instead of their certificates.
    pub passwords: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            idle_poll: Duration::from_millis(500),
            stream_silence: Duration::from_secs(120),
            notifications: true,
            retry: Duration::from_millis(1000),
            retry_attempts: 10,
            first_probe: Duration::from_millis(1000),
            lease: Duration::from_millis(2000),
            snapshot_commits: 10_000,
            fragile: false,
            figures: false,
            traces: None,
            secured: false,
            passwords: false,
        }
    }
}

/// What a deployment has besides.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Sections at the end of the configuration.
    pub sections: String,
    /// What the roles log; empty is their default.
    pub log: String,
}

/// Why the stage could not be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// nats-server.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// Files and processes.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The fake Exchange.
    #[error("mockex does not start: {0}")]
    Exchange(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
    /// A call was refused.
    #[error("{0}")]
    Call(Box<tonic::Status>),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Everything, running.
pub struct Deployment {
    /// The journal's server.
    pub nats: Nats,
    /// The fake Exchange.
    pub exchange: mockex::Running,
    /// The mail relay.
    pub relay: Relay,
    postroad: PathBuf,
    roles: BTreeMap<Role, Process>,
    ports: BTreeMap<Role, u16>,
    /// Where each role tells its figures, if it does.
    figures: BTreeMap<Role, u16>,
    security: Option<Secured>,
    /// Workers beside the first one.
    workers: Vec<Process>,
    /// Hosts of the regions that the DNS does not have.
    hosts: Vec<String>,
    /// The local token, by which the roles and the tests know each other.
    token: Arc<TokenFile>,
    extras: Extras,
    fragile: Option<Fragile>,
    folder: TempDir,
}

impl Deployment {
    /// Starts everything and waits until each role serves.
    pub async fn start(organization: mockex::Options, options: Options) -> Result<Self, Error> {
        Self::start_with(organization, options, Extras::default()).await
    }

    /// The same with further settings.
    pub async fn start_with(organization: mockex::Options, options: Options, extras: Extras) -> Result<Self, Error> {
        let built = tokio::task::spawn_blocking(binaries).await.map_err(|error| Error::Other(error.to_string()))?;
        let postroad = built.map_err(Error::Other)?.postroad;
        let folder = TempDir::with_prefix("postroad-stage-")?;
        let security = if options.secured { Some(Secured::new(folder.path(), options.passwords)?) } else { None };
        let security_of_nats = security.as_ref().map(Secured::nats).transpose()?;
        let nats = Nats::start(nats::Options { sync_always: options.fragile, security: security_of_nats }).await?;
        let mut organization = organization;
        HOST.clone_into(&mut organization.public_host);
        let mut hosts: Vec<String> =
            organization.regions.iter().filter_map(|region| region.public_host.clone()).collect();
        hosts.push(HOST.to_owned());
        let regions: Vec<String> = organization.regions.iter().map(|region| region.name.clone()).collect();
        let exchange =
            mockex::Organization::start(organization).await.map_err(|error| Error::Exchange(error.to_string()))?;
        let relay = Relay::start(Security::Starttls).await?;
        let mut free = ports::free(2 * Role::ALL.len())?.into_iter();
        let ports: BTreeMap<_, _> = Role::ALL.into_iter().zip(free.by_ref()).collect();
        let figures = if options.figures { Role::ALL.into_iter().zip(free).collect() } else { BTreeMap::new() };
        let token = TokenFile::open_or_make("access.token_file", &folder.path().join("token"));
        let token = Arc::new(token.map_err(|error| Error::Other(error.to_string()))?);
        let mut fragile = None;
        if options.fragile {
            let ports = Ports {
                nats: nats.port(),
                roles: ports.clone(),
                regions: regions.iter().filter_map(|name| exchange.region_port(name)).collect(),
                autodiscover: exchange.autodiscover_port(),
                relay: relay.port(),
            };
            fragile = Some(Fragile::open(&ports, folder.path()).await?);
        }
        let (roles, workers) = (BTreeMap::new(), Vec::new());
        let mut deployment = Self {
            nats,
            exchange,
            relay,
            postroad,
            roles,
            ports,
            figures,
            security,
            workers,
            hosts,
            token,
            extras,
            fragile,
            folder,
        };
        deployment.write_config(&options)?;
        if options.secured {
            deployment.prepare().await?;
        }
        for role in Role::ALL {
            let process = deployment.spawn(Member::Role(role))?;
            deployment.roles.insert(role, process);
        }
        for role in Role::ALL {
            deployment.wait_serving(role).await?;
        }
        Ok(deployment)
    }

    /// The folder with configuration, keys and logs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The executable.
    pub fn postroad(&self) -> &std::path::Path {
        &self.postroad
    }

    /// Kills a role by SIGKILL.
    pub async fn kill(&mut self, role: Role) -> Result<(), Error> {
        if let Some(process) = self.roles.get_mut(&role) {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts a killed role again; does not wait until it serves.
    pub async fn restart(&mut self, role: Role) -> Result<(), Error> {
        if let Some(process) = self.roles.get_mut(&role) {
            process.restart().await?;
        }
        Ok(())
    }

    /// Starts one more worker; it serves on a port of its own.
    pub fn add_worker(&mut self) -> Result<(), Error> {
        let process = self.spawn(Member::Worker(self.workers.len()))?;
        self.workers.push(process);
        Ok(())
    }

    /// Kills one of the workers that were added, by SIGKILL.
    pub async fn kill_worker(&mut self, index: usize) -> Result<(), Error> {
        if let Some(worker) = self.workers.get_mut(index) {
            worker.kill().await?;
        }
        Ok(())
    }

    /// Starts it again; does not wait until it serves.
    pub async fn restart_worker(&mut self, index: usize) -> Result<(), Error> {
        if let Some(worker) = self.workers.get_mut(index) {
            worker.restart().await?;
        }
        Ok(())
    }

    /// What can be disturbed; `None` unless it was started so.
    pub const fn fragile(&self) -> Option<&Fragile> {
        self.fragile.as_ref()
    }

    /// A process.
    pub fn process(&mut self, member: Member) -> Option<&mut Process> {
        match member {
            Member::Role(role) => self.roles.get_mut(&role),
            Member::Worker(index) => self.workers.get_mut(index),
        }
    }

    /// What a role tells of itself, in Prometheus' text format.
    pub async fn figures(&self, role: Role) -> Result<String, Error> {
        let port = self.figures.get(&role).copied().unwrap_or_default();
        let failed = |error: reqwest::Error| Error::Other(format!("no figures of {}: {error}", role.name()));
        let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
        let answer = client.get(format!("http://127.0.0.1:{port}/metrics")).send().await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?.text().await.map_err(failed)
    }

    /// Where each role tells its figures.
    pub const fn figure_ports(&self) -> &BTreeMap<Role, u16> {
        &self.figures
    }

    /// The process of a role.
    pub fn process_id(&self, role: Role) -> Option<u32> {
        self.roles.get(&role).and_then(Process::id)
    }

    /// Whether a role's process runs.
    pub fn is_running(&mut self, role: Role) -> bool {
        self.roles.get_mut(&role).is_some_and(Process::is_running)
    }

    /// Waits until a role serves.
    pub async fn wait_serving(&mut self, role: Role) -> Result<(), Error> {
        let channel = self.channel(role);
        let serving = eventually(Duration::from_secs(60), || {
            let mut client = tonic_health::pb::health_client::HealthClient::new(channel.clone());
            async move { client.check(tonic_health::pb::HealthCheckRequest { service: String::new() }).await.ok() }
        });
        if serving.await.is_some() {
            return Ok(());
        }
        let log = self.roles.get(&role).map(Process::log).unwrap_or_default();
        Err(Error::Other(format!("the role {} does not serve:\n{log}", role.name())))
    }

    /// Everything that the roles wrote into their logs.
    pub fn logs(&self) -> Result<String, Error> {
        let mut all = String::new();
        for role in Role::ALL {
            all.push_str(&std::fs::read_to_string(self.log_file(role))?);
        }
        Ok(all)
    }

    /// Everything that a process wrote into its log.
    pub fn log_of(&self, member: Member) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{}.log", member.name()))).unwrap_or_default()
    }

    /// The end of a role's log.
    pub fn log(&self, role: Role) -> String {
        self.roles.get(&role).map(Process::log).unwrap_or_default()
    }

    /// Stops the roles by SIGTERM; gives those that had to be killed.
    pub async fn stop(&mut self) -> Result<Vec<Role>, Error> {
        let mut killed = Vec::new();
        for (role, process) in &mut self.roles {
            if process.is_running() && !process.stop(Duration::from_secs(15)).await? {
                killed.push(*role);
            }
        }
        Ok(killed)
    }

    fn spawn(&self, member: Member) -> Result<Process, Error> {
        let name = member.name();
        let role = if let Member::Role(role) = member { role } else { Role::Sync };
        let config = self.config_for(member)?.display().to_string();
        let log = self.folder.path().join(format!("{name}.log"));
        let variables =
            self.fragile.as_ref().and_then(|fragile| fragile.clock(member)).map(stage::clock::Clock::variables);
        let variables = variables.unwrap_or_default();
        let mut variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !self.extras.log.is_empty() {
            variables.push(("POSTROAD_LOG", self.extras.log.as_str()));
        }
        let arguments = [role.name(), "--config", config.as_str()];
        Ok(Process::start(&self.postroad, &arguments, &variables, &log)?)
    }

    fn log_file(&self, role: Role) -> PathBuf {
        self.folder.path().join(format!("{}.log", role.name()))
    }

    /// The port of a role.
    pub fn port(&self, role: Role) -> u16 {
        self.ports.get(&role).copied().unwrap_or_default()
    }

    /// The certificates, in a secured deployment.
    pub const fn security(&self) -> Option<&Secured> {
        self.security.as_ref()
    }

    /// Makes the streams that roles share, which they may not.
    async fn prepare(&self) -> Result<(), Error> {
        let config = self.config_of(permission::PREPARE);
        let run =
            tokio::process::Command::new(&self.postroad).args(["nats", "prepare", "--config"]).arg(config).output();
        let output = run.await?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Other(format!("postroad nats prepare: {}", String::from_utf8_lossy(&output.stderr))))
    }
}
