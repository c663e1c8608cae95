//! Making instruments. A wrong or repeated name is a defect of this crate, which its own test finds by making them all.
#![expect(clippy::expect_used, reason = "names are constants of this crate; its test makes every instrument")]

use std::sync::{Mutex, PoisonError};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, core::Collector,
};

use crate::scrape::REGISTRY;

/// What was made.
pub static DECLARED: Mutex<Vec<Declared>> = Mutex::new(Vec::new());

/// A name that Prometheus sees, and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name; of a histogram without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
}

fn registered<C: Collector + Clone + 'static>(made: prometheus::Result<C>) -> C {
    let collector = made.expect("a legal name");
    let declared = collector.desc().into_iter();
    let declared = declared.map(|one| Declared { name: one.fq_name.clone(), labels: one.variable_labels.clone() });
    DECLARED.lock().unwrap_or_else(PoisonError::into_inner).extend(declared);
    REGISTRY.register(Box::new(collector.clone())).expect("a name of its own");
    collector
}

pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

pub fn float_gauge(name: &str, help: &str) -> prometheus::Gauge {
    registered(prometheus::Gauge::new(name, help))
}

pub fn float_gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::GaugeVec {
    registered(prometheus::GaugeVec::new(Opts::new(name, help), labels))
}

pub fn float_counter(name: &str, help: &str) -> prometheus::Counter {
    registered(prometheus::Counter::new(name, help))
}

pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
}

pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}
