//! Small conversions between the wire and the core that every role needs.

use jiff::{SignedDuration, Timestamp};
use postroad_core::{Refusal, fault::Code};
use uuid::Uuid;

/// A time for the wire.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// A time from the wire; `None` if it is unset, refused if it is out of range.
pub fn time(field: &str, at: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>, Refusal> {
    at.map(|at| {
        Timestamp::new(at.seconds, at.nanos).map_err(|error| Refusal::new(Code::TimeInvalid, field, error.to_string()))
    })
    .transpose()
}

/// A duration for the wire.
pub fn duration(elapsed: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(elapsed.subsec_nanos()).unwrap_or_default(),
    }
}

/// A duration from the wire; negative ones are zero.
pub fn elapsed(duration: Option<&prost_types::Duration>) -> std::time::Duration {
    let signed = duration.map_or(SignedDuration::ZERO, |d| SignedDuration::new(d.seconds, d.nanos));
    std::time::Duration::try_from(signed).unwrap_or_default()
}

/// An id from the wire.
pub fn id(field: &str, text: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text.trim()).map_err(|_| Refusal::new(Code::IdInvalid, field, format!("`{text}` is no UUID")))
}

/// The size of a page: 0 means 100, at most 1000.
pub fn page_size(asked: u32) -> usize {
    match asked {
        0 => 100,
        size => usize::try_from(size.min(1000)).unwrap_or(1000),
    }
}

/// A page token that names the last key of the page before.
pub fn page_token(last: &str) -> String {
    last.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The key that a page token names; `None` for the first page.
pub fn page_start(token: &str) -> Result<Option<String>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let refused = || Refusal::new(Code::PageTokenInvalid, "page_token", "was not issued by this call");
    if !token.len().is_multiple_of(2) || !token.is_ascii() {
        return Err(refused());
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_come_back() {
        assert_eq!(page_start(&page_token("ada@contoso.example")).unwrap().as_deref(), Some("ada@contoso.example"));
        assert_eq!(page_start("").unwrap(), None);
        for wrong in ["x", "zz", "é!"] {
            assert_eq!(page_start(wrong).unwrap_err().code, Code::PageTokenInvalid);
        }
    }

    #[test]
    fn times_come_back() {
        let at = Timestamp::new(1_800_000_000, 5).unwrap();
        assert_eq!(time("at", Some(&timestamp(at))).unwrap(), Some(at));
        let wrong = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(time("at", Some(&wrong)).unwrap_err().code, Code::TimeInvalid);
    }
}
