//! What a worker asks of a mailbox: claim it, begin an attempt, and record how it ended.

use jiff::Timestamp;

use super::{
    Acceptance, Decision, Deferral, Direction, Event, Health, Item, Mailbox, ProfileFacts, RULE_VERSION, Reason,
    RetryPolicy, State, Trigger, Verdict, evolve, is_first_of_hour,
};
use crate::{
    Aggregate, Refusal,
    fault::{Code, Report},
};

/// How one message fared in a cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemOutcome {
    /// The message.
    pub item: Item,
    /// How it fared.
    pub result: ItemResult,
}

/// How one message fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// It is an activity now.
    Promoted {
        /// The activity.
        email_id: uuid::Uuid,
        /// Whether this promotion created it.
        created: bool,
        /// By whom it was accepted.
        acceptance: Acceptance,
    },
    /// It does not become one.
    Skipped(Reason),
    /// It failed this time.
    Failed(Report),
}

/// What a worker asks.
#[derive(Clone, Debug)]
pub enum CycleCommand {
    /// Become the owner.
    Claim { worker: String },
    /// Begin an attempt that has work to do. Decided before any side effect, so that a worker that lost the mailbox stops.
    Start { epoch: u64, trigger: Trigger },
    /// End an attempt well.
    Finish { epoch: u64, started_at: Timestamp, trigger: Trigger, cursor: Option<String>, outcomes: Vec<ItemOutcome> },
    /// End an attempt with a fault.
    Fail { epoch: u64, started_at: Timestamp, trigger: Trigger, report: Report },
    /// Exchange asked to wait.
    Throttle { epoch: u64, until: Timestamp, report: Report },
    /// A message was moved to Undeliverable, was gone already, or could not be moved.
    RecordMove { epoch: u64, item_id: String, fault: Option<Report> },
}

/// What a worker's decision may know besides the mailbox.
#[derive(Clone, Debug)]
pub struct CycleFacts {
    /// Now.
    pub now: Timestamp,
    /// The mailbox's profile, if it exists.
    pub profile: Option<ProfileFacts>,
    /// Whether the profile moves failed emails to Undeliverable.
    pub move_failed_emails: bool,
    /// How failures are retried.
    pub retry: RetryPolicy,
}

/// The workers' side of the aggregate.
pub struct Cycles;

impl Aggregate for Cycles {
    type State = State;
    type Command = CycleCommand;
    type Event = Event;
    type Facts = CycleFacts;
    type Refusal = Refusal;

