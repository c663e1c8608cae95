//! A server that is down costs one probe at growing distance, not one for each of its mailboxes. There is a breaker for each
//! server and none for all: one server's outage is nobody else's.

use std::time::Duration;

use uuid::Uuid;

use super::Moment;
use crate::fault::{Code, Report};

/// Failures of different mailboxes, one after the other without any success between, that prove an outage.
const PROOF: usize = 3;
/// Distance of the first probe; doubled up to the last.
const FIRST: Duration = Duration::from_secs(1);
/// The largest distance: a server that returns is noticed within it.
const LAST: Duration = Duration::from_secs(15);

/// Whether a fault says that nobody reaches the server, whichever mailbox is asked for.
pub const fn is_unreachable(code: Code) -> bool {
    matches!(
        code,
        Code::DnsFailed
            | Code::ConnectRefused
            | Code::ConnectTimeout
            | Code::ResponseTimeout
            | Code::ResponseTruncated
            | Code::TlsUntrusted
            | Code::TlsNameMismatch
            | Code::TlsExpired
            | Code::TlsObsolete
            | Code::TlsNotSpoken
            | Code::TlsHandshake
            | Code::HttpUnavailable
            | Code::HttpServerError
            | Code::NotExchange
    )
}

/// Whether the server may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Granted,
    /// No: what a mailbox of it would meet.
    Denied(Report),
}

/// How an outage is looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probing {
    /// When the first failure was met.
    pub since: Moment,
    /// What it was last.
    pub report: Report,
    /// When the server is probed next.
    pub next: Moment,
    /// Probes that failed.
    pub probes: u32,
}

/// The breaker of one server.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    failed: Vec<Uuid>,
    first_failure: Option<Moment>,
    open: Option<Probing>,
}

impl Breaker {
    /// Whether a mailbox's request may be sent.
    pub fn permission(&self) -> Permission {
        self.open.as_ref().map_or(Permission::Granted, |open| {
            let detail = format!(
                "not asked: the server answers nobody, and is probed by one request every few seconds; it said: {}",
                open.report.detail
            );
            Permission::Denied(Report::new(open.report.code, detail))
        })
    }

    /// A mailbox could not reach the server; gives whether that proves an outage now.
    pub fn failed(&mut self, mailbox: Uuid, report: &Report, now: Moment) -> bool {
        if let Some(open) = &mut self.open {
            open.report = report.clone();
            return false;
        }
        if !self.failed.contains(&mailbox) {
            self.failed.push(mailbox);
        }
        let since = *self.first_failure.get_or_insert(now);
        if self.failed.len() < PROOF {
            return false;
        }
        let next = now.saturating_add(FIRST);
        self.open = Some(Probing { since, report: report.clone(), next, probes: 0 });
        true
    }

    /// The server answered a mailbox; gives whether that ends an outage.
    pub fn answered(&mut self) -> bool {
        self.failed.clear();
        self.first_failure = None;
        self.open.take().is_some()
    }

    /// When the server is to be probed; `None` while it is up.
    pub fn next_probe(&self) -> Option<Moment> {
        self.open.as_ref().map(|open| open.next)
    }

    /// A probe failed: the next one is twice as far, up to 15 seconds.
    pub fn probe_failed(&mut self, report: Option<Report>, now: Moment) {
        let Some(open) = &mut self.open else { return };
        open.probes = open.probes.saturating_add(1);
        if let Some(report) = report {
            open.report = report;
        }
        let distance = FIRST.saturating_mul(1_u32.checked_shl(open.probes.min(20)).unwrap_or(u32::MAX)).min(LAST);
        open.next = now.saturating_add(distance);
    }

    /// The present outage.
    pub const fn outage(&self) -> Option<&Probing> {
        self.open.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Report {
        Report::new(Code::ConnectRefused, "mail.contoso.example")
    }

    const fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn broken() -> Breaker {
        let mut breaker = Breaker::default();
        for mailbox in 1..=3 {
            breaker.failed(Uuid::from_u128(mailbox), &refused(), at(10));
        }
        breaker
    }

    #[test]
    fn one_mailbox_alone_proves_no_outage() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.failed(Uuid::from_u128(1), &refused(), at(1)));
        }
        assert_eq!(breaker.permission(), Permission::Granted);
    }

    #[test]
    fn three_mailboxes_in_a_row_do() {
        let breaker = broken();
        let Permission::Denied(report) = breaker.permission() else { panic!("granted") };
        assert_eq!(report.code, Code::ConnectRefused);
        assert!(report.detail.contains("mail.contoso.example"));
    }

    #[test]
    fn a_success_between_them_begins_anew() {
        let mut breaker = Breaker::default();
        for mailbox in 1..=20 {
            assert!(!breaker.failed(Uuid::from_u128(mailbox), &refused(), at(1)));
            if mailbox % 2 == 0 {
                assert!(!breaker.answered());
            }
        }
    }

    #[test]
    fn probes_grow_apart_up_to_fifteen_seconds() {
        let mut breaker = broken();
        let mut distances = Vec::new();
        let mut now = at(10);
        for _ in 0..6 {
            let next = breaker.next_probe().unwrap();
            distances.push(next.saturating_sub(now).as_secs());
            now = next;
            breaker.probe_failed(None, now);
        }
        assert_eq!(distances, [1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn an_answer_ends_the_outage_once() {
        let mut breaker = broken();
        assert!(breaker.answered());
        assert!(!breaker.answered());
        assert_eq!((breaker.permission(), breaker.next_probe()), (Permission::Granted, None));
    }

    #[test]
    fn what_concerns_an_account_is_no_outage_of_its_server() {
        assert!(!is_unreachable(Code::CredentialsRejected) && !is_unreachable(Code::ServerBusy));
    }
}
