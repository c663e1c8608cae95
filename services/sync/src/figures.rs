//! What Prometheus is told of a worker.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::Timestamp;
use postroad_core::mailbox::{Decision, Direction, Event, Health, Mailbox, Reason, SendEvent, Trigger, Verdict};
use postroad_metric::{
    exchange::{EXCHANGE, server},
    sync::SYNC,
};
use postroad_rig::clock;

use crate::{lock::lock, worker::Worker};

/// Has the gauges of a worker set whenever they are read.
pub fn tell(worker: &Arc<Worker>) {
    let worker = Arc::downgrade(worker);
    postroad_metric::before_scrape(move || {
        if let Some(worker) = Weak::upgrade(&worker) {
            mailboxes(&worker);
            turns(&worker);
            servers(&worker);
        }
    });
}

/// The own mailboxes, by state and fault.
fn mailboxes(worker: &Worker) {
    let now = clock::now();
    let mut states: HashMap<&'static str, i64> = STATES.map(|state| (state, 0)).into();
    let mut faults: HashMap<&'static str, i64> = HashMap::new();
    let (mut deferred, mut backfilling) = (0_usize, 0);
    let own = worker.ownership.held();
    worker.directory.each(|mailbox| {
        if !own.contains(&postroad_core::placement::partition(mailbox.id)) {
            return;
        }
        *states.entry(state(mailbox, now)).or_default() += 1;
        if let Health::Failing { report, .. } | Health::Disabled { report, .. } = &mailbox.sync.health {
            *faults.entry(report.code.name()).or_default() += 1;
        }
        deferred += mailbox.sync.deferred.len();
        backfilling += i64::from(mailbox.sync.backfill.is_some());
    });
    for (state, count) in states {
        SYNC.mailboxes.with_label_values(&[state]).set(count);
    }
    // What nobody has any more is not shown as none for ever.
    SYNC.faulty_mailboxes.reset();
    for (fault, count) in faults {
        SYNC.faulty_mailboxes.with_label_values(&[fault]).set(count);
    }
    SYNC.deferred_messages.set(count(deferred));
    SYNC.backfilling_mailboxes.set(backfilling);
    SYNC.partitions.set(count(own.len()));
    SYNC.workers.set(count(worker.ownership.member_count()));
    SYNC.notified_mailboxes.set(count(worker.streams.notified()));
}

/// Who waits, and what is under way.
fn turns(worker: &Worker) {
    let now = worker.pace.now();
    let desk = lock(&worker.desk);
    SYNC.due_mailboxes.set(count(desk.len()));
    SYNC.due_age.set(desk.oldest().map_or(0.0, |since| now.saturating_sub(since).as_secs_f64()));
    drop(desk);
    SYNC.cycles.set(count(lock(&worker.running).len()));
    SYNC.cycles_limit.set(count(worker.concurrency));
}

/// How each mail server may be asked.
fn servers(worker: &Worker) {
    for view in worker.pace.servers() {
        let name = server(&view.server);
        let labels = [&*name];
        EXCHANGE.up.with_label_values(&labels).set(i64::from(view.outage.is_none()));
        EXCHANGE.connections.with_label_values(&labels).set(i64::from(view.budget.used));
        EXCHANGE.connections_limit.with_label_values(&labels).set(i64::from(view.budget.allowed));
        let rests = || view.accounts.iter().filter_map(|account| account.budget.back_off);
        let longest = rests().chain(view.budget.back_off).max().unwrap_or(Duration::ZERO);
        EXCHANGE.back_off.with_label_values(&labels).set(longest.as_secs_f64());
        EXCHANGE.resting_accounts.with_label_values(&labels).set(count(rests().count()));
    }
}

