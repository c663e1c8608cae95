//! What happens when: a pure function of a seed.

use std::{collections::BTreeMap, time::Duration};

use mockex::{Fault, ItemFault};
use rand::{
    RngExt as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use stage::{smtp::Behaviour, wire::Condition};
use system::fragile::{Link, Member};

use crate::fault::{deck, flaws};

/// The regions of the play.
pub const REGIONS: [&str; 3] = ["europe", "america", "asia"];
/// Workers beside the first one.
pub const WORKERS: usize = 2;
/// Mailboxes, spread over the regions.
pub const MAILBOXES: usize = 12;

/// The address of a mailbox.
pub fn address(mailbox: usize) -> String {
    format!("box{mailbox}@contoso.example")
}

/// A play.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it follows from.
    pub seed: u64,
    /// How long it lasts.
    pub length: Duration,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// How long it lasts, where it is undone.
    pub lasts: Option<Duration>,
    /// What.
    pub act: Act,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Act {
    /// Mail arrives.
    Deliver { mailbox: usize, flaw: Option<ItemFault> },
    /// A person queues an email.
    Queue { mailbox: usize },
    /// A process is killed, and started again afterwards.
    Kill(Member),
    /// A process is asked to stop, and started again afterwards.
    Stop(Member),
    /// A process is paused, and goes on afterwards.
    Pause(Member),
    /// nats-server is killed, and started again afterwards.
    KillNats,
    /// nats-server is paused, and goes on afterwards.
    PauseNats,
    /// A wire is not whole.
    Wire(Link, Condition),
    /// The fake Exchange does something wrong.
    Fault(Box<Fault>),
    /// All hanging connections are cut.
    CutStreams,
    /// Exchange forgets subscriptions: of one mailbox, or all.
    ForgetSubscriptions(Option<usize>),
    /// A mailbox is served by another region.
    Move { mailbox: usize, region: usize },
    /// A mailbox is full.
    Fill(usize),
    /// The clock of a process is off by so many seconds.
    Clock(Member, i64),
    /// The mail relay does something else than its work.
    Relay(Behaviour),
    /// An administrator enters the profile's password again, after which everything that was disabled is tried.
    Repair,
}

/// Whom something happens to; nothing happens to anybody twice at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Process(Member),
    Nats,
    Wire(Link),
    Clock(Member),
    Full(usize),
    Relay,
}

/// Cards that are dealt again only after all were.
struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

/// Things of one sort, one after the other.
struct Lane {
    random: StdRng,
    at: Duration,
    end: Duration,
    steps: Vec<Step>,
    /// Until when something is wrong with whom.
    busy: BTreeMap<Victim, Duration>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, length: Duration) -> Self {
        let lane = |number: u64, begin: Duration| Lane {
            random: StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number)),
            at: begin,
            end: length,
            steps: Vec::new(),
            busy: BTreeMap::new(),
        };
        // Clocks jump at the end only: back-offs are judged by what clocks say, up to then.
        let clocks = length.mul_f64(0.65);
        let lanes = [
            letters(lane(1, Duration::ZERO)),
            queue(lane(2, Duration::ZERO)),
            processes(lane(3, Duration::ZERO)),
            wires(lane(4, Duration::ZERO)),
            faults(lane(5, Duration::ZERO)),
            happenings(lane(6, Duration::ZERO)),
            jumps(lane(7, clocks)),
            repairs(lane(8, Duration::ZERO)),
        ];
        let mut steps: Vec<Step> = lanes.into_iter().flatten().collect();
        steps.sort_by_key(|step| step.at);
        Self { seed, length, steps }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "the plan of seed {} for {} s:", self.seed, self.length.as_secs())?;
        for step in &self.steps {
            let lasts = step.lasts.map_or_else(String::new, |lasts| format!(" for {:.1} s", lasts.as_secs_f64()));
            writeln!(formatter, "{:7.2} s {:?}{lasts}", step.at.as_secs_f64(), step.act)?;
        }
        Ok(())
    }
}

impl<T: Clone> Deck<T> {
    const fn new(all: Vec<T>) -> Self {
        Self { all, left: Vec::new() }
    }

    fn deal(&mut self, random: &mut StdRng) -> Option<T> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.left.shuffle(random);
        }
        self.left.pop()
    }
}

