//! What a role is given when it starts.

use std::sync::Arc;

use postroad_core::fault::{Code, Report};
use postroad_journal::{Denials, Journal, sealing::Keyring};
use postroad_metric::process::PROCESS;
use tokio_util::sync::CancellationToken;

use crate::{
    Channels, Config, Error, Identity, Tasks,
    caller::{Introduction, TokenFile},
    nats,
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
    /// What NATS did not allow.
    pub denials: Denials,
    /// Its certificates; `None` without `[tls]`.
    pub identity: Option<Identity>,
    /// The local token; `None` where there is none.
    pub local: Option<Arc<TokenFile>>,
    /// The way to the other roles.
    pub channels: Channels,
    /// The sealing keys.
    pub keyring: Arc<Keyring>,
    /// Is cancelled once the role serves.
    pub serving: CancellationToken,
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
    let denials = Denials::default();
    let denied = denials.any();
    let opening = async {
        let nats = nats::connect(&config.nats, role.name(), denials.clone()).await?;
        let options = config.nats.journal(nats::permission::parts(role), denials.clone());
        let journal = match role {
            // It may have a NATS account of its own, in which there is no journal.
            Role::Locator => Journal::none(&nats)?,
            Role::Profile | Role::Sync | Role::Alert | Role::Crm => Journal::connect(&nats, options).await?,
        };
        Ok::<_, Error>((nats, journal))
    };
    let (nats, journal) = tokio::select! {
        opened = opening => opened?,
        said = denied => return Err(Error::Fault(Report::new(Code::NatsDenied, said))),
    };
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
        denials,
        serving: CancellationToken::new(),
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
