//! What both services share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use postroad_core::{
    Aggregate, Refusal,
    fault::{Code, Report},
    mailbox::{AdminFacts, Administration, Mailbox, ProfileFacts, RetryPolicy},
    name::Kind as NameKind,
    owner,
    profile::{self, Sealed},
};
use postroad_journal::{Actor, Executed, Journal, Kind, Recorded, sealing::Keyring};
use postroad_rig::{Caller, clock, config::MailboxDefaults, status};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::{
    directory::Directory,
    names::{Claim, Names},
    people::{People, Person, PersonKind},
    prober::Prober,
};

/// How long a caller waits for its own write to be in the view; then the answer comes without.
const OWN_WRITE: Duration = Duration::from_secs(5);

/// What the deployment prescribes.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether addresses have to be approved before they are processed.
    pub require_approval: bool,
    /// Mailboxes that are tested at the same time.
    pub parallel_tests: usize,
    /// What Apply Default Email Settings gives.
    pub defaults: MailboxDefaults,
    /// How failures are retried.
    pub retry: RetryPolicy,
}

/// Profiles and mailboxes, and everything that changing them needs.
pub struct Registry {
    pub(crate) journal: Journal,
    pub(crate) directory: Directory,
    pub(crate) people: Arc<dyn People>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) policy: Policy,
    pub(crate) keyring: Arc<Keyring>,
    /// Connections that a profile's server allows by default, as tests found out since the start.
    server_allows: Mutex<HashMap<Uuid, u32>>,
}

impl Registry {
    /// Nothing is known before [`Registry::follow`] runs.
    pub fn new(
        journal: Journal,
        keyring: Arc<Keyring>,
        people: Arc<dyn People>,
        prober: Arc<dyn Prober>,
        policy: Policy,
    ) -> Self {
        Self {
            journal,
            directory: Directory::default(),
            people,
            prober,
            policy,
            keyring,
            server_allows: Mutex::default(),
        }
    }

    /// A profile that a caller asks for. Whoever reaches his own only is not told whether others exist.
    pub(crate) fn profile(&self, caller: &Caller, field: &str, name: &str) -> Result<profile::Profile, Status> {
        match self.directory.profile(name) {
            Some(profile) if caller.reaches(owner::of_profile(&profile)) => Ok(profile),
            None if caller.reaches_all() => Err(not_found(field, "profile", name)),
            _ => Err(caller.denied("profile", name)),
        }
    }

    /// A mailbox that a caller asks for, in the same way.
    pub(crate) fn mailbox(&self, caller: &Caller, field: &str, name: &str) -> Result<Mailbox, Status> {
        match self.directory.mailbox(name) {
            Some(mailbox) if self.reaches(caller, &mailbox) => Ok(mailbox),
            None if caller.reaches_all() => Err(not_found(field, "mailbox", name)),
            _ => Err(caller.denied("mailbox", name)),
        }
    }

    /// Whether a call may be about a mailbox.
    pub(crate) fn reaches(&self, caller: &Caller, mailbox: &Mailbox) -> bool {
        let profile = mailbox.settings.profile_id.and_then(|id| self.directory.profile_by_id(id));
        caller.reaches(owner::of_mailbox(mailbox, profile.as_ref()))
    }

