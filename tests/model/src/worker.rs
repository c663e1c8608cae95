//! The steps of a worker, as `services/sync/src/{cycle,outbox}.rs` take them.

use std::{collections::BTreeSet, sync::Arc};

use postroad_core::{
    Aggregate as _, Refusal,
    fault::{Code, Report},
    mailbox::{
        Acceptance, Confirmation, CycleCommand, CycleFacts, Cycles, Event, FilteringMethod, From, Item, ItemOutcome,
        ItemResult, Page, ProfileFacts, RetryPolicy, SendCommand, Stage, State, Trigger,
    },
};
use uuid::Uuid;

use crate::{
    Flaw, Protocol,
    world::{Commit, EMAIL, Status, World, cursor_of, now, stage},
};

/// How often a commit is decided anew.
const TRIES: u8 = 3;

/// What a worker asks of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Exchange: what came since.
    Changes { cursor: Option<(u8, u8)> },
    /// CRM: promote messages.
    Promote(Vec<u8>),
    /// CRM: whether the email waits.
    Outbox,
    /// CRM: claim it.
    Claim,
    /// CRM: what became of it.
    Report(Status),
    /// Exchange: the drafts of the email.
    Drafts,
    /// Exchange: remove drafts, and then go on.
    Discard { drafts: BTreeSet<u8>, then: Then },
    /// Exchange: make one.
    Make,
    /// Exchange: whether one is there.
    Look(u8),
    /// Exchange: whether a copy lies in Sent Items.
    IsSent,
    /// Exchange: send one.
    Send(u8),
    /// The journal.
    Append { expected: usize, commit: Arc<Commit>, purpose: Purpose, tries: u8 },
}

impl Request {
    /// Whether it may be refused.
    pub const fn may_be_refused(&self) -> bool {
        matches!(self, Self::Promote(_) | Self::Send(_))
    }

    /// Whether only the holder of the lease may send it (`exchange/paced.rs`).
    const fn is_guarded(&self) -> bool {
        use Request::{Append, Changes, Claim, Discard, Drafts, IsSent, Look, Make, Outbox, Promote, Report, Send};
        match self {
            Changes { .. } | Drafts | Discard { .. } | Make | Look(_) | IsSent | Send(_) => true,
            Promote(_) | Outbox | Claim | Report(_) | Append { .. } => false,
        }
    }
}

/// What follows when drafts were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// The email is prepared.
    Prepare,
    /// The refusal is noted.
    NoteFailure,
    /// The CRM is told.
    Tell,
    /// The cycle ends.
    End,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What came, one page.
    Changes { listed: Vec<u8>, cursor: (u8, u8), more: bool },
    /// The synchronization state is unknown.
    Forgotten,
    /// Yes or no.
    Is(bool),
    /// Drafts.
    Drafts(BTreeSet<u8>),
    /// A draft was made.
    Made(u8),
    /// It was done.
    Done,
    /// It is refused for good.
    Refused,
    /// The commit has this sequence.
    Appended(usize),
    /// Somebody else was faster.
    Conflict,
}

/// What a commit is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An attempt begins.
    Start,
    /// It ends; whether the CRM took the messages.
    Finish { promoted: bool },
    /// The cursor before the verdicts: a flaw.
    Pass,
    /// The folder is to be listed anew.
    Resync,
    /// The email is going to be sent.
    Intend(BTreeSet<u8>),
    /// Its draft is ready.
    Ready { draft: u8, is_sent: bool },
    /// It was sent.
    Sent(Answered),
    /// It was refused, by the CRM or, with this draft, by Exchange.
    Failure(Option<u8>),
    /// The CRM knows.
    Reported,
}

/// How it is known that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answered {
    /// Exchange said so.
    Yes,
    /// A copy was found.
    Copy,
    /// The draft is gone.
    Gone,
}

/// One worker; everything in its memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    /// The commits that it has heard of outside of a cycle.
    pub heard: usize,
    /// The commits that its cycle knows.
    known: usize,
    /// The epoch that its cycle goes by.
    epoch: Option<u64>,
    /// The cycle's number.
    cycle: u8,
    /// The messages that the cycle is about.
    wanted: Vec<u8>,
    /// The cursor that it listed from.
    from: Option<(u8, u8)>,
    /// The verdicts that there were then.
    processed: u64,
    /// The cursor that it will commit, and whether more is there.
    page: Option<((u8, u8), bool)>,
    /// What it waits for.
    pub call: Option<Request>,
    /// The answer, once it is there.
    pub answer: Option<Answer>,
    /// A request that it does not wait for any more.
    pub late: Option<Request>,
}

