//! What is asked of the roles, and what they answer.

use std::time::Duration;

use jiff::Timestamp;
use postroad_proto::{
    alert::v1::Alert,
    mailbox::v1::{Condition, Mailbox, SummarizeMailboxesResponse, TimelineEntry},
    sync::v1::{ListWorkersResponse, ServerStatus},
};
use postroad_rig::Role;

use crate::failure::Failure;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// How the mailboxes do, counted.
    Summary,
    /// What the workers do.
    Workers,
    /// What they know of servers.
    Servers,
    /// What is and was wrong lately.
    Alerts,
    /// The mailboxes that are looked for.
    Mailboxes(Wanted),
    /// One mailbox, by its id.
    Mailbox(String),
    /// What came into the event log of a mailbox after a position.
    Timeline(String, u64),
}

/// Which mailboxes are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// In this condition; `None` means all.
    pub condition: Option<Condition>,
    /// Failing with this fault; empty means all.
    pub fault: String,
    /// Whose address or name contains this; empty means all.
    pub search: String,
}

impl Question {
    /// What every view shows something of.
    pub const ALWAYS: [Self; 4] = [Self::Summary, Self::Workers, Self::Servers, Self::Alerts];

    /// Who is asked.
    pub const fn role(&self) -> Role {
        match self {
            Self::Summary | Self::Mailboxes(_) | Self::Mailbox(_) | Self::Timeline(..) => Role::Profile,
            Self::Workers | Self::Servers => Role::Sync,
            Self::Alerts => Role::Alert,
        }
    }

    /// How often.
    pub const fn period(&self) -> Duration {
        match self {
            Self::Summary | Self::Workers | Self::Servers | Self::Mailbox(_) | Self::Timeline(..) => {
                Duration::from_secs(1)
            }
            Self::Alerts | Self::Mailboxes(_) => Duration::from_secs(2),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// When it was answered.
    pub at: Timestamp,
    /// The answer.
    pub reply: Result<Reply, Failure>,
}

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// How the mailboxes do.
    Summary(SummarizeMailboxesResponse),
    /// The workers.
    Workers(ListWorkersResponse),
    /// The servers, one for each worker that knows it.
    Servers(Vec<ServerStatus>),
    /// The newest alerts, resolved ones as well.
    Alerts(Vec<Alert>),
    /// The first mailboxes by address, and whether there are more.
    Mailboxes(Vec<Mailbox>, bool),
    /// The mailbox.
    Mailbox(Box<Mailbox>),
    /// The newest events, the oldest first.
    Timeline(Vec<TimelineEntry>),
}
