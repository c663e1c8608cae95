//! A model of how one partition is held by one of two workers (`services/sync/src/ownership/round.rs`): each says with a lease that
//! it lives, and the partition names its holder. Requests get lost, arrive late, or their answers do not arrive; leases run out at
//! any time after their holders' deadlines; a pause is a time in which only the others take steps.
//!
//! Time is modelled by the renewals themselves: each has a number, and its deadline has passed for its worker once that number has.
//! The server ends no lease before.

#![expect(clippy::indexing_slicing, reason = "the workers are 0 and 1")]

use stateright::{Model, Property};

/// What is left out, to show that the model would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Whether a holder lives is asked before it is looked up who holds.
    LifeFirst,
    /// A worker whose lease was lost goes on holding.
    HoldsOn,
    /// A partition is taken whatever its revision is.
    TakesBlindly,
    /// The deadline is counted from the answer.
    CountsFromAnswer,
    /// What is given back is held until the server answers.
    HoldsUntilAnswered,
    /// Every lease of the own name is taken for the one that was renewed.
    AnyTerm,
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    /// Rounds that are begun, by both workers together.
    pub rounds: u8,
    /// Answers and requests that get lost or late.
    pub losses: u8,
    /// Whether the partition is placed elsewhere at times.
    pub leaves: bool,
    /// What is left out.
    pub flaw: Option<Flaw>,
}

/// What must never be.
pub const ONE_HOLDER: &str = "at most one worker holds the partition";
/// What must be possible.
pub const TAKEN_FROM_GONE: &str = "it is taken from one that is gone";
/// What must be possible.
pub const GIVEN_BACK: &str = "it is given back and taken";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    /// Makes the lease where there is none.
    Acquire(u8),
    /// Renews the lease of a revision.
    Renew { number: u8, revision: u8, term: u8 },
    /// Reads the own lease.
    Own,
    /// Asks whether the other worker lives.
    Life,
    /// Takes the partition as it was known.
    Take(u8),
    /// Gives the partition back.
    GiveBack(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done(u8),
    Refused,
    Lease(Option<(u8, u8)>),
    Lives(bool),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Worker {
    /// Renewals that were sent.
    sent: u8,
    /// The number up to which deadlines have passed.
    passed: u8,
    /// The renewal whose deadline counts.
    deadline: u8,
    /// The revision and the term of the lease; each acquisition begins a term.
    life: Option<(u8, u8)>,
    held: Option<u8>,
    /// What it is at, and the answer once it is there.
    request: Option<Request>,
    answer: Option<Answer>,
    /// Whether the present round is to take the partition, or to give it back.
    wants: bool,
    /// Who holds the partition, in which revision, as far as it was told.
    mirror: (Option<usize>, u8),
    /// The revision that was known before the holder's life was asked for.
    known: u8,
    /// A request that was given up and may still arrive.
    late: Option<Request>,
}

/// A state of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    workers: [Worker; 2],
    /// Of each worker: the number of the renewal, the revision, and the term.
    leases: [Option<(u8, u8, u8)>; 2],
    /// Who holds the partition, in which revision.
    holding: (Option<usize>, u8),
    revision: u8,
    rounds: u8,
    losses: u8,
    was_taken_from_gone: bool,
    was_given_back: bool,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A worker begins a round, in which the partition is placed with it or elsewhere.
    Begin(usize, bool),
    /// Its request is done at the server.
    Serve(usize),
    /// It goes on with the answer.
    Resume(usize),
    /// It hears of the partition.
    Hear(usize),
    /// The answer gets lost, and the round ends.
    LoseAnswer(usize),
    /// The round ends before the request arrives.
    GiveUp(usize),
    /// What was given up arrives.
    ArriveLate(usize),
    /// A deadline passes.
    Pass(usize),
    /// The server ends a lease.
    End(usize),
}

impl Worker {
    const fn lives(&self) -> bool {
        self.deadline > self.passed
    }

