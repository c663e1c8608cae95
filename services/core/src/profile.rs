//! The email server profile: one way of reaching a mail server (setup guide, Set up the email server profile; spec §1).

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, EmailAddress, Refusal, autodiscover::Pattern, fault::Code, location::Location};

mod audit;
mod draft;

pub use audit::{FieldChange, changes};
pub use draft::{Draft, FIELDS};

/// The kind of mail server (spec §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerType {
    /// A cloud CRM beside an on-premises Exchange: service account with impersonation.
    ExchangeServerHybrid,
    /// CRM and Exchange both on premises.
    ExchangeServer,
    /// Exchange Online.
    ExchangeOnline,
}

/// The owner: who gets the alert mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user's id in the CRM.
    pub user_id: Uuid,
    /// The user's name.
    pub name: String,
    /// Where the alert mail goes.
    pub address: EmailAddress,
}

/// The fixed locations; there are none where Autodiscover is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locations {
    /// Where email is fetched.
    pub incoming: Location,
    /// Where email is sent.
    pub outgoing: Location,
}

/// What an administrator sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Display name, unique, 1-100 characters.
    pub name: String,
    /// Free text, at most 2000 characters.
    pub description: String,
    /// Who owns it.
    pub owner: Owner,
    /// The kind of server.
    pub server_type: ServerType,
    /// The fixed locations; `None` means Auto Discover Server Location = Yes.
    pub locations: Option<Locations>,
    /// The service account with impersonation, in UPN form.
    pub user_name: String,
    /// Process Email From: older mail is not processed.
    pub process_email_from: Option<Timestamp>,
    /// Minimum polling interval, 0-1440 minutes.
    pub minimum_polling_interval_minutes: u16,
    /// Maximum concurrent connections, 1-300.
    pub maximum_concurrent_connections: u16,
    /// Move failed emails to the Undeliverable folder.
    pub move_failed_emails: bool,
    /// Mail the owner when more than half of the mailboxes failed in an hour.
    pub send_alert_email: bool,
    /// Connection timeout, 1-100000 milliseconds.
    pub connection_timeout_ms: u32,
    /// Extra trust anchors, each a certificate in PEM form.
    pub trust_anchors: Vec<String>,
    /// Hosts that Autodiscover may use besides the mailboxes' own domains.
    pub released_hosts: Vec<Pattern>,
    /// Whether Autodiscover may lead to internal hosts and private addresses.
    pub allow_internal_addresses: bool,
    /// Whose TLS is used.
    pub tls: TlsLibrary,
    /// Modern authentication; `None` means Basic with the user name.
    pub client_credentials: Option<ClientCredentials>,
}

/// Whose TLS a profile uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TlsLibrary {
    /// Postroad's own: modern suites only.
    #[default]
    Postroad,
    /// The system's, for old servers.
    System,
}

/// OAuth 2.0 client credentials (RFC 6749 §4.4); the sealed password is the secret or the certificate's private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// Where tokens are issued.
    pub token_location: Location,
    /// The application's id.
    pub client_id: String,
    /// The scope.
    pub scope: String,
    /// The application's certificate (PEM); `None` means a client secret.
    pub certificate: Option<String>,
}

/// A password sealed under a key of the deployment; opening it needs that key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key wraps the data key, so that it can be rotated.
    pub key_id: String,
    /// The wrapped data key with its nonce.
    pub wrapped_key: Vec<u8>,
    /// The encrypted password with its nonce.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sealed(key {})", self.key_id)
    }
}

/// What happened to a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be; active.
    Created { id: Uuid, settings: Settings },
    /// Settings changed; the whole new settings, the audit history compares.
    Changed { settings: Settings },
    /// A password was stored.
    PasswordSet { sealed: Sealed },
    /// The same password is sealed under another key of the deployment.
    Resealed { sealed: Sealed },
    /// It was activated.
    Activated,
    /// It was deactivated.
    Deactivated,
    /// The connection was tested.
    Tested { at: Timestamp, fault: Option<crate::fault::Report>, elapsed_ms: u64 },
    /// It was deleted.
    Deleted,
}

/// What is asked of a profile.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make one.
    Create { id: Uuid, draft: Draft, sealed: Option<Sealed> },
    /// Change fields; `draft` holds the whole wanted settings.
    Change { draft: Draft, sealed: Option<Sealed> },
    /// Hold the same password sealed under another key, if it still is the one that was resealed.
    Reseal { from: Sealed, to: Sealed },
    /// Allow its mailboxes to be processed.
    Activate,
    /// Stop processing its mailboxes.
    Deactivate,
    /// Note the outcome of a connection test.
    RecordTest { fault: Option<crate::fault::Report>, elapsed_ms: u64 },
    /// Delete it.
    Delete,
}

/// What a decision about a profile may know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Now.
    pub now: Timestamp,
    /// Whether another profile has the wanted name.
    pub name_taken: bool,
    /// Addresses of the mailboxes that use the profile.
    pub used_by: Vec<String>,
}

/// A live profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub id: Uuid,
    /// Its settings.
    pub settings: Settings,
    /// The sealed password of the service account.
    pub sealed: Option<Sealed>,
    /// Whether its mailboxes are processed.
    pub active: bool,
    /// Rises with every change that could cure a failing mailbox: settings, password, activation.
    pub revision: u64,
    /// The last connection test.
    pub last_test: Option<Test>,
}

/// The outcome of a connection test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// When it ended.
    pub at: Timestamp,
    /// What failed; `None` is success.
    pub fault: Option<crate::fault::Report>,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// The state: nothing, live, or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Never created.
    #[default]
    Absent,
    /// Live.
    Live(Arc<Profile>),
    /// Deleted for good.
    Deleted,
}

