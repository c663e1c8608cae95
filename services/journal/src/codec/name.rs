//! Claims on unique names.

use postroad_core::name::Event;
use uuid::Uuid;

use super::{Stored, stored};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Claimed { holder } => Stored::NameClaimed(stored::NameClaimed { holder_id: holder.to_string() }),
        Event::Released => Stored::NameReleased(stored::NameReleased {}),
    }
}

pub fn decode(_id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::NameClaimed(claimed) => Event::Claimed { holder: Uuid::parse_str(&claimed.holder_id).ok()? },
        Stored::NameReleased(_) => Event::Released,
        _ => return None,
    })
}
