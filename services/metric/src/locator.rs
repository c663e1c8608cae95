//! The locator role.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounterVec};

use crate::make::{counters, histogram};

/// The locator of this process.
pub static LOCATOR: LazyLock<Locator> = LazyLock::new(Locator::new);

/// Locations and connection tests.
pub struct Locator {
    /// Locations that were asked for, by `result`: `OK` or the code of the fault.
    pub locations: IntCounterVec,
    /// Runs of Autodiscover, by `result`.
    pub discoveries: IntCounterVec,
    /// Seconds that a run of Autodiscover took.
    pub discovery_duration: Histogram,
    /// Steps of connection tests, by `step` and `result`.
    pub test_steps: IntCounterVec,
}

impl Locator {
    fn new() -> Self {
        Self {
            locations: counters(
                "postroad_locator_locations_total",
                "Locations of mailboxes that were asked for, by result: OK or the code of the fault.",
                &["result"],
            ),
            discoveries: counters(
                "postroad_locator_discoveries_total",
                "Runs of Autodiscover, by result: OK or the code of the fault.",
                &["result"],
            ),
            discovery_duration: histogram(
                "postroad_locator_discovery_duration_seconds",
                "Time that a run of Autodiscover took.",
                crate::CALL,
            ),
            test_steps: counters(
                "postroad_locator_test_steps_total",
                "Steps of connection tests, by result: OK or the code of the fault.",
                &["step", "result"],
            ),
        }
    }
}
