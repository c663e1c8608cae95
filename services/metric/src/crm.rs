//! The built-in CRM.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::make::{counter, counters, gauge};

/// The CRM of this process.
pub static CRM: LazyLock<Crm> = LazyLock::new(Crm::new);

/// Activities.
pub struct Crm {
    /// Messages that were brought, by `result`: `created`, `known` where another mailbox had brought it before, or `erased`
    /// where it concerns an erased person.
    pub promotions: IntCounterVec,
    /// Bytes of contents that were brought with them.
    pub content: IntCounter,
    /// Emails that wait to be sent.
    pub outbox_emails: IntGauge,
}

impl Crm {
    fn new() -> Self {
        let this = Self::made();
        // What has not happened yet is told as none, so that the first time is an increase.
        ["created", "known", "erased"].iter().for_each(|result| drop(this.promotions.with_label_values(&[result])));
        this
    }

    fn made() -> Self {
        Self {
            promotions: counters(
                "postroad_crm_promotions_total",
                "Messages that became activities, were known already, or concern an erased person.",
                &["result"],
            ),
            content: counter("postroad_crm_content_bytes_total", "Bytes of contents that were brought with messages."),
            outbox_emails: gauge("postroad_crm_outbox_emails", "Emails that wait to be sent."),
        }
    }
}
