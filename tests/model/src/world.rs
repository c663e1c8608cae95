//! What is outside of the workers: journal, Exchange, CRM and lease.

use std::{
    collections::BTreeSet,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;
use postroad_core::{
    Aggregate as _,
    mailbox::{
        AdminCommand, AdminFacts, Administration, Approval, Decision, Draft, Event, FilteringMethod, Kind, Method,
        PerDirection, ProfileFacts, RetryPolicy, SendEvent, Stage, State,
    },
};
use uuid::Uuid;

use crate::{
    Flaw, Protocol,
    worker::{Answer, Request, Worker},
};

/// The one email of the outbox.
pub const EMAIL: Uuid = Uuid::from_u128(0xe);

/// One commit of the journal.
pub struct Commit {
    /// Who made it, in which cycle, and after which commit: what `Nats-Msg-Id` tells apart.
    pub id: (Option<usize>, u8, usize),
    /// What happened.
    pub events: Vec<Event>,
    /// Tells commits apart without comparing events.
    digest: u64,
}

impl Commit {
    /// A commit; `None` is the administrator.
    pub fn new(id: (Option<usize>, u8, usize), events: Vec<Event>) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        (id, format!("{events:?}")).hash(&mut hasher);
        Self { id, events, digest: hasher.finish() }
    }
}

impl PartialEq for Commit {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Commit {}

impl Hash for Commit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {:?}", self.id, self.events)
    }
}

/// The commits of the mailbox, each with the state after it.
#[derive(Clone)]
pub struct Journal {
    commits: Vec<(Arc<Commit>, Arc<State>)>,
}

impl PartialEq for Journal {
    fn eq(&self, other: &Self) -> bool {
        self.commits.iter().map(|one| &one.0).eq(other.commits.iter().map(|one| &one.0))
    }
}

impl Eq for Journal {}

impl Hash for Journal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.commits.iter().for_each(|(commit, _)| commit.hash(state));
        self.commits.len().hash(state);
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first one made the mailbox.
        formatter.debug_list().entries(self.commits.iter().skip(1).map(|one| &one.0)).finish()
    }
}

impl Journal {
    /// How many commits there are: the last sequence.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// The state after so many commits.
    pub fn state(&self, sequence: usize) -> State {
        let index = sequence.checked_sub(1);
        index.and_then(|index| self.commits.get(index)).map_or_else(State::default, |one| State::clone(&one.1))
    }

    /// The sequence of a commit after another sequence.
    pub fn find(&self, id: (Option<usize>, u8, usize), after: usize) -> Option<usize> {
        let index = self.commits.iter().skip(after).position(|one| one.0.id == id)?;
        Some(after + index + 1)
    }

    /// Everything that happened.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.commits.iter().flat_map(|one| &one.0.events)
    }

    /// How many workers have owned the mailbox.
    pub fn owners(&self) -> usize {
        let claims = self.events().filter_map(|event| match event {
            Event::Claimed { worker, .. } => Some(worker.as_str()),
            _ => None,
        });
        claims.collect::<BTreeSet<_>>().len()
    }

    /// INV-6 without looking at epochs: whoever commits is the one who claimed last.
    pub fn is_by_owners(&self) -> bool {
        let mut owner = None;
        for (commit, _) in &self.commits {
            let Some(author) = commit.id.0 else { continue };
            if commit.events.iter().any(|event| matches!(event, Event::Claimed { .. })) {
                owner = Some(author);
            }
            if owner != Some(author) {
                return false;
            }
        }
        true
    }

    fn push(&mut self, commit: Arc<Commit>) {
        let after = Administration::fold(self.state(self.len()), &commit.events);
        self.commits.push((commit, Arc::new(after)));
    }
}

/// The mailbox in Exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Messages in the Inbox, in the order in which they came.
    pub inbox: u8,
    /// Rises when synchronization states are forgotten.
    pub generation: u8,
    /// The drafts that are there.
    pub drafts: BTreeSet<u8>,
    /// How many drafts were made.
    pub made: u8,
    /// Whether it refuses the email for good.
    pub refuses: bool,
    /// How often the email was sent.
    pub sent: u8,
}

/// How the email stands in the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits.
    PendingSend,
    /// A worker claimed it.
    Sending,
    /// It was sent.
    Sent,
    /// It was given up.
    Failed,
}

/// The CRM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Crm {
    /// The messages that are activities; by their identity, so at most once (INV-2).
    pub activities: BTreeSet<u8>,
    /// How the email stands.
    pub email: Status,
}

