//! The mailbox: whose mail is kept in step, how, and how it fares (setup guide, Associate mailboxes; spec §2).
//!
//! Administration and synchronization write the same subject of the journal: a worker's commit is decided on what the
//! administrator has just changed, and a worker that lost the mailbox is refused by its [`Sync::epoch`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EmailAddress, fault::Report, profile::Sealed};

mod acceptance;
mod administration;
mod arrival;
mod backfill;
mod condition;
mod cycle;
mod draft;
mod event;
mod evolution;
mod failure;
mod folder;
mod reconsideration;
mod schedule;
mod sending;
mod timeline;
mod verdict;

pub use acceptance::{Acceptance, Facts, Mark, Place, Recipient, Rejection, judge, queue_items};
pub use administration::{AdminCommand, AdminFacts, Administration, ProfileFacts};
pub use backfill::{Backfill, BackfillStep, From};
pub use condition::Condition;
pub use cycle::{Amendment, CycleCommand, CycleFacts, Cycles, Disposed, FolderCursor, ItemOutcome, ItemResult, Page};
pub use draft::{Draft, FIELDS};
pub use event::Event;
pub use evolution::evolve;
pub use failure::RetryPolicy;
pub use folder::TrackedFolder;
pub use reconsideration::{Reconsidered, Trial, reconsider, retry};
pub use schedule::{Due, Polling, due, is_first_of_hour};
pub use sending::{Confirmation, SendCommand, SendEvent, Sending, Stage};
pub use timeline::{fact_sentences, fault_of, reason_sentence, sentences, verdict_sentence};
pub use verdict::{Decision, Disposal, Item, Listed, RULE_VERSION, Reason, Verdict, judge_listed};

/// Whose mailbox it is (spec §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A user's; at most one per user.
    User(Uuid),
    /// A queue's; at most one per queue.
    Queue(Uuid),
    /// Stand-alone: messages are forwarded to it as attachments. Incoming only.
    Forward,
}

/// What is synchronized; each has its own method, status and switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// Email from Exchange to the CRM.
    Incoming,
    /// Email from the CRM through Exchange.
    Outgoing,
    /// Appointments, contacts and tasks.
    AppointmentsContactsTasks,
}

impl Direction {
    /// All three, in the form's order.
    pub const ALL: [Self; 3] = [Self::Incoming, Self::Outgoing, Self::AppointmentsContactsTasks];

    /// The label of the setup guide's form.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Incoming => "Incoming Email",
            Self::Outgoing => "Outgoing Email",
            Self::AppointmentsContactsTasks => "Appointments, Contacts, and Tasks",
        }
    }
}

/// The synchronization method of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// Not synchronized.
    #[default]
    None,
    /// By Postroad.
    ServerSideSync,
    /// Incoming only: rules of the mail server forward its mail to a forward mailbox.
    ForwardMailbox,
}

/// Something for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerDirection<T> {
    /// Incoming email.
    pub incoming: T,
    /// Outgoing email.
    pub outgoing: T,
    /// Appointments, contacts and tasks.
    pub appointments_contacts_tasks: T,
}

impl<T> PerDirection<T> {
    /// The one of a direction.
    pub const fn get(&self, direction: Direction) -> &T {
        match direction {
            Direction::Incoming => &self.incoming,
            Direction::Outgoing => &self.outgoing,
            Direction::AppointmentsContactsTasks => &self.appointments_contacts_tasks,
        }
    }

    /// The one of a direction, to change it.
    pub const fn get_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Incoming => &mut self.incoming,
            Direction::Outgoing => &mut self.outgoing,
            Direction::AppointmentsContactsTasks => &mut self.appointments_contacts_tasks,
        }
    }
}

/// The result of the last configuration test of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Never tested, or changed since.
    #[default]
    NotRun,
    /// Passed.
    Success,
    /// Failed.
    Failure,
}

