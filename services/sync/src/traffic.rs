//! What this worker did with messages, and how long they took.

use std::{sync::Mutex, time::Duration};

use jiff::Timestamp;
use postroad_core::{
    latency::{Latencies, Recent},
    mailbox::{ItemOutcome, ItemResult, Mailbox},
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
    /// Verdicts are in the journal; what failed is decided later.
    pub fn decided(&self, now: Moment, outcomes: &[ItemOutcome]) {
        let mut counted = lock(&self.0);
        for outcome in outcomes {
            match outcome.result {
                ItemResult::Failed(_) => continue,
                ItemResult::Promoted { .. } => counted.tracked += 1,
                ItemResult::Skipped(_) => {}
            }
            counted.decided += 1;
            counted.decided_rate.take(now);
        }
    }

    /// A message of a mailbox has just become an activity.
    pub fn arrived(&self, now: Moment, mailbox: &Mailbox, received: Option<Timestamp>, at: Timestamp) {
        if let Some(received) = received.filter(|received| mailbox.was_enabled_at(*received)) {
            // The clock of Exchange may be ahead.
            let took = Duration::try_from(at.duration_since(received)).unwrap_or_default();
            lock(&self.0).arrivals.note(now, took);
        }
    }

    /// An email was sent.
    pub fn sent(&self, now: Moment) {
        let mut counted = lock(&self.0);
        counted.sent += 1;
        counted.sent_rate.take(now);
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
        mailbox::{Item, Reason},
    };

    use super::*;

    fn outcome(result: ItemResult) -> ItemOutcome {
        ItemOutcome::new(Item { id: "i".into(), message_id: None, received: None }, result)
    }

    #[test]
    fn what_failed_is_not_decided_yet() {
        let traffic = Traffic::default();
        let failed = ItemResult::Failed(Report::new(Code::ItemUnreadable, ""));
        traffic.decided(Duration::ZERO, &[outcome(ItemResult::Skipped(Reason::Gone)), outcome(failed)]);
        traffic.sent(Duration::ZERO);
        let figures = traffic.figures(Duration::ZERO);
        assert_eq!((figures.decided, figures.tracked, figures.sent), (1, 0, 1));
        assert!(figures.decided_rate > 0.0);
        assert!(traffic.figures(Duration::from_secs(60)).decided_rate < 0.001, "a rate is of the last seconds");
    }
}
