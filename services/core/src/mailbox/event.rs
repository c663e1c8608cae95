//! What happens to mailboxes.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Amendment, Approval, BackfillStep, Deferral, Disposed, FolderCursor, From, PerDirection, Place, SendEvent,
    Settings, TestOutcome, TrackedFolder, Trigger, Verdict,
};
use crate::{fault::Report, profile::Sealed};

/// What happened to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be; active, approval pending, nothing enabled.
    Created { id: Uuid, settings: Settings },
    /// Settings changed; the whole new settings.
    Changed { settings: Settings },
    /// Its own password was stored.
    PasswordSet { sealed: Sealed },
    /// The same password is sealed under another key of the deployment.
    Resealed { sealed: Sealed },
    /// Its address was approved, rejected or made to wait.
    ApprovalChanged { approval: Approval },
    /// It was activated.
    Activated,
    /// It was deactivated.
    Deactivated,
    /// It was tested; directions that passed are enabled.
    Tested {
        /// When the test ended.
        at: Timestamp,
        /// What came out.
        outcomes: PerDirection<TestOutcome>,
        /// When a failed one is probed by itself.
        next_probe: Option<Timestamp>,
        /// The profile's revision at that time.
        profile_revision: u64,
    },
    /// It was deleted.
    Deleted,
    /// A worker took it over.
    Claimed { epoch: u64, worker: String, at: Timestamp },
    /// An attempt that has work to do began.
    AttemptStarted { epoch: u64, at: Timestamp, trigger: Trigger },
    /// An attempt ended well: verdicts, moved cursor and attempt together.
    AttemptFinished {
        /// Whose.
        epoch: u64,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        at: Timestamp,
        /// Why it was made.
        trigger: Trigger,
        /// Exchange's new synchronization state; `None` if it did not move.
        cursor: Option<String>,
        /// One for each message that was decided.
        verdicts: Vec<Verdict>,
        /// Messages that failed and are tried again.
        deferrals: Vec<Deferral>,
        /// The states of other folders that moved.
        folders: Vec<FolderCursor>,
        /// The date by which mail was judged; unknown in old events.
        judged_from: Option<From>,
        /// How far a backfill came.
        backfill: Option<BackfillStep>,
        /// What people tracked or untracked after it was decided.
        amendments: Vec<Amendment>,
        /// Folders that are listed anew after their state was lost, and not to their end yet.
        relisted: Vec<Place>,
    },
    /// An attempt failed; the cursor did not move.
    AttemptFailed {
        /// Whose.
        epoch: u64,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        at: Timestamp,
        /// Why it was made.
        trigger: Trigger,
        /// What happened.
        report: Report,
        /// Failures in a row, this one included.
        failures: u32,
        /// When it is tried again by itself; `None` waits for a change.
        next_attempt: Option<Timestamp>,
        /// Whether the mailbox is disabled by it.
        disables: bool,
        /// The profile's revision at that time.
        profile_revision: u64,
    },
    /// Exchange asked to wait; not a failure.
    Throttled { epoch: u64, at: Timestamp, until: Timestamp, report: Report },
    /// The cause of a failure is gone; the mailbox was enabled again by itself.
    Recovered { at: Timestamp, report: Report, since: Timestamp },
    /// What was intended with messages was done, or could not be.
    Disposed { epoch: u64, at: Timestamp, items: Vec<Disposed> },
    /// Process Email From was lowered: older mail is going to be read.
    BackfillPlanned { epoch: u64, at: Timestamp, from: From, before: Timestamp, total: u64 },
    /// A backfill waits until it is resumed.
    BackfillPaused { at: Timestamp },
    /// A backfill goes on.
    BackfillResumed { at: Timestamp },
    /// Messages that failed too often are tried again, by item id.
    RetryAsked { at: Timestamp, items: Vec<String> },
    /// A folder is tracked: its messages regard a record.
    FolderTracked { at: Timestamp, folder_id: String, folder: TrackedFolder },
    /// A folder is not tracked any more.
    FolderUntracked { at: Timestamp, folder_id: String },
    /// An email of the outbox moved on.
    Sending { epoch: u64, at: Timestamp, event: SendEvent },
}
