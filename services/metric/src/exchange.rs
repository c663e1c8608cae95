//! Requests to mail servers.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use crate::make::{counters, float_gauges, gauges, histograms};

/// Servers that have a label of their own; Autodiscover could lead to any number of them.
const SERVERS: usize = 100;

/// The servers that have one.
static NAMES: LazyLock<RwLock<BTreeSet<Arc<str>>>> = LazyLock::new(RwLock::default);

/// The mail servers.
pub static EXCHANGE: LazyLock<Exchange> = LazyLock::new(Exchange::new);

/// What is asked of mail servers, and how they bear it. `server` is host, and port where it is not 443.
pub struct Exchange {
    /// Requests that ended, by `server`, EWS `operation` and `result`: `OK` or the code of the fault.
    pub requests: IntCounterVec,
    /// Seconds until the whole answer was there, by `server` and `operation`.
    pub duration: HistogramVec,
    /// 1, or 0 while the server counts as down.
    pub up: IntGaugeVec,
    /// Connections in use.
    pub connections: IntGaugeVec,
    /// Connections that may be used now.
    pub connections_limit: IntGaugeVec,
    /// Seconds that are left of the longest back-off at a server.
    pub back_off: GaugeVec,
    /// Accounts within a back-off.
    pub resting_accounts: IntGaugeVec,
}

impl Exchange {
    fn new() -> Self {
        Self {
            requests: counters(
                "postroad_exchange_requests_total",
                "Requests to mail servers that ended, by result: OK or the code of the fault.",
                &["server", "operation", "result"],
            ),
            duration: histograms(
                "postroad_exchange_request_duration_seconds",
                "Time until the whole answer of a mail server was there.",
                &["server", "operation"],
                crate::CALL,
            ),
            up: gauges("postroad_exchange_up", "Whether a mail server answers; 0 while it is down.", &["server"]),
            connections: gauges("postroad_exchange_connections", "Connections to a mail server in use.", &["server"]),
            connections_limit: gauges(
                "postroad_exchange_connections_limit",
                "Connections to a mail server that may be used now.",
                &["server"],
            ),
            back_off: float_gauges(
                "postroad_exchange_back_off_seconds",
                "What is left of the longest back-off at a mail server.",
                &["server"],
            ),
            resting_accounts: gauges(
                "postroad_exchange_resting_accounts",
                "Accounts at a mail server that are within a back-off.",
                &["server"],
            ),
        }
    }
}

/// The label of a server: its name, or `other` once a hundred have one.
pub fn server(name: &str) -> Arc<str> {
    if let Some(known) = NAMES.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Arc::clone(known);
    }
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if names.len() >= SERVERS {
        return Arc::from("other");
    }
    let name: Arc<str> = Arc::from(name);
    names.insert(Arc::clone(&name));
    name
}