/// What may still happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Messages that arrive.
    pub messages: u8,
    /// Cycles.
    pub cycles: u8,
    /// Crashes.
    pub crashes: u8,
    /// Lost answers.
    pub losses: u8,
    /// Changes by an administrator.
    pub changes: u8,
    /// Forgotten synchronization states.
    pub resyncs: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The commits.
    pub journal: Journal,
    /// The mailbox.
    pub exchange: Exchange,
    /// The CRM.
    pub crm: Crm,
    /// Who holds the lease.
    pub lease: Option<usize>,
    /// The workers.
    pub workers: [Worker; 2],
    /// What may still happen.
    pub left: Left,
}

impl World {
    /// An enabled mailbox that nobody has owned.
    pub fn new(protocol: &Protocol) -> Self {
        let mut journal = Journal { commits: Vec::new() };
        journal.push(Arc::new(Commit::new((None, 0, 0), created(protocol))));
        let worker = || Worker::new(journal.len());
        let workers = [worker(), worker()];
        let crm = Crm { activities: BTreeSet::new(), email: Status::PendingSend };
        let Protocol { messages, cycles, crashes, losses, changes, resyncs, .. } = *protocol;
        let left = Left { messages, cycles, crashes, losses, changes, resyncs };
        Self { journal, exchange: Exchange::default(), crm, lease: None, workers, left }
    }

    /// A worker.
    pub fn worker(&mut self, number: usize) -> Option<&mut Worker> {
        self.workers.get_mut(number)
    }

    /// A message arrives.
    pub fn arrive(&mut self) {
        self.left.messages -= 1;
        self.exchange.inbox += 1;
    }

    /// Exchange forgets all synchronization states.
    pub fn forget_cursors(&mut self) {
        self.left.resyncs -= 1;
        self.exchange.generation += 1;
    }

    /// The administrator stops the mailbox, or lets it go on.
    pub fn change(&mut self) {
        self.left.changes -= 1;
        let state = self.journal.state(self.journal.len());
        let is_active = state.live().is_some_and(|mailbox| mailbox.active);
        let command = if is_active { AdminCommand::Deactivate } else { AdminCommand::Activate };
        let Ok(events) = Administration::decide(&state, &command, &admin_facts()) else { return };
        self.journal.push(Arc::new(Commit::new((None, 0, self.journal.len()), events)));
    }

    /// A worker's request is done where it was sent to, and the answer is on its way.
    pub fn serve(&mut self, protocol: &Protocol, number: usize, refuses: bool) -> Option<()> {
        let request = self.worker(number)?.call.clone()?;
        let answer = self.take(protocol, &request, refuses);
        self.worker(number)?.answer = Some(answer);
        Some(())
    }

    /// A request arrives.
    pub fn take(&mut self, protocol: &Protocol, request: &Request, refuses: bool) -> Answer {
        match request {
            Request::Changes { cursor } => {
                let Exchange { inbox, generation, .. } = self.exchange;
                let from = match cursor {
                    Some((of, _)) if *of != generation => return Answer::Forgotten,
                    Some((_, from)) => *from,
                    None => 0,
                };
                // A page holds one message.
                let to = inbox.min(from + 1);
                Answer::Changes { listed: (from..to).collect(), cursor: (generation, to), more: to < inbox }
            }
            Request::Promote(items) => {
                if refuses {
                    return Answer::Is(false);
                }
                self.crm.activities.extend(items);
                Answer::Is(true)
            }
            Request::Outbox => Answer::Is(matches!(self.crm.email, Status::PendingSend | Status::Sending)),
            Request::Claim => {
                if self.crm.email == Status::PendingSend {
                    self.crm.email = Status::Sending;
                }
                Answer::Is(self.crm.email == Status::Sending)
            }
            Request::Report(status) => {
                if self.crm.email != Status::Sent {
                    self.crm.email = *status;
                }
                Answer::Done
            }
            Request::Drafts => Answer::Drafts(self.exchange.drafts.clone()),
            Request::Discard { drafts, .. } => {
                self.exchange.drafts.retain(|draft| !drafts.contains(draft));
                Answer::Done
            }
            Request::Make => {
                self.exchange.made += 1;
                self.exchange.drafts.insert(self.exchange.made);
                Answer::Made(self.exchange.made)
            }
            Request::Look(draft) => Answer::Is(self.exchange.drafts.contains(draft)),
            Request::IsSent => Answer::Is(self.exchange.sent > 0),
            Request::Send(draft) => {
                // What is refused for good is not accepted from somebody else a moment later.
                self.exchange.refuses |= refuses;
                if self.exchange.refuses && self.exchange.drafts.contains(draft) {
                    return Answer::Refused;
                }
                let is_there = self.exchange.drafts.remove(draft);
                self.exchange.sent += u8::from(is_there);
                Answer::Is(is_there)
            }
            Request::Append { expected, commit, .. } => {
                let is_fenced = protocol.flaw != Some(Flaw::Unfenced);
                if is_fenced && *expected != self.journal.len() {
                    // As services/journal answers: the last commit may be this one, its acknowledgement lost.
                    let is_own = self.journal.commits.last().is_some_and(|last| last.0.id == commit.id);
                    return if is_own { Answer::Appended(self.journal.len()) } else { Answer::Conflict };
                }
                self.journal.push(Arc::clone(commit));
                Answer::Appended(self.journal.len())
            }
        }
    }

