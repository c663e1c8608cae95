//! The services over one journal: at one replica, at a second one, or at one whose view stands still.

use std::sync::Arc;

use futures::StreamExt as _;
use postroad_core::{
    fault::Code,
    mailbox::RetryPolicy,
    profile::{Rules, Sealed},
};
use postroad_journal::{Followed, Journal, Kind, sealing::Keyring};
use postroad_profile::{MailboxAdministration, Policy, ProfileAdministration, Registry};
use postroad_rig::{Tasks, config::MailboxDefaults, status};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use uuid::Uuid;

use crate::staff::{Scripted, Staff};

/// The two services of one replica.
pub struct Desk {
    pub profiles: ProfileAdministration,
    pub mailboxes: MailboxAdministration,
}

/// A deployment with one replica.
pub struct Office {
    pub journal: Journal,
    pub people: Arc<Staff>,
    pub prober: Arc<Scripted>,
    pub desk: Arc<Desk>,
    keyring: Arc<Keyring>,
    policy: Policy,
    shutdown: CancellationToken,
    _end: DropGuard,
}

impl Office {
    pub async fn open() -> Self {
        Self::with(MailboxDefaults::default(), true).await
    }

    pub async fn with(defaults: MailboxDefaults, require_approval: bool) -> Self {
        let policy = Policy { require_approval, parallel_tests: 4, defaults, retry: RetryPolicy::default() };
        let (journal, shutdown) = (Journal::memory(), CancellationToken::new());
        let key = SecretString::from(Keyring::new_key());
        let keyring = Arc::new(Keyring::load([("first".to_owned(), key)]).unwrap());
        let (people, prober) = (Arc::<Staff>::default(), Arc::<Scripted>::default());
        let registry =
            Registry::new(journal.clone(), Arc::clone(&keyring), people.clone(), prober.clone(), policy.clone());
        let (desk, _) = following(registry, &shutdown).await;
        let end = shutdown.clone().drop_guard();
        Self { journal, people, prober, desk: Arc::new(desk), keyring, policy, shutdown, _end: end }
    }

    /// Another replica.
    pub async fn replica(&self) -> Desk {
        following(self.registry(), &self.shutdown).await.0
    }

    /// A replica that sees nothing of what happens from now on.
    pub async fn frozen(&self) -> Desk {
        let shutdown = CancellationToken::new();
        let (desk, tasks) = following(self.registry(), &shutdown).await;
        shutdown.cancel();
        tasks.finish().await.unwrap();
        desk
    }

    fn registry(&self) -> Registry {
        let (people, prober) = (self.people.clone(), self.prober.clone());
        Registry::new(self.journal.clone(), Arc::clone(&self.keyring), people, prober, self.policy.clone())
    }

    /// How many commits of any kind the journal has.
    pub async fn stored(&self) -> usize {
        let all = self.journal.follow(&Kind::ALL);
        all.take_while(|followed| std::future::ready(!matches!(followed, Followed::CaughtUp))).count().await
    }

    /// Everything that the journal has, as text.
    pub async fn dump(&self) -> String {
        let all = self.journal.follow(&Kind::ALL);
        let all = all.take_while(|followed| std::future::ready(!matches!(followed, Followed::CaughtUp)));
        all.map(|followed| format!("{followed:?}\n")).collect().await
    }

    /// The password of a profile, as whoever has the key reads it.
    pub async fn password_of(&self, profile: &str) -> String {
        let profile = self.journal.load::<Rules>(Uuid::parse_str(profile).unwrap()).await.unwrap().state;
        self.unsealed(profile.live().unwrap().sealed.as_ref().unwrap())
    }

    pub fn unsealed(&self, sealed: &Sealed) -> String {
        self.keyring.open(sealed).unwrap().expose_secret().to_owned()
    }
}

async fn following(registry: Registry, shutdown: &CancellationToken) -> (Desk, Tasks) {
    let (registry, tasks) = (Arc::new(registry), Tasks::new(shutdown.clone()));
    tasks.spawn("directory", Arc::clone(&registry).follow(shutdown.clone()));
    registry.caught_up().await;
    let profiles = ProfileAdministration::new(Arc::clone(&registry));
    (Desk { profiles, mailboxes: MailboxAdministration::new(registry) }, tasks)
}

/// What a refusal says: the status, the row of the fault table, the field.
pub fn reason(status: &Status) -> (tonic::Code, Code, String) {
    let code = Code::by_name(&status::fault_of(status).unwrap().code).unwrap();
    (status.code(), code, status::field_of(status).map(|(field, _)| field).unwrap_or_default())
}

/// As [`reason`] gives it for bad input.
pub fn invalid(code: Code, field: &str) -> (tonic::Code, Code, String) {
    (tonic::Code::InvalidArgument, code, field.to_owned())
}
