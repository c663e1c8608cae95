//! One cycle: list what changed in the Inbox, decide about each message, promote what is tracked, and commit verdicts,
//! cursor and attempt together.
//!
//! Side effects come after `AttemptStarted` is in the journal: a worker that lost the mailbox is refused there. They are
//! idempotent: promotion by the message's identity, moving by looking first. So a cycle may die anywhere and be repeated.

use std::collections::HashSet;

use jiff::Timestamp;
use postroad_core::{
    Aggregate as _, Refusal,
    fault::{Code, Report},
    mailbox::{
        CycleCommand, CycleFacts, Cycles, Event, Item, ItemOutcome, ItemResult, Mailbox, State, Trigger, judge_listed,
    },
    profile::Profile,
};
use postroad_journal::{ExecuteError, Snapshot};
use postroad_rig::clock;
use uuid::Uuid;

use crate::{
    exchange::{Changes, Exchange, Failure},
    lock::lock,
    place::{self, Place},
    worker::Worker,
};

mod fetching;

/// How a cycle ended for the scheduler; what happened is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Looked at again when it is due.
    Done,
    /// More is there already.
    More,
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
}

/// Runs one cycle.
pub async fn run(worker: &Worker, id: Uuid, trigger: Trigger) -> End {
    let Some(known) = worker.directory.mailbox(id) else { return End::Done };
    let Some(mailbox) = known.state.live().cloned() else { return End::Done };
    let Some(profile) = worker.directory.with_mailbox(id, |_, profile| profile.cloned()).flatten() else {
        return End::Done;
    };
    let epoch = (mailbox.sync.worker == worker.name).then_some(mailbox.sync.epoch);
    let mut cycle = Cycle { worker, id, trigger, started_at: clock::now(), known, epoch };
    let result = cycle.attempt(&mailbox, &profile).await;
    cycle.end(result, &profile).await
}

