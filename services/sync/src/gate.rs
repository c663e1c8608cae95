//! Stops a whole profile after its credentials were rejected: one wrong password for each mailbox and worker would lock the
//! service account within seconds (PROTOCOL.md §3).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use postroad_core::fault::{Code, Report};
use uuid::Uuid;

/// The profiles whose credentials were rejected, with the revision they had then.
#[derive(Default)]
pub struct Gate {
    closed: Mutex<HashMap<Uuid, (u64, Report)>>,
}

impl Gate {
    /// What a mailbox of the profile would meet, without asking the server again.
    pub fn closed(&self, profile: Uuid, revision: u64) -> Option<Report> {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        match closed.get(&profile) {
            Some((at, report)) if *at == revision => Some(report.clone()),
            Some(_) => {
                closed.remove(&profile);
                None
            }
            None => None,
        }
    }

    /// Notes a failure; credential failures close the gate until the profile changes.
    pub fn note(&self, profile: Uuid, revision: u64, report: &Report) {
        if !matches!(report.code, Code::CredentialsRejected | Code::AccountLocked | Code::PasswordExpired) {
            return;
        }
        let detail = format!("not asked again, to protect the account from being locked: {}", report.detail);
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.insert(profile, (revision, Report::new(report.code, detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_when_the_profile_changes() {
        let (gate, profile) = (Gate::default(), Uuid::from_u128(1));
        gate.note(profile, 1, &Report::new(Code::ConnectRefused, ""));
        assert_eq!(gate.closed(profile, 1), None);
        gate.note(profile, 1, &Report::new(Code::CredentialsRejected, ""));
        assert!(gate.closed(profile, 1).is_some());
        assert_eq!(gate.closed(profile, 2), None);
    }
}