impl Worker {
    /// One that has heard of so many commits.
    pub const fn new(heard: usize) -> Self {
        Self {
            heard,
            known: 0,
            epoch: None,
            cycle: 0,
            wanted: Vec::new(),
            from: None,
            processed: 0,
            page: None,
            call: None,
            answer: None,
            late: None,
        }
    }

    /// It stops waiting; the request may still arrive.
    pub fn give_up(&mut self) {
        self.late = self.call.take();
        self.end();
    }

    /// It dies. The new process reads the journal before it does anything.
    pub fn crash(&mut self) {
        // What was answered did arrive.
        let late = if self.answer.is_some() { self.late.take() } else { self.call.take().or_else(|| self.late.take()) };
        *self = Self { late, ..Self::new(usize::MAX) };
    }

    fn end(&mut self) {
        self.heard = if self.heard == usize::MAX { self.heard } else { self.heard.max(self.known) };
        *self = Self { late: self.late.take(), ..Self::new(self.heard) };
    }
}

/// A cycle begins; only the holder of the lease does so.
pub fn begin(protocol: &Protocol, world: &mut World, number: usize, is_current: bool) -> Option<()> {
    let len = world.journal.len();
    let cycle = protocol.cycles - world.left.cycles + 1;
    world.left.cycles -= 1;
    let worker = world.worker(number)?;
    if is_current || worker.heard > len {
        worker.heard = len;
    }
    worker.known = worker.heard;
    worker.cycle = cycle;
    let state = known(world, number)?;
    let mailbox = state.live()?;
    world.worker(number)?.processed = mailbox.sync.processed;
    world.worker(number)?.epoch = (mailbox.sync.worker == name(number)).then_some(mailbox.sync.epoch);
    if protocol.messages > 0 {
        let cursor = mailbox.sync.cursor.as_deref().and_then(cursor_of);
        return ask(world, number, Request::Changes { cursor });
    }
    ask(world, number, Request::Outbox)
}

/// The answer is lost. A commit is sent again; anything else ends the cycle.
pub fn miss(world: &mut World, number: usize) -> Option<()> {
    let worker = world.worker(number)?;
    worker.answer = None;
    if !matches!(worker.call, Some(Request::Append { .. })) {
        worker.end();
    }
    Some(())
}

/// The worker goes on with its answer.
pub fn resume(protocol: &Protocol, world: &mut World, number: usize) -> Option<()> {
    let worker = world.worker(number)?;
    let (call, answer) = (worker.call.take()?, worker.answer.take()?);
    match (call, answer) {
        (Request::Append { commit, purpose, tries, .. }, answer) => {
            appended(protocol, world, number, (&commit, purpose, tries), &answer)
        }
        (Request::Changes { cursor }, Answer::Changes { listed, cursor: next, more }) => {
            world.worker(number)?.from = cursor;
            listed_page(protocol, world, number, (listed, next, more))
        }
        (Request::Changes { .. }, _) => commit(protocol, world, number, Purpose::Resync),
        (Request::Promote(_), answer) => {
            let promoted = answer == Answer::Is(true);
            commit(protocol, world, number, Purpose::Finish { promoted })
        }
        (Request::Outbox, answer) => outbox(protocol, world, number, answer == Answer::Is(true)),
        (Request::Drafts, Answer::Drafts(drafts)) if protocol.flaw == Some(Flaw::DiscardNotFenced) => {
            ask(world, number, Request::Discard { drafts, then: Then::Prepare })
        }
        (Request::Drafts, Answer::Drafts(drafts)) => commit(protocol, world, number, Purpose::Intend(drafts)),
        (Request::Drafts | Request::Discard { then: Then::Prepare, .. }, _) => ask(world, number, Request::Claim),
        (Request::Discard { then: Then::NoteFailure, .. }, _) => {
            commit(protocol, world, number, Purpose::Failure(None))
        }
        (Request::Discard { then: Then::Tell, .. }, _) => tell(world, number),
        (Request::Claim, Answer::Is(true)) => ask(world, number, Request::Make),
        (Request::Claim, _) => commit(protocol, world, number, Purpose::Failure(None)),
        (Request::Make, Answer::Made(draft)) if protocol.flaw == Some(Flaw::DraftNotNoted) => {
            ask(world, number, Request::Send(draft))
        }
        (Request::Make, Answer::Made(draft)) => {
            commit(protocol, world, number, Purpose::Ready { draft, is_sent: false })
        }
        (Request::Look(draft), Answer::Is(true)) => ask(world, number, Request::Send(draft)),
        (Request::Look(_), _) => ask(world, number, Request::IsSent),
        (Request::IsSent, answer) => {
            let how = if answer == Answer::Is(true) { Answered::Copy } else { Answered::Gone };
            commit(protocol, world, number, Purpose::Sent(how))
        }
        (Request::Send(draft), Answer::Is(true)) if protocol.flaw == Some(Flaw::DraftNotNoted) => {
            commit(protocol, world, number, Purpose::Ready { draft, is_sent: true })
        }
        (Request::Send(_), Answer::Is(true)) => commit(protocol, world, number, Purpose::Sent(Answered::Yes)),
        (Request::Send(draft), Answer::Refused) if protocol.flaw == Some(Flaw::DiscardedFirst) => {
            let drafts = BTreeSet::from([draft]);
            ask(world, number, Request::Discard { drafts, then: Then::NoteFailure })
        }
        (Request::Send(draft), Answer::Refused) => commit(protocol, world, number, Purpose::Failure(Some(draft))),
        // Somebody changed or sent it.
        (Request::Send(draft), _) => ask(world, number, Request::Look(draft)),
        (Request::Report(_), _) => commit(protocol, world, number, Purpose::Reported),
        (Request::Discard { .. } | Request::Make, _) => end(world, number),
    }
}

