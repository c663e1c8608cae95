//! What administrators ask of a mailbox.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Approval, Direction, Draft, Event, Mailbox, PerDirection, RetryPolicy, State, TestOutcome, TrackedFolder, evolve,
    folder,
};
use crate::{
    Aggregate, Refusal,
    email::normalized,
    fault::Code,
    organization,
    profile::{Sealed, reseal},
};

/// What is asked.
#[derive(Clone, Debug)]
pub enum AdminCommand {
    /// Make one.
    Create { id: Uuid, draft: Draft, sealed: Option<Sealed> },
    /// Change fields; `draft` holds the whole wanted settings.
    Change { draft: Draft, sealed: Option<Sealed> },
    /// Hold the same password sealed under another key, if it still is the one that was resealed.
    Reseal { from: Sealed, to: Sealed },
    /// Approve, reject, or make it wait again.
    SetApproval(Approval),
    /// Allow processing.
    Activate,
    /// Stop processing.
    Deactivate,
    /// Note the outcome of Test & Enable.
    RecordTest(PerDirection<TestOutcome>),
    /// Delete it.
    Delete,
    /// Track a folder under the Inbox.
    TrackFolder { folder_id: String, folder: TrackedFolder, settings: Box<organization::Settings> },
    /// Do not track it any more.
    UntrackFolder { folder_id: String },
    /// Let the backfill wait, or go on.
    PauseBackfill(bool),
    /// Try messages again that failed too often: one by its message id or item id, or all.
    Retry { message: Option<String> },
}

/// What is known of the mailbox's profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileFacts {
    /// Whether its mailboxes are processed.
    pub active: bool,
    /// Its revision.
    pub revision: u64,
}

/// What a decision may know besides the mailbox.
#[derive(Clone, Debug)]
pub struct AdminFacts {
    /// Now.
    pub now: Timestamp,
    /// Whether another mailbox has the wanted address.
    pub address_taken: bool,
    /// Whether another mailbox is of the wanted user or queue.
    pub regarding_taken: bool,
    /// Whether the user or queue exists in the CRM.
    pub regarding_known: bool,
    /// The wanted profile, if it exists.
    pub profile: Option<ProfileFacts>,
    /// How failures are retried.
    pub retry: RetryPolicy,
}

/// The administrators' side of the aggregate.
pub struct Administration;

impl Aggregate for Administration {
    type State = State;
    type Command = AdminCommand;
    type Event = Event;
    type Facts = AdminFacts;
    type Refusal = Refusal;

    fn decide(state: &State, command: &AdminCommand, facts: &AdminFacts) -> Result<Vec<Event>, Refusal> {
        if let AdminCommand::Create { id, draft, sealed } = command {
            return create(state, *id, draft, sealed.as_ref(), facts);
        }
        let Some(mailbox) = state.live() else {
            return Err(Refusal::new(Code::NotFound, "mailbox", "does not exist"));
        };
        Ok(match command {
            AdminCommand::Create { .. } => Vec::new(),
            AdminCommand::Change { draft, sealed } => change(mailbox, draft, sealed.as_ref(), facts)?,
            AdminCommand::SetApproval(approval) if *approval == mailbox.approval => Vec::new(),
            AdminCommand::SetApproval(approval) => vec![Event::ApprovalChanged { approval: *approval }],
            AdminCommand::Activate if mailbox.active => Vec::new(),
            AdminCommand::Activate => vec![Event::Activated],
            AdminCommand::Deactivate if mailbox.active => vec![Event::Deactivated],
            AdminCommand::Deactivate => Vec::new(),
            AdminCommand::RecordTest(outcomes) => vec![record_test(outcomes, facts)],
            AdminCommand::Delete => vec![Event::Deleted],
            AdminCommand::TrackFolder { folder_id, folder, settings } => {
                folder::may_track(mailbox, folder_id, settings)?;
                if mailbox.folders.get(folder_id) == Some(folder) {
                    return Ok(Vec::new());
                }
                let (folder_id, folder) = (folder_id.clone(), folder.clone());
                vec![Event::FolderTracked { at: facts.now, folder_id, folder }]
            }
            AdminCommand::Reseal { from, to } => {
                let kept = reseal(mailbox.sealed.as_ref(), from, to);
                kept.map(|sealed| Event::Resealed { sealed }).into_iter().collect()
            }
            AdminCommand::UntrackFolder { folder_id } => {
                if !mailbox.folders.contains_key(folder_id) {
                    return Err(Refusal::new(Code::NotFound, "folder", "is not tracked"));
                }
                vec![Event::FolderUntracked { at: facts.now, folder_id: folder_id.clone() }]
            }
            AdminCommand::PauseBackfill(pauses) => pause(mailbox, *pauses, facts)?,
            AdminCommand::Retry { message } => retry(mailbox, message.as_deref(), facts)?,
        })
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }
}

