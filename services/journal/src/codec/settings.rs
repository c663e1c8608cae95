//! Settings of mailboxes.

use postroad_core::{
    EmailAddress,
    mailbox::{FilteringMethod, Kind, Method, PerDirection, Settings},
};
use uuid::Uuid;

use super::{maybe_at, stored, time};

pub fn write(settings: &Settings) -> stored::MailboxSettings {
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
    } = settings.clone();
    let (kind, regarding_id) = match kind {
        Kind::User(id) => (1, id.to_string()),
        Kind::Queue(id) => (2, id.to_string()),
        Kind::Forward => (3, String::new()),
    };
    stored::MailboxSettings {
        name,
        kind,
        regarding_id,
        address: address.as_str().to_owned(),
        profile_id: profile_id.map(|id| id.to_string()).unwrap_or_default(),
        incoming_method: write_method(methods.incoming),
        outgoing_method: write_method(methods.outgoing),
        appointments_contacts_tasks_method: write_method(methods.appointments_contacts_tasks),
        filtering_method: filtering_method.number(),
        process_email_from: process_email_from.map(time),
        delete_after_processing,
        allow_own_credentials,
        user_name,
    }
}

pub fn read(settings: stored::MailboxSettings) -> Option<Settings> {
    let regarding = || Uuid::parse_str(&settings.regarding_id).ok();
    let kind = match settings.kind {
        1 => Kind::User(regarding()?),
        2 => Kind::Queue(regarding()?),
        3 => Kind::Forward,
        _ => return None,
    };
    let profile_id =
        if settings.profile_id.is_empty() { None } else { Some(Uuid::parse_str(&settings.profile_id).ok()?) };
    Some(Settings {
        name: settings.name,
        kind,
        address: EmailAddress::trusted(settings.address),
        profile_id,
        methods: PerDirection {
            incoming: read_method(settings.incoming_method)?,
            outgoing: read_method(settings.outgoing_method)?,
            appointments_contacts_tasks: read_method(settings.appointments_contacts_tasks_method)?,
        },
        filtering_method: FilteringMethod::by_number(settings.filtering_method)?,
        process_email_from: maybe_at(settings.process_email_from)?,
        delete_after_processing: settings.delete_after_processing,
        allow_own_credentials: settings.allow_own_credentials,
        user_name: settings.user_name,
    })
}

const fn write_method(method: Method) -> u32 {
    match method {
        Method::None => 0,
        Method::ServerSideSync => 1,
        Method::ForwardMailbox => 2,
    }
}

const fn read_method(method: u32) -> Option<Method> {
    match method {
        0 => Some(Method::None),
        1 => Some(Method::ServerSideSync),
        2 => Some(Method::ForwardMailbox),
        _ => None,
    }
}
