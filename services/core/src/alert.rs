//! The alert wall: information, warnings and errors about profiles and mailboxes, a fold of the journal (spec §7.1).
//!
//! A repeat of the same alert for the same subject updates the row and its count instead of adding one. A failure of the
//! server is one alert for its profile, not one for each mailbox.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    fault::{Code, Report, Scope},
    mailbox, notification, profile,
};

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Information,
    /// Retried by itself.
    Warning,
    /// Somebody has to act, or something is disabled.
    Error,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Regarding {
    /// A profile.
    Profile(Uuid),
    /// A mailbox.
    Mailbox(Uuid),
}

/// What makes repeats the same alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is about.
    pub regarding: Regarding,
    /// A fault's name, or a short name of the information.
    pub subject: String,
}

/// One row of the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What makes it the same.
    pub key: Key,
    /// How grave it is; the gravest of its repeats.
    pub level: Level,
    /// The fault, where there is one.
    pub code: Option<Code>,
    /// What happened.
    pub text: String,
    /// First seen.
    pub first_at: Timestamp,
    /// Last seen.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
    /// Mailboxes concerned.
    pub mailboxes: Vec<Uuid>,
    /// When it stopped being true.
    pub resolved_at: Option<Timestamp>,
}

/// The wall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    alerts: BTreeMap<Key, Alert>,
}

/// What an event adds to the wall.
struct Note {
    regarding: Regarding,
    level: Level,
    code: Option<Code>,
    subject: String,
    text: String,
    at: Timestamp,
    mailbox: Option<Uuid>,
}

impl Wall {
    /// The alerts, by subject.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// One alert.
    pub fn get(&self, key: &Key) -> Option<&Alert> {
        self.alerts.get(key)
    }

    /// Folds an event of a mailbox. Returns the keys of the alerts that it changed.
    pub fn mailbox(&mut self, id: Uuid, profile: Option<Uuid>, event: &mailbox::Event) -> Vec<Key> {
        use mailbox::Event;
        match event {
            Event::AttemptFailed { report, at, disables, .. } => {
                let level = if *disables || report.code.is_permanent() { Level::Error } else { Level::Warning };
                vec![self.fault(id, profile, report, level, *at)]
            }
            Event::Tested { at, outcomes, .. } => self.tested(id, profile, *at, outcomes),
            Event::AttemptFinished { at, verdicts, .. } => {
                let mut keys = self.resolve(id, *at);
                for verdict in verdicts {
                    if let mailbox::Decision::Undeliverable { report, .. } = &verdict.decision {
                        keys.push(self.fault(id, profile, report, Level::Warning, *at));
                    }
                }
                keys
            }
            Event::Sending { at, event: mailbox::SendEvent::Failed { report, next_try, .. }, .. } => {
                let level = if next_try.is_none() { Level::Error } else { Level::Warning };
                vec![self.fault(id, profile, report, level, *at)]
            }
            Event::Recovered { at, report, .. } => vec![self.note(Note {
                regarding: Regarding::Mailbox(id),
                level: Level::Information,
                code: None,
                subject: "RECOVERED".to_owned(),
                text: format!("Recovered and enabled again by itself; the cause was: {}", report.sentence()),
                at: *at,
                mailbox: Some(id),
            })],
            Event::Deleted => self.forget(Regarding::Mailbox(id)),
            Event::Created { .. }
            | Event::Changed { .. }
            | Event::PasswordSet { .. }
            | Event::Resealed { .. }
            | Event::ApprovalChanged { .. }
            | Event::Activated
            | Event::Deactivated
            | Event::Claimed { .. }
            | Event::AttemptStarted { .. }
            | Event::Throttled { .. }
            | Event::Disposed { .. }
            | Event::BackfillPlanned { .. }
            | Event::BackfillPaused { .. }
            | Event::BackfillResumed { .. }
            | Event::RetryAsked { .. }
            | Event::FolderTracked { .. }
            | Event::FolderUntracked { .. }
            | Event::Sending { .. } => Vec::new(),
        }
    }

    /// Folds an event of a profile.
    pub fn profile(&mut self, id: Uuid, event: &profile::Event) -> Vec<Key> {
        if *event == profile::Event::Deleted { self.forget(Regarding::Profile(id)) } else { Vec::new() }
    }

    /// Folds an event of a profile's notifications.
    pub fn notification(&mut self, profile: Uuid, event: &notification::Event) -> Vec<Key> {
        use notification::Event;
        let note = |level, code, subject: &str, text, at| Note {
            regarding: Regarding::Profile(profile),
            level,
            code,
            subject: subject.to_owned(),
            text,
            at,
            mailbox: None,
        };
        let note = match event {
            Event::Intended { .. } => return Vec::new(),
            Event::Sent { at, recipient, hour } => {
                let text = format!(
                    "The owner {recipient} was mailed: more than half of the mailboxes failed in the hour from {}",
                    hour.start()
                );
                note(Level::Information, None, "OWNER_NOTIFIED", text, *at)
            }
            Event::Failed { at, report, .. } => {
                note(Level::Error, Some(report.code), report.code.name(), report.sentence(), *at)
            }
            Event::Unknown { at, hour } => {
                let text = format!(
                    "It is unknown whether the owner's mail for the hour from {} was sent; it is not repeated",
                    hour.start()
                );
                note(Level::Warning, Some(Code::NotificationFailed), "NOTIFICATION_UNKNOWN", text, *at)
            }
        };
        vec![self.note(note)]
    }