impl Lane {
    /// Goes on by some milliseconds; false at the end.
    fn next(&mut self, between: std::ops::Range<u64>) -> bool {
        self.at += Duration::from_millis(self.random.random_range(between));
        self.at < self.end
    }

    fn add(&mut self, act: Act) {
        self.steps.push(Step { at: self.at, lasts: None, act });
    }

    /// Something that is undone; nothing if it would happen to somebody to whom something happens already.
    fn add_for(&mut self, victim: Option<Victim>, milliseconds: std::ops::Range<u64>, act: Act) {
        let lasts = Duration::from_millis(self.random.random_range(milliseconds));
        // All is undone by the end.
        let lasts = lasts.min(self.end.saturating_sub(self.at));
        if let Some(victim) = victim {
            if self.busy.get(&victim).is_some_and(|until| *until >= self.at) {
                return;
            }
            self.busy.insert(victim, self.at + lasts);
        }
        self.steps.push(Step { at: self.at, lasts: Some(lasts), act });
    }

    fn mailbox(&mut self) -> usize {
        self.random.random_range(0..MAILBOXES)
    }
}

fn letters(mut lane: Lane) -> Vec<Step> {
    let mut flawed = Deck::new(flaws().to_vec());
    while lane.next(50..400) {
        let mailbox = lane.mailbox();
        let flaw = if lane.random.random_ratio(1, 12) { flawed.deal(&mut lane.random).flatten() } else { None };
        lane.add(Act::Deliver { mailbox, flaw });
    }
    lane.steps
}

fn queue(mut lane: Lane) -> Vec<Step> {
    while lane.next(300..1500) {
        let mailbox = lane.mailbox();
        lane.add(Act::Queue { mailbox });
    }
    lane.steps
}

fn processes(mut lane: Lane) -> Vec<Step> {
    let mut cards: Vec<(Victim, Act)> = Member::all(WORKERS)
        .flat_map(|member| {
            [Act::Kill(member), Act::Stop(member), Act::Pause(member)].map(|act| (Victim::Process(member), act))
        })
        .collect();
    for _ in 0..2 {
        cards.extend([Act::KillNats, Act::PauseNats].map(|act| (Victim::Nats, act)));
    }
    let mut cards = Deck::new(cards);
    while lane.next(800..2400) {
        let Some((victim, act)) = cards.deal(&mut lane.random) else { break };
        // Longer than a lease, often.
        lane.add_for(Some(victim), 100..4000, act);
    }
    lane.steps
}

fn wires(mut lane: Lane) -> Vec<Step> {
    let mut links = Deck::new(Link::all(WORKERS, REGIONS.len()).collect());
    let mut conditions = Deck::new(vec![
        Condition::Cut,
        Condition::Stalled,
        Condition::HalfClosed,
        Condition::Delayed(Duration::from_millis(150)),
        Condition::Trickling(200),
    ]);
    while lane.next(500..2000) {
        let (link, condition) = (links.deal(&mut lane.random), conditions.deal(&mut lane.random));
        let (Some(link), Some(condition)) = (link, condition) else { break };
        lane.add_for(Some(Victim::Wire(link)), 100..4000, Act::Wire(link, condition));
    }
    lane.steps
}

fn faults(mut lane: Lane) -> Vec<Step> {
    let mut cards = Deck::new(deck());
    let mailboxes: Vec<String> = (0..MAILBOXES).map(address).collect();
    while lane.next(500..1800) {
        let Some(card) = cards.deal(&mut lane.random) else { break };
        let fault = card.aimed(&mut lane.random, &REGIONS, &mailboxes);
        lane.add_for(None, 300..3500, Act::Fault(Box::new(fault)));
    }
    lane.steps
}

fn happenings(mut lane: Lane) -> Vec<Step> {
    let refusing = Behaviour { refuse: Some("451 4.3.0 try later".to_owned()), ..Behaviour::default() };
    let silent = Behaviour { silent_after_data: true, ..Behaviour::default() };
    let mut kinds = Deck::new((0..7).collect::<Vec<u8>>());
    while lane.next(1000..3000) {
        let mailbox = lane.mailbox();
        match kinds.deal(&mut lane.random) {
            Some(0) => lane.add(Act::CutStreams),
            Some(1) => lane.add(Act::ForgetSubscriptions(Some(mailbox))),
            Some(2) => lane.add(Act::ForgetSubscriptions(None)),
            Some(3) => {
                let region = lane.random.random_range(0..REGIONS.len());
                lane.add(Act::Move { mailbox, region });
            }
            Some(4) => lane.add_for(Some(Victim::Full(mailbox)), 500..4000, Act::Fill(mailbox)),
            Some(5) => lane.add_for(Some(Victim::Relay), 1000..5000, Act::Relay(refusing.clone())),
            _ => lane.add_for(Some(Victim::Relay), 1000..5000, Act::Relay(silent.clone())),
        }
    }
    lane.steps
}

