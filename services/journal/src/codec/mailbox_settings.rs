//! A mailbox's settings, directions and approval.

use postroad_core::{
    EmailAddress,
    mailbox::{Approval, Direction, FilteringMethod, Kind, Method, PerDirection, Settings, TestOutcome},
};
use postroad_proto::journal::v1 as wire;

use super::{Malformed, value};

pub(super) fn settings(settings: &Settings) -> wire::MailboxSettings {
    let Settings {
        name,
        kind,
        address,
        profile_id,
        methods,
        filtering_method,
        process_email_from,
        delete_after_processing,
        allow_own_credentials,
        user_name,
    } = settings;
    let (kind, regarding_id) = match kind {
        Kind::User(id) => (1, id.to_string()),
        Kind::Queue(id) => (2, id.to_string()),
        Kind::Forward => (3, String::new()),
    };
    wire::MailboxSettings {
        name: name.clone(),
        kind,
        regarding_id,
        address: address.as_str().to_owned(),
        profile_id: profile_id.map(|id| id.to_string()).unwrap_or_default(),
        incoming_method: method(methods.incoming),
        outgoing_method: method(methods.outgoing),
        appointments_contacts_tasks_method: method(methods.appointments_contacts_tasks),
        filtering_method: match filtering_method {
            FilteringMethod::AllMessages => 0,
            FilteringMethod::NoMessages => 4,
        },
        process_email_from: process_email_from.map(value::time),
        delete_after_processing: *delete_after_processing,
        allow_own_credentials: *allow_own_credentials,
        user_name: user_name.clone(),
    }
}

pub(super) fn read_settings(settings: Option<wire::MailboxSettings>) -> Result<Settings, Malformed> {
    let stored = value::required("settings", settings)?;
    Ok(Settings {
        name: stored.name,
        kind: match stored.kind {
            1 => Kind::User(value::read_id("regarding_id", &stored.regarding_id)?),
            2 => Kind::Queue(value::read_id("regarding_id", &stored.regarding_id)?),
            3 => Kind::Forward,
            other => return value::unknown("kind", other),
        },
        address: EmailAddress::trusted(stored.address),
        profile_id: value::some_text(stored.profile_id).map(|id| value::read_id("profile_id", &id)).transpose()?,
        methods: PerDirection {
            incoming: read_method(stored.incoming_method)?,
            outgoing: read_method(stored.outgoing_method)?,
            appointments_contacts_tasks: read_method(stored.appointments_contacts_tasks_method)?,
        },
        filtering_method: match stored.filtering_method {
            0 => FilteringMethod::AllMessages,
            4 => FilteringMethod::NoMessages,
            other => return value::unknown("filtering_method", other),
        },
        process_email_from: value::read_some_time("process_email_from", stored.process_email_from)?,
        delete_after_processing: stored.delete_after_processing,
        allow_own_credentials: stored.allow_own_credentials,
        user_name: stored.user_name,
    })
}

const fn method(method: Method) -> u32 {
    match method {
        Method::None => 0,
        Method::ServerSideSync => 1,
    }
}

fn read_method(number: u32) -> Result<Method, Malformed> {
    match number {
        0 => Ok(Method::None),
        1 => Ok(Method::ServerSideSync),
        other => value::unknown("method", other),
    }
}

pub(super) const fn approval(approval: Approval) -> u32 {
    match approval {
        Approval::Pending => 1,
        Approval::Approved => 2,
        Approval::Rejected => 3,
    }
}

pub(super) fn read_approval(number: u32) -> Result<Approval, Malformed> {
    match number {
        1 => Ok(Approval::Pending),
        2 => Ok(Approval::Approved),
        3 => Ok(Approval::Rejected),
        other => value::unknown("approval", other),
    }
}

/// Only the directions that were tested are stored.
pub(super) fn outcomes(outcomes: &PerDirection<TestOutcome>) -> Vec<wire::DirectionTested> {
    let tested = |direction: Direction| {
        let outcome = outcomes.get(direction).as_ref()?;
        let fault = outcome.as_ref().err().map(value::report);
        Some(wire::DirectionTested { direction: number(direction), fault })
    };
    Direction::ALL.into_iter().filter_map(tested).collect()
}

pub(super) fn read_outcomes(stored: Vec<wire::DirectionTested>) -> Result<PerDirection<TestOutcome>, Malformed> {
    let mut outcomes = PerDirection::<TestOutcome>::default();
    for wire::DirectionTested { direction, fault } in stored {
        let Some(known) = Direction::ALL.into_iter().find(|known| number(*known) == direction) else {
            return value::unknown("direction", direction);
        };
        *outcomes.get_mut(known) = Some(value::read_some_report("fault", fault)?.map_or(Ok(()), Err));
    }
    Ok(outcomes)
}

const fn number(direction: Direction) -> u32 {
    match direction {
        Direction::Incoming => 1,
        Direction::Outgoing => 2,
        Direction::AppointmentsContactsTasks => 3,
    }
}
