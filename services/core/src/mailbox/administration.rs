//! What administrators ask of a mailbox.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Approval, Direction, Draft, Event, Mailbox, PerDirection, RetryPolicy, State, TestOutcome, evolve};
use crate::{Aggregate, Refusal, fault::Code, profile::Sealed};

/// What is asked.
#[derive(Clone, Debug)]
pub enum AdminCommand {
    /// Make one.
    Create { id: Uuid, draft: Draft, sealed: Option<Sealed> },
    /// Change fields; `draft` holds the whole wanted settings.
    Change { draft: Draft, sealed: Option<Sealed> },
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
        })
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
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
