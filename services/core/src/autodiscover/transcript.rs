//! The transcript: what an administrator needs when Autodiscover does not find a mailbox.

use serde::{Deserialize, Serialize};

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It led on.
    Followed,
    /// It was of no use; the next candidate is asked.
    Dropped,
    /// It named the location.
    Taken,
    /// It ended the discovery.
    Stopped,
}

/// One question and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was asked.
    pub question: String,
    /// What was answered; empty if it was not asked at all.
    pub answer: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Milliseconds until the answer.
    pub elapsed_ms: u64,
}

impl Verdict {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::Dropped => "dropped",
            Self::Taken => "taken",
            Self::Stopped => "stopped",
        }
    }
}