    fn fault(&mut self, mailbox: Uuid, profile: Option<Uuid>, report: &Report, level: Level, at: Timestamp) -> Key {
        let regarding = match (report.code.scope(), profile) {
            (Scope::Server | Scope::Deployment, Some(profile)) => Regarding::Profile(profile),
            _ => Regarding::Mailbox(mailbox),
        };
        self.note(Note {
            regarding,
            level,
            code: Some(report.code),
            subject: report.code.name().to_owned(),
            text: report.sentence(),
            at,
            mailbox: Some(mailbox),
        })
    }

    fn tested(
        &mut self,
        id: Uuid,
        profile: Option<Uuid>,
        at: Timestamp,
        outcomes: &mailbox::PerDirection<mailbox::TestOutcome>,
    ) -> Vec<Key> {
        let mut keys = Vec::new();
        for direction in mailbox::Direction::ALL {
            if let Some(Err(report)) = outcomes.get(direction) {
                keys.push(self.fault(id, profile, report, Level::Error, at));
            }
        }
        if keys.is_empty() {
            keys = self.resolve(id, at);
            keys.push(self.note(Note {
                regarding: Regarding::Mailbox(id),
                level: Level::Information,
                code: None,
                subject: "TEST_PASSED".to_owned(),
                text: "Tested and enabled".to_owned(),
                at,
                mailbox: Some(id),
            }));
        }
        keys
    }

    fn note(&mut self, note: Note) -> Key {
        let key = Key { regarding: note.regarding, subject: note.subject };
        let alert = self.alerts.entry(key.clone()).or_insert_with(|| Alert {
            key: key.clone(),
            level: note.level,
            code: note.code,
            text: String::new(),
            first_at: note.at,
            last_at: note.at,
            count: 0,
            mailboxes: Vec::new(),
            resolved_at: None,
        });
        if alert.resolved_at.take().is_some() {
            // A new occurrence, not a repeat of the old one.
            (alert.first_at, alert.count, alert.level) = (note.at, 0, note.level);
            alert.mailboxes.clear();
        }
        alert.level = alert.level.max(note.level);
        alert.text = note.text;
        alert.last_at = alert.last_at.max(note.at);
        alert.count += 1;
        if let Some(mailbox) = note.mailbox.filter(|id| !alert.mailboxes.contains(id)) {
            alert.mailboxes.push(mailbox);
        }
        key
    }

    /// A mailbox works again: alerts that concern only such mailboxes are resolved.
    fn resolve(&mut self, mailbox: Uuid, at: Timestamp) -> Vec<Key> {
        let mut keys = Vec::new();
        for (key, alert) in &mut self.alerts {
            let open = alert.resolved_at.is_none() && alert.level > Level::Information;
            let about_item = alert.code.is_some_and(|code| code.scope() == Scope::Item);
            if !open || about_item || !alert.mailboxes.contains(&mailbox) {
                continue;
            }
            alert.mailboxes.retain(|id| *id != mailbox);
            if alert.mailboxes.is_empty() {
                alert.resolved_at = Some(at);
            }
            keys.push(key.clone());
        }
        keys
    }

    fn forget(&mut self, regarding: Regarding) -> Vec<Key> {
        let keys: Vec<_> = self.alerts.keys().filter(|key| key.regarding == regarding).cloned().collect();
        for key in &keys {
            self.alerts.remove(key);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: Uuid = Uuid::from_u128(1);

    fn failed(code: Code, disables: bool) -> mailbox::Event {
        mailbox::Event::AttemptFailed {
            epoch: 1,
            started_at: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            trigger: mailbox::Trigger::Timer,
            report: Report::new(code, "mail.contoso.example"),
            failures: 1,
            next_attempt: None,
            disables,
            profile_revision: 1,
        }
    }

    fn finished() -> mailbox::Event {
        mailbox::Event::AttemptFinished {
            epoch: 1,
            started_at: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            trigger: mailbox::Trigger::Timer,
            cursor: None,
            verdicts: Vec::new(),
            deferrals: Vec::new(),
            folders: Vec::new(),
            judged_from: None,
            backfill: None,
            amendments: Vec::new(),
            relisted: Vec::new(),
        }
    }

    #[test]
    fn an_outage_is_one_alert_for_the_profile() {
        let mut wall = Wall::default();
        for mailbox in 0..50 {
            wall.mailbox(Uuid::from_u128(mailbox), Some(PROFILE), &failed(Code::ConnectRefused, false));
        }
        let alerts: Vec<_> = wall.alerts().collect();
        assert_eq!((alerts.len(), alerts[0].count, alerts[0].level), (1, 50, Level::Warning));
        assert_eq!(alerts[0].key.regarding, Regarding::Profile(PROFILE));
    }

    #[test]
    fn it_is_resolved_when_the_last_mailbox_works_again() {
        let mut wall = Wall::default();
        for mailbox in [1, 2] {
            wall.mailbox(Uuid::from_u128(mailbox), Some(PROFILE), &failed(Code::ConnectRefused, false));
        }
        wall.mailbox(Uuid::from_u128(1), Some(PROFILE), &finished());
        assert!(wall.alerts().all(|alert| alert.resolved_at.is_none()));
        wall.mailbox(Uuid::from_u128(2), Some(PROFILE), &finished());
        assert!(wall.alerts().all(|alert| alert.resolved_at.is_some()));
    }

    #[test]
    fn what_disables_is_an_error() {
        let mut wall = Wall::default();
        wall.mailbox(Uuid::from_u128(1), Some(PROFILE), &failed(Code::ImpersonationDenied, true));
        assert!(wall.alerts().all(|alert| alert.level == Level::Error));
    }
}
