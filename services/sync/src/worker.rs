//! One worker: what its parts share.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use postroad_core::mailbox::{CycleFacts, Due, ProfileFacts, RetryPolicy, due};
use postroad_core::profile::Profile;
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
}

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
    pub fn facts(&self, id: Uuid) -> CycleFacts {
        let known = self.directory.with_mailbox(id, |_, profile| {
            profile.map(|profile| (facts_of(profile), profile.settings.move_failed_emails))
        });
        let (profile, move_failed_emails) =
            known.flatten().map_or((None, false), |(facts, moves)| (Some(facts), moves));
        CycleFacts { now: clock::now(), profile, move_failed_emails, retry: self.retry }
    }
}

fn facts_of(profile: &Profile) -> ProfileFacts {
    ProfileFacts { active: profile.active, revision: profile.revision }
}
