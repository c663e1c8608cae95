//! Notifications' events.

use postroad_core::{
    fault::Code,
    notification::{Event, Evidence, Hour},
};
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{
    Malformed, Persisted, foreign,
    value::{self, read_report, read_time, report, time},
};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            Self::Intended { hour, at, evidence: Evidence { processed, failed, faults } } => {
                let count = |(code, count): &(Code, u64)| wire::FaultCount { code: code.name().to_owned(), count: *count };
                Wire::NotificationIntended(wire::NotificationIntended {
                    hour: hour.0,
                    at: Some(time(*at)),
                    processed: *processed,
                    failed: *failed,
                    faults: faults.iter().map(count).collect(),
                })
            }
            Self::Sent { hour, at, recipient } => Wire::NotificationSent(wire::NotificationSent {
                hour: hour.0,
                at: Some(time(*at)),
                recipient: recipient.clone(),
            }),
            Self::Failed { hour, at, report: seen } => Wire::NotificationFailed(wire::NotificationFailed {
                hour: hour.0,
                at: Some(time(*at)),
                report: Some(report(seen)),
            }),
            Self::Unknown { hour, at } => {
                Wire::NotificationUnknown(wire::NotificationUnknown { hour: hour.0, at: Some(time(*at)) })
            }
        }
    }

    fn from_wire(_id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::NotificationIntended(wire::NotificationIntended { hour, at, processed, failed, faults }) => {
                let faults = faults.into_iter().map(read_count).collect::<Result<_, _>>()?;
                let evidence = Evidence { processed, failed, faults };
                Self::Intended { hour: Hour(hour), at: read_time("at", at)?, evidence }
            }
            Wire::NotificationSent(wire::NotificationSent { hour, at, recipient }) => {
                Self::Sent { hour: Hour(hour), at: read_time("at", at)?, recipient }
            }
            Wire::NotificationFailed(wire::NotificationFailed { hour, at, report }) => {
                Self::Failed { hour: Hour(hour), at: read_time("at", at)?, report: read_report("report", report)? }
            }
            Wire::NotificationUnknown(wire::NotificationUnknown { hour, at }) => {
                Self::Unknown { hour: Hour(hour), at: read_time("at", at)? }
            }
            other => return foreign(&other),
        })
    }
}

fn read_count(stored: wire::FaultCount) -> Result<(Code, u64), Malformed> {
    let wire::FaultCount { code, count } = stored;
    match Code::by_name(&code) {
        Some(code) => Ok((code, count)),
        None => value::unknown("code", code),
    }
}
