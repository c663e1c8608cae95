//! What is counted and measured: one registry for the process, and every name that Prometheus sees.
//!
//! - [`call`]: gRPC calls that a role answers: rate, errors, duration, calls under way
//! - [`exchange`]: requests to mail servers, and how they may be asked
//! - [`journal`]: commits, and how far those that follow are behind
//! - [`sync`], [`locator`], [`crm`], [`alert`], [`profile`]: what each role does
//! - [`process`]: the process itself
//!
//! Names and units are by the rules of Prometheus. No label holds an address, an id or anything else without a bound. `deploy/observe` shows
//! them; a test compares both.

pub mod alert;
pub mod call;
pub mod crm;
pub mod exchange;
pub mod journal;
pub mod locator;
mod make;
pub mod process;
pub mod profile;
mod scrape;
pub mod sync;

use std::sync::{LazyLock, PoisonError};

pub use make::Declared;
pub use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
pub use scrape::{CONTENT_TYPE, before_scrape, scrape};

/// Every name that Postroad tells, whatever role it is of. The names of `process_`, which are Prometheus' own, are not among them.
pub fn declared() -> Vec<Declared> {
    LazyLock::force(&call::CALLS);
    LazyLock::force(&exchange::EXCHANGE);
    LazyLock::force(&journal::JOURNAL);
    LazyLock::force(&sync::SYNC);
    LazyLock::force(&locator::LOCATOR);
    LazyLock::force(&crm::CRM);
    LazyLock::force(&alert::ALERT);
    LazyLock::force(&profile::PROFILE);
    LazyLock::force(&process::PROCESS);
    make::DECLARED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Milliseconds to a minute: calls and requests.
pub(crate) const CALL: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes every instrument: a name or label that Prometheus does not allow, or that is given twice, fails here.
    #[test]
    fn every_instrument_can_be_made_and_each_name_has_its_prefix() {
        call::CALLS.in_flight.with_label_values(&["sync"]).set(0);
        exchange::EXCHANGE.up.with_label_values(&["mail.contoso.example"]).set(1);
        journal::JOURNAL.commits.with_label_values(&["mailbox", "ok"]).inc();
        sync::SYNC.due_mailboxes.set(0);
        locator::LOCATOR.discovery_duration.observe(0.1);
        crm::CRM.outbox_emails.set(0);
        alert::ALERT.mail_duration.observe(0.1);
        profile::PROFILE.profiles.set(0);
        process::start("all");
        let text = scrape();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("postroad_") || line.starts_with("process_"), "{line}");
        }
        assert!(text.contains("# TYPE postroad_journal_commits_total counter"), "{text}");
    }

    #[test]
    fn what_is_computed_for_a_scrape_is_computed_anew_each_time() {
        let count = std::sync::atomic::AtomicI64::new(0);
        before_scrape(move || sync::SYNC.workers.set(1 + count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let seen = || {
            let text = scrape();
            let line = text.lines().find_map(|line| line.strip_prefix("postroad_sync_workers ")).unwrap_or_default();
            line.parse::<u64>().unwrap()
        };
        // Another test may read in between.
        let first = seen();
        assert!(seen() > first);
    }

    #[test]
    fn servers_beyond_the_bound_share_one_label() {
        for number in 0..200 {
            exchange::server(&format!("mail{number}.contoso.example"));
        }
        assert_eq!(&*exchange::server("one-more.contoso.example"), "other");
        assert_eq!(&*exchange::server("mail7.contoso.example"), "mail7.contoso.example");
    }
}
