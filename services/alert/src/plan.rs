//! What is due: a pure function of the view and the time, asked anew whenever something happened or the time has come.

use jiff::{SignedDuration, Timestamp};
use postroad_core::notification::{Delivery, Evidence, Hour};
use uuid::Uuid;

use crate::view::View;

/// How long an hour that has ended waits before it is judged, for attempts that ended in its last moments to arrive.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// The distance of the second try of a mail that was not accepted; doubled with each that follows.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(30);

/// The largest distance of tries.
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(10);

/// What the plan may assume of the mailer.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Whether a mail that failed may go better the next time.
    pub can_send: bool,
    /// The longest that sending can take; an intention older than this was left by a crash.
    pub limit: SignedDuration,
}

/// A mail that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The profile.
    pub profile: Uuid,
    /// The hour.
    pub hour: Hour,
    /// What was seen in it.
    pub evidence: Evidence,
    /// Mailboxes that were or may still be processed in it.
    pub mailboxes: u64,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Mails of which it will never be known whether they were sent.
    pub give_up: Vec<(Uuid, Hour)>,
    /// Mails to send.
    pub notices: Vec<Notice>,
    /// When to look again at the latest.
    pub look_again: Timestamp,
}

/// What is due at `now`.
pub fn plan(view: &View, now: Timestamp, sending: Sending) -> Plan {
    let current = Hour::of(now);
    let mut plan = Plan { give_up: Vec::new(), notices: Vec::new(), look_again: judged(current) };
    for (hour, profile, mailing) in view.mailings().filter(|(_, _, mailing)| mailing.delivery == Delivery::Intended) {
        if plan.has_come(later(mailing.at, sending.limit), now) {
            plan.give_up.push((profile, hour));
        }
    }
    let may_be_processed = view.may_be_processed();
    for (hour, profile, attempts) in view.attempts() {
        let switched_on = view.profile(profile).is_some_and(|profile| profile.send_alert_email);
        let is_recent = current.0.saturating_sub(hour.0) <= 1;
        if !switched_on || !is_recent || !plan.may_send(view, hour, profile, now, sending) {
            continue;
        }
        let untried = may_be_processed.get(&profile).map_or(0, |all| all.difference(&attempts.mailboxes).count());
        let mailboxes = (attempts.mailboxes.len() + untried) as u64;
        let evidence = attempts.tally.evidence();
        if evidence.holds(hour, now, mailboxes) {
            plan.notices.push(Notice { profile, hour, evidence, mailboxes });
        }
    }
    plan
}

impl Plan {
    /// Whether a mail of the hour could be sent now, if the rule holds.
    fn may_send(&mut self, view: &View, hour: Hour, profile: Uuid, now: Timestamp, sending: Sending) -> bool {
        if now >= hour.end() && !self.has_come(judged(hour), now) {
            return false;
        }
        match view.mailing(hour, profile) {
            None => true,
            Some(mailing) if matches!(mailing.delivery, Delivery::Failed(_)) => {
                sending.can_send && self.has_come(later(mailing.at, retry(mailing.failures)), now)
            }
            Some(_) => false,
        }
    }

    /// Whether a time has come; if not, it is looked at again then.
    fn has_come(&mut self, at: Timestamp, now: Timestamp) -> bool {
        if at > now {
            self.look_again = self.look_again.min(at);
        }
        at <= now
    }
}

/// When an hour is judged for good.
fn judged(hour: Hour) -> Timestamp {
    later(hour.end(), GRACE)
}

fn retry(failures: u32) -> SignedDuration {
    let factor = 1_i32.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(i32::MAX);
    FIRST_RETRY.checked_mul(factor).map_or(LAST_RETRY, |distance| distance.min(LAST_RETRY))
}

fn later(at: Timestamp, distance: SignedDuration) -> Timestamp {
    at.checked_add(distance).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
