//! The profile role.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::make::{counters, gauge, gauges};

/// The directory of this process.
pub static PROFILE: LazyLock<Profile> = LazyLock::new(Profile::new);

/// Profiles and mailboxes as administrators see them: all of them, whoever processes them.
pub struct Profile {
    /// Email server profiles.
    pub profiles: IntGauge,
    /// Mailboxes by `state`.
    pub mailboxes: IntGaugeVec,
    /// Test & enable, by `result`: `OK` or the code of the fault.
    pub tests: IntCounterVec,
}

impl Profile {
    fn new() -> Self {
        Self {
            profiles: gauge("postroad_profile_profiles", "Email server profiles."),
            mailboxes: gauges("postroad_profile_mailboxes", "All mailboxes by state.", &["state"]),
            tests: counters(
                "postroad_profile_tests_total",
                "Mailboxes that were tested to be enabled, by result: OK or the code of the fault.",
                &["result"],
            ),
        }
    }
}