impl State {
    /// The live profile for whoever needs it for longer.
    pub fn shared(&self) -> Option<Arc<Profile>> {
        match self {
            Self::Live(profile) => Some(Arc::clone(profile)),
            Self::Absent | Self::Deleted => None,
        }
    }

    /// The live profile, if there is one.
    pub fn live(&self) -> Option<&Profile> {
        match self {
            Self::Live(profile) => Some(profile),
            Self::Absent | Self::Deleted => None,
        }
    }
}

impl Profile {
    /// The connections that are really used at a time. A server's default policy allows fewer than the profile may ask
    /// for: 10 on Exchange 2010, 27 later (PROTOCOL.md §5); more would only provoke `ErrorExceededConnectionCount`.
    pub fn effective_connections(&self, server_allows: Option<u16>) -> u16 {
        let wanted = self.settings.maximum_concurrent_connections;
        server_allows.map_or(wanted, |most| wanted.min(most))
    }
}

/// The aggregate.
pub struct Rules;

impl Aggregate for Rules {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Facts = Facts;
    type Refusal = Refusal;

    fn decide(state: &State, command: &Command, facts: &Facts) -> Result<Vec<Event>, Refusal> {
        if let Command::Create { id, draft, sealed } = command {
            return create(state, *id, draft, sealed.as_ref(), facts);
        }
        let Some(profile) = state.live() else {
            return Err(Refusal::new(Code::NotFound, "profile", "does not exist"));
        };
        Ok(match command {
            Command::Create { .. } => Vec::new(),
            Command::Change { draft, sealed } => change(profile, draft, sealed.as_ref(), facts)?,
            Command::Reseal { from, to } => {
                reseal(profile.sealed.as_ref(), from, to).map(resealed).into_iter().collect()
            }
            Command::Activate if profile.active => Vec::new(),
            Command::Activate => vec![Event::Activated],
            Command::Deactivate if profile.active => vec![Event::Deactivated],
            Command::Deactivate => Vec::new(),
            Command::RecordTest { fault, elapsed_ms } => {
                vec![Event::Tested { at: facts.now, fault: fault.clone(), elapsed_ms: *elapsed_ms }]
            }
            Command::Delete => delete(facts)?,
        })
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Deleted, _) | (_, Event::Deleted) => State::Deleted,
            (_, Event::Created { id, settings }) => State::Live(Arc::new(Profile {
                id: *id,
                settings: settings.clone(),
                sealed: None,
                active: true,
                revision: 1,
                last_test: None,
            })),
            (State::Live(profile), event) => State::Live(Arc::new(evolve_live(Arc::unwrap_or_clone(profile), event))),
            (State::Absent, _) => State::Absent,
        }
    }
}

fn evolve_live(mut profile: Profile, event: &Event) -> Profile {
    match event {
        Event::Changed { settings } => profile.settings = settings.clone(),
        Event::PasswordSet { sealed } => profile.sealed = Some(sealed.clone()),
        Event::Activated => profile.active = true,
        Event::Deactivated => profile.active = false,
        // No cure of anything: the password is the same.
        Event::Resealed { sealed } => {
            profile.sealed = Some(sealed.clone());
            return profile;
        }
        Event::Tested { at, fault, elapsed_ms } => {
            profile.last_test = Some(Test { at: *at, fault: fault.clone(), elapsed_ms: *elapsed_ms });
            return profile;
        }
        Event::Created { .. } | Event::Deleted => {}
    }
    profile.revision += 1;
    profile
}

fn create(
    state: &State,
    id: Uuid,
    draft: &Draft,
    sealed: Option<&Sealed>,
    facts: &Facts,
) -> Result<Vec<Event>, Refusal> {
    if *state != State::Absent {
        return Err(Refusal::new(Code::StateConflict, "id", "is in use"));
    }
    let settings = draft.settings()?;
    free_name(facts, &settings.name)?;
    let mut events = vec![Event::Created { id, settings }];
    events.extend(sealed.map(|sealed| Event::PasswordSet { sealed: sealed.clone() }));
    Ok(events)
}

fn change(profile: &Profile, draft: &Draft, sealed: Option<&Sealed>, facts: &Facts) -> Result<Vec<Event>, Refusal> {
    let settings = draft.settings()?;
    free_name(facts, &settings.name)?;
    let mut events = Vec::new();
    if settings != profile.settings {
        events.push(Event::Changed { settings });
    }
    events.extend(sealed.map(|sealed| Event::PasswordSet { sealed: sealed.clone() }));
    Ok(events)
}

/// What is to be kept instead of `from`; nothing where another password was set meanwhile, or it is resealed already.
pub(crate) fn reseal(held: Option<&Sealed>, from: &Sealed, to: &Sealed) -> Option<Sealed> {
    (held == Some(from) && from != to).then(|| to.clone())
}

const fn resealed(sealed: Sealed) -> Event {
    Event::Resealed { sealed }
}

fn free_name(facts: &Facts, name: &str) -> Result<(), Refusal> {
    if facts.name_taken {
        return Err(Refusal::new(Code::NameTaken, "name", format!("another profile is named `{name}`")));
    }
    Ok(())
}

fn delete(facts: &Facts) -> Result<Vec<Event>, Refusal> {
    let Some(first) = facts.used_by.first() else { return Ok(vec![Event::Deleted]) };
    let rule = format!("is used by {} mailboxes, for example {first}", facts.used_by.len());
    Err(Refusal::new(Code::ProfileInUse, "profile", rule))
}

#[cfg(test)]
mod tests;