fn jumps(mut lane: Lane) -> Vec<Step> {
    let mut members = Deck::new(Member::all(WORKERS).collect());
    let seconds = [-7200, -60, -5, 5, 60, 7200];
    while lane.next(500..2500) {
        let Some(member) = members.deal(&mut lane.random) else { break };
        let off = seconds.choose(&mut lane.random).copied().unwrap_or_default();
        // The process notices within a second.
        lane.add_for(Some(Victim::Clock(member)), 2000..5000, Act::Clock(member, off));
    }
    lane.steps
}

fn repairs(mut lane: Lane) -> Vec<Step> {
    while lane.next(4000..8000) {
        lane.add(Act::Repair);
    }
    lane.steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as the run of every change.
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_reproduces_its_plan_and_another_one_has_another() {
        let text = |seed| Plan::new(seed, MINUTE).to_string();
        assert_eq!(text(7), text(7));
        assert_ne!(text(7).lines().nth(5), text(8).lines().nth(5));
    }

    #[test]
    fn within_a_minute_everything_happens() {
        for seed in 0..20 {
            let plan = Plan::new(seed, MINUTE);
            let has = |what: &str, is_it: &dyn Fn(&Act) -> bool| {
                assert!(plan.steps.iter().any(|step| is_it(&step.act)), "seed {seed}: no {what}\n{plan}");
            };
            for member in Member::all(WORKERS) {
                has(
                    &format!("kill, stop or pause of {member:?}"),
                    &|act| matches!(act, Act::Kill(one) | Act::Stop(one) | Act::Pause(one) if *one == member),
                );
            }
            has("kill of NATS", &|act| matches!(act, Act::KillNats));
            has("pause of NATS", &|act| matches!(act, Act::PauseNats));
            for condition in ["Cut", "Stalled", "HalfClosed", "Delayed", "Trickling"] {
                let is_it = |act: &Act| matches!(act, Act::Wire(_, one) if format!("{one:?}").starts_with(condition));
                has(condition, &is_it);
            }
            for card in deck() {
                // Kinds by their names alone: forms of one are as good as another here.
                let name = |text: String| text.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
                let wanted = name(format!("{:?}", card.kind()));
                let is_it = |act: &Act| matches!(act, Act::Fault(one) if name(format!("{:?}", one.kind)) == wanted);
                has(&wanted, &is_it);
            }
            has("jump of a clock", &|act| matches!(act, Act::Clock(..)));
            has("flawed letter", &|act| matches!(act, Act::Deliver { flaw: Some(_), .. }));
            has("queued email", &|act| matches!(act, Act::Queue { .. }));
        }
    }

    #[test]
    fn nobody_is_hit_twice_at_the_same_time_and_all_is_undone_by_the_end() {
        for seed in 0..50 {
            let plan = Plan::new(seed, MINUTE);
            let mut until: BTreeMap<String, Duration> = BTreeMap::new();
            for step in &plan.steps {
                let end = step.at + step.lasts.unwrap_or_default();
                assert!(end <= MINUTE, "{step:?}");
                let victim = match &step.act {
                    Act::Kill(member) | Act::Stop(member) | Act::Pause(member) => format!("{member:?}"),
                    Act::KillNats | Act::PauseNats => "NATS".to_owned(),
                    Act::Wire(link, _) => format!("wire {link:?}"),
                    Act::Clock(member, _) => format!("clock of {member:?}"),
                    _ => continue,
                };
                let before = until.insert(victim, end);
                assert!(before.is_none_or(|before| before < step.at), "seed {seed}: {step:?}");
            }
        }
    }

    #[test]
    fn clocks_are_right_in_the_first_half() {
        let plan = Plan::new(3, MINUTE);
        let first = plan.steps.iter().find(|step| matches!(step.act, Act::Clock(..))).unwrap();
        assert!(first.at > MINUTE / 2);
    }
}