fn listed_page(
    protocol: &Protocol,
    world: &mut World,
    number: usize,
    (mut listed, cursor, more): (Vec<u8>, (u8, u8), bool),
) -> Option<()> {
    if world.worker(number)?.from.is_none() {
        // As in `incoming::forget_decided`, which reads the whole history.
        let decided: BTreeSet<String> = decided(world);
        listed.retain(|item| !decided.contains(&item.to_string()));
    }
    let state = known(world, number)?;
    let deferred = &state.live()?.sync.deferred;
    let has_work = !listed.is_empty() || !deferred.is_empty();
    let worker = world.worker(number)?;
    worker.page = Some((cursor, more));
    worker.wanted = listed;
    if !has_work {
        return commit(protocol, world, number, Purpose::Finish { promoted: true });
    }
    commit(protocol, world, number, Purpose::Start)
}

fn decided(world: &World) -> BTreeSet<String> {
    let verdicts = world.journal.events().filter_map(|event| match event {
        Event::AttemptFinished { verdicts, .. } => Some(verdicts),
        _ => None,
    });
    verdicts.flatten().map(|verdict| verdict.item.id.clone()).collect()
}

fn outbox(protocol: &Protocol, world: &mut World, number: usize, waits: bool) -> Option<()> {
    match stage(&known(world, number)?) {
        None if !waits => end(world, number),
        None => commit(protocol, world, number, Purpose::Intend(BTreeSet::new())),
        Some(Stage::Intended) => ask(world, number, Request::Drafts),
        Some(Stage::Ready { draft_id }) => ask(world, number, Request::Look(draft_id.parse().ok()?)),
        Some(Stage::Sent) => ask(world, number, Request::Report(Status::Sent)),
        Some(Stage::Failed(_)) => ask(world, number, Request::Report(Status::Failed)),
    }
}

/// Sends a request, where only the holder may if it is to Exchange.
fn ask(world: &mut World, number: usize, request: Request) -> Option<()> {
    let holds = world.lease == Some(number);
    let worker = world.worker(number)?;
    if request.is_guarded() && !holds {
        worker.end();
        return Some(());
    }
    worker.call = Some(request);
    Some(())
}

fn end(world: &mut World, number: usize) -> Option<()> {
    world.worker(number)?.end();
    Some(())
}

fn commit(protocol: &Protocol, world: &mut World, number: usize, purpose: Purpose) -> Option<()> {
    let purpose = match purpose {
        Purpose::Finish { .. } if protocol.flaw == Some(Flaw::CursorFirst) => {
            let state = known(world, number)?;
            let (cursor, _) = world.worker(number)?.page?;
            let is_passed = state.live()?.sync.cursor.as_deref().and_then(cursor_of) == Some(cursor);
            if is_passed { purpose } else { Purpose::Pass }
        }
        purpose => purpose,
    };
    attempt(protocol, world, number, purpose, 0)
}

