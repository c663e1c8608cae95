//! What a worker asks of a mailbox: claim it, begin an attempt, and record how it ended.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Acceptance, BackfillStep, Decision, Deferral, Direction, Disposal, Event, Facts, From, Health, Item, Kind, Mailbox,
    Mark, Place, ProfileFacts, RULE_VERSION, Reason, RetryPolicy, SendCommand, State, Trigger, Verdict, evolve,
    is_first_of_hour, sending,
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
    /// What was known about it, where it was read.
    pub facts: Option<Box<Facts>>,
    /// Where it was met.
    pub place: Place,
    /// Whether a person tracked it.
    pub mark: Option<Mark>,
    /// Whether it was decided before, and a person asked for something else.
    pub is_by_hand: bool,
}

/// The pass of what is decided again because a person asked for it; backfills have the numbers below.
const BY_HAND: u32 = 1 << 16;

impl ItemOutcome {
    /// The outcome of a message in the Inbox.
    pub const fn new(item: Item, result: ItemResult) -> Self {
        Self { item, result, facts: None, place: Place::Inbox, mark: None, is_by_hand: false }
    }
}

/// How one message fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// It is an activity now.
    Promoted {
        /// The activity.
        email_id: Uuid,
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

/// Exchange's synchronization state of a folder other than the Inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderCursor {
    /// The folder.
    pub place: Place,
    /// The state; empty to list the folder anew.
    pub cursor: String,
}

/// What a person did to a message after it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// Tracked it.
    Tracked {
        /// The message.
        item: Item,
        /// Its activity.
        email_id: Uuid,
        /// How.
        mark: Mark,
    },
    /// Removed the category; the activity stays.
    Untracked {
        /// The message.
        item: Item,
        /// Its activity.
        email_id: Uuid,
    },
}

/// What became of what was intended with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposed {
    /// The message.
    pub item_id: String,
    /// Its id now, where it was moved.
    pub new_id: Option<String>,
    /// Why it could not be done.
    pub fault: Option<Report>,
}

/// What a cycle brought.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The Inbox's new synchronization state; empty to list it anew.
    pub cursor: Option<String>,
    /// Those of other folders.
    pub folders: Vec<FolderCursor>,
    /// How the messages fared.
    pub outcomes: Vec<ItemOutcome>,
    /// What people did.
    pub amendments: Vec<Amendment>,
    /// Set where it is a page of the backfill.
    pub backfill: Option<BackfillStep>,
    /// Whether messages were changed: the new states are recorded, or the same changes would be looked at with every cycle.
    pub has_updates: bool,
    /// Whether more changes follow: the new states are recorded, or the same ones would be listed for ever.
    pub has_more: bool,
    /// Folders whose listing anew has not come to its end; `None` if none was looked at.
    pub relisted: Option<BTreeSet<Place>>,
}

impl Page {
    fn is_empty(&self) -> bool {
        self.folders.is_empty()
            && self.outcomes.is_empty()
            && self.amendments.is_empty()
            && self.backfill.is_none()
            && !self.has_updates
            && !self.has_more
    }
}