    /// Messages that the cursor passed, and that have no verdict and are not to be tried again.
    pub fn passed_without_verdict(&self) -> Vec<u8> {
        let state = self.journal.state(self.journal.len());
        let Some(mailbox) = state.live() else { return Vec::new() };
        let passed = mailbox.sync.cursor.as_deref().and_then(cursor_of).map_or(0, |(_, passed)| passed);
        let decided: BTreeSet<&str> = self.verdicts().map(|(id, _)| id).collect();
        let is_known = |item: &String| decided.contains(item.as_str()) || mailbox.sync.deferred.contains_key(item);
        (0..passed).filter(|item| !is_known(&item.to_string())).collect()
    }

    /// Messages with a verdict that they are tracked, without an activity.
    pub fn tracked_without_activity(&self) -> Vec<u8> {
        let tracked = self.verdicts().filter(|(_, decision)| matches!(decision, Decision::Tracked { .. }));
        let items = tracked.filter_map(|(id, _)| id.parse().ok());
        items.filter(|item| !self.crm.activities.contains(item)).collect()
    }

    /// How many messages have a verdict.
    pub fn decided(&self) -> usize {
        self.verdicts().map(|(id, _)| id).collect::<BTreeSet<_>>().len()
    }

    /// Whether the journal or the CRM says that the email was sent.
    pub fn counts_as_sent(&self) -> bool {
        let is_sent = |event: &Event| matches!(event, Event::Sending { event: SendEvent::Sent { .. }, .. });
        self.crm.email == Status::Sent || self.journal.events().any(is_sent)
    }

    fn verdicts(&self) -> impl Iterator<Item = (&str, &Decision)> {
        let verdicts = self.journal.events().filter_map(|event| match event {
            Event::AttemptFinished { verdicts, .. } => Some(verdicts),
            _ => None,
        });
        verdicts.flatten().map(|verdict| (verdict.item.id.as_str(), &verdict.decision))
    }
}

/// How far the email is, as of a state.
pub fn stage(state: &State) -> Option<Stage> {
    state.live()?.sync.sending.get(&EMAIL).map(|sending| sending.stage.clone())
}

/// The parts of a cursor: whose, and how many messages it passed.
pub fn cursor_of(cursor: &str) -> Option<(u8, u8)> {
    let (generation, passed) = cursor.split_once('.')?;
    Some((generation.parse().ok()?, passed.parse().ok()?))
}

/// Time stands still: nothing here depends on how long something takes.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap_or_default()
}

fn admin_facts() -> AdminFacts {
    AdminFacts {
        now: now(),
        address_taken: false,
        regarding_taken: false,
        regarding_known: true,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        retry: RetryPolicy::default(),
    }
}

/// How an enabled mailbox came to be.
fn created(protocol: &Protocol) -> Vec<Event> {
    let method = |is_on: bool| if is_on { Method::ServerSideSync } else { Method::None };
    let (incoming, outgoing) = (method(protocol.messages > 0), method(protocol.sends));
    let draft = Draft {
        name: String::new(),
        kind: Some(Kind::User(Uuid::from_u128(5))),
        address: "ada@contoso.example".into(),
        profile_id: Some(Uuid::from_u128(1)),
        methods: PerDirection { incoming, outgoing, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    };
    let passed = |is_on: bool| is_on.then_some(Ok(()));
    let outcomes = PerDirection {
        incoming: passed(protocol.messages > 0),
        outgoing: passed(protocol.sends),
        ..PerDirection::default()
    };
    let commands = [
        AdminCommand::Create { id: Uuid::from_u128(9), draft, sealed: None },
        AdminCommand::SetApproval(Approval::Approved),
        AdminCommand::RecordTest(outcomes),
    ];
    let (mut state, mut all) = (State::default(), Vec::new());
    for command in commands {
        let events = Administration::decide(&state, &command, &admin_facts()).unwrap_or_default();
        state = Administration::fold(state, &events);
        all.extend(events);
    }
    all
}
