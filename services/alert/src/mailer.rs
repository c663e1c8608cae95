//! Handing a mail to a relay: the port, and what can come of it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use postroad_core::fault::{Code, Report};

use crate::mail::Mail;

mod relay;

pub use relay::Relay;

/// Why a mail counts as not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The relay certainly did not accept it: it may be sent again.
    NotAccepted(Report),
    /// Nobody knows, and why: it must not be sent again.
    Unknown(String),
}

impl Undelivered {
    /// Certainly not accepted, with what was seen.
    pub fn not_accepted(detail: impl Into<String>) -> Self {
        Self::NotAccepted(Report::new(Code::NotificationFailed, detail))
    }
}

/// Who delivers mail.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Whether a mail that failed may go better the next time.
    fn can_send(&self) -> bool;
    /// The longest that [`Self::send`] takes.
    fn limit(&self) -> Duration;
    /// Hands over a mail; success means that the relay has accepted it.
    async fn send(&self, mail: &Mail) -> Result<(), Undelivered>;
}

/// No relay is configured: a mail that would be due is recorded as not sent, with what to do about it.
pub struct Unconfigured;

#[async_trait]
impl Mailer for Unconfigured {
    fn can_send(&self) -> bool {
        false
    }

    fn limit(&self) -> Duration {
        Duration::ZERO
    }

    async fn send(&self, _mail: &Mail) -> Result<(), Undelivered> {
        Err(Undelivered::not_accepted("no relay is configured: the section alert.smtp is missing"))
    }
}

/// A mailer in memory, for tests: it answers as it is told, and keeps what it was given.
#[derive(Default)]
pub struct Memory {
    answers: Mutex<VecDeque<Undelivered>>,
    mails: Mutex<Vec<Mail>>,
}

impl Memory {
    /// Makes the next mail that has no answer yet fail.
    pub fn fail_next(&self, answer: Undelivered) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }

    /// What was handed over, accepted or not.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Mailer for Memory {
    fn can_send(&self) -> bool {
        true
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn send(&self, mail: &Mail) -> Result<(), Undelivered> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        answer.map_or(Ok(()), Err)
    }
}