/// How a direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectionState {
    /// Whether it is synchronized.
    pub enabled: bool,
    /// The last test or, once enabled, the last attempt.
    pub status: Status,
}

/// Whether the address may be processed (spec §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Approval {
    /// Waits for an administrator.
    #[default]
    Pending,
    /// May be processed.
    Approved,
    /// Must not be processed.
    Rejected,
}

/// Which received messages become activities (spec §3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FilteringMethod {
    /// Every message.
    #[default]
    AllMessages,
    /// Those that answer an email of the CRM.
    Responses,
    /// Those from leads, contacts and accounts, and answers.
    FromPeople,
    /// Those from any record with an address, and answers.
    FromRecords,
    /// None automatically.
    NoMessages,
}

impl FilteringMethod {
    /// All of them, in the CRM's order: the index is its number there.
    pub const ALL: [Self; 5] =
        [Self::AllMessages, Self::Responses, Self::FromPeople, Self::FromRecords, Self::NoMessages];

    /// Its number in the CRM.
    pub const fn number(self) -> u32 {
        match self {
            Self::AllMessages => 0,
            Self::Responses => 1,
            Self::FromPeople => 2,
            Self::FromRecords => 3,
            Self::NoMessages => 4,
        }
    }

    /// The method with this number.
    pub fn by_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.number() == number)
    }
}

/// What an administrator sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Display name, 1-200 characters.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// The primary SMTP address in Exchange.
    pub address: EmailAddress,
    /// The profile of its server.
    pub profile_id: Option<Uuid>,
    /// The synchronization methods.
    pub methods: PerDirection<Method>,
    /// Which messages become activities.
    pub filtering_method: FilteringMethod,
    /// Older mail is not processed; the later of this and the profile's counts (spec §3.2).
    pub process_email_from: Option<Timestamp>,
    /// Delete from the server after processing; queue and forward mailboxes only.
    pub delete_after_processing: bool,
    /// Allow to Use Credentials for Email Processing.
    pub allow_own_credentials: bool,
    /// The mailbox's own user name, in UPN form.
    pub user_name: String,
}

/// How the synchronization of a mailbox fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// No attempt yet.
    #[default]
    Unknown,
    /// The last attempt succeeded.
    Healthy,
    /// Transient failures; still enabled.
    Failing {
        /// The last fault.
        report: Report,
        /// How many in a row.
        failures: u32,
        /// When it is tried again.
        next_attempt: Timestamp,
    },
    /// Disabled by a fault; heals by itself where a probe is planned.
    Disabled {
        /// The fault.
        report: Report,
        /// Since when.
        since: Timestamp,
        /// How many probes failed since.
        probes: u32,
        /// The next probe; `None` waits for a change of the mailbox or its profile.
        next_probe: Option<Timestamp>,
        /// The profile's revision at that time; a later one is a reason to probe at once.
        profile_revision: u64,
    },
}

/// A message that failed and is tried again (spec §2.4, item-level failures).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// The message.
    pub item: Item,
    /// Failed attempts so far, one per cycle.
    pub attempts: u32,
    /// The last fault.
    pub report: Report,
    /// As in verdicts.
    pub pass: u32,
    /// Where it was met.
    pub place: Place,
    /// Whether a person tracked it.
    pub mark: Option<Mark>,
}

