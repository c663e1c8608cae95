//! Profiles' events.

use postroad_core::{
    EmailAddress,
    profile::{Event, Locations, Owner, ServerType, Settings},
};
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{Malformed, Persisted, foreign, value};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            // The id is the subject's.
            Self::Created { id: _, settings: wanted } => {
                Wire::ProfileCreated(wire::ProfileCreated { settings: Some(settings(wanted)) })
            }
            Self::Changed { settings: wanted } => {
                Wire::ProfileChanged(wire::ProfileChanged { settings: Some(settings(wanted)) })
            }
            Self::PasswordSet { sealed } => Wire::PasswordSet(value::sealed(sealed)),
            Self::Activated => Wire::Activated(wire::Activated {}),
            Self::Deactivated => Wire::Deactivated(wire::Deactivated {}),
            Self::Tested { at, fault, elapsed_ms } => Wire::ProfileTested(wire::ProfileTested {
                at: Some(value::time(*at)),
                fault: fault.as_ref().map(value::report),
                elapsed_ms: *elapsed_ms,
            }),
            Self::Deleted => Wire::Deleted(wire::Deleted {}),
        }
    }

    fn from_wire(id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::ProfileCreated(wire::ProfileCreated { settings }) => Self::Created { id, settings: read(settings)? },
            Wire::ProfileChanged(wire::ProfileChanged { settings }) => Self::Changed { settings: read(settings)? },
            Wire::PasswordSet(sealed) => Self::PasswordSet { sealed: value::read_sealed(sealed) },
            Wire::Activated(wire::Activated {}) => Self::Activated,
            Wire::Deactivated(wire::Deactivated {}) => Self::Deactivated,
            Wire::ProfileTested(wire::ProfileTested { at, fault, elapsed_ms }) => Self::Tested {
                at: value::read_time("at", at)?,
                fault: value::read_some_report("fault", fault)?,
                elapsed_ms,
            },
            Wire::Deleted(wire::Deleted {}) => Self::Deleted,
            other => return foreign(&other),
        })
    }
}

fn settings(settings: &Settings) -> wire::ProfileSettings {
    let Settings {
        name,
        description,
        owner: Owner { user_id, name: owner_name, address },
        server_type: kind,
        locations,
        user_name,
        process_email_from,
        minimum_polling_interval_minutes,
        maximum_concurrent_connections,
        move_failed_emails,
        send_alert_email,
        connection_timeout_ms,
        trust_anchors,
    } = settings;
    wire::ProfileSettings {
        name: name.clone(),
        description: description.clone(),
        owner_id: user_id.to_string(),
        owner_name: owner_name.clone(),
        owner_address: address.as_str().to_owned(),
        server_type: server_type(*kind),
        incoming: locations.as_ref().map(|locations| value::location(&locations.incoming)),
        outgoing: locations.as_ref().map(|locations| value::location(&locations.outgoing)),
        user_name: user_name.clone(),
        process_email_from: process_email_from.map(value::time),
        minimum_polling_interval_minutes: u32::from(*minimum_polling_interval_minutes),
        maximum_concurrent_connections: u32::from(*maximum_concurrent_connections),
        move_failed_emails: *move_failed_emails,
        send_alert_email: *send_alert_email,
        connection_timeout_ms: *connection_timeout_ms,
        trust_anchors: trust_anchors.clone(),
    }
}

fn read(settings: Option<wire::ProfileSettings>) -> Result<Settings, Malformed> {
    let stored = value::required("settings", settings)?;
    let locations = match (stored.incoming, stored.outgoing) {
        (None, None) => None,
        (Some(incoming), Some(outgoing)) => Some(Locations {
            incoming: value::read_location(incoming)?,
            outgoing: value::read_location(outgoing)?,
        }),
        (Some(_), None) | (None, Some(_)) => return Err(Malformed("one of two locations is missing".to_owned())),
    };
    Ok(Settings {
        name: stored.name,
        description: stored.description,
        owner: Owner {
            user_id: value::read_id("owner_id", &stored.owner_id)?,
            name: stored.owner_name,
            address: EmailAddress::trusted(stored.owner_address),
        },
        server_type: read_server_type(stored.server_type)?,
        locations,
        user_name: stored.user_name,
        process_email_from: value::read_some_time("process_email_from", stored.process_email_from)?,
        minimum_polling_interval_minutes: value::narrow(
            "minimum_polling_interval_minutes",
            stored.minimum_polling_interval_minutes,
        )?,
        maximum_concurrent_connections: value::narrow(
            "maximum_concurrent_connections",
            stored.maximum_concurrent_connections,
        )?,
        move_failed_emails: stored.move_failed_emails,
        send_alert_email: stored.send_alert_email,
        connection_timeout_ms: stored.connection_timeout_ms,
        trust_anchors: stored.trust_anchors,
    })
}

const fn server_type(kind: ServerType) -> u32 {
    match kind {
        ServerType::ExchangeServerHybrid => 1,
        ServerType::ExchangeServer => 2,
        ServerType::ExchangeOnline => 3,
    }
}

fn read_server_type(number: u32) -> Result<ServerType, Malformed> {
    Ok(match number {
        1 => ServerType::ExchangeServerHybrid,
        2 => ServerType::ExchangeServer,
        3 => ServerType::ExchangeOnline,
        other => return value::unknown("server_type", other),
    })
}
