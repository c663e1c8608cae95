//! Events for this crate's tests.

use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
    mailbox::{self, Direction, FilteringMethod, Kind, Method, PerDirection, Trigger},
    notification::{self, Hour},
    profile::{self, Owner, ServerType},
};
use postroad_journal::{Actor, Commit, Followed};
use uuid::Uuid;

use crate::{board::Board, view::View};

pub const HOUR: Hour = Hour(500_000);

/// A time, in seconds of the hour.
pub fn at(second: i64) -> Timestamp {
    HOUR.start() + SignedDuration::from_secs(second)
}

pub const fn profile_id(number: u128) -> Uuid {
    Uuid::from_u128(1_000_000 + number)
}

pub const fn mailbox_id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn settings(name: &str, send_alert_email: bool) -> profile::Settings {
    profile::Settings {
        name: name.into(),
        description: String::new(),
        owner: Owner {
            user_id: Uuid::from_u128(7),
            name: "Ada King".into(),
            address: EmailAddress::trusted("ada@contoso.example"),
        },
        server_type: ServerType::ExchangeServer,
        locations: None,
        user_name: "crm@contoso.example".into(),
        process_email_from: None,
        minimum_polling_interval_minutes: 0,
        maximum_concurrent_connections: 27,
        move_failed_emails: false,
        send_alert_email,
        connection_timeout_ms: 100_000,
        trust_anchors: Vec::new(),
        released_hosts: Vec::new(),
        allow_internal_addresses: false,
        tls: profile::TlsLibrary::default(),
        client_credentials: None,
    }
}

pub fn profile_created(id: Uuid, send_alert_email: bool) -> profile::Event {
    profile::Event::Created { id, settings: settings(&format!("Profile {}", id.as_u128()), send_alert_email) }
}

pub fn mailbox_settings(id: Uuid, profile: Uuid) -> mailbox::Settings {
    mailbox::Settings {
        name: String::new(),
        kind: Kind::Forward,
        address: EmailAddress::trusted(format!("box{}@contoso.example", id.as_u128())),
        profile_id: Some(profile),
        methods: PerDirection { incoming: Method::ServerSideSync, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    }
}

/// A mailbox that is created and enabled.
pub fn enabled(id: Uuid, profile: Uuid) -> Vec<mailbox::Event> {
    let mut outcomes = PerDirection::default();
    *outcomes.get_mut(Direction::Incoming) = Some(Ok(()));
    vec![
        mailbox::Event::Created { id, settings: mailbox_settings(id, profile) },
        mailbox::Event::Tested { at: at(-7200), outcomes, next_probe: None, profile_revision: 1 },
    ]
}

pub fn succeeded(at: Timestamp) -> mailbox::Event {
    mailbox::Event::AttemptFinished {
        epoch: 1,
        started_at: at,
        at,
        trigger: Trigger::Timer,
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

pub fn failed(code: Code, at: Timestamp) -> mailbox::Event {
    mailbox::Event::AttemptFailed {
        epoch: 1,
        started_at: at,
        at,
        trigger: Trigger::Timer,
        report: Report::new(code, "mail.contoso.example"),
        failures: 1,
        next_attempt: Some(at + SignedDuration::from_mins(5)),
        disables: false,
        profile_revision: 1,
    }
}

/// A journal of one's own: numbers commits and folds them where they belong.
#[derive(Default)]
pub struct Log {
    pub commits: Vec<Followed>,
}

impl Log {
    /// `mailboxes` enabled mailboxes of profile 1, whose owner is mailed.
    pub fn with(mailboxes: u128) -> Self {
        let mut log = Self::default();
        log.profile(profile_id(1), profile_created(profile_id(1), true));
        for number in 0..mailboxes {
            for event in enabled(mailbox_id(number), profile_id(1)) {
                log.mailbox(number, event);
            }
        }
        log
    }

    pub fn profile(&mut self, id: Uuid, event: profile::Event) {
        let commit = self.commit(event);
        self.commits.push(Followed::Profile(id, commit));
    }

    pub fn mailbox(&mut self, number: u128, event: mailbox::Event) {
        let commit = self.commit(event);
        self.commits.push(Followed::Mailbox(mailbox_id(number), commit));
    }

    pub fn notification(&mut self, id: Uuid, event: notification::Event) {
        let commit = self.commit(event);
        self.commits.push(Followed::Notification(id, commit));
    }

    /// Of the mailboxes 0, 1, ... the first `failed` fail and the others succeed, in the first seconds of the hour.
    pub fn attempts(&mut self, processed: u128, failures: u128) {
        for number in 0..processed {
            let event = if number < failures { failed(Code::ConnectRefused, at(1)) } else { succeeded(at(1)) };
            self.mailbox(number, event);
        }
    }

    /// The view of somebody who reads everything in the first moment of the hour.
    pub fn view(&self) -> View {
        self.view_at(at(0))
    }

    /// The view of somebody who reads everything at a time.
    pub fn view_at(&self, now: Timestamp) -> View {
        let mut view = View::default();
        for followed in &self.commits {
            view.fold(followed, now);
        }
        view
    }

    pub fn fill(&self, board: &Board) {
        for followed in &self.commits {
            board.fold(followed, at(0));
        }
    }

    fn commit<E>(&self, event: E) -> Commit<E> {
        let sequence = self.commits.len() as u64 + 1;
        let (id, actor) = (Uuid::from_u128(u128::from(sequence)), Actor::new("test"));
        Commit { id, sequence, at: at(0), actor, events: vec![event] }
    }
}
