//! Commits, and what surrounds them.

use jiff::Timestamp;
use postroad_core::Aggregate;
use uuid::Uuid;

/// The kind of an aggregate; the second token of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Email server profiles.
    Profile,
    /// Mailboxes.
    Mailbox,
    /// Records of the CRM.
    Record,
    /// Email activities.
    Email,
    /// Notifications of profile owners.
    Notification,
    /// Claims on unique names.
    Name,
    /// The organization's settings.
    Organization,
    /// Erased persons.
    Erasure,
}

/// Who did something: an administrator, or a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

/// An aggregate's state and its position in the journal; 0 if it has none.
#[derive(Debug)]
pub struct Snapshot<A: Aggregate> {
    /// The state.
    pub state: A::State,
    /// The sequence of its last commit, in the part of the journal where its kind is.
    pub sequence: u64,
}

/// What was executed.
#[derive(Debug)]
pub struct Executed<A: Aggregate> {
    /// The state afterwards.
    pub state: A::State,
    /// What happened; empty if it held already, and then nothing was stored.
    pub events: Vec<A::Event>,
    /// The sequence of the aggregate's last commit.
    pub sequence: u64,
}

/// A stored commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<E> {
    /// Its id.
    pub id: Uuid,
    /// Its position in the part of the journal where its kind is.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub events: Vec<E>,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Profile,
        Self::Mailbox,
        Self::Record,
        Self::Email,
        Self::Notification,
        Self::Name,
        Self::Organization,
        Self::Erasure,
    ];

    /// The token in subjects.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Mailbox => "mailbox",
            Self::Record => "record",
            Self::Email => "email",
            Self::Notification => "notification",
            Self::Name => "name",
            Self::Organization => "organization",
            Self::Erasure => "erasure",
        }
    }

    /// The subjects of all aggregates of the kind.
    pub fn subjects(self) -> String {
        format!("journal.{}.*", self.token())
    }

    /// The subject of one aggregate.
    pub fn subject(self, id: Uuid) -> String {
        format!("journal.{}.{id}", self.token())
    }

    /// The kind and id of a subject.
    pub fn of_subject(subject: &str) -> Option<(Self, Uuid)> {
        let (token, id) = subject.strip_prefix("journal.")?.split_once('.')?;
        let kind = Self::ALL.into_iter().find(|kind| kind.token() == token)?;
        Some((kind, Uuid::parse_str(id).ok()?))
    }
}

impl Actor {
    /// Who, as it is shown.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<A: Aggregate> Clone for Snapshot<A> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), sequence: self.sequence }
    }
}

impl<A: Aggregate> Default for Snapshot<A> {
    fn default() -> Self {
        Self { state: A::State::default(), sequence: 0 }
    }
}
