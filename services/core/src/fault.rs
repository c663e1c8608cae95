//! The fault table: one row for each failure that a person can meet.
//!
//! Alerts, command line, API errors, notification mail and documentation all print from these rows, so a failure reads
//! the same wherever it is met. [`Code`] names the row, [`Code::row`] gives it, [`Report`] is one occurrence.

use serde::{Deserialize, Serialize};

mod table;

pub use table::Code;

/// Whether waiting can cure a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permanence {
    /// Retried; counts towards the limit of [`crate::mailbox::RetryPolicy`].
    Transient,
    /// Somebody has to act; the mailbox is disabled at once.
    Permanent,
}

/// What a fault concerns (spec §2.4, and `Deployment` and `Input` for what is Postroad's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// The mail server or the profile: all its mailboxes meet it. One alert for the profile.
    Server,
    /// One mailbox.
    Mailbox,
    /// One message; never stops its mailbox.
    Item,
    /// Postroad's own parts: journal, CRM, locator, keys, SMTP relay.
    Deployment,
    /// A request or a configuration that is refused and changed nothing.
    Input,
}

/// Who can cure a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Actor {
    /// Nobody: Postroad retries by itself.
    Nobody,
    /// The administrator of email server profiles and mailboxes.
    Administrator,
    /// The administrator of the Exchange organisation.
    ExchangeAdministrator,
    /// Whoever runs Postroad.
    Operator,
    /// Whoever develops Postroad: a defect.
    Developer,
}

impl Actor {
    /// The actor as a phrase for people.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Nobody => "nobody; Postroad retries by itself",
            Self::Administrator => "the administrator of the profile",
            Self::ExchangeAdministrator => "the Exchange administrator",
            Self::Operator => "the operator of Postroad",
            Self::Developer => "the developers of Postroad; please report it",
        }
    }
}

/// How a mailbox that a fault disabled is probed, so that it heals by itself (DESIGN.md, Failure).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Probe {
    /// With growing distance, from minutes to hours.
    Growing,
    /// Only after its profile or the mailbox changed: probing would do harm, such as locking an account.
    OnChange,
}

/// One row of the fault table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Stable name, upper case with underscores.
    pub name: &'static str,
    /// Transient or permanent.
    pub permanence: Permanence,
    /// Server, mailbox, item, deployment or input.
    pub scope: Scope,
    /// What happened, as a sentence without its final stop.
    pub what: &'static str,
    /// Why it usually happens.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Who can do it.
    pub who: Actor,
    /// How a mailbox disabled by it is probed.
    pub probe: Probe,
}

/// One occurrence of a fault: its row and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The row.
    pub code: Code,
    /// What was seen this time: host, status, Exchange's own code. Never a secret.
    pub detail: String,
}

impl Report {
    /// A report with its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// What happened, and the detail, as one line for people.
    pub fn sentence(&self) -> String {
        let row = self.code.row();
        if self.detail.is_empty() { row.what.to_owned() } else { format!("{} ({})", row.what, self.detail) }
    }
}

impl Code {
    /// The row's stable name, as printed and stored.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The code with this stable name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Whether waiting can cure it.
    pub fn is_permanent(self) -> bool {
        self.row().permanence == Permanence::Permanent
    }

    /// What it concerns.
    pub fn scope(self) -> Scope {
        self.row().scope
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::by_name(code.name()), Some(*code));
        }
    }

    #[test]
    fn every_row_says_what_why_and_what_to_do() {
        for code in Code::ALL {
            let row = code.row();
            for text in [row.what, row.cause, row.remedy] {
                assert!(text.len() > 10, "{} has an empty cell", row.name);
                assert!(!text.ends_with('.'), "{}: cells are printed with their own stop", row.name);
            }
            assert!(row.name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()));
        }
    }

    #[test]
    fn what_nobody_can_cure_is_transient() {
        for code in Code::ALL {
            let row = code.row();
            if row.who == Actor::Nobody {
                assert_eq!(row.permanence, Permanence::Transient, "{}", row.name);
            }
        }
    }
}
