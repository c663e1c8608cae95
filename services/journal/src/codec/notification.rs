//! Notification events.

use postroad_core::{
    fault::Code,
    notification::{Event, Evidence, Hour},
};
use uuid::Uuid;

use super::{Stored, at, read_report, report, stored, time};

pub fn encode(event: &Event) -> Stored {
    match event {
        Event::Intended { hour, at, evidence: Evidence { processed, failed, faults } } => {
            Stored::NotificationIntended(stored::NotificationIntended {
                hour: hour.0,
                at: Some(time(*at)),
                processed: *processed,
                failed: *failed,
                faults: faults
                    .iter()
                    .map(|(code, count)| stored::FaultCount { code: code.name().to_owned(), count: *count })
                    .collect(),
            })
        }
        Event::Sent { hour, at, recipient } => Stored::NotificationSent(stored::NotificationSent {
            hour: hour.0,
            at: Some(time(*at)),
            recipient: recipient.clone(),
        }),
        Event::Failed { hour, at, report: fault } => Stored::NotificationFailed(stored::NotificationFailed {
            hour: hour.0,
            at: Some(time(*at)),
            report: Some(report(fault)),
        }),
        Event::Unknown { hour, at } => {
            Stored::NotificationUnknown(stored::NotificationUnknown { hour: hour.0, at: Some(time(*at)) })
        }
    }
}

pub fn decode(_id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::NotificationIntended(event) => Event::Intended {
            hour: Hour(event.hour),
            at: at(event.at)?,
            evidence: Evidence {
                processed: event.processed,
                failed: event.failed,
                faults: event
                    .faults
                    .into_iter()
                    .map(|fault| (Code::by_name(&fault.code).unwrap_or(Code::Internal), fault.count))
                    .collect(),
            },
        },
        Stored::NotificationSent(event) => {
            Event::Sent { hour: Hour(event.hour), at: at(event.at)?, recipient: event.recipient }
        }
        Stored::NotificationFailed(event) => {
            Event::Failed { hour: Hour(event.hour), at: at(event.at)?, report: read_report(event.report?) }
        }
        Stored::NotificationUnknown(event) => Event::Unknown { hour: Hour(event.hour), at: at(event.at)? },
        _ => return None,
    })
}