    /// Follows the journal until shutdown.
    ///
    /// # Errors
    /// The journal ended.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), &'static str> {
        let mut commits = self.journal.follow(&[Kind::Profile, Kind::Mailbox]);
        loop {
            let followed = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = commits.next() => followed,
            };
            self.directory.apply(followed.ok_or("the journal ended")?);
        }
    }

    /// Waits until all that existed at the start is known.
    pub async fn caught_up(&self) {
        self.directory.reach(0).await;
    }

    /// Waits until a commit of one's own is in the view, so that the next question sees it.
    pub(crate) async fn reach(&self, sequence: u64) {
        if tokio::time::timeout(OWN_WRITE, self.directory.reach(sequence)).await.is_err() {
            tracing::warn!(sequence, "the view lags behind the journal");
        }
    }

    /// Decides on the present state and appends, if the state still is the one that the caller saw.
    pub(crate) async fn execute<A: Recorded<Refusal = Refusal>>(
        &self,
        id: Uuid,
        actor: &Actor,
        command: &A::Command,
        facts: &A::Facts,
        is_current: impl Fn(&A::State) -> bool + Send + Sync,
    ) -> Result<Executed<A>, Status>
    where
        A::Command: Sync,
        A::Facts: Sync,
    {
        let mut known = self.journal.load::<A>(id).await.map_err(|error| status::failed(&error.report()))?;
        let decide = |state: &A::State| {
            if !is_current(state) {
                return Err(Refusal::new(Code::EtagStale, "etag", "it was changed since it was read"));
            }
            A::decide(state, command, facts)
        };
        let executed = self.journal.execute_on(id, actor, &mut known, decide).await.map_err(status::journal)?;
        self.reach(executed.sequence).await;
        Ok(executed)
    }

    /// Claims names, does something that bears them, and gives the names back where it was refused.
    pub(crate) async fn bearing<T>(
        &self,
        names: &Names<'_>,
        claims: &[Claim],
        doing: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let won = names.claim(claims, taken).await.map_err(status::journal)?;
        let done = doing.await;
        // A journal that does not answer may have stored it: the claim stays, and is found abandoned if it was not.
        if let Err(refused) = &done
            && refused.code() != tonic::Code::Unavailable
        {
            names.release(&won).await;
        }
        done
    }

    /// Looks up a user or queue; `None` if there is none.
    pub(crate) async fn person(&self, kind: PersonKind, text: &str) -> Result<Option<Person>, Status> {
        self.people.find(kind, text).await.map_err(|report| status::failed(&report))
    }

    /// Seals a password; an empty one is none.
    pub(crate) fn seal(&self, password: String) -> Result<Option<Sealed>, Status> {
        let password = SecretString::from(password);
        if secrecy::ExposeSecret::expose_secret(&password).is_empty() {
            return Ok(None);
        }
        self.keyring.seal(&password).map(Some).map_err(|error| status::failed(&error.report()))
    }

    /// What a decision about a mailbox without changes of its settings may know.
    pub(crate) fn plain_facts(&self, profile: Option<Uuid>) -> AdminFacts {
        AdminFacts {
            now: clock::now(),
            address_taken: false,
            regarding_taken: false,
            regarding_known: true,
            profile: profile.and_then(|id| self.directory.profile_by_id(id)).map(|profile| profile_facts(&profile)),
            retry: self.policy.retry,
        }
    }

    /// Notes what a profile's server allows.
    pub(crate) fn learn(&self, profile: Uuid, server_allows: u32) {
        if server_allows > 0 {
            let mut known = self.server_allows.lock().unwrap_or_else(PoisonError::into_inner);
            let least = known.entry(profile).or_insert(server_allows);
            *least = (*least).min(server_allows);
        }
    }

    /// What a profile's server allows, where a test found it out.
    pub(crate) fn server_allows(&self, profile: Uuid) -> Option<u32> {
        self.server_allows.lock().unwrap_or_else(PoisonError::into_inner).get(&profile).copied()
    }
}

/// What a mailbox's decisions know of its profile.
pub fn profile_facts(profile: &profile::Profile) -> ProfileFacts {
    ProfileFacts { active: profile.active, revision: profile.revision }
}

/// There is nothing with this name.
pub fn not_found(field: &str, what: &str, name: &str) -> Status {
    status::refused(&Refusal::new(Code::NotFound, field, format!("there is no {what} `{name}`")))
}

/// A report as the last word about a mailbox of many.
pub fn report_of(status: &Status) -> Report {
    status::report_of(status, Code::Internal)
}

fn taken(kind: NameKind) -> Refusal {
    match kind {
        NameKind::ProfileName => Refusal::new(Code::NameTaken, "name", "another profile has this name"),
        NameKind::MailboxAddress => {
            Refusal::new(Code::AddressTaken, "email_address", "another mailbox has this address")
        }
        NameKind::MailboxRegarding => Refusal::new(Code::RegardingTaken, "regarding", "has a mailbox already"),
        NameKind::TrackingToken => Refusal::new(Code::NameTaken, "token", "another email bears it"),
    }
}

/// Checks a decision before anything is claimed, so that bad input leaves no trace.
pub fn check<A: Aggregate<Refusal = Refusal>>(
    state: &A::State,
    command: &A::Command,
    facts: &A::Facts,
) -> Result<(), Status> {
    A::decide(state, command, facts).map(drop).map_err(|refusal| status::refused(&refusal))
}

/// The administration's side of a mailbox, for short.
pub type Mailboxes = Administration;
