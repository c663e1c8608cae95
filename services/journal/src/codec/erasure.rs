//! Erased persons.

use postroad_core::erasure::Event;
use uuid::Uuid;

use super::{Stored, at, stored, time};

pub fn encode(event: &Event) -> Stored {
    let Event::PersonErased { at } = event;
    Stored::PersonErased(stored::PersonErased { at: Some(time(*at)) })
}

pub fn decode(_id: Uuid, event: Stored) -> Option<Event> {
    match event {
        Stored::PersonErased(event) => Some(Event::PersonErased { at: at(event.at)? }),
        _ => None,
    }
}
