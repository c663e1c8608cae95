//! The 50 % rule (setup guide, Email Notifications; spec §7.2): the owner of a profile gets one mail if more than half of
//! the mailboxes processed in a clock hour failed.
//!
//! A mailbox counts once per hour, by its last outcome: one that failed and then succeeded is successful, one that was not
//! tried counts neither way. The rule is asked when the hour has closed, and during the hour as soon as so many failed
//! that it would hold even if every other mailbox of the profile succeeded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Aggregate, Refusal,
    fault::{Code, Report},
};

/// Hours whose attempts count: the running one, the one before, and one for clocks that differ.
const COUNTED: i64 = 3;

/// A clock hour (UTC), counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour that contains a time.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(3600))
    }

    /// The hour in which an attempt counts that says it was made in this one, if it still does, by the clock of who counts.
    ///
    /// Clocks differ: the next hour is believed. What lies further ahead was made now, by a clock that is wrong; it must move no
    /// hour out of the count, as it would if the newest hour that anybody names were the present one.
    pub fn counted(self, present: Self) -> Option<Self> {
        let oldest = Self(present.0.saturating_sub(COUNTED - 1));
        match self {
            hour if hour < oldest => None,
            hour if hour.0 > present.0.saturating_add(1) => Some(present),
            hour => Some(hour),
        }
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(self.0.saturating_mul(3600)).unwrap_or(Timestamp::MIN)
    }

    /// When it ends, which is when the next one begins.
    pub fn end(self) -> Timestamp {
        Self(self.0.saturating_add(1)).start()
    }
}

/// The outcomes of one profile in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    last: BTreeMap<Uuid, Option<Code>>,
}

impl Tally {
    /// Notes an attempt on a mailbox; `None` is success. The last one of the hour counts.
    pub fn note(&mut self, mailbox: Uuid, fault: Option<Code>) {
        self.last.insert(mailbox, fault);
    }

    /// What was seen so far.
    pub fn evidence(&self) -> Evidence {
        let mut faults = BTreeMap::<Code, u64>::new();
        for code in self.last.values().flatten() {
            *faults.entry(*code).or_default() += 1;
        }
        let failed = faults.values().sum();
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
        Evidence { processed: self.last.len() as u64, failed, faults }
    }
}

/// How many mailboxes were processed and failed, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Mailboxes processed in the hour.
    pub processed: u64,
    /// Of these, failed.
    pub failed: u64,
    /// The faults, the commonest first.
    pub faults: Vec<(Code, u64)>,
}

impl Evidence {
    /// The rule itself: strictly more than half failed.
    pub fn more_than_half_failed(&self) -> bool {
        self.failed.saturating_mul(2) > self.processed
    }

    /// Whether the rule holds at `now` for `hour`; `mailboxes` is how many of the profile may still be processed in it.
    pub fn holds(&self, hour: Hour, now: Timestamp, mailboxes: u64) -> bool {
        let closed = now >= hour.end();
        let denominator = if closed { self.processed } else { self.processed.max(mailboxes) };
        self.failed.saturating_mul(2) > denominator
    }

    /// Failed of processed in percent, rounded down, as the setup guide's table prints it.
    pub fn percent(&self) -> u64 {
        self.failed.saturating_mul(100).checked_div(self.processed).unwrap_or(0)
    }
}

/// What became of the mail of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Decided; the SMTP transaction may have begun.
    Intended,
    /// The relay accepted it.
    Sent,
    /// The relay certainly did not accept it; may be tried again.
    Failed(Report),
    /// It is unknown whether the relay accepted it; never repeated, since at most one may be sent.
    Unknown,
}

/// The notifications of a profile: the last hours that had one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By hour.
    pub hours: BTreeMap<Hour, Delivery>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The mail of an hour is going to be sent.
    Intended { hour: Hour, at: Timestamp, evidence: Evidence },
    /// It was sent.
    Sent { hour: Hour, at: Timestamp, recipient: String },
    /// It was certainly not sent.
    Failed { hour: Hour, at: Timestamp, report: Report },
    /// A crash or a lost answer left it unknown.
    Unknown { hour: Hour, at: Timestamp },
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Send the mail of an hour, if the rule holds.
    Notify { hour: Hour, evidence: Evidence, mailboxes: u64 },
    /// The relay accepted it.
    ConfirmSent { hour: Hour, recipient: String },
    /// The relay did not accept it.
    ConfirmFailed { hour: Hour, report: Report },
    /// It cannot be known.
    GiveUp { hour: Hour },
}