fn pause(mailbox: &Mailbox, pauses: bool, facts: &AdminFacts) -> Result<Vec<Event>, Refusal> {
    let Some(backfill) = &mailbox.sync.backfill else {
        let rule = "has no backfill; lower process_email_from to read older mail";
        return Err(Refusal::new(Code::StateConflict, "mailbox", rule));
    };
    Ok(match (backfill.is_paused, pauses) {
        (false, true) => vec![Event::BackfillPaused { at: facts.now }],
        (true, false) => vec![Event::BackfillResumed { at: facts.now }],
        (false, false) | (true, true) => Vec::new(),
    })
}

fn retry(mailbox: &Mailbox, message: Option<&str>, facts: &AdminFacts) -> Result<Vec<Event>, Refusal> {
    let is_wanted = |id: &str, message_id: Option<&str>| match message {
        None => true,
        Some(wanted) => wanted == id || message_id.is_some_and(|known| normalized(known) == normalized(wanted)),
    };
    let failed = mailbox.sync.undeliverable.iter();
    let items: Vec<String> =
        failed.filter(|(id, (item, _))| is_wanted(id, item.message_id.as_deref())).map(|(id, _)| id.clone()).collect();
    match (items.is_empty(), message) {
        (true, Some(wanted)) => {
            Err(Refusal::new(Code::NotFound, "message", format!("`{wanted}` is not among those that failed")))
        }
        (true, None) => Ok(Vec::new()),
        (false, _) => Ok(vec![Event::RetryAsked { at: facts.now, items }]),
    }
}

fn create(
    state: &State,
    id: Uuid,
    draft: &Draft,
    sealed: Option<&Sealed>,
    facts: &AdminFacts,
) -> Result<Vec<Event>, Refusal> {
    if *state != State::Absent {
        return Err(Refusal::new(Code::StateConflict, "id", "is in use"));
    }
    let settings = checked(draft, facts)?;
    let mut events = vec![Event::Created { id, settings }];
    events.extend(sealed.map(|sealed| Event::PasswordSet { sealed: sealed.clone() }));
    Ok(events)
}

fn change(
    mailbox: &Mailbox,
    draft: &Draft,
    sealed: Option<&Sealed>,
    facts: &AdminFacts,
) -> Result<Vec<Event>, Refusal> {
    let settings = checked(draft, facts)?;
    if settings.kind != mailbox.settings.kind {
        return Err(Refusal::new(Code::FieldNotApplicable, "kind", "is set when the mailbox is created"));
    }
    let mut events = Vec::new();
    if settings != mailbox.settings {
        events.push(Event::Changed { settings });
    }
    events.extend(sealed.map(|sealed| Event::PasswordSet { sealed: sealed.clone() }));
    Ok(events)
}

fn checked(draft: &Draft, facts: &AdminFacts) -> Result<super::Settings, Refusal> {
    let settings = draft.settings()?;
    if facts.address_taken {
        let rule = format!("another mailbox has the address {}", settings.address);
        return Err(Refusal::new(Code::AddressTaken, "email_address", rule));
    }
    if !facts.regarding_known {
        return Err(Refusal::new(Code::RegardingUnknown, "regarding", "is not a user or queue of the CRM"));
    }
    if facts.regarding_taken {
        return Err(Refusal::new(Code::RegardingTaken, "regarding", "has a mailbox already"));
    }
    if settings.profile_id.is_some() && facts.profile.is_none() {
        return Err(Refusal::new(Code::NotFound, "profile", "does not exist"));
    }
    Ok(settings)
}

fn record_test(outcomes: &PerDirection<TestOutcome>, facts: &AdminFacts) -> Event {
    let failed = Direction::ALL.iter().find_map(|direction| match outcomes.get(*direction) {
        Some(Err(report)) => Some(report),
        Some(Ok(())) | None => None,
    });
    Event::Tested {
        at: facts.now,
        outcomes: outcomes.clone(),
        next_probe: failed.and_then(|report| facts.retry.next_probe(report.code, 0, facts.now)),
        profile_revision: facts.profile.map_or(0, |profile| profile.revision),
    }
}
