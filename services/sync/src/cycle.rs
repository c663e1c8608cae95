//! One cycle of a mailbox: [`incoming`] mail is decided and promoted, [`disposal`] does in the mailbox what follows from it, emails of
//! the outbox are sent ([`sending`]), and then older mail is read ([`backfill`]).
//!
//! Side effects come after `AttemptStarted` is in the journal: a worker that lost the mailbox is refused there. They are
//! idempotent: promotion by the message's identity, moving by looking first. So a cycle may die anywhere and be repeated.

use std::sync::Arc;

use jiff::Timestamp;
use postroad_core::{
    Aggregate as _, Refusal,
    fault::{Code, Report},
    mailbox::{CycleCommand, CycleFacts, Cycles, Direction, Event, Mailbox, Page, State, Trigger},
    organization::Settings,
    profile::Profile,
};
use postroad_journal::{ExecuteError, Snapshot};
use postroad_rig::{clock, trace::Trace};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{exchange::Failure, figures, lock::lock, place, tracking::Met, worker::Worker};

mod amendment;
mod backfill;
mod disposal;
mod fetching;
mod incoming;
mod seen;
mod sending;

pub use fetching::{Read, read};
pub use incoming::{Wanted, places};

/// How a cycle ended for the scheduler; what happened is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Looked at again when it is due.
    Done,
    /// The same, and nothing had come.
    Idle,
    /// More is there already.
    More,
    /// Older mail is left to be read, after everybody's live mail.
    Older,
    /// The journal did not take it; looked at again soon.
    Unrecorded,
}

/// Why a cycle stops before its end.
enum Stop {
    /// The mail server failed.
    Exchange(Failure),
    /// Something else failed: CRM, locator, key.
    Fault(Report),
    /// The journal refused: another owner, or an administrator stopped the mailbox.
    Refused,
    /// The journal does not answer.
    Journal,
}

/// A cycle while it runs.
struct Cycle<'a> {
    worker: &'a Worker,
    id: Uuid,
    trigger: Trigger,
    started_at: Timestamp,
    known: Snapshot<Cycles>,
    /// The epoch of this worker; `None` until the mailbox is claimed in this cycle or found to be its own.
    epoch: Option<u64>,
    /// The organization's settings, once they are known.
    settings: Option<Settings>,
    /// Whether there was something to do.
    has_worked: bool,
}

/// Runs one cycle; `cause` is the trace of what it was asked for by.
pub async fn run(worker: &Worker, id: Uuid, trigger: Trigger, cause: Option<Trace>) -> End {
    let span = seen::cycle(id, trigger, cause);
    Box::pin(cycle(worker, id, trigger)).instrument(span).await
}

async fn cycle(worker: &Worker, id: Uuid, trigger: Trigger) -> End {
    let began = clock::instant();
    let Some(known) = worker.directory.mailbox(id) else { return End::Done };
    let Some(mailbox) = known.state.shared() else { return End::Done };
    let Some(profile) = worker.directory.profile_of(id) else {
        return End::Done;
    };
    let epoch = (mailbox.sync.worker == worker.name).then_some(mailbox.sync.epoch);
    let mut cycle =
        Cycle { worker, id, trigger, started_at: clock::now(), known, epoch, settings: None, has_worked: false };
    let result = cycle.attempt(&mailbox, &profile).await;
    seen::ended(trigger, began, &result, cycle.has_worked);
    cycle.end(result, &profile).await
}

