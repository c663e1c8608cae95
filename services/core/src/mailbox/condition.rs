//! How a mailbox does, in a word.

use jiff::Timestamp;

use super::{Health, Mailbox};

/// How a mailbox does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Synchronized, without trouble.
    Well,
    /// A fault is retried by itself.
    Retrying,
    /// Exchange asked to wait.
    Throttled,
    /// A fault disabled it.
    Disabled,
    /// No direction is enabled.
    NotEnabled,
    /// An administrator stopped it.
    Inactive,
}

impl Mailbox {
    /// How it does at a time: what hinders it most.
    pub fn condition(&self, now: Timestamp) -> Condition {
        let directions = &self.directions;
        let each = [&directions.incoming, &directions.outgoing, &directions.appointments_contacts_tasks];
        match &self.sync.health {
            _ if !self.active => Condition::Inactive,
            Health::Disabled { .. } => Condition::Disabled,
            Health::Failing { .. } => Condition::Retrying,
            Health::Unknown | Health::Healthy if self.back_off(now).is_some() => Condition::Throttled,
            Health::Unknown | Health::Healthy if !each.into_iter().any(|state| state.enabled) => Condition::NotEnabled,
            Health::Unknown | Health::Healthy => Condition::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::{Code, Report},
        mailbox::{DirectionState, tests},
    };

    #[test]
    fn what_hinders_most_is_told() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut mailbox = tests::enabled().live().unwrap().clone();
        assert_eq!(mailbox.condition(at(0)), Condition::Well);
        let off = DirectionState { enabled: false, ..mailbox.directions.incoming };
        let on = std::mem::replace(&mut mailbox.directions.incoming, off);
        assert_eq!(mailbox.condition(at(0)), Condition::NotEnabled);
        mailbox.directions.incoming = on;
        mailbox.sync.throttled_until = Some(at(10));
        assert_eq!(mailbox.condition(at(9)), Condition::Throttled);
        assert_eq!(mailbox.condition(at(10)), Condition::Well, "a back-off that is over hinders nobody");
        let report = Report::new(Code::HttpUnavailable, "");
        mailbox.sync.health = Health::Failing { report: report.clone(), failures: 1, next_attempt: at(5) };
        assert_eq!(mailbox.condition(at(9)), Condition::Retrying);
        mailbox.sync.health =
            Health::Disabled { report, since: at(1), probes: 0, next_probe: None, profile_revision: 1 };
        assert_eq!(mailbox.condition(at(9)), Condition::Disabled);
        mailbox.active = false;
        assert_eq!(mailbox.condition(at(9)), Condition::Inactive);
    }
}
