//! gRPC calls that a role answers.

use std::sync::LazyLock;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::make::{counters, gauges, histograms};

/// The calls.
pub static CALLS: LazyLock<Calls> = LazyLock::new(Calls::new);

/// The golden signals of gRPC.
pub struct Calls {
    /// Calls that ended, by `role`, `service`, `method` and gRPC status `code`.
    pub requests: IntCounterVec,
    /// Seconds until the answer began, or nobody waited for it any more, by `role`, `service`, `method`: a stream's length says nothing
    /// about its speed.
    pub duration: HistogramVec,
    /// Calls under way, by `role`.
    pub in_flight: IntGaugeVec,
}

impl Calls {
    fn new() -> Self {
        Self {
            requests: counters(
                "postroad_grpc_requests_total",
                "gRPC calls that ended, by status code.",
                &["role", "service", "method", "code"],
            ),
            duration: histograms(
                "postroad_grpc_request_duration_seconds",
                "Time until the answer of a gRPC call began, or until the call was given up.",
                &["role", "service", "method"],
                crate::CALL,
            ),
            in_flight: gauges("postroad_grpc_requests_in_flight", "gRPC calls under way.", &["role"]),
        }
    }
}