/// Notes what was committed about a mailbox that was enabled at a time.
pub fn committed(events: &[Event], enabled_at: Option<Timestamp>) {
    for event in events {
        match event {
            Event::AttemptFinished { verdicts, deferrals, .. } => {
                verdicts.iter().for_each(|verdict| decided(verdict, enabled_at));
                for deferral in deferrals {
                    SYNC.deferrals.with_label_values(&[deferral.report.code.name()]).inc();
                }
            }
            Event::AttemptFailed { report, .. } | Event::Throttled { report, .. } => {
                SYNC.faults.with_label_values(&[report.code.name()]).inc();
            }
            Event::Sending { event: SendEvent::Sent { .. }, .. } => SYNC.sent.with_label_values(&["sent"]).inc(),
            Event::Sending { event: SendEvent::Failed { next_try, .. }, .. } => {
                SYNC.sent.with_label_values(&[if next_try.is_some() { "retried" } else { "failed" }]).inc();
            }
            _ => {}
        }
    }
}

fn decided(verdict: &Verdict, enabled_at: Option<Timestamp>) {
    let (decision, reason) = labels(&verdict.decision);
    SYNC.verdicts.with_label_values(&[decision, reason]).inc();
    if let Some(took) = verdict.took(enabled_at, clock::now()) {
        SYNC.arrival_to_crm.observe(took.as_secs_f64());
    }
}

/// Decision and reason of a verdict.
pub fn labels(decision: &Decision) -> (&'static str, &'static str) {
    match decision {
        Decision::Tracked { created: true, .. } => ("tracked", "created"),
        Decision::Tracked { created: false, .. } => ("tracked", "known"),
        Decision::NotTracked(reason) => ("not_tracked", why(reason)),
        Decision::Undeliverable { report, .. } => ("undeliverable", report.code.name()),
    }
}

/// A reason without what it is about.
pub const fn why(reason: &Reason) -> &'static str {
    match reason {
        Reason::FilteringMethod => "filtering_method",
        Reason::NotAccepted(_) => "not_accepted",
        Reason::NotNamed(_) => "not_named",
        Reason::Internal(_) => "internal",
        Reason::Protected => "protected",
        Reason::InvalidForward => "invalid_forward",
        Reason::NotForwarded => "not_forwarded",
        Reason::BeforeProcessEmailFrom(_) => "before_process_email_from",
        Reason::NotEmail(_) => "not_email",
        Reason::Gone => "gone",
        Reason::Erased => "erased",
    }
}

/// Why an attempt is made.
pub const fn why_now(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Timer => "timer",
        Trigger::Asked => "asked",
        Trigger::Probe => "probe",
        Trigger::Continuation => "continuation",
        Trigger::Notified => "notified",
    }
}

const STATES: [&str; 6] = ["inactive", "new", "healthy", "failing", "disabled", "throttled"];

/// How a mailbox stands.
fn state(mailbox: &Mailbox, now: Timestamp) -> &'static str {
    let sync = &mailbox.sync;
    let is_on = Direction::ALL.iter().any(|way| mailbox.directions.get(*way).enabled) || !sync.suspended.is_empty();
    match &sync.health {
        _ if !mailbox.active || !is_on => "inactive",
        Health::Disabled { .. } => "disabled",
        Health::Failing { .. } => "failing",
        _ if mailbox.back_off(now).is_some() => "throttled",
        Health::Healthy => "healthy",
        Health::Unknown => "new",
    }
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use postroad_core::mailbox::Item;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_arrived_since_the_mailbox_is_enabled_counts_for_the_delay() {
        let now = clock::now();
        let before = |seconds| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
        let verdict = |received, pass| Verdict {
            item: Item { id: "a".into(), message_id: None, received: Some(received) },
            decision: Decision::Tracked { email_id: Uuid::nil(), created: true, acceptance: None },
            rule_version: 3,
            pass,
            facts: None,
            disposal: None,
        };
        let counted = || SYNC.arrival_to_crm.get_sample_count();
        let start = counted();
        decided(&verdict(before(100), 0), Some(before(50)));
        decided(&verdict(before(10), 1), Some(before(50)));
        assert_eq!(counted(), start);
        decided(&verdict(before(10), 0), Some(before(50)));
        assert_eq!(counted(), start + 1);
    }

    #[test]
    fn reasons_are_told_without_what_they_are_about() {
        let not_email = Decision::NotTracked(Reason::NotEmail("IPM.Appointment".into()));
        assert_eq!(labels(&not_email), ("not_tracked", "not_email"));
    }
}