    fn ask(&mut self, request: Request) {
        self.request = Some(request);
        self.answer = None;
    }

    fn end(&mut self) {
        (self.request, self.answer, self.known) = (None, None, 0);
    }

    fn renewal(&mut self) -> Request {
        self.sent += 1;
        match self.life {
            Some((revision, term)) => Request::Renew { number: self.sent, revision, term },
            None => Request::Acquire(self.sent),
        }
    }

    /// Whoever holds nothing may go on with a lease of its own that it did not know of.
    fn takes_for_its_own(&self, found: u8, flaw: Option<Flaw>) -> bool {
        flaw == Some(Flaw::AnyTerm) || self.life.is_none_or(|(_, term)| term == found)
    }

    fn lose(&mut self, flaw: Option<Flaw>) {
        self.life = None;
        if flaw != Some(Flaw::HoldsOn) {
            self.held = None;
        }
    }

    fn begin(&mut self, wants: bool, flaw: Option<Flaw>) {
        self.wants = wants;
        if !self.lives() && flaw != Some(Flaw::HoldsOn) {
            self.held = None;
        }
        let request = self.renewal();
        self.ask(request);
    }

    /// Its lease is known to last; what comes next depends on where the partition is placed.
    fn renewed(&mut self, me: usize, number: u8, term: u8, revision: u8, flaw: Option<Flaw>) {
        self.life = Some((revision, term));
        self.deadline = if flaw == Some(Flaw::CountsFromAnswer) { self.sent + 1 } else { number };
        let (holder, revision) = self.mirror;
        let is_own = holder == Some(me);
        if self.held.is_some_and(|held| held < revision) {
            self.held = is_own.then_some(revision);
        }
        match (self.wants, self.held) {
            (true, None) if holder.is_none() || is_own => self.ask(Request::Take(revision)),
            (true, None) => {
                self.known = revision;
                self.ask(Request::Life);
            }
            (false, Some(revision)) => {
                if flaw != Some(Flaw::HoldsUntilAnswered) {
                    self.held = None;
                }
                self.ask(Request::GiveBack(revision));
            }
            (false, None) if is_own => self.ask(Request::GiveBack(revision)),
            (true, Some(_)) | (false, None) => self.end(),
        }
    }

    fn resume(&mut self, me: usize, flaw: Option<Flaw>) {
        let (Some(request), Some(answer)) = (self.request, self.answer) else { return };
        match (request, answer) {
            (Request::Acquire(number), Answer::Done(revision)) => self.renewed(me, number, number, revision, flaw),
            (Request::Renew { number, term, .. }, Answer::Done(revision)) => {
                self.renewed(me, number, term, revision, flaw);
            }
            (Request::Acquire(_) | Request::Renew { .. }, _) => self.ask(Request::Own),
            (Request::Own, Answer::Lease(Some((revision, term)))) if self.takes_for_its_own(term, flaw) => {
                self.sent += 1;
                self.ask(Request::Renew { number: self.sent, revision, term });
            }
            (Request::Own, _) => {
                self.lose(flaw);
                let request = self.renewal();
                self.ask(request);
            }
            (Request::Life, Answer::Lives(false)) if flaw == Some(Flaw::LifeFirst) => {
                self.ask(Request::Take(self.mirror.1));
            }
            (Request::Life, Answer::Lives(false)) => self.ask(Request::Take(self.known)),
            (Request::Take(_), Answer::Done(revision)) => {
                self.held = Some(revision);
                self.end();
            }
            (Request::GiveBack(_), _) => {
                if flaw == Some(Flaw::HoldsUntilAnswered) {
                    self.held = None;
                }
                self.end();
            }
            _ => self.end(),
        }
    }
}

impl World {
    const fn next(&mut self) -> u8 {
        self.revision += 1;
        self.revision
    }