/// Decides and appends, as `Journal::execute_on`.
fn attempt(protocol: &Protocol, world: &mut World, number: usize, purpose: Purpose, tries: u8) -> Option<()> {
    if tries >= TRIES {
        return refused(world, number, &purpose);
    }
    let state = known(world, number)?;
    let (len, holds) = (world.journal.len(), world.lease == Some(number));
    let worker = world.worker(number)?;
    match decide(worker, number, &state, holds, &purpose) {
        Err(_) if tries == 0 && worker.known < len => {
            worker.known = len;
            attempt(protocol, world, number, purpose, 1)
        }
        Err(_) => refused(world, number, &purpose),
        Ok(events) if events.is_empty() => done(protocol, world, number, purpose),
        Ok(events) => {
            let expected = worker.known;
            let commit = Arc::new(Commit::new((Some(number), worker.cycle, expected), events));
            worker.call = Some(Request::Append { expected, commit, purpose, tries });
            Some(())
        }
    }
}

fn appended(
    protocol: &Protocol,
    world: &mut World,
    number: usize,
    (commit, purpose, tries): (&Commit, Purpose, u8),
    answer: &Answer,
) -> Option<()> {
    let known = world.worker(number)?.known;
    let made = match answer {
        Answer::Appended(sequence) => Some(*sequence),
        _ if protocol.flaw == Some(Flaw::ForgetsOwnCommit) => None,
        _ => world.journal.find(commit.id, known),
    };
    let Some(sequence) = made else {
        world.worker(number)?.known = world.journal.len();
        return attempt(protocol, world, number, purpose, tries + 1);
    };
    let epoch = world.journal.state(sequence).live()?.sync.epoch;
    let len = world.journal.len();
    let worker = world.worker(number)?;
    // What followed the own commit is known as well.
    worker.known = if *answer == Answer::Conflict { len } else { sequence };
    worker.epoch = Some(epoch);
    done(protocol, world, number, purpose)
}

fn refused(world: &mut World, number: usize, purpose: &Purpose) -> Option<()> {
    match purpose {
        // Another owner goes on with a draft of its own.
        Purpose::Ready { draft, .. } => {
            let drafts = BTreeSet::from([*draft]);
            ask(world, number, Request::Discard { drafts, then: Then::End })
        }
        _ => end(world, number),
    }
}

/// A commit was made, or holds already.
fn done(protocol: &Protocol, world: &mut World, number: usize, purpose: Purpose) -> Option<()> {
    match purpose {
        Purpose::Start => {
            // What was listed may have been decided by somebody else until this commit.
            let state = known(world, number)?;
            let mailbox = state.live()?;
            let cursor = mailbox.sync.cursor.as_deref().and_then(cursor_of);
            let has_moved =
                cursor != world.worker(number)?.from || mailbox.sync.processed != world.worker(number)?.processed;
            if has_moved && protocol.flaw != Some(Flaw::StalePage) {
                return end(world, number);
            }
            let deferred = &mailbox.sync.deferred;
            let worker = world.worker(number)?;
            worker.wanted.retain(|item| !deferred.contains_key(&item.to_string()));
            worker.wanted.extend(deferred.keys().filter_map(|id| id.parse::<u8>().ok()));
            let wanted = worker.wanted.clone();
            ask(world, number, Request::Promote(wanted))
        }
        Purpose::Pass => attempt(protocol, world, number, Purpose::Finish { promoted: true }, 0),
        Purpose::Finish { .. } => {
            let has_more = world.worker(number)?.page.is_none_or(|(_, more)| more);
            if has_more || !protocol.sends {
                return end(world, number);
            }
            ask(world, number, Request::Outbox)
        }
        Purpose::Resync | Purpose::Reported => end(world, number),
        Purpose::Ready { is_sent: true, .. } => commit(protocol, world, number, Purpose::Sent(Answered::Yes)),
        Purpose::Ready { draft, .. } => {
            // The stage is read again from what the cycle knows.
            match stage(&known(world, number)?) {
                Some(Stage::Ready { .. }) => ask(world, number, Request::Send(draft)),
                _ => end(world, number),
            }
        }
        Purpose::Intend(drafts) if drafts.is_empty() => ask(world, number, Request::Claim),
        Purpose::Intend(drafts) => ask(world, number, Request::Discard { drafts, then: Then::Prepare }),
        Purpose::Failure(Some(draft)) => {
            let drafts = BTreeSet::from([draft]);
            ask(world, number, Request::Discard { drafts, then: Then::Tell })
        }
        Purpose::Sent(_) | Purpose::Failure(None) => tell(world, number),
    }
}