/// What a worker asks.
#[derive(Clone, Debug)]
pub enum CycleCommand {
    /// Become the owner.
    Claim { worker: String },
    /// Begin an attempt that has work to do. Decided before any side effect, so that a worker that lost the mailbox stops.
    Start { epoch: u64, trigger: Trigger },
    /// End an attempt well.
    Finish { epoch: u64, started_at: Timestamp, trigger: Trigger, page: Box<Page> },
    /// End an attempt with a fault.
    Fail { epoch: u64, started_at: Timestamp, trigger: Trigger, report: Report },
    /// Exchange asked to wait.
    Throttle { epoch: u64, until: Timestamp, report: Report },
    /// What was intended with messages was done, or could not be.
    Dispose { epoch: u64, items: Vec<Disposed> },
    /// Read older mail; `total` messages are there.
    PlanBackfill { epoch: u64, from: From, total: u64 },
    /// An email of the outbox moves on.
    Send { epoch: u64, command: SendCommand },
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
    /// Process Email From, the later of profile's and mailbox's.
    pub from: From,
    /// Whether tracked messages are marked with the category.
    pub marks_tracked: bool,
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
            CycleCommand::Finish { epoch, started_at, trigger, page } => {
                owned(mailbox, *epoch)?;
                let attempt = Attempt { epoch: *epoch, started_at: *started_at, trigger: *trigger };
                Ok(finish(mailbox, attempt, page, facts))
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
            CycleCommand::Dispose { epoch, items } => {
                owned(mailbox, *epoch)?;
                let is_intended = |done: &&Disposed| mailbox.sync.to_dispose.contains_key(&done.item_id);
                let items: Vec<Disposed> = items.iter().filter(is_intended).cloned().collect();
                if items.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![Event::Disposed { epoch: *epoch, at: facts.now, items }])
            }
            CycleCommand::PlanBackfill { epoch, from, total } => {
                owned(mailbox, *epoch)?;
                Ok(plan_backfill(mailbox, *epoch, *from, *total, facts).into_iter().collect())
            }
            CycleCommand::Send { epoch, command } => {
                owned(mailbox, *epoch)?;
                let event = sending::decide(mailbox, command, facts)?;
                Ok(event.map(|event| Event::Sending { epoch: *epoch, at: facts.now, event }).into_iter().collect())
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

/// Whether anything may be done in the mailbox now.
pub fn may_work(mailbox: &Mailbox, facts: &CycleFacts) -> Result<(), Refusal> {
    let conflict = |code: Code, rule: &str| Err(Refusal::new(code, "mailbox", rule));
    if !mailbox.active {
        return conflict(Code::MailboxInactive, "is inactive");
    }
    if !facts.profile.is_some_and(|profile| profile.active) {
        return conflict(Code::ProfileInactive, "has no active profile");
    }
    if mailbox.back_off(facts.now).is_some() {
        return conflict(Code::ServerBusy, "is within a back-off of Exchange");
    }
    Ok(())
}

fn may_run(mailbox: &Mailbox, facts: &CycleFacts, trigger: Trigger) -> Result<(), Refusal> {
    may_work(mailbox, facts)?;
    let disabled = matches!(mailbox.sync.health, Health::Disabled { .. });
    let probes = disabled && trigger == Trigger::Probe;
    let enabled = [Direction::Incoming, Direction::Outgoing].map(|way| mailbox.directions.get(way).enabled);
    if enabled == [false, false] && !probes {
        return Err(Refusal::new(Code::StateConflict, "mailbox", "is not enabled for email; test and enable it first"));
    }
    Ok(())
}

fn finish(mailbox: &Mailbox, attempt: Attempt, page: &Page, facts: &CycleFacts) -> Vec<Event> {
    let healthy = mailbox.sync.health == Health::Healthy;
    let first_of_hour = is_first_of_hour(mailbox.sync.last_attempt, facts.now);
    // A moved cursor alone is no reason to record: the older one lists a superset, and verdicts are stable. A dropped one is.
    let dropped = page.cursor.as_deref().is_some_and(str::is_empty);
    let begun = mailbox.sync.cursor.is_some() || !mailbox.directions.get(Direction::Incoming).enabled;
    let relisted = page.relisted.as_ref().unwrap_or(&mailbox.sync.relisted);
    let moved = dropped || *relisted != mailbox.sync.relisted;
    if page.is_empty() && healthy && !first_of_hour && !moved && begun {
        return Vec::new();
    }
    let pass = page.backfill.and(mailbox.sync.backfill.as_ref()).map_or(0, |backfill| backfill.pass);
    let mut verdicts = Vec::new();
    let mut deferrals = Vec::new();
    for outcome in &page.outcomes {
        match decided(mailbox, outcome, pass, facts) {
            Ok(verdict) => verdicts.push(verdict),
            Err(deferral) => deferrals.push(*deferral),
        }
    }
    let cursor = page.cursor.clone();
    let mut events = vec![Event::AttemptFinished {
        epoch: attempt.epoch,
        started_at: attempt.started_at,
        at: facts.now,
        trigger: attempt.trigger,
        cursor: cursor.filter(|cursor| mailbox.sync.cursor.as_ref() != Some(cursor)),
        verdicts,
        deferrals,
        folders: page.folders.clone(),
        judged_from: Some(facts.from),
        backfill: page.backfill,
        amendments: page.amendments.clone(),
        relisted: relisted.iter().cloned().collect(),
    }];
    if let Health::Disabled { report, since, .. } = &mailbox.sync.health {
        events.push(Event::Recovered { at: facts.now, report: report.clone(), since: *since });
    }
    events
}

fn decided(mailbox: &Mailbox, outcome: &ItemOutcome, pass: u32, facts: &CycleFacts) -> Result<Verdict, Box<Deferral>> {
    let deferred = mailbox.sync.deferred.get(&outcome.item.id);
    let pass = if outcome.is_by_hand { BY_HAND } else { deferred.map_or(pass, |deferral| deferral.pass) };
    let (decision, disposal) = match &outcome.result {
        ItemResult::Promoted { email_id, created, acceptance } => {
            let known = outcome.facts.as_deref();
            let disposal = disposal_of_tracked(mailbox, known, acceptance.mark, facts);
            let acceptance = Some(acceptance.clone());
            (Decision::Tracked { email_id: *email_id, created: *created, acceptance }, disposal)
        }
        ItemResult::Skipped(reason) => (Decision::NotTracked(reason.clone()), None),
        ItemResult::Failed(report) => {
            let attempts = deferred.map_or(0, |deferral| deferral.attempts) + 1;
            if attempts < facts.retry.item_attempts && !report.code.is_permanent() {
                let (place, mark) = (outcome.place.clone(), outcome.mark);
                return Err(Box::new(Deferral {
                    item: outcome.item.clone(),
                    attempts,
                    report: report.clone(),
                    pass,
                    place,
                    mark,
                }));
            }
            let disposal =
                if facts.move_failed_emails { Disposal::UndeliverableFolder } else { Disposal::UndeliverableCategory };
            (Decision::Undeliverable { report: report.clone(), attempts }, Some(disposal))
        }
    };
    let (item, known) = (outcome.item.clone(), outcome.facts.clone());
    Ok(Verdict { item, decision, rule_version: RULE_VERSION, pass, facts: known, disposal })
}

/// A tracked message is deleted where the mailbox is to be emptied, otherwise it gets the category unless it has it.
fn disposal_of_tracked(
    mailbox: &Mailbox,
    known: Option<&Facts>,
    mark: Option<Mark>,
    facts: &CycleFacts,
) -> Option<Disposal> {
    if mailbox.settings.delete_after_processing && !matches!(mailbox.settings.kind, Kind::User(_)) {
        return Some(Disposal::DeletedItems);
    }
    let is_sent = known.is_some_and(|known| known.place == Place::SentItems);
    (facts.marks_tracked && mark != Some(Mark::Category) && !is_sent).then_some(Disposal::TrackedCategory)
}

fn plan_backfill(mailbox: &Mailbox, epoch: u64, from: From, total: u64, facts: &CycleFacts) -> Option<Event> {
    let judged = mailbox.sync.judged_from?;
    if !from.is_before(judged) {
        return None;
    }
    // One that is under way goes on from where it is, and further back.
    let before = mailbox.sync.backfill.as_ref().map(|backfill| backfill.before).or(judged.0)?;
    Some(Event::BackfillPlanned { epoch, at: facts.now, from, before, total })
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
