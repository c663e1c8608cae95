//! The alert role.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounterVec, IntGaugeVec};

use crate::make::{counters, gauges, histogram};

/// The alerts of this process.
pub static ALERT: LazyLock<Alert> = LazyLock::new(Alert::new);

/// Alerts and mail to owners.
pub struct Alert {
    /// Alerts that are open, by `level`.
    pub open: IntGaugeVec,
    /// Mails to owners, by `result`: `OK` or the code of the fault.
    pub mails: IntCounterVec,
    /// Seconds until the relay took a mail.
    pub mail_duration: Histogram,
}

impl Alert {
    fn new() -> Self {
        let this = Self::made();
        // What has not happened yet is told as none, so that the first time is an increase.
        drop(this.mails.with_label_values(&["OK"]));
        this
    }

    fn made() -> Self {
        Self {
            open: gauges("postroad_alert_open_alerts", "Alerts that are open.", &["level"]),
            mails: counters(
                "postroad_alert_mails_total",
                "Mails to owners of profiles, by result: OK or the code of the fault.",
                &["result"],
            ),
            mail_duration: histogram(
                "postroad_alert_mail_duration_seconds",
                "Time until the relay took a mail to an owner.",
                crate::CALL,
            ),
        }
    }
}