/// What synchronization knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Rises with every change of owner; a commit of an older epoch is refused (INV-6).
    pub epoch: u64,
    /// The worker that owns the epoch.
    pub worker: String,
    /// Exchange's synchronization state of the Inbox.
    pub cursor: Option<String>,
    /// Exchange's synchronization states of the other folders that are looked at.
    pub folder_cursors: BTreeMap<Place, String>,
    /// Folders that are listed anew, and not to their end yet: what is listed may have a verdict.
    pub relisted: BTreeSet<Place>,
    /// The date by which mail was judged last.
    pub judged_from: Option<From>,
    /// How many backfills there were.
    pub passes: u32,
    /// Older mail that is being read, because that date was lowered.
    pub backfill: Option<Backfill>,
    /// How it fares.
    pub health: Health,
    /// What a fault disabled; enabled again when the cause is gone.
    pub suspended: Vec<Direction>,
    /// Exchange asked to wait until then; nothing is sent before (INV-4).
    pub throttled_until: Option<Timestamp>,
    /// Messages that failed and are tried again, by item id.
    pub deferred: BTreeMap<String, Deferral>,
    /// What is to be done with messages, by item id: intended, not yet confirmed.
    pub to_dispose: BTreeMap<String, Disposal>,
    /// Messages that failed too often, by item id; kept so that they can be tried again. With each its pass.
    pub undeliverable: BTreeMap<String, (Item, u32)>,
    /// Emails that are being sent.
    pub sending: BTreeMap<Uuid, Sending>,
    /// When the last recorded attempt ended.
    pub last_attempt: Option<Timestamp>,
    /// When the last successful attempt ended.
    pub last_success: Option<Timestamp>,
    /// Messages with a verdict.
    pub processed: u64,
}

/// A live mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Its id.
    pub id: Uuid,
    /// Its settings.
    pub settings: Settings,
    /// The sealed password of its own credentials.
    pub sealed: Option<Sealed>,
    /// Approval of the address.
    pub approval: Approval,
    /// Whether it may be processed at all.
    pub active: bool,
    /// How each direction stands.
    pub directions: PerDirection<DirectionState>,
    /// Mailbox Test Completed On.
    pub test_completed_on: Option<Timestamp>,
    /// The folders that are tracked, by Exchange's folder id.
    pub folders: BTreeMap<String, TrackedFolder>,
    /// What synchronization knows.
    pub sync: Sync,
}

/// The state: nothing, live, or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Never created.
    #[default]
    Absent,
    /// Live.
    Live(Arc<Mailbox>),
    /// Deleted for good.
    Deleted,
}

impl State {
    /// The live mailbox for whoever needs it for longer.
    pub fn shared(&self) -> Option<Arc<Mailbox>> {
        match self {
            Self::Live(mailbox) => Some(Arc::clone(mailbox)),
            Self::Absent | Self::Deleted => None,
        }
    }

    /// The live mailbox, if there is one.
    pub fn live(&self) -> Option<&Mailbox> {
        match self {
            Self::Live(mailbox) => Some(mailbox),
            Self::Absent | Self::Deleted => None,
        }
    }
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trigger {
    /// Its time had come.
    Timer,
    /// Somebody asked: `sync now`.
    Asked,
    /// A disabled mailbox is probed.
    Probe,
    /// More was left from the attempt before.
    Continuation,
    /// Exchange or the CRM said that something is there.
    Notified,
}

/// The outcome of a test for one direction; `None` where the direction is not synchronized.
pub type TestOutcome = Option<Result<(), Report>>;

impl Mailbox {
    /// Whether a direction is to be synchronized at all.
    pub fn wants(&self, direction: Direction) -> bool {
        *self.settings.methods.get(direction) == Method::ServerSideSync
    }

    /// The end of the back-off that Exchange asked for; `None` outside of any.
    pub fn back_off(&self, now: Timestamp) -> Option<Timestamp> {
        let most = SignedDuration::try_from(crate::pace::MOST).unwrap_or(SignedDuration::MAX);
        self.sync.throttled_until.filter(|until| crate::clock::waits(*until, most, now))
    }

    /// Whether its mail is forwarded to a forward mailbox.
    pub fn is_forwarding(&self) -> bool {
        self.settings.methods.incoming == Method::ForwardMailbox
    }

    /// Which mail is too old: the later of the profile's and the mailbox's date (spec §3.2).
    pub fn process_email_from(&self, profile: Option<Timestamp>) -> Option<Timestamp> {
        self.settings.process_email_from.max(profile)
    }
}

#[cfg(test)]
mod tests;
