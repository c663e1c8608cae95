//! The sync role.

use std::sync::LazyLock;

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::make::{counter, counters, float_gauge, gauge, gauges, histogram};

/// Milliseconds, where notifications arrive, to a day, where a server was down.
const ARRIVAL: &[f64] =
    &[0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0];

/// The worker of this process.
pub static SYNC: LazyLock<Sync> = LazyLock::new(Sync::new);

/// What a worker does. Mailboxes are its own, so that the sum over all workers is the fleet's.
pub struct Sync {
    /// Cycles that ended, by `trigger` and `outcome`.
    pub attempts: IntCounterVec,
    /// Seconds that a cycle took.
    pub attempt_duration: Histogram,
    /// Cycles that failed, by the code of the `fault`.
    pub faults: IntCounterVec,
    /// Seconds from a message's arrival in Exchange, which tells it to the second, until it is in the CRM.
    pub arrival_to_crm: Histogram,
    /// Messages that were decided, by `decision` and `reason`.
    pub verdicts: IntCounterVec,
    /// Messages that failed and are tried again, by `fault`.
    pub deferrals: IntCounterVec,
    /// Emails of outboxes, by `outcome`.
    pub sent: IntCounterVec,
    /// Notifications of Exchange.
    pub notifications: IntCounter,
    /// Own mailboxes by `state`.
    pub mailboxes: IntGaugeVec,
    /// Own mailboxes that fail or are disabled, by `fault`.
    pub faulty_mailboxes: IntGaugeVec,
    /// Own mailboxes of which notifications arrive.
    pub notified_mailboxes: IntGauge,
    /// Mailboxes that are due and wait for a turn.
    pub due_mailboxes: IntGauge,
    /// Seconds that the one waits which waits longest.
    pub due_age: Gauge,
    /// Cycles under way.
    pub cycles: IntGauge,
    /// Cycles that may be under way at a time.
    pub cycles_limit: IntGauge,
    /// Messages that failed and are to be tried again.
    pub deferred_messages: IntGauge,
    /// Mailboxes whose older mail is being read.
    pub backfilling_mailboxes: IntGauge,
    /// Partitions held, of 256 in all.
    pub partitions: IntGauge,
    /// Workers that take mailboxes, as this one sees them.
    pub workers: IntGauge,
    /// Partitions by `change`: `acquired`, `given_back`, `lost`.
    pub lease_changes: IntCounterVec,
}

impl Sync {
    fn new() -> Self {
        let this = Self::made();
        // What has not happened yet is told as none, so that the first time is an increase.
        ["sent", "retried", "failed"].iter().for_each(|outcome| drop(this.sent.with_label_values(&[outcome])));
        let changes = ["acquired", "given_back", "lost"];
        changes.iter().for_each(|change| drop(this.lease_changes.with_label_values(&[change])));
        this
    }

    fn made() -> Self {
        Self {
            attempts: counters(
                "postroad_sync_attempts_total",
                "Cycles of mailboxes that ended.",
                &["trigger", "outcome"],
            ),
            attempt_duration: histogram(
                "postroad_sync_attempt_duration_seconds",
                "Time that a cycle of a mailbox took.",
                crate::CALL,
            ),
            faults: counters("postroad_sync_faults_total", "Cycles that failed, by the code of the fault.", &["fault"]),
            arrival_to_crm: histogram(
                "postroad_sync_arrival_to_crm_seconds",
                "Time from a message's arrival in Exchange until it was in the CRM.",
                ARRIVAL,
            ),
            verdicts: counters("postroad_sync_verdicts_total", "Messages that were decided.", &["decision", "reason"]),
            deferrals: counters(
                "postroad_sync_deferrals_total",
                "Messages that failed and are tried again.",
                &["fault"],
            ),
            sent: counters(
                "postroad_sync_sent_emails_total",
                "Emails of outboxes, by what became of them.",
                &["outcome"],
            ),
            notifications: counter("postroad_sync_notifications_total", "Notifications of Exchange."),
            mailboxes: gauges("postroad_sync_mailboxes", "Mailboxes of this worker by state.", &["state"]),
            faulty_mailboxes: gauges(
                "postroad_sync_faulty_mailboxes",
                "Mailboxes of this worker that fail or are disabled, by the code of the fault.",
                &["fault"],
            ),
            notified_mailboxes: gauge(
                "postroad_sync_notified_mailboxes",
                "Mailboxes of this worker of which notifications arrive.",
            ),
            due_mailboxes: gauge("postroad_sync_due_mailboxes", "Mailboxes that are due and wait for a turn."),
            due_age: float_gauge(
                "postroad_sync_due_age_seconds",
                "For how long the mailbox waits for its turn that waits longest.",
            ),
            cycles: gauge("postroad_sync_cycles", "Cycles of mailboxes under way."),
            cycles_limit: gauge("postroad_sync_cycles_limit", "Cycles that may be under way at a time."),
            deferred_messages: gauge(
                "postroad_sync_deferred_messages",
                "Messages that failed and are to be tried again.",
            ),
            backfilling_mailboxes: gauge(
                "postroad_sync_backfilling_mailboxes",
                "Mailboxes whose older mail is being read.",
            ),
            partitions: gauge("postroad_sync_partitions", "Partitions that this worker holds, of 256."),
            workers: gauge("postroad_sync_workers", "Workers that take mailboxes, as this one sees them."),
            lease_changes: counters(
                "postroad_sync_lease_changes_total",
                "Partitions acquired, given back and lost.",
                &["change"],
            ),
        }
    }
}
