//! The steps of a connection test, and how each ends.

use std::time::Duration;

use postroad_core::fault::Report;

/// What has to work, in the order in which it is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mailbox's location is known.
    Location,
    /// The server's name has addresses that may be connected to.
    Dns,
    /// Something listens there.
    Tcp,
    /// It speaks TLS, and its certificate can be trusted.
    Tls,
    /// It is Exchange, or passes on to it.
    Http,
    /// Its clock agrees with this one.
    Clock,
    /// It accepts the kind of credentials.
    Authentication,
    /// The account can log on.
    Credentials,
    /// The server is of a version that is supported.
    Version,
    /// What the server allows is enough for what the profile asks.
    Throttling,
    /// The account may act for the mailbox.
    Impersonation,
    /// The Inbox can be read.
    Inbox,
    /// Drafts and Sent Items can be read.
    Outgoing,
    /// Calendar, Contacts and Tasks can be read.
    AppointmentsContactsTasks,
    /// What is needed later is permitted.
    Rights,
}

impl Step {
    /// The steps that every direction needs.
    pub const SHARED: [Self; 11] = [
        Self::Location,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Http,
        Self::Clock,
        Self::Authentication,
        Self::Credentials,
        Self::Version,
        Self::Throttling,
        Self::Impersonation,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Clock => "clock",
            Self::Authentication => "authentication",
            Self::Credentials => "credentials",
            Self::Version => "version",
            Self::Throttling => "throttling",
            Self::Impersonation => "impersonation",
            Self::Inbox => "inbox",
            Self::Outgoing => "outgoing",
            Self::AppointmentsContactsTasks => "appointments_contacts_tasks",
            Self::Rights => "rights",
        }
    }

    /// What is being done, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Location => "Finding the mailbox's location",
            Self::Dns => "Resolving the server's name",
            Self::Tcp => "Connecting to the server",
            Self::Tls => "Agreeing on TLS and checking the certificate",
            Self::Http => "Looking who answers there",
            Self::Clock => "Comparing the clocks",
            Self::Authentication => "Looking which authentication is offered",
            Self::Credentials => "Logging on with the account",
            Self::Version => "Checking the server's version",
            Self::Throttling => "Comparing the connections with what the server allows",
            Self::Impersonation => "Acting for the mailbox's user",
            Self::Inbox => "Opening the Inbox",
            Self::Outgoing => "Opening Drafts and Sent Items",
            Self::AppointmentsContactsTasks => "Opening Calendar, Contacts and Tasks",
            Self::Rights => "Checking the rights that are needed later",
        }
    }
}

/// How a step ended.
pub enum Ended {
    /// It works; what was found.
    Passed(String),
    /// It works, with something to mind.
    Warning(String),
    /// It does not work; with what was said on the wire.
    Failed(Report, String),
    /// An earlier step failed.
    NotAttempted,
}

/// Why a step failed, with what was said on the wire.
pub struct Failed(pub Report, pub String);

/// Told about each step as it begins and ends.
pub trait Observer {
    /// A step begins.
    fn begins(&mut self, step: Step) -> impl Future<Output = ()> + Send;
    /// A step ended.
    fn ended(&mut self, step: Step, ended: Ended, elapsed: Duration) -> impl Future<Output = ()> + Send;
}