impl Cycle<'_> {
    async fn attempt(&mut self, mailbox: &Mailbox, profile: &Profile) -> Result<End, Stop> {
        if !mailbox.settings.allow_own_credentials
            && let Some(report) = self.worker.gate.closed(profile.id, profile.revision)
        {
            return Err(Stop::Fault(report));
        }
        // A server that is down is not asked once for each of its mailboxes.
        if let Some(report) = self.worker.outage(self.id) {
            return Err(Stop::Fault(report));
        }
        let place = self.place(mailbox, profile, None).await?;
        match self.process(mailbox, profile, &place).await {
            Err(Stop::Exchange(Failure::Rediscover(report))) if profile.settings.locations.is_none() => {
                let elsewhere = self.place(mailbox, profile, Some(&place.url)).await;
                match elsewhere {
                    Ok(elsewhere) if elsewhere.url != place.url => self.process(mailbox, profile, &elsewhere).await,
                    // The same answer again: the error stands (AUTODISCOVER.md §8).
                    _ => Err(Stop::Exchange(Failure::Fault(report))),
                }
            }
            result => result,
        }
    }

    async fn place(&self, mailbox: &Mailbox, profile: &Profile, failed: Option<&str>) -> Result<place::Place, Stop> {
        let worker = self.worker;
        let mut locator = worker.locator.clone();
        let domains = || worker.directory.domains_of(profile.id);
        let place = place::find(&worker.places, &mut locator, &worker.keyring, mailbox, profile, domains, failed);
        place.await.map_err(Stop::Fault)
    }

    async fn process(&mut self, mailbox: &Mailbox, profile: &Profile, place: &place::Place) -> Result<End, Stop> {
        let exchange = self.worker.open(self.id, mailbox, profile, place, true).map_err(Stop::Fault)?;
        let settings = self.worker.settings().await.map_err(Stop::Fault)?;
        self.settings = Some(settings.clone());
        let mut more = false;
        // A direction that a fault disabled is probed.
        let is_on = |way| mailbox.directions.get(way).enabled || mailbox.sync.suspended.contains(&way);
        if is_on(Direction::Incoming) {
            more = incoming::receive(self, &*exchange, profile, &settings).await?;
            disposal::dispose(self, &*exchange, &settings).await?;
        }
        if is_on(Direction::Outgoing) {
            sending::send(self, &*exchange, &settings).await?;
            if !is_on(Direction::Incoming) {
                sending::record(self).await?;
            }
        }
        if !more && is_on(Direction::Incoming) {
            return backfill::advance(self, &*exchange, &settings).await;
        }
        Ok(if more { End::More } else { End::Done })
    }

    /// The mailbox as of the last commit; administrators may have changed it.
    fn mailbox(&self) -> Result<Arc<Mailbox>, Stop> {
        self.known.state.shared().ok_or(Stop::Refused)
    }

    /// The deferred messages, if it is time to try them again: not with every poll, or a passing trouble of the CRM would
    /// use up their tries within a minute. Those that somebody asked to try again are not kept waiting.
    fn deferred(&self, mailbox: &Mailbox) -> Vec<Wanted> {
        let last = lock(&self.worker.retried).get(&self.id).copied();
        let due = last.is_none_or(|last| self.started_at.duration_since(last).abs() >= self.worker.retry.interval);
        let due = due || self.trigger == Trigger::Asked;
        let deferred = mailbox.sync.deferred.values().filter(|deferral| due || deferral.attempts == 0);
        let wanted = deferred.map(|deferral| {
            let met = Met { place: deferral.place.clone(), mark: deferral.mark, is_unwrapped: false };
            Wanted { item: deferral.item.clone(), met }
        });
        wanted.collect()
    }

    async fn start(&mut self) -> Result<(), Stop> {
        let trigger = self.trigger;
        self.has_worked = true;
        self.commit(move |epoch| CycleCommand::Start { epoch, trigger }).await
    }

    async fn finish(&mut self, page: Page) -> Result<(), Stop> {
        let (started_at, trigger, page) = (self.started_at, self.trigger, Box::new(page));
        self.commit(move |epoch| CycleCommand::Finish { epoch, started_at, trigger, page: page.clone() }).await
    }

    /// Decides and appends; the mailbox is claimed with the first commit that has something to say.
    async fn commit(&mut self, command: impl Fn(u64) -> CycleCommand + Send + Sync) -> Result<(), Stop> {
        let (worker, id, own) = (self.worker, self.id, self.epoch);
        let settings = self.settings.clone();
        let decide = |state: &State| decide(worker, id, own, state, &worker.facts(id, settings.as_ref()), &command);
        match worker.journal.execute_on(id, &worker.actor, &mut self.known, decide).await {
            Ok(executed) => {
                if !executed.events.is_empty() {
                    self.epoch = executed.state.live().map(|mailbox| mailbox.sync.epoch);
                    worker.directory.commit(id, &self.known);
                    let enabled_at = executed.state.live().and_then(|mailbox| mailbox.test_completed_on);
                    figures::committed(&executed.events, enabled_at);
                    worker.traffic.committed(worker.pace.now(), clock::now(), enabled_at, &executed.events);
                    seen::tell(id, &executed.events);
                }
                Ok(())
            }
            Err(ExecuteError::Refused(refusal)) => {
                tracing::debug!(mailbox.id = %id, refusal = %refusal, "the cycle stops: the journal refused it");
                Err(Stop::Refused)
            }
            Err(ExecuteError::Contended) => Err(Stop::Refused),
            Err(ExecuteError::Journal(error)) => {
                tracing::warn!(mailbox.id = %id, error = %error, "the journal does not take a commit");
                Err(Stop::Journal)
            }
        }
    }

    fn has_cursor(&self) -> bool {
        self.known
            .state
            .live()
            .is_some_and(|mailbox| mailbox.sync.cursor.as_deref().is_some_and(|cursor| !cursor.is_empty()))
    }

    async fn end(&mut self, result: Result<End, Stop>, profile: &Profile) -> End {
        if matches!(result, Err(Stop::Exchange(_))) {
            self.worker.places.forget(self.id);
        }
        let (started_at, trigger) = (self.started_at, self.trigger);
        let recorded = match result {
            Ok(End::Done) if !self.has_worked => return End::Idle,
            Ok(end) => return end,
            Err(Stop::Refused) => return End::Done,
            // The lease ran out in the middle: whoever has the mailbox now records what happens to it.
            Err(Stop::Fault(report) | Stop::Exchange(Failure::Fault(report))) if report.code == Code::NotOwner => {
                return End::Done;
            }
            Err(Stop::Journal) => return End::Unrecorded,
            Err(Stop::Exchange(Failure::Throttled(wait, report))) => {
                let until = throttled_until(clock::now(), wait);
                self.commit(move |epoch| CycleCommand::Throttle { epoch, until, report: report.clone() }).await
            }
            // Without a cursor there is nothing to forget: listing anew would meet the same again, at once and for ever.
            Err(Stop::Exchange(Failure::Resync(report))) if self.has_cursor() => {
                tracing::info!(mailbox.id = %self.id, detail = report.detail, "the folder is listed anew");
                match self.finish(Page { cursor: Some(String::new()), ..Page::default() }).await {
                    Ok(()) => return End::More,
                    stopped => stopped,
                }
            }
            Err(Stop::Exchange(failure)) => {
                let report = failure.report().clone();
                self.worker.gate.note(profile.id, profile.revision, &report);
                self.commit(move |epoch| CycleCommand::Fail { epoch, started_at, trigger, report: report.clone() })
                    .await
            }
            Err(Stop::Fault(report)) => {
                self.commit(move |epoch| CycleCommand::Fail { epoch, started_at, trigger, report: report.clone() })
                    .await
            }
        };
        match recorded {
            Err(Stop::Journal) => End::Unrecorded,
            _ => End::Done,
        }
    }
}

