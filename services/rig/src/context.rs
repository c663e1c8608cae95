//! What a role is given when it starts.

use std::sync::Arc;

use postroad_core::fault::{Code, Report};
use postroad_journal::{Journal, Options, sealing::Keyring};
use postroad_metric::process::PROCESS;
use tokio_util::sync::CancellationToken;

use crate::{
    Channels, Config, Error, Identity, Tasks,
    caller::{Introduction, TokenFile},
};

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    pub const ALL: [Self; 5] = [Self::Profile, Self::Locator, Self::Sync, Self::Alert, Self::Crm];

    /// The name on the command line and in the configuration.
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

/// What a role is given.
#[derive(Clone)]
pub struct Context {
    /// Which role it is.
    pub role: Role,
    /// The configuration.
    pub config: Arc<Config>,
    /// The journal.
    pub journal: Journal,
    /// The connection to NATS, for KV buckets and the object store.
    pub nats: async_nats::Client,
    /// Its certificates; `None` without `[tls]`.
    pub identity: Option<Identity>,
    /// The local token; `None` where there is none.
    pub local: Option<Arc<TokenFile>>,
    /// The way to the other roles.
    pub channels: Channels,
    /// The sealing keys.
    pub keyring: Arc<Keyring>,
    /// Asks the role to stop.
    pub shutdown: CancellationToken,
    /// Its tasks.
    pub tasks: Tasks,
}

/// Connects a role to what it needs. Refuses a NATS server that is too old or has no JetStream.
pub async fn start(config: Arc<Config>, role: Role, shutdown: CancellationToken) -> Result<Context, Error> {
    let keyring = Arc::new(keyring(&config, role)?);
    let identity = Identity::open(&config.tls, Some(role))?;
    let local = local_token(&config)?;
    // A certificate says who this is; where there is none, the local token does.
    let token = local.clone().filter(|_| identity.is_none());
    let introduction = Introduction::new(token).named(&format!("role {}", role.name()));
    let nats = connect(&config, role).await?;
    let options = Options { stream: config.nats.stream.clone(), replicas: config.nats.replicas };
    let journal = Journal::connect(&nats, options).await?;
    let tasks = Tasks::new(shutdown.clone());
    tasks.spawn("sealing keys", crate::config::renew(Arc::clone(&keyring), shutdown.clone()));
    if let Some(identity) = identity.clone() {
        tasks.spawn("certificates", identity.watch(shutdown.clone()));
    }
    if let Some(identity) = identity.clone() {
        let ends = PROCESS.certificate_expiry.with_label_values(&[role.name()]);
        postroad_metric::before_scrape(move || {
            if let Some(at) = identity.expires() {
                ends.set(at.as_duration().as_secs_f64());
            }
        });
    }
    let (connection, connected) = (nats.clone(), PROCESS.nats_connected.with_label_values(&[role.name()]));
    postroad_metric::before_scrape(move || {
        connected.set(i64::from(connection.connection_state() == async_nats::connection::State::Connected));
    });
    Ok(Context {
        role,
        channels: Channels::new(config.endpoints.clone(), identity.clone())
            .introduced_as(introduction, config.tls.allow_plaintext),
        identity,
        local,
        journal,
        nats,
        keyring,
        tasks,
        shutdown,
        config,
    })
}

/// The role that opens no secret is not given the key to them: it gets one that nobody else has.
fn keyring(config: &Config, role: Role) -> Result<Keyring, Error> {
    match role {
        Role::Alert => Keyring::load([("none".to_owned(), Keyring::new_key().into())])
            .map_err(|error| Error::Configuration(format!("sealing: {error}"))),
        Role::Profile | Role::Locator | Role::Sync | Role::Crm => config.sealing.keyring(),
    }
}

/// The local token, made by the first role that needs it.
fn local_token(config: &Config) -> Result<Option<Arc<TokenFile>>, Error> {
    let Some(file) = config.local_token_file() else {
        if config.tls.is_on() {
            return Ok(None);
        }
        let rule = "must be set: there is no home folder to keep it in, and without [tls] roles know each other by it";
        return Err(Error::Configuration(format!("access.token_file: {rule}")));
    };
    TokenFile::open_or_make("access.token_file", &file).map(|token| Some(Arc::new(token)))
}

async fn connect(config: &Config, role: Role) -> Result<async_nats::Client, Error> {
    let mut options = async_nats::ConnectOptions::new()
        .name(format!("postroad {}", role.name()))
        .connection_timeout(std::time::Duration::from_secs(5))
        // A role that is up outlives an absence of NATS of any length.
        .max_reconnects(None);
    if let Some(file) = &config.nats.credentials_file {
        options = options.credentials_file(file).await.map_err(|error| {
            Error::Configuration(format!("nats.credentials_file = \"{}\": {error}", file.display()))
        })?;
    }
    options.connect(config.nats.url.as_str()).await.map_err(|error| {
        Error::Fault(Report::new(Code::JournalUnavailable, format!("nats.url = \"{}\": {error}", config.nats.url)))
    })
}

/// Completes when the process is asked to stop: Ctrl-C, SIGTERM, or, where `POSTROAD_EXIT_WITH_STDIN=1` is set, the end of
/// standard input, so that tests and demo leave nothing behind even if they are killed.
#[expect(clippy::disallowed_methods, reason = "an escape for tests, not a setting")]
pub async fn shutdown_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    let stdin = async {
        if std::env::var("POSTROAD_EXIT_WITH_STDIN").as_deref() != Ok("1") {
            return std::future::pending::<()>().await;
        }
        let mut buffer = [0_u8; 64];
        let mut stdin = tokio::io::stdin();
        while tokio::io::AsyncReadExt::read(&mut stdin, &mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
        () = stdin => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_opens_no_secret_needs_no_key() {
        let missing = Config::parse("[sealing]\nkey_file = \"/nonexistent/sealing.key\"").unwrap();
        assert!(keyring(&missing, Role::Alert).is_ok());
        assert!(keyring(&missing, Role::Sync).unwrap_err().to_string().contains("sealing.key_file"));
    }
}
