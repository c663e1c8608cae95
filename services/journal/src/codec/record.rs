//! Record events.

use postroad_core::{
    EmailAddress,
    record::{Event, Kind, Record},
};
use uuid::Uuid;

use super::{Stored, stored};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Saved(Record { id: _, kind, name, addresses, active }) => Stored::RecordSaved(stored::RecordSaved {
            kind: match kind {
                Kind::User => 1,
                Kind::Queue => 2,
                Kind::Contact => 3,
                Kind::Account => 4,
                Kind::Lead => 5,
            },
            name: name.clone(),
            addresses: addresses.iter().map(|address| address.as_str().to_owned()).collect(),
            active: *active,
        }),
        Event::Deleted => Stored::Deleted(stored::Deleted {}),
    }
}

pub fn decode(id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::RecordSaved(saved) => Event::Saved(Record {
            id,
            kind: match saved.kind {
                1 => Kind::User,
                2 => Kind::Queue,
                3 => Kind::Contact,
                4 => Kind::Account,
                5 => Kind::Lead,
                _ => return None,
            },
            name: saved.name,
            addresses: saved.addresses.into_iter().map(EmailAddress::trusted).collect(),
            active: saved.active,
        }),
        Stored::Deleted(_) => Event::Deleted,
        _ => return None,
    })
}
