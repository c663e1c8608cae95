//! Times as people read them: absolute in UTC, and how long ago.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postroad_rig::clock;

/// A time from the wire; `None` where it is unset or out of range.
pub fn of(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// `2026-01-31 08:00:00 UTC (3 min ago)`; empty where it is unset.
pub fn full(at: Option<&prost_types::Timestamp>) -> String {
    of(at).map_or_else(String::new, |at| format!("{} ({})", stamp(at), distance(clock::now(), at)))
}

/// `3 min ago`; empty where it is unset.
pub fn short(at: Option<&prost_types::Timestamp>) -> String {
    of(at).map_or_else(String::new, |at| distance(clock::now(), at))
}

/// `2026-01-31 08:00:00 UTC`.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How far `at` is from `now`: `3 min ago`, `in 2 h`, `now`.
pub fn distance(now: Timestamp, at: Timestamp) -> String {
    let apart = now.duration_since(at);
    let text = rough(apart.abs());
    match apart {
        _ if apart.abs() < SignedDuration::from_secs(1) => "now".to_owned(),
        _ if apart.is_negative() => format!("in {text}"),
        _ => format!("{text} ago"),
    }
}

fn rough(apart: SignedDuration) -> String {
    let seconds = apart.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400..5_184_000 => format!("{} d", seconds / 86_400),
        _ => format!("{} months", seconds / 2_592_000),
    }
}

/// `0.214 s`.
pub fn elapsed(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_read_well() {
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        let from = |at: &str| distance(now, at.parse().unwrap());
        assert_eq!(from("2026-01-31T08:00:00Z"), "now");
        assert_eq!(from("2026-01-31T07:57:00Z"), "3 min ago");
        assert_eq!(from("2026-01-31T10:00:00Z"), "in 2 h");
        assert_eq!(from("2026-01-29T08:00:00Z"), "2 d ago");
        assert_eq!(from("2025-01-29T08:00:00Z"), "12 months ago");
        assert_eq!(stamp(now), "2026-01-31 08:00:00 UTC");
    }

    #[test]
    fn what_is_unset_is_empty() {
        assert_eq!((full(None), short(None)), (String::new(), String::new()));
    }
}
