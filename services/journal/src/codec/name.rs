//! Events of claims on unique names.

use postroad_core::name::Event;
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{Malformed, Persisted, foreign, value};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            Self::Claimed { holder } => Wire::NameClaimed(wire::NameClaimed { holder_id: holder.to_string() }),
            Self::Released => Wire::NameReleased(wire::NameReleased {}),
        }
    }

    fn from_wire(_id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::NameClaimed(wire::NameClaimed { holder_id }) => {
                Self::Claimed { holder: value::read_id("holder_id", &holder_id)? }
            }
            Wire::NameReleased(wire::NameReleased {}) => Self::Released,
            other => return foreign(&other),
        })
    }
}
