//! Record events.

use postroad_core::{
    EmailAddress,
    record::{Event, Kind, Record},
};
use uuid::Uuid;

use super::{Stored, stored};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Saved(Record { id: _, kind, name, addresses, active, owner_id }) => {
            Stored::RecordSaved(stored::RecordSaved {
                kind: write_kind(*kind),
                name: name.clone(),
                addresses: addresses.iter().map(|address| address.as_str().to_owned()).collect(),
                active: *active,
                owner_id: owner_id.map(|id| id.to_string()).unwrap_or_default(),
            })
        }
        Event::Deleted => Stored::Deleted(stored::Deleted {}),
    }
}

pub fn decode(id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::RecordSaved(saved) => Event::Saved(Record {
            id,
            kind: read_kind(saved.kind)?,
            name: saved.name,
            addresses: saved.addresses.into_iter().map(EmailAddress::trusted).collect(),
            active: saved.active,
            owner_id: if saved.owner_id.is_empty() { None } else { Some(Uuid::parse_str(&saved.owner_id).ok()?) },
        }),
        Stored::Deleted(_) => Event::Deleted,
        _ => return None,
    })
}

/// The stored number of a kind.
pub const fn write_kind(kind: Kind) -> u32 {
    match kind {
        Kind::User => 1,
        Kind::Queue => 2,
        Kind::Contact => 3,
        Kind::Account => 4,
        Kind::Lead => 5,
    }
}

/// The kind with this number.
pub const fn read_kind(kind: u32) -> Option<Kind> {
    match kind {
        1 => Some(Kind::User),
        2 => Some(Kind::Queue),
        3 => Some(Kind::Contact),
        4 => Some(Kind::Account),
        5 => Some(Kind::Lead),
        _ => None,
    }
}
