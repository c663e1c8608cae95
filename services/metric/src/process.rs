//! The process itself.

use std::sync::{LazyLock, Once};

use prometheus::{Counter, IntGauge, IntGaugeVec, process_collector::ProcessCollector};

use crate::{
    make::{float_counter, float_gauges, gauge, gauges},
    scrape::REGISTRY,
};

/// The process.
pub static PROCESS: LazyLock<Process> = LazyLock::new(Process::new);

/// How busy the process is, beside `process_cpu_seconds_total`, `process_resident_memory_bytes` and their like.
pub struct Process {
    /// Threads that run tasks.
    pub threads: IntGauge,
    /// Seconds that they were busy, all together.
    pub busy: Counter,
    /// Tasks that are alive.
    pub tasks: IntGauge,
    /// Tasks that wait for a thread.
    pub queue: IntGauge,
    /// 1 once a `role` serves.
    pub serving: IntGaugeVec,
    /// 1 while the connection to NATS is there, by `role`.
    pub nats_connected: IntGaugeVec,
    build: IntGaugeVec,
    /// When certificates end, in seconds since 1970, by `role`.
    pub certificate_expiry: prometheus::GaugeVec,
}

impl Process {
    fn new() -> Self {
        Self {
            threads: gauge("postroad_runtime_threads", "Threads that run tasks."),
            busy: float_counter(
                "postroad_runtime_busy_seconds_total",
                "Time that the threads which run tasks were busy.",
            ),
            tasks: gauge("postroad_runtime_tasks", "Tasks that are alive."),
            queue: gauge("postroad_runtime_queued_tasks", "Tasks that wait for a thread."),
            serving: gauges("postroad_serving", "Whether a role serves.", &["role"]),
            nats_connected: gauges("postroad_nats_connected", "Whether a role is connected to NATS.", &["role"]),
            build: gauges("postroad_build_info", "The version that runs, and as what.", &["version", "roles"]),
            certificate_expiry: float_gauges(
                "postroad_certificate_expiry_timestamp_seconds",
                "When the certificate of a role ends, in seconds since 1970.",
                &["role"],
            ),
        }
    }
}

/// Has the process measured; `roles` says what it runs.
pub fn start(roles: &str) {
    static STARTED: Once = Once::new();
    PROCESS.build.with_label_values(&[env!("CARGO_PKG_VERSION"), roles]).set(1);
    STARTED.call_once(|| {
        // It is refused only if it is registered already.
        let _ = REGISTRY.register(Box::new(ProcessCollector::for_self()));
    });
}
