//! Profile events.

use postroad_core::{
    EmailAddress,
    autodiscover::Pattern,
    location::Location,
    profile::{ClientCredentials, Event, Locations, Owner, ServerType, Settings, TlsLibrary},
};
use uuid::Uuid;

use super::{Stored, at, maybe_at, read_report, read_sealed, report, sealed, stored, time};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Created { id: _, settings } => {
            Stored::ProfileCreated(stored::ProfileCreated { settings: Some(write(settings)) })
        }
        Event::Changed { settings } => {
            Stored::ProfileChanged(stored::ProfileChanged { settings: Some(write(settings)) })
        }
        Event::PasswordSet { sealed: set } => Stored::PasswordSet(sealed(set, false)),
        Event::Resealed { sealed: set } => Stored::PasswordSet(sealed(set, true)),
        Event::Activated => Stored::Activated(stored::Activated {}),
        Event::Deactivated => Stored::Deactivated(stored::Deactivated {}),
        Event::Tested { at, fault, elapsed_ms } => Stored::ProfileTested(stored::ProfileTested {
            at: Some(time(*at)),
            fault: fault.as_ref().map(report),
            elapsed_ms: *elapsed_ms,
        }),
        Event::Deleted => Stored::Deleted(stored::Deleted {}),
    }
}

pub fn decode(id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::ProfileCreated(event) => Event::Created { id, settings: read(event.settings?)? },
        Stored::ProfileChanged(event) => Event::Changed { settings: read(event.settings?)? },
        Stored::PasswordSet(event) if event.is_resealed => Event::Resealed { sealed: read_sealed(event) },
        Stored::PasswordSet(event) => Event::PasswordSet { sealed: read_sealed(event) },
        Stored::Activated(_) => Event::Activated,
        Stored::Deactivated(_) => Event::Deactivated,
        Stored::ProfileTested(event) => {
            Event::Tested { at: at(event.at)?, fault: event.fault.map(read_report), elapsed_ms: event.elapsed_ms }
        }
        Stored::Deleted(_) => Event::Deleted,
        _ => return None,
    })
}

fn write(settings: &Settings) -> stored::ProfileSettings {
    let Settings {
        name,
        description,
        owner,
        server_type,
        locations,
        user_name,
        process_email_from,
        minimum_polling_interval_minutes,
        maximum_concurrent_connections,
        move_failed_emails,
        send_alert_email,
        connection_timeout_ms,
        trust_anchors,
        released_hosts,
        allow_internal_addresses,
        tls,
        client_credentials,
    } = settings.clone();
    let (incoming, outgoing) = locations.map(|locations| (locations.incoming, locations.outgoing)).unzip();
    stored::ProfileSettings {
        name,
        description,
        owner_id: owner.user_id.to_string(),
        owner_name: owner.name,
        owner_address: owner.address.as_str().to_owned(),
        server_type: match server_type {
            ServerType::ExchangeServerHybrid => 1,
            ServerType::ExchangeServer => 2,
            ServerType::ExchangeOnline => 3,
        },
        incoming: incoming.map(write_location),
        outgoing: outgoing.map(write_location),
        user_name,
        process_email_from: process_email_from.map(time),
        minimum_polling_interval_minutes: u32::from(minimum_polling_interval_minutes),
        maximum_concurrent_connections: u32::from(maximum_concurrent_connections),
        move_failed_emails,
        send_alert_email,
        connection_timeout_ms,
        trust_anchors,
        released_hosts: released_hosts.into_iter().map(String::from).collect(),
        allow_internal_addresses,
        system_tls: tls == TlsLibrary::System,
        client_credentials: client_credentials.map(|client| stored::ClientCredentials {
            token_location: Some(write_location(client.token_location)),
            client_id: client.client_id,
            scope: client.scope,
            certificate: client.certificate.unwrap_or_default(),
        }),
    }
}

fn read(settings: stored::ProfileSettings) -> Option<Settings> {
    let locations = match (settings.incoming, settings.outgoing) {
        (Some(incoming), Some(outgoing)) => {
            Some(Locations { incoming: read_location(incoming)?, outgoing: read_location(outgoing)? })
        }
        _ => None,
    };
    Some(Settings {
        name: settings.name,
        description: settings.description,
        owner: Owner {
            user_id: Uuid::parse_str(&settings.owner_id).ok()?,
            name: settings.owner_name,
            address: EmailAddress::trusted(settings.owner_address),
        },
        server_type: match settings.server_type {
            1 => ServerType::ExchangeServerHybrid,
            2 => ServerType::ExchangeServer,
            3 => ServerType::ExchangeOnline,
            _ => return None,
        },
        locations,
        user_name: settings.user_name,
        process_email_from: maybe_at(settings.process_email_from)?,
        minimum_polling_interval_minutes: u16::try_from(settings.minimum_polling_interval_minutes).ok()?,
        maximum_concurrent_connections: u16::try_from(settings.maximum_concurrent_connections).ok()?,
        move_failed_emails: settings.move_failed_emails,
        send_alert_email: settings.send_alert_email,
        connection_timeout_ms: settings.connection_timeout_ms,
        trust_anchors: settings.trust_anchors,
        released_hosts: read_hosts(settings.released_hosts)?,
        allow_internal_addresses: settings.allow_internal_addresses,
        tls: if settings.system_tls { TlsLibrary::System } else { TlsLibrary::Postroad },
        client_credentials: match settings.client_credentials {
            None => None,
            Some(client) => Some(ClientCredentials {
                token_location: read_location(client.token_location?)?,
                client_id: client.client_id,
                scope: client.scope,
                certificate: Some(client.certificate).filter(|pem| !pem.is_empty()),
            }),
        },
    })
}

fn read_hosts(hosts: Vec<String>) -> Option<Vec<Pattern>> {
    hosts.into_iter().map(|text| Pattern::try_from(text).ok()).collect()
}

fn write_location(location: Location) -> stored::Location {
    let Location { host, port, path } = location;
    stored::Location { host, port: u32::from(port), path }
}

fn read_location(location: stored::Location) -> Option<Location> {
    let stored::Location { host, port, path } = location;
    Some(Location { host, port: u16::try_from(port).ok()?, path })
}
