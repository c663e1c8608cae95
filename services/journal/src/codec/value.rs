//! The values that events are made of.

use jiff::Timestamp;
use postroad_core::{fault, location, profile::Sealed};
use postroad_proto::journal::v1 as wire;
use uuid::Uuid;

use super::Malformed;

/// A field that a stored message must have.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed(format!("{field} is missing")))
}

/// A number that stands for something this version does not know.
pub(crate) fn unknown<T>(field: &str, number: impl std::fmt::Display) -> Result<T, Malformed> {
    Err(Malformed(format!("{field} {number} is unknown")))
}

pub(crate) fn time(at: Timestamp) -> prost_types::Timestamp {
    // jiff's nanoseconds have the sign of the seconds, protobuf's are never negative.
    let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

pub(crate) fn read_time(field: &str, at: Option<prost_types::Timestamp>) -> Result<Timestamp, Malformed> {
    let at = required(field, at)?;
    Timestamp::new(at.seconds, at.nanos).map_err(|error| Malformed(format!("{field}: {error}")))
}

pub(crate) fn read_some_time(field: &str, at: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Malformed> {
    at.map(|at| read_time(field, Some(at))).transpose()
}

pub(crate) fn read_id(field: &str, text: &str) -> Result<Uuid, Malformed> {
    Uuid::try_parse(text).map_err(|_| Malformed(format!("{field} `{text}` is no id")))
}

/// An optional text; stored as an empty one where there is none.
pub(crate) fn some_text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(crate) fn narrow(field: &str, number: u32) -> Result<u16, Malformed> {
    number.try_into().or_else(|_| unknown(field, number))
}

pub(crate) fn report(report: &fault::Report) -> wire::Report {
    wire::Report { code: report.code.name().to_owned(), detail: report.detail.clone() }
}

pub(crate) fn read_report(field: &str, report: Option<wire::Report>) -> Result<fault::Report, Malformed> {
    let wire::Report { code, detail } = required(field, report)?;
    match fault::Code::by_name(&code) {
        Some(code) => Ok(fault::Report { code, detail }),
        None => unknown(field, code),
    }
}

pub(crate) fn read_some_report(field: &str, report: Option<wire::Report>) -> Result<Option<fault::Report>, Malformed> {
    report.map(|report| read_report(field, Some(report))).transpose()
}

pub(crate) fn location(location: &location::Location) -> wire::Location {
    wire::Location { host: location.host.clone(), port: u32::from(location.port), path: location.path.clone() }
}

pub(crate) fn read_location(location: wire::Location) -> Result<location::Location, Malformed> {
    let wire::Location { host, port, path } = location;
    Ok(location::Location { host, port: narrow("port", port)?, path })
}

pub(crate) fn sealed(sealed: &Sealed) -> wire::PasswordSet {
    wire::PasswordSet {
        key_id: sealed.key_id.clone(),
        wrapped_key: sealed.wrapped_key.clone(),
        ciphertext: sealed.ciphertext.clone(),
    }
}

pub(crate) fn read_sealed(stored: wire::PasswordSet) -> Sealed {
    let wire::PasswordSet { key_id, wrapped_key, ciphertext } = stored;
    Sealed { key_id, wrapped_key, ciphertext }
}
