//! A model of the lease and fencing protocol: two workers, one mailbox, and every order in which their steps, the server's answers, a
//! crash, a lost answer, a lease that runs out and an administrator's change may come.
//!
//! The journal's side is the real one: [`Cycles`](postroad_core::mailbox::Cycles) decides and folds, and the invariants are those of
//! `core::invariant`. Modelled are the order in which a worker takes its steps (`services/sync/src/{cycle,outbox}.rs`), Exchange,
//! the CRM, and the way a commit is repeated (`services/journal/src/execute.rs`). Whoever changes the order there changes it here.
//!
//! Between two steps anything may happen to others, so a pause needs no state of its own. A lease is one fact: a holder's own
//! deadline is never later than the bucket's, so "believes to hold" implies "holds". [`ownership`] shows that it is so.

use postroad_core::invariant;
use stateright::{Model, Property};

pub mod ownership;
mod worker;
mod world;

pub use world::{Commit, Crm, Exchange, Journal, Status, World};

/// What is left out, to show that the model would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The journal takes every commit, whatever its author knew.
    Unfenced,
    /// The cursor is committed before the verdicts.
    CursorFirst,
    /// A draft is sent before the journal knows it.
    DraftNotNoted,
    /// A commit whose acknowledgement was lost, and that another one followed, is taken for not made.
    ForgetsOwnCommit,
    /// Messages are decided that were listed from a cursor which another worker has moved meanwhile.
    StalePage,
    /// Drafts that an earlier try left are removed without a commit between finding and removing them.
    DiscardNotFenced,
    /// A draft that Exchange refuses for good is removed before the journal knows of the refusal.
    DiscardedFirst,
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Messages that arrive; none: incoming mail is off.
    pub messages: u8,
    /// Whether an email waits in the outbox.
    pub sends: bool,
    /// Cycles that are begun, by both workers together.
    pub cycles: u8,
    /// Crashes at any step.
    pub crashes: u8,
    /// Answers that get lost, requests that arrive late, messages that the CRM and drafts that Exchange refuse.
    pub losses: u8,
    /// How often an administrator stops the mailbox and lets it go on.
    pub changes: u8,
    /// How often Exchange forgets the synchronization state.
    pub resyncs: u8,
    /// What is left out.
    pub flaw: Option<Flaw>,
}

/// A state that must be reachable.
pub const DONE: &str = "everything is done";
/// Another one.
pub const CHANGED_HANDS: &str = "the mailbox changes hands";

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A message arrives.
    Arrive,
    /// Exchange forgets the synchronization state.
    Forget,
    /// An administrator stops the mailbox, or lets it go on.
    Change,
    /// The lease runs out or is given back.
    Lose,
    /// A worker gets the lease.
    Win(usize),
    /// It begins a cycle, having heard of all commits or only of those it had heard of before.
    Begin { worker: usize, is_current: bool },
    /// Its request is done where it was sent to.
    Serve(usize),
    /// The same, but the message or draft is refused.
    Refuse(usize),
    /// It goes on with the answer.
    Resume(usize),
    /// Its request is done, and the answer is lost.
    LoseAnswer(usize),
    /// It gives up waiting; the request is still on its way.
    GiveUp(usize),
    /// What was on its way arrives.
    ArriveLate(usize),
    /// It dies, and is there again without a memory; its request is still on its way.
    Crash(usize),
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        if left.messages > 0 {
            actions.push(Action::Arrive);
        }
        if left.resyncs > 0 && world.exchange.inbox > 0 {
            actions.push(Action::Forget);
        }
        if left.changes > 0 {
            actions.push(Action::Change);
        }
        if world.lease.is_some() {
            actions.push(Action::Lose);
        }
        for (number, worker) in world.workers.iter().enumerate() {
            if world.lease.is_none() {
                actions.push(Action::Win(number));
            }
            if worker.late.is_some() {
                actions.push(Action::ArriveLate(number));
            }
            if left.crashes > 0 && (worker.call.is_some() || worker.answer.is_some()) {
                actions.push(Action::Crash(number));
            }
            if worker.answer.is_some() {
                actions.push(Action::Resume(number));
            } else if let Some(call) = &worker.call {
                actions.push(Action::Serve(number));
                if left.losses > 0 {
                    actions.extend([Action::LoseAnswer(number), Action::GiveUp(number)]);
                    actions.extend(call.may_be_refused().then_some(Action::Refuse(number)));
                }
            } else if left.cycles > 0 && world.lease == Some(number) {
                actions.push(Action::Begin { worker: number, is_current: true });
                if worker.heard < world.journal.len() {
                    actions.push(Action::Begin { worker: number, is_current: false });
                }
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        match action {
            Action::Arrive => world.arrive(),
            Action::Forget => world.forget_cursors(),
            Action::Change => world.change(),
            Action::Lose => world.lease = None,
            Action::Win(worker) => world.lease = Some(worker),
            Action::Begin { worker, is_current } => worker::begin(self, &mut world, worker, is_current)?,
            Action::Serve(worker) => world.serve(self, worker, false)?,
            Action::Refuse(worker) => {
                world.left.losses -= 1;
                world.serve(self, worker, true)?;
            }
            Action::Resume(worker) => worker::resume(self, &mut world, worker)?,
            Action::LoseAnswer(worker) => {
                world.left.losses -= 1;
                world.serve(self, worker, false)?;
                worker::miss(&mut world, worker)?;
            }
            Action::GiveUp(worker) => {
                world.left.losses -= 1;
                world.worker(worker)?.give_up();
            }
            Action::ArriveLate(worker) => {
                let late = world.worker(worker)?.late.take()?;
                world.take(self, &late, false);
            }
            Action::Crash(worker) => {
                world.left.crashes -= 1;
                world.worker(worker)?.crash();
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("INV-1 one verdict per item", |_, world: &World| {
                invariant::one_verdict_per_item(world.journal.events()).is_ok()
            }),
            Property::always("INV-3 the cursor never passes an item without a verdict", |_, world: &World| {
                world.passed_without_verdict().is_empty()
            }),
            Property::always("INV-3 what has a verdict of being tracked is in the CRM", |_, world: &World| {
                world.tracked_without_activity().is_empty()
            }),
            Property::always("INV-6 a stale owner cannot append", |_, world: &World| {
                invariant::stale_owner_cannot_append(world.journal.events()).is_ok() && world.journal.is_by_owners()
            }),
            Property::always("INV-10 the history of an email is in order", |_, world: &World| {
                invariant::sent_at_most_once(world.journal.events()).is_ok()
            }),
            Property::always("INV-10 a queued email is sent at most once", |_, world: &World| world.exchange.sent <= 1),
            Property::always("INV-10 what counts as sent was sent", |_, world: &World| {
                !world.counts_as_sent() || world.exchange.sent == 1
            }),
            Property::always("INV-10 what counts as failed was not sent", |_, world: &World| {
                world.crm.email != Status::Failed || world.exchange.sent == 0
            }),
            // The model would hold as well if nothing could ever be done.
            Property::sometimes(DONE, |protocol: &Self, world: &World| {
                let all_decided = world.decided() == usize::from(protocol.messages);
                all_decided && (!protocol.sends || world.crm.email == Status::Sent && world.exchange.sent == 1)
            }),
            Property::sometimes(CHANGED_HANDS, |_, world: &World| world.journal.owners() == 2),
        ]
    }
}
