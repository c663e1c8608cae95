//! Autodiscover: from a mailbox's address to its EWS location, without ever giving the service account away.
//!
//! - `discovery`: the whole algorithm as a step machine: given an answer, what next. It asks nothing itself.
//! - `release`: INV-5, which hosts credentials may go to
//! - `transcript`: what was asked, what was answered, why it was taken or dropped
//! - `memory`: how long what was found, or not found, is believed
//!
//! Source: AUTODISCOVER.md of the reference pack; section numbers in comments are its.

mod discovery;
mod memory;
mod question;
mod release;
mod transcript;

pub use discovery::{ANSWER, DEADLINE, Discovery, Failure, Found, REDIRECTS, Rules, Step};
pub use memory::{Known, Memory, Missing, Use};
pub use question::{Answer, Question, Service, ServiceRecord, Settings};
pub use release::{Pattern, Release, Withheld, is_online, is_public_suffix};
pub use transcript::{Entry, Verdict};