    /// The server does what it is asked to.
    fn serve(&mut self, worker: usize, request: Request, flaw: Option<Flaw>) -> Answer {
        match request {
            Request::Acquire(number) if self.leases[worker].is_none() => {
                let revision = self.next();
                self.leases[worker] = Some((number, revision, number));
                Answer::Done(revision)
            }
            Request::Renew { number, revision, term } if self.is_held(worker, revision) => {
                let revision = self.next();
                self.leases[worker] = Some((number, revision, term));
                Answer::Done(revision)
            }
            Request::Acquire(_) | Request::Renew { .. } => Answer::Refused,
            Request::Own => Answer::Lease(self.leases[worker].map(|(_, revision, term)| (revision, term))),
            Request::Life => Answer::Lives(self.leases[1 - worker].is_some()),
            Request::Take(over) => {
                let (holder, revision) = self.holding;
                if revision != over && flaw != Some(Flaw::TakesBlindly) {
                    return Answer::Refused;
                }
                self.was_taken_from_gone |= holder.is_some_and(|holder| holder != worker);
                let revision = self.next();
                self.holding = (Some(worker), revision);
                Answer::Done(revision)
            }
            Request::GiveBack(revision) => {
                if self.holding.0.is_some() && self.holding.1 == revision {
                    self.holding = (None, self.next());
                    self.was_given_back = true;
                }
                Answer::Done(revision)
            }
        }
    }

    fn is_held(&self, worker: usize, revision: u8) -> bool {
        self.leases[worker].is_some_and(|(_, known, _)| known == revision)
    }

    fn holders(&self) -> usize {
        self.workers.iter().filter(|worker| worker.held.is_some() && worker.lives()).count()
    }
}

impl Model for Ownership {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (number, worker) in world.workers.iter().enumerate() {
            if worker.answer.is_some() {
                actions.push(Action::Resume(number));
            } else if worker.request.is_some() {
                actions.push(Action::Serve(number));
                if world.losses < self.losses {
                    actions.push(Action::LoseAnswer(number));
                    actions.extend(worker.late.is_none().then_some(Action::GiveUp(number)));
                }
            } else if world.rounds < self.rounds {
                actions.push(Action::Begin(number, true));
                actions.extend(self.leaves.then_some(Action::Begin(number, false)));
            }
            if worker.late.is_some() {
                actions.push(Action::ArriveLate(number));
            }
            if worker.mirror != world.holding {
                actions.push(Action::Hear(number));
            }
            if worker.passed < worker.sent {
                actions.push(Action::Pass(number));
            }
            if world.leases[number].is_some_and(|(renewal, ..)| renewal <= worker.passed) {
                actions.push(Action::End(number));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        match action {
            Action::Begin(worker, wants) => {
                world.rounds += 1;
                world.workers[worker].begin(wants, self.flaw);
            }
            Action::Serve(worker) => {
                let request = world.workers[worker].request?;
                world.workers[worker].answer = Some(world.serve(worker, request, self.flaw));
            }
            Action::Hear(worker) => world.workers[worker].mirror = world.holding,
            Action::Resume(worker) => world.workers[worker].resume(worker, self.flaw),
            Action::LoseAnswer(worker) => {
                world.losses += 1;
                let request = world.workers[worker].request?;
                world.serve(worker, request, self.flaw);
                world.workers[worker].end();
            }
            Action::GiveUp(worker) => {
                world.losses += 1;
                world.workers[worker].late = world.workers[worker].request;
                world.workers[worker].end();
            }
            Action::ArriveLate(worker) => {
                let request = world.workers[worker].late.take()?;
                world.serve(worker, request, self.flaw);
            }
            Action::Pass(worker) => world.workers[worker].passed += 1,
            Action::End(worker) => world.leases[worker] = None,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HOLDER, |_, world: &World| world.holders() <= 1),
            Property::sometimes(TAKEN_FROM_GONE, |_, world: &World| world.was_taken_from_gone && world.holders() == 1),
            Property::sometimes(GIVEN_BACK, |_, world: &World| world.was_given_back && world.holders() == 1),
        ]
    }
}
