//! Who calls, and whether they may.
//!
//! | module | what it holds |
//! |---|---|
//! | `table` | who may make which call: a row for each |
//! | `decision` | an identity, a row, and what follows: pure |
//! | `gate` | what every request passes before any handler |
//! | `oidc` | access tokens of an issuer |
//! | `token` | files with a token, and the local token |
//! | `introduction` | how this process says who it is to roles |
//! | `audit` | what becomes of calls that are denied |
//! | `expiry` | answers that end with what their caller showed |

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
};
use postroad_journal::Actor;
use tonic::Status;

use crate::status;

mod audit;
mod decision;
mod expiry;
mod gate;
mod introduction;
mod oidc;
mod table;
mod token;

pub use decision::{Identity, Level, Means, Person, Scope, decide};
pub use gate::{Gate, admit};
pub use introduction::{Introduced, Introduction, may_carry_token};
pub use oidc::{Oidc, Patience};
pub use table::{Rule, rule};
pub use token::TokenFile;

/// The metadata in which the holder of the local token, or a role that acts for a person, says who that is.
/// Nobody else is believed.
pub const ACTOR: &str = "x-postroad-actor";

/// Who makes a call that the gate let through, and what it is about for him.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    scope: Scope,
    /// When what he showed ends, and the fault that it is from then on.
    ends: Option<(Timestamp, Code)>,
    /// Whether the handler has asked whose something is.
    asked: Arc<AtomicBool>,
}

impl Caller {
    /// Whoever this is, with this scope.
    pub fn new(actor: Actor, scope: Scope) -> Self {
        Self { actor, scope, ends: None, asked: Arc::default() }
    }

    /// The same, until what he showed ends.
    #[must_use]
    fn until(self, ends: Option<(Timestamp, Code)>) -> Self {
        Self { ends, ..self }
    }

    /// Who makes a request. One that came past the gate is nobody's, and nobody owns anything.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let nobody = || Self::new(Actor::new("unknown"), Scope::Own(Arc::default()));
        request.extensions().get::<Self>().cloned().unwrap_or_else(nobody)
    }

    /// Who is written into the journal.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether the call may be about something that belongs to `owners`.
    pub fn reaches<'a>(&self, owners: impl IntoIterator<Item = &'a EmailAddress>) -> bool {
        self.asked.store(true, Ordering::Relaxed);
        match &self.scope {
            Scope::Everything => true,
            Scope::Own(addresses) => owners.into_iter().any(|owner| addresses.contains(owner)),
        }
    }

    /// Whether the call may be about everything, also about what does not exist.
    pub fn reaches_all(&self) -> bool {
        self.reaches([])
    }

    /// What is answered about something that is not the caller's, or that does not exist: which of both is not told.
    pub fn denied(&self, what: &str, name: &str) -> Status {
        let name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        let detail = format!("{} does not own the {what} `{name}`", self.actor);
        status::failed(&Report::new(Code::AccessDenied, detail))
    }

    /// Whether whose something is mattered, and was not asked.
    fn went_unasked(&self) -> bool {
        matches!(self.scope, Scope::Own(_)) && !self.asked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::trusted(text)
    }

    #[test]
    fn an_owner_reaches_what_is_his_only() {
        let ada = Caller::new(Actor::new("ada"), Scope::Own(Arc::new(vec![address("Ada@contoso.example")])));
        assert!(ada.went_unasked());
        assert!(ada.reaches([&address("ben@contoso.example"), &address("ada@contoso.example")]));
        assert!(!ada.reaches([&address("ben@contoso.example")]) && !ada.reaches_all() && !ada.went_unasked());
        let boss = Caller::new(Actor::new("boss"), Scope::Everything);
        assert!(boss.reaches_all() && boss.reaches([]));
    }

    #[test]
    fn what_came_past_the_gate_reaches_nothing() {
        let request = tonic::Request::new(());
        let caller = Caller::of(&request);
        assert!(!caller.reaches([&address("ada@contoso.example")]));
        assert_eq!(caller.actor().as_str(), "unknown");
    }

    #[test]
    fn a_denial_tells_no_more_than_the_name_that_was_asked_for() {
        let caller = Caller::new(Actor::new("ada"), Scope::Own(Arc::default()));
        let status = caller.denied("mailbox", "ben\n@contoso.example");
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert!(status.message().contains("`ben@contoso.example`"), "{}", status.message());
    }
}