impl Cycle<'_> {
    async fn attempt(&mut self, mailbox: &Mailbox, profile: &Profile) -> Result<End, Stop> {
        if !mailbox.settings.allow_own_credentials
            && let Some(report) = self.worker.gate.closed(profile.id, profile.revision)
        {
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

    async fn place(&self, mailbox: &Mailbox, profile: &Profile, failed: Option<&str>) -> Result<Place, Stop> {
        let mut locator = self.worker.locator.clone();
        let domains = self.worker.directory.domains_of(profile.id);
        place::find(&mut locator, &self.worker.keyring, mailbox, profile, domains, failed).await.map_err(Stop::Fault)
    }

    async fn process(&mut self, mailbox: &Mailbox, profile: &Profile, place: &Place) -> Result<End, Stop> {
        let exchange = self.worker.exchange.open(place).map_err(Stop::Fault)?;
        let cursor = mailbox.sync.cursor.as_deref();
        let mut changes = exchange.changes(cursor, self.worker.page).await.map_err(Stop::Exchange)?;
        if let Some(allows) = changes.server_allows {
            self.worker.connections.learn(profile.id, allows);
        }
        if cursor.is_none() && mailbox.sync.processed > 0 {
            self.forget_decided(&mut changes).await?;
        }
        let has_work =
            !(changes.listed.is_empty() && self.deferred(mailbox).is_empty() && mailbox.sync.to_move.is_empty());
        if has_work {
            self.start().await?;
        }
        // As of that commit: what an administrator set before a message arrived holds for it.
        let Some(mailbox) = self.known.state.live().cloned() else { return Err(Stop::Refused) };
        let (skipped, wanted) = self.judge(&mailbox, profile, &changes);
        let mut outcomes = skipped;
        outcomes.extend(fetching::promote_all(self.worker, &*exchange, &mailbox, &wanted).await?);
        let tried = outcomes.iter().any(|outcome| matches!(outcome.result, ItemResult::Failed(_)));
        self.finish(Some(changes.cursor), outcomes).await?;
        if tried {
            lock(&self.worker.retried).insert(self.id, clock::now());
        }
        self.move_undeliverable(&*exchange).await?;
        Ok(if changes.more { End::More } else { End::Done })
    }

    /// The folder is listed anew after its state was lost: what has a verdict is not decided again (INV-1).
    async fn forget_decided(&self, changes: &mut Changes) -> Result<(), Stop> {
        let mut decided = HashSet::new();
        let mut after = 0;
        loop {
            let history =
                self.worker.journal.history::<Cycles>(self.id, after, 500).await.map_err(|_| Stop::Journal)?;
            let Some(last) = history.last() else { break };
            after = last.sequence;
            for event in history.iter().flat_map(|commit| &commit.events) {
                if let Event::AttemptFinished { verdicts, .. } = event {
                    decided.extend(verdicts.iter().map(|verdict| verdict.item.id.clone()));
                }
            }
        }
        changes.listed.retain(|listed| !decided.contains(&listed.item.id));
        Ok(())
    }

    fn judge(&self, mailbox: &Mailbox, profile: &Profile, changes: &Changes) -> (Vec<ItemOutcome>, Vec<Item>) {
        let from = mailbox.process_email_from(profile.settings.process_email_from);
        let mut skipped = Vec::new();
        let mut wanted = self.deferred(mailbox);
        for listed in &changes.listed {
            if mailbox.sync.deferred.contains_key(&listed.item.id) {
                continue;
            }
            match judge_listed(listed, mailbox.settings.filtering_method, from) {
                Some(reason) => {
                    skipped.push(ItemOutcome { item: listed.item.clone(), result: ItemResult::Skipped(reason) });
                }
                None => wanted.push(listed.item.clone()),
            }
        }
        (skipped, wanted)
    }

    /// The deferred messages, if it is time to try them again: not with every poll, or a passing trouble of the CRM would
    /// use up their tries within a minute.
    fn deferred(&self, mailbox: &Mailbox) -> Vec<Item> {
        let last = lock(&self.worker.retried).get(&self.id).copied();
        let due = last.is_none_or(|last| self.started_at.duration_since(last) >= self.worker.retry.interval);
        if !due && self.trigger != Trigger::Asked {
            return Vec::new();
        }
        mailbox.sync.deferred.values().map(|deferral| deferral.item.clone()).collect()
    }

    async fn move_undeliverable(&mut self, exchange: &dyn Exchange) -> Result<(), Stop> {
        let to_move: Vec<_> =
            self.known.state.live().map(|mailbox| mailbox.sync.to_move.keys().cloned().collect()).unwrap_or_default();
        for item_id in to_move {
            let moved = exchange.move_to_undeliverable(&item_id).await.map_err(Stop::Exchange)?;
            let fault = moved.err();
            self.commit(move |epoch| CycleCommand::RecordMove {
                epoch,
                item_id: item_id.clone(),
                fault: fault.clone(),
            })
            .await?;
        }
        Ok(())
    }

    async fn start(&mut self) -> Result<(), Stop> {
        let trigger = self.trigger;
        self.commit(move |epoch| CycleCommand::Start { epoch, trigger }).await
    }

    async fn finish(&mut self, cursor: Option<String>, outcomes: Vec<ItemOutcome>) -> Result<(), Stop> {
        let (started_at, trigger) = (self.started_at, self.trigger);
        self.commit(move |epoch| CycleCommand::Finish {
            epoch,
            started_at,
            trigger,
            cursor: cursor.clone(),
            outcomes: outcomes.clone(),
        })
        .await
    }

    /// Decides and appends; the mailbox is claimed with the first commit that has something to say.
    async fn commit(&mut self, command: impl Fn(u64) -> CycleCommand + Send + Sync) -> Result<(), Stop> {
        let (worker, id, own) = (self.worker, self.id, self.epoch);
        let decide = |state: &State| decide(worker, id, own, state, &worker.facts(id), &command);
        match worker.journal.execute_on(id, &worker.actor, &mut self.known, decide).await {
            Ok(executed) => {
                if !executed.events.is_empty() {
                    self.epoch = executed.state.live().map(|mailbox| mailbox.sync.epoch);
                    worker.directory.commit(id, &self.known);
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
        let (started_at, trigger) = (self.started_at, self.trigger);
        let recorded = match result {
            Ok(end) => return end,
            Err(Stop::Refused) => return End::Done,
            Err(Stop::Journal) => return End::Unrecorded,
            Err(Stop::Exchange(Failure::Throttled(wait, report))) => {
                let until = throttled_until(clock::now(), wait);
                self.commit(move |epoch| CycleCommand::Throttle { epoch, until, report: report.clone() }).await
            }
            // Without a cursor there is nothing to forget: listing anew would meet the same again, at once and for ever.
            Err(Stop::Exchange(Failure::Resync(report))) if self.has_cursor() => {
                tracing::info!(mailbox.id = %self.id, detail = report.detail, "the folder is listed anew");
                match self.finish(Some(String::new()), Vec::new()).await {
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

/// At least five seconds even where Exchange suggests zero, at most an hour (PROTOCOL.md §5).
fn throttled_until(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    let wait = wait.clamp(std::time::Duration::from_secs(5), std::time::Duration::from_secs(3600));
    jiff::SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}
