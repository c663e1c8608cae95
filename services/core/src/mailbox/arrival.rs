//! How long messages take from their arrival in the mailbox to the CRM: one rule for whoever measures it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Decision, Verdict};

impl Verdict {
    /// How long the message took until it is an activity at a time. `None` where it did not arrive while its mailbox was synchronized: it
    /// had come before the mailbox was enabled, was read by a backfill, or was brought by another mailbox before.
    pub fn took(&self, enabled_at: Option<Timestamp>, at: Timestamp) -> Option<Duration> {
        let Decision::Tracked { created: true, .. } = self.decision else { return None };
        let received = self.item.received.filter(|_| self.pass == 0)?;
        // Exchange tells arrivals in whole seconds.
        if received.as_second() < enabled_at?.as_second() {
            return None;
        }
        // The clock of Exchange may be ahead.
        Some(Duration::try_from(at.duration_since(received)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::mailbox::{Item, RULE_VERSION, Reason};

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millisecond).unwrap()
    }

    fn verdict(received: i64, pass: u32, decision: Decision) -> Verdict {
        let item = Item { id: "i".into(), message_id: None, received: Some(at(received)) };
        Verdict { item, decision, rule_version: RULE_VERSION, pass, facts: None, disposal: None }
    }

    const fn tracked(created: bool) -> Decision {
        Decision::Tracked { email_id: Uuid::nil(), created, acceptance: None }
    }

    #[test]
    fn only_what_arrived_while_the_mailbox_was_synchronized_took_a_time() {
        let took = |verdict: Verdict| verdict.took(Some(at(5400)), at(9000));
        assert_eq!(took(verdict(7000, 0, tracked(true))), Some(Duration::from_secs(2)));
        assert_eq!(took(verdict(4000, 0, tracked(true))), None, "it came before the mailbox was enabled");
        assert_eq!(took(verdict(7000, 1, tracked(true))), None, "a backfill read it");
        assert_eq!(took(verdict(7000, 0, tracked(false))), None, "another mailbox brought it");
        assert_eq!(took(verdict(7000, 0, Decision::NotTracked(Reason::Gone))), None);
        assert_eq!(verdict(7000, 0, tracked(true)).took(None, at(9000)), None);
    }

    #[test]
    fn arrivals_are_told_in_whole_seconds_by_a_clock_that_may_be_ahead() {
        let took = |received| verdict(received, 0, tracked(true)).took(Some(at(5400)), at(5900));
        assert_eq!(took(5000), Some(Duration::from_millis(900)), "it may have come at 5.4");
        assert_eq!(took(6000), Some(Duration::ZERO));
    }
}