    fn decide(state: &State, command: &CycleCommand, facts: &CycleFacts) -> Result<Vec<Event>, Refusal> {
        let Some(mailbox) = state.live() else {
            return Err(Refusal::new(Code::NotFound, "mailbox", "does not exist"));
        };
        match command {
            CycleCommand::Claim { worker } => {
                let epoch = mailbox.sync.epoch + 1;
                Ok(vec![Event::Claimed { epoch, worker: worker.clone(), at: facts.now }])
            }
            CycleCommand::Start { epoch, trigger } => {
                owned(mailbox, *epoch)?;
                may_run(mailbox, facts, *trigger)?;
                Ok(vec![Event::AttemptStarted { epoch: *epoch, at: facts.now, trigger: *trigger }])
            }
            CycleCommand::Finish { epoch, started_at, trigger, cursor, outcomes } => {
                owned(mailbox, *epoch)?;
                let attempt = Attempt { epoch: *epoch, started_at: *started_at, trigger: *trigger };
                Ok(finish(mailbox, attempt, cursor.as_deref(), outcomes, facts))
            }
            CycleCommand::Fail { epoch, started_at, trigger, report } => {
                owned(mailbox, *epoch)?;
                let attempt = Attempt { epoch: *epoch, started_at: *started_at, trigger: *trigger };
                Ok(vec![fail(mailbox, attempt, report, facts)])
            }
            CycleCommand::Throttle { epoch, until, report } => {
                owned(mailbox, *epoch)?;
                Ok(vec![Event::Throttled { epoch: *epoch, at: facts.now, until: *until, report: report.clone() }])
            }
            CycleCommand::RecordMove { epoch, item_id, fault } => {
                owned(mailbox, *epoch)?;
                if !mailbox.sync.to_move.contains_key(item_id) {
                    return Ok(Vec::new());
                }
                let (item_id, fault) = (item_id.clone(), fault.clone());
                Ok(vec![Event::Moved { epoch: *epoch, at: facts.now, item_id, fault }])
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }
}

#[derive(Clone, Copy)]
struct Attempt {
    epoch: u64,
    started_at: Timestamp,
    trigger: Trigger,
}

/// INV-6: who lost the mailbox is refused.
fn owned(mailbox: &Mailbox, epoch: u64) -> Result<(), Refusal> {
    if mailbox.sync.epoch == epoch {
        return Ok(());
    }
    let rule = format!("belongs to {} since epoch {}; this was epoch {epoch}", mailbox.sync.worker, mailbox.sync.epoch);
    Err(Refusal::new(Code::NotOwner, "mailbox", rule))
}

fn may_run(mailbox: &Mailbox, facts: &CycleFacts, trigger: Trigger) -> Result<(), Refusal> {
    let conflict = |code: Code, rule: &str| Err(Refusal::new(code, "mailbox", rule));
    if !mailbox.active {
        return conflict(Code::MailboxInactive, "is inactive");
    }
    if !facts.profile.is_some_and(|profile| profile.active) {
        return conflict(Code::ProfileInactive, "has no active profile");
    }
    if mailbox.sync.throttled_until.is_some_and(|until| facts.now < until) {
        return conflict(Code::ServerBusy, "is within a back-off of Exchange");
    }
    let disabled = matches!(mailbox.sync.health, Health::Disabled { .. });
    let probes = disabled && trigger == Trigger::Probe;
    if !mailbox.directions.get(Direction::Incoming).enabled && !probes {
        return conflict(Code::StateConflict, "is not enabled for incoming email; test and enable it first");
    }
    Ok(())
}

fn finish(
    mailbox: &Mailbox,
    attempt: Attempt,
    cursor: Option<&str>,
    outcomes: &[ItemOutcome],
    facts: &CycleFacts,
) -> Vec<Event> {
    let healthy = mailbox.sync.health == Health::Healthy;
    let first_of_hour = is_first_of_hour(mailbox.sync.last_attempt, facts.now);
    // A moved cursor alone is no reason to record: the older one lists a superset, and verdicts are stable. A dropped one is.
    let dropped = cursor.is_some_and(str::is_empty);
    if outcomes.is_empty() && healthy && !first_of_hour && !dropped && mailbox.sync.cursor.is_some() {
        return Vec::new();
    }
    let mut verdicts = Vec::new();
    let mut deferrals = Vec::new();
    for outcome in outcomes {
        match decided(mailbox, outcome, facts) {
            Ok(decision) => verdicts.push(Verdict { item: outcome.item.clone(), decision, rule_version: RULE_VERSION }),
            Err(deferral) => deferrals.push(deferral),
        }
    }
    let mut events = vec![Event::AttemptFinished {
        epoch: attempt.epoch,
        started_at: attempt.started_at,
        at: facts.now,
        trigger: attempt.trigger,
        cursor: cursor.filter(|cursor| mailbox.sync.cursor.as_deref() != Some(*cursor)).map(str::to_owned),
        verdicts,
        deferrals,
    }];
    if let Health::Disabled { report, since, .. } = &mailbox.sync.health {
        events.push(Event::Recovered { at: facts.now, report: report.clone(), since: *since });
    }
    events
}

fn decided(mailbox: &Mailbox, outcome: &ItemOutcome, facts: &CycleFacts) -> Result<Decision, Deferral> {
    let report = match &outcome.result {
        ItemResult::Promoted { email_id, created, acceptance } => {
            let acceptance = Some(acceptance.clone());
            return Ok(Decision::Tracked { email_id: *email_id, created: *created, acceptance });
        }
        ItemResult::Skipped(reason) => return Ok(Decision::NotTracked(reason.clone())),
        ItemResult::Failed(report) => report,
    };
    let before = mailbox.sync.deferred.get(&outcome.item.id).map_or(0, |deferral| deferral.attempts);
    let attempts = before + 1;
    if attempts >= facts.retry.item_attempts || report.code.is_permanent() {
        return Ok(Decision::Undeliverable { report: report.clone(), attempts, to_move: facts.move_failed_emails });
    }
    Err(Deferral { item: outcome.item.clone(), attempts, report: report.clone() })
}

fn fail(mailbox: &Mailbox, attempt: Attempt, report: &Report, facts: &CycleFacts) -> Event {
    let (failures, next_attempt, disables) = match &mailbox.sync.health {
        Health::Disabled { probes, .. } => {
            (probes + 1, facts.retry.next_probe(report.code, probes + 1, facts.now), false)
        }
        health => {
            let before = if let Health::Failing { failures, .. } = health { *failures } else { 0 };
            let consequence = facts.retry.consequence(report.code, before + 1, facts.now);
            (consequence.failures, consequence.next_attempt, consequence.disables)
        }
    };
    Event::AttemptFailed {
        epoch: attempt.epoch,
        started_at: attempt.started_at,
        at: facts.now,
        trigger: attempt.trigger,
        report: report.clone(),
        failures,
        next_attempt,
        disables,
        profile_revision: facts.profile.map_or(0, |profile| profile.revision),
    }
}
