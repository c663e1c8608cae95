//! Records' events.

use postroad_core::{
    EmailAddress,
    record::{Event, Kind, Record},
};
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{Malformed, Persisted, foreign, value};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            // The id is the subject's.
            Self::Saved(Record { id: _, kind, name, addresses, active }) => Wire::RecordSaved(wire::RecordSaved {
                kind: number(*kind),
                name: name.clone(),
                addresses: addresses.iter().map(|address| address.as_str().to_owned()).collect(),
                active: *active,
            }),
            Self::Deleted => Wire::Deleted(wire::Deleted {}),
        }
    }

    fn from_wire(id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::RecordSaved(wire::RecordSaved { kind, name, addresses, active }) => {
                let Some(kind) = Kind::ALL.into_iter().find(|known| number(*known) == kind) else {
                    return value::unknown("kind", kind);
                };
                let addresses = addresses.into_iter().map(EmailAddress::trusted).collect();
                Self::Saved(Record { id, kind, name, addresses, active })
            }
            Wire::Deleted(wire::Deleted {}) => Self::Deleted,
            other => return foreign(&other),
        })
    }
}

const fn number(kind: Kind) -> u32 {
    match kind {
        Kind::User => 1,
        Kind::Queue => 2,
        Kind::Contact => 3,
        Kind::Account => 4,
        Kind::Lead => 5,
    }
}
