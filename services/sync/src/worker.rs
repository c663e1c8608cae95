//! One worker: what its parts share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    fault::Report,
    mailbox::{CycleFacts, Due, From, Health, Mailbox, Polling, ProfileFacts, RetryPolicy, Trigger, due},
    organization::Settings,
    pace::{Lane, is_unreachable},
    profile::Profile,
};
use postroad_journal::{Actor, Journal, sealing::Keyring};
use postroad_proto::{
    crm::v1::crm_service_client::CrmServiceClient, locator::v1::locator_service_client::LocatorServiceClient,
};
use postroad_rig::{Context, Error, Role, caller::Introduced, clock, trace::Trace};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::{
    connections::{Connections, share},
    crm::Crm,
    desk::Desk,
    directory::{Change, Directory},
    exchange::{Ews, Exchange, Paced},
    gate::Gate,
    lock::lock,
    ownership::Ownership,
    pace::{Account, Pace, Route, server_of},
    place::{Place, Places},
    queued::Outboxes,
    streaming::{self, Streams},
    traffic::Traffic,
};

/// What the parts of a worker share.
pub struct Worker {
    /// Its name; new with every start, so that a restarted worker is another one.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
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
    pub locator: LocatorServiceClient<Introduced>,
    /// The CRM.
    pub crm: Arc<dyn Crm>,
    /// Where mailboxes were found lately.
    pub places: Places,
    /// Connections to mail servers.
    pub exchange: Ews,
    /// Profiles whose credentials were rejected.
    pub gate: Gate,
    /// How many connections each profile may use.
    pub connections: Connections,
    /// How fast servers are asked.
    pub pace: Arc<Pace>,
    /// Who waits for a turn.
    pub desk: Mutex<Desk>,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// How often mailboxes are polled.
    pub polling: Polling,
    /// Changes asked for at a time.
    pub page: u32,
    /// Mailboxes processed at the same time.
    pub concurrency: usize,
    /// Mailboxes that are to be looked at now, and why.
    asked: Mutex<HashMap<Uuid, Asked>>,
    /// Mailboxes whose time may have changed, until the scheduler has looked.
    news: Mutex<Vec<Uuid>>,
    /// Which mailboxes the CRM tells of.
    pub outboxes: Outboxes,
    /// Which mailboxes Exchange tells of.
    pub streams: Streams,
    /// Wakes the scheduler.
    pub wake: Notify,
    /// The last cycle of each mailbox, recorded or not.
    pulses: Mutex<HashMap<Uuid, Pulse>>,
    /// The server that each mailbox was last served by.
    servers: Mutex<HashMap<Uuid, Arc<str>>>,
    /// When the deferred messages of each mailbox were last tried.
    pub retried: Mutex<HashMap<Uuid, Timestamp>>,
    /// Messages that have a verdict, of mailboxes that are listed anew.
    pub decided: Mutex<HashMap<Uuid, Decided>>,
    /// Mailboxes that are being processed.
    pub running: Mutex<HashSet<Uuid>>,
    /// Messages that this worker has just marked, by mailbox: the change that follows is its own.
    pub marked: Mutex<HashMap<Uuid, HashSet<String>>>,
    /// What it did with messages.
    pub traffic: Traffic,
    /// Whether Sent Items are synchronized, as the settings said last.
    tracks_sent: AtomicBool,
    /// The organization's settings, and when they were asked for.
    known_settings: tokio::sync::Mutex<Option<(Instant, Settings)>>,
}

/// The messages of a mailbox that have a verdict.
#[derive(Debug, Default)]
pub struct Decided {
    /// By item id.
    pub items: HashSet<String>,
    /// The last commit that was looked through.
    pub after: u64,
}

/// A mailbox is to be looked at.
struct Asked {
    why: Trigger,
    /// The trace of what asked first.
    cause: Option<Trace>,
}

