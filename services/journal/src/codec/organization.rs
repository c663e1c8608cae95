//! The organization's settings.

use postroad_core::organization::Event;
use uuid::Uuid;

use super::{Stored, stored};

pub fn encode(event: &Event) -> Stored {
    Stored::OrganizationChanged(stored::OrganizationChanged { entries: event.entries.clone().into_iter().collect() })
}

pub fn decode(_id: Uuid, event: Stored) -> Option<Event> {
    match event {
        Stored::OrganizationChanged(changed) => Some(Event { entries: changed.entries.into_iter().collect() }),
        _ => None,
    }
}
