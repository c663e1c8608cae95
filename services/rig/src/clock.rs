//! The one place where time is read; rules get it as a fact.
#![expect(clippy::disallowed_methods, reason = "this is where the clock is read")]

use jiff::Timestamp;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Monotonic time, for durations and deadlines.
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// How long it is until a time; nothing if it has passed.
pub fn until(time: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(time.duration_since(now())).unwrap_or_default()
}