/// Tells the CRM what became of the email.
fn tell(world: &mut World, number: usize) -> Option<()> {
    match stage(&known(world, number)?) {
        Some(Stage::Sent) => ask(world, number, Request::Report(Status::Sent)),
        Some(Stage::Failed(_)) => ask(world, number, Request::Report(Status::Failed)),
        Some(Stage::Intended | Stage::Ready { .. }) | None => end(world, number),
    }
}

fn decide(
    worker: &Worker,
    number: usize,
    state: &State,
    holds: bool,
    purpose: &Purpose,
) -> Result<Vec<Event>, Refusal> {
    let facts = facts();
    if let Some(epoch) = worker.epoch {
        return Cycles::decide(state, &command(worker, purpose, epoch), &facts);
    }
    if !holds {
        return Err(Refusal::new(Code::NotOwner, "mailbox", "its lease is not held any more"));
    }
    let mut events = Cycles::decide(state, &CycleCommand::Claim { worker: name(number) }, &facts)?;
    let claimed = Cycles::fold(state.clone(), &events);
    let epoch = claimed.live().map_or(0, |mailbox| mailbox.sync.epoch);
    let more = Cycles::decide(&claimed, &command(worker, purpose, epoch), &facts)?;
    if more.is_empty() {
        return Ok(Vec::new());
    }
    events.extend(more);
    Ok(events)
}

fn command(worker: &Worker, purpose: &Purpose, epoch: u64) -> CycleCommand {
    let send = |command| CycleCommand::Send { epoch, command };
    let finish = |page| {
        let (started_at, trigger) = (now(), Trigger::Timer);
        CycleCommand::Finish { epoch, started_at, trigger, page: Box::new(page) }
    };
    let cursor = worker.page.map(|((generation, passed), _)| format!("{generation}.{passed}"));
    match purpose {
        Purpose::Start => CycleCommand::Start { epoch, trigger: Trigger::Timer },
        Purpose::Finish { promoted } => {
            let outcomes = worker.wanted.iter().map(|item| outcome(*item, *promoted)).collect();
            finish(Page { cursor, outcomes, ..Page::default() })
        }
        Purpose::Pass => finish(Page { cursor, has_updates: true, ..Page::default() }),
        Purpose::Resync => finish(Page { cursor: Some(String::new()), ..Page::default() }),
        Purpose::Intend(_) => {
            send(SendCommand::Intend { email_id: EMAIL, attempt: 1, message_id: "<e.1@contoso.example>".into() })
        }
        Purpose::Ready { draft, .. } => send(SendCommand::RecordDraft { email_id: EMAIL, draft_id: draft.to_string() }),
        Purpose::Sent(how) => {
            let confirmation = match how {
                Answered::Yes => Confirmation::Answered,
                Answered::Copy => Confirmation::CopyFound,
                Answered::Gone => Confirmation::DraftGone,
            };
            send(SendCommand::RecordSent { email_id: EMAIL, confirmation })
        }
        Purpose::Failure(_) => {
            let report = Report::new(Code::StateConflict, "is not waiting to be sent");
            send(SendCommand::RecordFailure { email_id: EMAIL, report })
        }
        Purpose::Reported => send(SendCommand::RecordReport { email_id: EMAIL }),
    }
}

fn outcome(item: u8, promoted: bool) -> ItemOutcome {
    let id = item.to_string();
    let result = if promoted {
        let acceptance = Acceptance {
            address: "ada@contoso.example".into(),
            method: FilteringMethod::AllMessages,
            correlation: None,
            mark: None,
        };
        ItemResult::Promoted { email_id: Uuid::from_u128(u128::from(item)), created: true, acceptance }
    } else {
        ItemResult::Failed(Report::new(Code::ItemUnreadable, "the CRM refused it"))
    };
    ItemOutcome::new(Item { message_id: Some(format!("<{id}@x>")), id, received: None }, result)
}

fn known(world: &mut World, number: usize) -> Option<State> {
    let known = world.worker(number)?.known;
    Some(world.journal.state(known))
}

fn name(number: usize) -> String {
    format!("worker-{number}")
}

fn facts() -> CycleFacts {
    CycleFacts {
        now: now(),
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        move_failed_emails: false,
        from: From(None),
        marks_tracked: false,
        retry: RetryPolicy::default(),
    }
}