/// The last cycle of a mailbox.
#[derive(Clone, Copy)]
struct Pulse {
    ended: Timestamp,
    /// How many in a row brought nothing.
    empty: u8,
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
        let crm = CrmServiceClient::new(context.channels.introduced(Role::Crm)?).max_decoding_message_size(limit);
        Ok(Self {
            started_at: clock::now(),
            actor: Actor::new(format!("role sync, worker {name}")),
            directory: Arc::new(directory),
            changes: Mutex::new(Some(changes)),
            ownership: Arc::new(Ownership::new(context, &name)),
            journal: context.journal.clone(),
            keyring: Arc::clone(&context.keyring),
            locator: LocatorServiceClient::new(context.channels.introduced(Role::Locator)?),
            crm: Arc::new(crm),
            places: Places::default(),
            exchange: Ews::new(config.sync.max_response_bytes, &config.network)
                .map_err(|error| Error::Configuration(format!("network.resolvers: {error}")))?,
            gate: Gate::default(),
            connections: Connections::default(),
            pace: Arc::new(Pace::new(config.sync.server_connections)),
            desk: Mutex::default(),
            retry: config.sync.retry(),
            polling: config.sync.polling(),
            page: config.sync.page,
            concurrency: config.sync.concurrency,
            asked: Mutex::default(),
            news: Mutex::default(),
            outboxes: Outboxes::new(Duration::from_millis(config.sync.outbox_ms)),
            streams: Streams::new(config.sync.notifications, Duration::from_millis(config.sync.stream_silence_ms)),
            tracks_sent: AtomicBool::new(false),
            wake: Notify::new(),
            pulses: Mutex::default(),
            servers: Mutex::default(),
            retried: Mutex::default(),
            decided: Mutex::default(),
            running: Mutex::default(),
            marked: Mutex::default(),
            traffic: Traffic::default(),
            known_settings: tokio::sync::Mutex::default(),
            name,
        })
    }

    /// Has a mailbox looked at now; the scheduler is woken.
    pub fn ask(&self, id: Uuid, why: Trigger) {
        let mut asked = lock(&self.asked);
        let known = asked.entry(id).or_insert_with(|| Asked { why, cause: Trace::present() });
        // A person's wish is not forgotten over a notification.
        if why == Trigger::Asked {
            known.why = why;
        }
        drop(asked);
        self.reconsider([id]);
    }

    /// Has the scheduler look at when mailboxes are due.
    pub fn reconsider(&self, ids: impl IntoIterator<Item = Uuid>) {
        lock(&self.news).extend(ids);
        self.wake.notify_one();
    }

    /// The mailboxes that were asked for or are to be reconsidered, since it was last called.
    pub fn take_news(&self) -> Vec<Uuid> {
        std::mem::take(&mut *lock(&self.news))
    }

    /// A cycle went well: Exchange is to tell of the mailbox from now on.
    pub fn listen(&self, id: Uuid) {
        let tracks_sent = self.tracks_sent.load(Ordering::Relaxed);
        let folders = self.directory.with_mailbox(id, |mailbox, _| {
            streaming::is_well(mailbox).then(|| streaming::folders_of(mailbox, tracks_sent))
        });
        if let Some(folders) = folders.flatten() {
            self.streams.consider(id, folders);
        }
    }

    /// A cycle begins: what is asked from now on is for the next one. Gives the trace of what asked for it.
    pub fn heard(&self, id: Uuid) -> Option<Trace> {
        lock(&self.asked).remove(&id).and_then(|asked| asked.cause)
    }

    /// A cycle ended.
    pub fn cycled(&self, id: Uuid, was_empty: bool) {
        let ended = clock::now();
        let mut pulses = lock(&self.pulses);
        let pulse = pulses.entry(id).or_insert(Pulse { ended, empty: 0 });
        pulse.ended = ended;
        pulse.empty = if was_empty { pulse.empty.saturating_add(1) } else { 0 };
    }

    /// A mailbox is somebody else's: if it comes back, what arrived meanwhile does not wait for its next poll.
    pub fn forget_cycle(&self, id: Uuid) {
        lock(&self.pulses).remove(&id);
        lock(&self.decided).remove(&id);
    }

    /// When a mailbox is due.
    pub fn due(&self, id: Uuid, now: Timestamp) -> Due {
        let asked = lock(&self.asked).get(&id).map(|asked| asked.why);
        let pulse = lock(&self.pulses).get(&id).copied();
        let due = self.directory.with_mailbox(id, |mailbox, profile| {
            let minimum = profile.map_or(0, |profile| profile.settings.minimum_polling_interval_minutes);
            let minimum = SignedDuration::from_mins(i64::from(minimum));
            // What could not be sent yet is tried with each poll.
            let empty = if self.outboxes.waits(id) { 0 } else { pulse.map_or(0, |pulse| pulse.empty) };
            let interval = self.polling.distance(minimum, empty, self.is_notified(id));
            due(mailbox, profile.map(facts_of), pulse.map(|pulse| pulse.ended), interval, asked, now)
        });
        due.unwrap_or(Due::Never)
    }

    /// Whether notifications of a mailbox arrive, so that polls are only the safety net.
    pub fn is_notified(&self, id: Uuid) -> bool {
        self.streams.is_notified(id)
    }

    /// How urgent a due mailbox is.
    pub fn lane(&self, id: Uuid, trigger: Trigger) -> Lane {
        match trigger {
            Trigger::Asked => Lane::Person,
            Trigger::Notified | Trigger::Continuation => Lane::Live,
            Trigger::Timer if !self.is_notified(id) => Lane::Live,
            Trigger::Timer | Trigger::Probe => Lane::Refresh,
        }
    }

    /// To whom the requests of a mailbox are charged, and how many connections there may be.
    pub fn route(&self, id: Uuid) -> Option<(Route, u32)> {
        let workers = self.ownership.member_count();
        let known = self.directory.with_mailbox(id, |mailbox, profile| {
            let profile = profile?;
            let most = share(profile.effective_connections(self.connections.server_allows(profile.id)), workers);
            let fixed = profile.settings.locations.as_ref().map(|locations| locations.incoming.url());
            Some((account(mailbox, profile), most, fixed))
        });
        let (account, most, fixed) = known.flatten()?;
        let known = lock(&self.servers).get(&id).map(Arc::clone);
        let server = known.unwrap_or_else(|| fixed.map_or_else(|| Arc::from(""), |url| server_of(&url)));
        Some((Route { server, account }, most))
    }

    /// The connections of an account, as [`Worker::route`] gives them, for any of its mailboxes.
    pub fn connections_of(&self, account: Account) -> u32 {
        let profile = match account {
            Account::Profile(id) => id,
            // A mailbox is processed once at a time.
            Account::Mailbox(_) => return 1,
        };
        let allows = self.connections.server_allows(profile);
        let most = self.directory.with_profile(profile, |profile| profile.effective_connections(allows));
        share(most.unwrap_or(1), self.ownership.member_count())
    }

    /// What the mailbox would meet if its server is known to be down.
    pub fn outage(&self, id: Uuid) -> Option<Report> {
        let server = lock(&self.servers).get(&id).map(Arc::clone)?;
        self.pace.outage(&server)
    }

    /// A mailbox of the mail server at this worker's pace; `fenced` where only the owner may act.
    pub fn open(
        &self,
        id: Uuid,
        mailbox: &Mailbox,
        profile: &Profile,
        place: &Place,
        fenced: bool,
    ) -> Result<Arc<dyn Exchange>, Report> {
        let inner = self.exchange.open(place)?;
        let server = self.note_server(id, &place.url);
        Ok(Arc::new(Paced {
            inner,
            pace: Arc::clone(&self.pace),
            route: Route { server, account: account(mailbox, profile) },
            mailbox: id,
            place: place.clone(),
            ownership: fenced.then(|| Arc::clone(&self.ownership)),
        }))
    }

    /// Notes where a mailbox is served; the name is shared by all mailboxes of the server.
    fn note_server(&self, id: Uuid, url: &str) -> Arc<str> {
        let server = self.pace.interned(&server_of(url));
        lock(&self.servers).insert(id, Arc::clone(&server));
        server
    }

    /// The own mailboxes that failed because this server was down.
    pub fn failed_at(&self, server: &Arc<str>) -> Vec<Uuid> {
        let there: Vec<Uuid> = {
            let servers = lock(&self.servers);
            servers.iter().filter(|(_, name)| *name == server).map(|(id, _)| *id).collect()
        };
        let has_failed = |id: &Uuid| {
            self.directory.with_mailbox(*id, |mailbox, _| match &mailbox.sync.health {
                Health::Failing { report, .. } | Health::Disabled { report, .. } => is_unreachable(report.code),
                Health::Unknown | Health::Healthy => false,
            })
        };
        there.into_iter().filter(|id| self.ownership.holds(*id) && has_failed(id) == Some(true)).collect()
    }

    /// Whether more may be read now: nothing but of a healthy mailbox outside any back-off (INV-4).
    pub fn may_go_on(&self, id: Uuid, now: Timestamp) -> bool {
        let may = self.directory.with_mailbox(id, |mailbox, profile| {
            mailbox.active
                && profile.is_some_and(|profile| profile.active)
                && mailbox.sync.health == Health::Healthy
                && mailbox.back_off(now).is_none()
        });
        may.unwrap_or(false)
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
        self.tracks_sent.store(settings.track_sent_items, Ordering::Relaxed);
        *known = Some((clock::instant(), settings.clone()));
        Ok(settings)
    }
}

/// Who logs on for a mailbox.
pub fn account(mailbox: &Mailbox, profile: &Profile) -> Account {
    if mailbox.settings.allow_own_credentials { Account::Mailbox(mailbox.id) } else { Account::Profile(profile.id) }
}

fn facts_of(profile: &Profile) -> ProfileFacts {
    ProfileFacts { active: profile.active, revision: profile.revision }
}