/// The decision of one commit: `own` is the epoch that this worker has; without one the mailbox is claimed, which only the
/// holder of its lease may do.
fn decide(
    worker: &Worker,
    id: Uuid,
    own: Option<u64>,
    state: &State,
    facts: &CycleFacts,
    command: &impl Fn(u64) -> CycleCommand,
) -> Result<Vec<Event>, Refusal> {
    if let Some(epoch) = own {
        return Cycles::decide(state, &command(epoch), facts);
    }
    if !worker.ownership.holds(id) {
        return Err(Refusal::new(Code::NotOwner, "mailbox", "its lease is not held any more"));
    }
    let mut events = Cycles::decide(state, &CycleCommand::Claim { worker: worker.name.clone() }, facts)?;
    let claimed = Cycles::fold(state.clone(), &events);
    let epoch = claimed.live().map_or(0, |mailbox| mailbox.sync.epoch);
    let more = Cycles::decide(&claimed, &command(epoch), facts)?;
    if more.is_empty() {
        // Nothing to say: the claim waits for the first commit that has.
        return Ok(Vec::new());
    }
    events.extend(more);
    Ok(events)
}

/// When a back-off ends, by the clock that all workers share.
fn throttled_until(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    // Whatever is left of one: it is committed so that no worker sends anything before its end.
    jiff::SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}