/// What a decision may know.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Now.
    pub now: Timestamp,
    /// Whether the profile sends alert emails.
    pub switched_on: bool,
}

/// The aggregate.
pub struct Rules;

/// Hours that are remembered; a mail is never sent for an older one.
const REMEMBERED: usize = 48;

impl Aggregate for Rules {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Facts = Facts;
    type Refusal = Refusal;

    fn decide(state: &State, command: &Command, facts: &Facts) -> Result<Vec<Event>, Refusal> {
        let at = facts.now;
        match command {
            Command::Notify { hour, evidence, mailboxes } => {
                // The owner hears of the hour that is running or of the one before, not of old ones after an outage.
                let recent = Hour::of(at).0.saturating_sub(hour.0) <= 1;
                let free = matches!(state.hours.get(hour), None | Some(Delivery::Failed(_)));
                if !(facts.switched_on && recent && free && evidence.holds(*hour, at, *mailboxes)) {
                    return Ok(Vec::new());
                }
                Ok(vec![Event::Intended { hour: *hour, at, evidence: evidence.clone() }])
            }
            Command::ConfirmSent { hour, recipient } => {
                intended(state, *hour)?;
                Ok(vec![Event::Sent { hour: *hour, at, recipient: recipient.clone() }])
            }
            Command::ConfirmFailed { hour, report } => {
                intended(state, *hour)?;
                Ok(vec![Event::Failed { hour: *hour, at, report: report.clone() }])
            }
            Command::GiveUp { hour } => {
                intended(state, *hour)?;
                Ok(vec![Event::Unknown { hour: *hour, at }])
            }
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        let (hour, delivery) = match event {
            Event::Intended { hour, .. } => (*hour, Delivery::Intended),
            Event::Sent { hour, .. } => (*hour, Delivery::Sent),
            Event::Failed { hour, report, .. } => (*hour, Delivery::Failed(report.clone())),
            Event::Unknown { hour, .. } => (*hour, Delivery::Unknown),
        };
        state.hours.insert(hour, delivery);
        while state.hours.len() > REMEMBERED {
            state.hours.pop_first();
        }
        state
    }
}

fn intended(state: &State, hour: Hour) -> Result<(), Refusal> {
    if state.hours.get(&hour) == Some(&Delivery::Intended) {
        return Ok(());
    }
    Err(Refusal::new(Code::StateConflict, "hour", "has no mail under way"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const HOUR: Hour = Hour(500_000);

    #[rstest]
    #[case::the_running_one(0, Some(0))]
    #[case::the_one_before(-1, Some(-1))]
    #[case::one_for_clocks_that_differ(-2, Some(-2))]
    #[case::too_old(-3, None)]
    #[case::a_clock_somewhat_ahead(1, Some(1))]
    #[case::a_clock_far_ahead(2, Some(0))]
    #[case::a_clock_years_ahead(100_000, Some(0))]
    fn an_attempt_counts_in_the_hour_it_names_if_that_can_be(#[case] named: i64, #[case] counts: Option<i64>) {
        let counted = Hour(HOUR.0 + named).counted(HOUR);
        assert_eq!(counted, counts.map(|distance| Hour(HOUR.0 + distance)));
        assert_eq!(Hour(i64::MAX).counted(HOUR), Some(HOUR));
        assert_eq!(Hour(i64::MIN).counted(Hour(i64::MIN)), Some(Hour(i64::MIN)));
    }

    fn tally(processed: u64, failed: u64) -> Tally {
        let mut tally = Tally::default();
        for index in 0..processed {
            tally.note(Uuid::from_u128(u128::from(index)), (index < failed).then_some(Code::HttpUnavailable));
        }
        tally
    }

    fn facts(now: Timestamp) -> Facts {
        Facts { now, switched_on: true }
    }

    fn notify(state: &State, evidence: Evidence, mailboxes: u64, facts: &Facts) -> Vec<Event> {
        Rules::decide(state, &Command::Notify { hour: HOUR, evidence, mailboxes }, facts).unwrap()
    }

    /// The three rows of the setup guide's table, and the edges of spec §12.5.
    #[rstest]
    #[case(15, 10, true, 66)]
    #[case(40, 30, true, 75)]
    #[case(1000, 300, false, 30)]
    #[case(15, 8, true, 53)]
    #[case(30, 15, false, 50)]
    #[case(0, 0, false, 0)]
    #[case(1, 1, true, 100)]
    fn check_05_the_guides_table_and_exactly_half(
        #[case] processed: u64,
        #[case] failed: u64,
        #[case] sends: bool,
        #[case] percent: u64,
    ) {
        let evidence = tally(processed, failed).evidence();
        assert_eq!((evidence.percent(), evidence.more_than_half_failed()), (percent, sends));
        assert_eq!(!notify(&State::default(), evidence, 2000, &facts(HOUR.end())).is_empty(), sends);
    }

    #[test]
    fn within_the_hour_untried_mailboxes_might_still_succeed() {
        let evidence = tally(15, 10).evidence();
        assert!(notify(&State::default(), evidence.clone(), 20, &facts(HOUR.start())).is_empty());
        assert!(!notify(&State::default(), evidence, 19, &facts(HOUR.start())).is_empty());
    }

    #[test]
    fn a_mailbox_that_recovered_counts_as_successful() {
        let mut tally = tally(3, 2);
        tally.note(Uuid::from_u128(0), None);
        assert_eq!(tally.evidence(), Evidence { processed: 3, failed: 1, faults: vec![(Code::HttpUnavailable, 1)] });
    }

    #[test]
    fn switched_off_means_no_mail() {
        let off = Facts { now: HOUR.end(), switched_on: false };
        assert!(notify(&State::default(), tally(15, 10).evidence(), 15, &off).is_empty());
    }

    #[test]
    fn an_old_hour_is_not_reported() {
        let late = facts(Hour(HOUR.0 + 2).start());
        assert!(notify(&State::default(), tally(15, 10).evidence(), 15, &late).is_empty());
    }

    #[test]
    fn what_was_certainly_not_sent_is_tried_again_and_what_is_unknown_is_not() {
        let failed = Delivery::Failed(Report::new(Code::NotificationFailed, ""));
        for (delivery, again) in
            [(failed, true), (Delivery::Unknown, false), (Delivery::Intended, false), (Delivery::Sent, false)]
        {
            let state = State { hours: BTreeMap::from([(HOUR, delivery)]) };
            assert_eq!(!notify(&state, tally(3, 3).evidence(), 3, &facts(HOUR.end())).is_empty(), again);
        }
    }

    proptest! {
        /// INV-8 over random histories: at most one mail per profile and hour, none at half or below.
        #[test]
        fn at_most_one_mail_per_hour(
            attempts in prop::collection::vec((0..12u128, any::<bool>(), 0..4 * 3600i64), 0..200),
            mailboxes in 1..12u64,
        ) {
            let mut attempts = attempts;
            attempts.sort_by_key(|(_, _, second)| *second);
            let mut tallies = BTreeMap::<Hour, Tally>::new();
            let mut state = State::default();
            let mut sent = BTreeMap::<Hour, u32>::new();
            for (mailbox, failed, second) in attempts {
                let now = HOUR.start() + jiff::SignedDuration::from_secs(second);
                let hour = Hour::of(now);
                tallies.entry(hour).or_default().note(Uuid::from_u128(mailbox), failed.then_some(Code::DnsFailed));
                for (hour, tally) in &tallies {
                    let command = Command::Notify { hour: *hour, evidence: tally.evidence(), mailboxes };
                    let events = Rules::decide(&state, &command, &facts(now)).unwrap();
                    if !events.is_empty() {
                        prop_assert!(tally.evidence().more_than_half_failed());
                        *sent.entry(*hour).or_default() += 1;
                    }
                    state = Rules::fold(state, &events);
                }
            }
            prop_assert!(sent.values().all(|count| *count == 1));
        }
    }
}
