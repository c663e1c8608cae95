//! One worker: what its parts share.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    fault::Report,
    mailbox::{CycleFacts, Due, From, ProfileFacts, RetryPolicy, due},
    organization::Settings,
    profile::Profile,
};
use postroad_journal::{Actor, Journal, sealing::Keyring};
use postroad_proto::{
    crm::v1::crm_service_client::CrmServiceClient, locator::v1::locator_service_client::LocatorServiceClient,
};
use postroad_rig::{Context, Error, channel, clock};
use tokio::sync::{Notify, mpsc};
use tonic::transport::Channel;
use uuid::Uuid;

use crate::{
    connections::{Connections, share},
    crm::Crm,
    directory::{Change, Directory},
    exchange::Ews,
    gate::Gate,
    lock::lock,
    ownership::Ownership,
};

/// What the parts of a worker share.
pub struct Worker {
    /// Its name; new with every start, so that a restarted worker is another one.
    pub name: String,
    /// Who commits.
    pub actor: Actor,
    /// Profiles and mailboxes.
    pub directory: Arc<Directory>,
    /// The changes of the directory; taken by the scheduler.
    pub changes: Mutex<Option<mpsc::UnboundedReceiver<Change>>>,
    /// Which mailboxes are its own.
    pub ownership: Arc<Ownership>,
    /// The journal.
    pub journal: Journal,
    /// Opens sealed passwords.
    pub keyring: Arc<Keyring>,
    /// The locator.
    pub locator: LocatorServiceClient<Channel>,
    /// The CRM.
    pub crm: Arc<dyn Crm>,
    /// Connections to mail servers.
    pub exchange: Ews,
    /// Profiles whose credentials were rejected.
    pub gate: Gate,
    /// How many mailboxes of each profile are processed at a time.
    pub connections: Connections,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// Distance of polls.
    pub poll: SignedDuration,
    /// Changes asked for at a time.
    pub page: u32,
    /// Mailboxes processed at the same time.
    pub concurrency: usize,
    /// Mailboxes that somebody asked to be processed now.
    pub asked: Mutex<HashSet<Uuid>>,
    /// Wakes the scheduler.
    pub wake: Notify,
    /// When the last cycle of each mailbox ended, recorded or not.
    pub cycled: Mutex<HashMap<Uuid, Timestamp>>,
    /// When the deferred messages of each mailbox were last tried.
    pub retried: Mutex<HashMap<Uuid, Timestamp>>,
    /// Mailboxes that are being processed.
    pub running: Mutex<HashSet<Uuid>>,
    /// Messages that this worker has just marked, by mailbox: the change that follows is its own.
    pub marked: Mutex<HashMap<Uuid, HashSet<String>>>,
    /// The organization's settings, and when they were asked for.
    known_settings: tokio::sync::Mutex<Option<(Instant, Settings)>>,
}

/// For so long the organization's settings are believed.
const SETTINGS: Duration = Duration::from_secs(2);

impl Worker {
    /// A worker that owns nothing yet.
    pub fn new(context: &Context) -> Result<Self, Error> {
        let config = &context.config;
        let name = format!("sync-{}", Uuid::now_v7().simple());
        let (directory, changes) = Directory::new();
        let limit = 64 * 1024 * 1024;
        let crm = CrmServiceClient::new(channel::to(&config.endpoints.crm)?).max_decoding_message_size(limit);
        Ok(Self {
            actor: Actor::new(format!("role sync, worker {name}")),
            directory: Arc::new(directory),
            changes: Mutex::new(Some(changes)),
            ownership: Arc::new(Ownership::new(context, &name)),
            journal: context.journal.clone(),
            keyring: Arc::clone(&context.keyring),
            locator: LocatorServiceClient::new(channel::to(&config.endpoints.locator)?),
            crm: Arc::new(crm),
            exchange: Ews::new(config.sync.max_response_bytes, &config.network)
                .map_err(|error| Error::Configuration(format!("network.resolvers: {error}")))?,
            gate: Gate::default(),
            connections: Connections::default(),
            retry: config.sync.retry(),
            poll: SignedDuration::from_millis(i64::try_from(config.sync.poll_ms).unwrap_or(i64::MAX)),
            page: config.sync.page,
            concurrency: config.sync.concurrency,
            asked: Mutex::default(),
            wake: Notify::new(),
            cycled: Mutex::default(),
            retried: Mutex::default(),
            running: Mutex::default(),
            marked: Mutex::default(),
            known_settings: tokio::sync::Mutex::default(),
            name,
        })
    }

    /// When a mailbox is due.
    pub fn due(&self, id: Uuid, now: Timestamp) -> Due {
        let asked = lock(&self.asked).contains(&id);
        let last = lock(&self.cycled).get(&id).copied();
        let due = self.directory.with_mailbox(id, |mailbox, profile| {
            let minimum = profile.map_or(0, |profile| profile.settings.minimum_polling_interval_minutes);
            let interval = self.poll.max(SignedDuration::from_mins(i64::from(minimum)));
            due(mailbox, profile.map(facts_of), last, interval, asked, now)
        });
        due.unwrap_or(Due::Never)
    }

    /// Whether older mail may be read now: nothing but a healthy mailbox outside any back-off (INV-4).
    pub fn may_read_older(&self, id: Uuid, now: Timestamp) -> bool {
        let may = self.directory.with_mailbox(id, |mailbox, profile| {
            mailbox.active
                && profile.is_some_and(|profile| profile.active)
                && mailbox.sync.health == postroad_core::mailbox::Health::Healthy
                && mailbox.sync.throttled_until.is_none_or(|until| until <= now)
        });
        may.unwrap_or(false)
    }

    /// Takes a connection of the mailbox's profile; a mailbox that gets none is next when one is given back.
    pub fn connect(&self, id: Uuid) -> bool {
        let workers = self.ownership.members().len();
        let limit = self.directory.with_mailbox(id, |_, profile| {
            profile.map(|profile| {
                let allows = self.connections.server_allows(profile.id);
                (profile.id, share(profile.effective_connections(allows), workers))
            })
        });
        limit.flatten().is_none_or(|(profile, most)| self.connections.take(profile, id, most))
    }

    /// What a decision may know now.
    pub fn facts(&self, id: Uuid, settings: Option<&Settings>) -> CycleFacts {
        let known = self.directory.with_mailbox(id, |mailbox, profile| {
            profile.map(|profile| {
                let from = From(mailbox.process_email_from(profile.settings.process_email_from));
                (facts_of(profile), profile.settings.move_failed_emails, from)
            })
        });
        let known = known.flatten();
        CycleFacts {
            now: clock::now(),
            profile: known.map(|(facts, _, _)| facts),
            move_failed_emails: known.is_some_and(|(_, moves, _)| moves),
            from: known.map_or_else(From::default, |(_, _, from)| from),
            marks_tracked: settings.is_some_and(|settings| settings.track_categorized),
            retry: self.retry,
        }
    }

    /// The organization's settings, asked for every few seconds.
    pub async fn settings(&self) -> Result<Settings, Report> {
        let mut known = self.known_settings.lock().await;
        if let Some((at, settings)) = known.as_ref()
            && at.elapsed() < SETTINGS
        {
            return Ok(settings.clone());
        }
        let settings = self.crm.settings().await.map_err(crate::crm::Refused::report)?;
        *known = Some((clock::instant(), settings.clone()));
        Ok(settings)
    }
}

fn facts_of(profile: &Profile) -> ProfileFacts {
    ProfileFacts { active: profile.active, revision: profile.revision }
}
