//! What this worker did with messages, and how long they took: counted from what it committed.

use std::{sync::Mutex, time::Duration};

use jiff::Timestamp;
use postroad_core::{
    latency::{Latencies, Recent},
    mailbox::{Decision, Event, SendEvent, Verdict},
    pace::{Moment, Rate},
};

use crate::lock::lock;

/// Counted since the worker started.
#[derive(Default)]
pub struct Traffic(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    decided: u64,
    tracked: u64,
    sent: u64,
    decided_rate: Rate,
    sent_rate: Rate,
    arrivals: Recent,
}

impl Counted {
    fn decide(&mut self, now: Moment, verdict: &Verdict, took: Option<Duration>) {
        self.decided += 1;
        self.decided_rate.take(now);
        if matches!(verdict.decision, Decision::Tracked { .. }) {
            self.tracked += 1;
        }
        if let Some(took) = took {
            self.arrivals.note(now, took);
        }
    }
}

/// What was counted, at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Received messages that were decided.
    pub decided: u64,
    /// Those that are activities.
    pub tracked: u64,
    /// Emails that were sent.
    pub sent: u64,
    /// Decided a second, of the last seconds.
    pub decided_rate: f64,
    /// Sent a second, of the last seconds.
    pub sent_rate: f64,
    /// From arrival to CRM, of the last minute.
    pub arrivals: Latencies,
}

impl Traffic {
    /// These events of a mailbox that was enabled at a time are in the journal now.
    pub fn committed(&self, now: Moment, at: Timestamp, enabled_at: Option<Timestamp>, events: &[Event]) {
        let mut counted = lock(&self.0);
        for event in events {
            match event {
                Event::AttemptFinished { verdicts, .. } => {
                    verdicts.iter().for_each(|verdict| counted.decide(now, verdict, verdict.took(enabled_at, at)));
                }
                Event::Sending { event: SendEvent::Sent { .. }, .. } => {
                    counted.sent += 1;
                    counted.sent_rate.take(now);
                }
                _ => {}
            }
        }
    }

    /// What was counted.
    pub fn figures(&self, now: Moment) -> Figures {
        let counted = lock(&self.0);
        Figures {
            decided: counted.decided,
            tracked: counted.tracked,
            sent: counted.sent,
            decided_rate: counted.decided_rate.seen(now),
            sent_rate: counted.sent_rate.seen(now),
            arrivals: counted.arrivals.last_minute(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use postroad_core::{
        fault::{Code, Report},
        mailbox::{Confirmation, Item, RULE_VERSION, Reason, Trigger},
    };
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn verdict(decision: Decision) -> Verdict {
        let item = Item { id: "i".into(), message_id: None, received: Some(at(198)) };
        Verdict { item, decision, rule_version: RULE_VERSION, pass: 0, facts: None, disposal: None }
    }

    fn finished(decisions: Vec<Decision>) -> Event {
        Event::AttemptFinished {
            epoch: 1,
            started_at: at(0),
            at: at(0),
            trigger: Trigger::Timer,
            cursor: None,
            verdicts: decisions.into_iter().map(verdict).collect(),
            deferrals: Vec::new(),
            folders: Vec::new(),
            judged_from: None,
            backfill: None,
            amendments: Vec::new(),
            relisted: Vec::new(),
        }
    }

    #[test]
    fn what_was_committed_is_counted() {
        let traffic = Traffic::default();
        let given_up = Decision::Undeliverable { report: Report::new(Code::ItemUnreadable, ""), attempts: 5 };
        let tracked = |created| Decision::Tracked { email_id: Uuid::nil(), created, acceptance: None };
        let decisions = vec![Decision::NotTracked(Reason::Gone), given_up, tracked(true), tracked(false)];
        let sent = SendEvent::Sent { email_id: Uuid::nil(), confirmation: Confirmation::Answered };
        let sending = Event::Sending { epoch: 1, at: at(200), event: sent };
        traffic.committed(Duration::ZERO, at(200), Some(at(100)), &[finished(decisions), sending]);
        let figures = traffic.figures(Duration::ZERO);
        assert_eq!((figures.decided, figures.tracked, figures.sent), (4, 2, 1));
        assert_eq!(figures.arrivals.counts().collect::<Vec<_>>(), [(2048, 1)]);
        assert!(figures.decided_rate > figures.sent_rate && figures.sent_rate > 0.0);
        assert!(traffic.figures(Duration::from_secs(60)).decided_rate < 0.001, "a rate is of the last seconds");
    }
}
