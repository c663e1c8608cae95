//! The journal.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGaugeVec};

use crate::make::{counters, gauges, histogram, histograms};

/// The journal.
pub static JOURNAL: LazyLock<Journal> = LazyLock::new(Journal::new);

/// Commits and those who follow them.
pub struct Journal {
    /// Appends, by `kind` of aggregate and `result`: `ok`, `conflict`, `failed`.
    pub commits: IntCounterVec,
    /// Seconds until an append was acknowledged, by `kind`.
    pub commit_duration: HistogramVec,
    /// Seconds from a commit's decision until a view has it.
    pub delivery_delay: Histogram,
    /// Commits that a view does not have yet, by `follower`, the kinds that it follows, and the part of the journal: `stream`.
    pub pending: IntGaugeVec,
    /// 1 while a view cannot follow, by the same.
    pub interrupted: IntGaugeVec,
}

impl Journal {
    fn new() -> Self {
        let follower = &["follower", "stream"];
        Self {
            commits: counters("postroad_journal_commits_total", "Appends to the journal.", &["kind", "result"]),
            commit_duration: histograms(
                "postroad_journal_commit_duration_seconds",
                "Time until an append to the journal was acknowledged.",
                &["kind"],
                crate::CALL,
            ),
            delivery_delay: histogram(
                "postroad_journal_delivery_delay_seconds",
                "Time from a commit's decision until a view has it.",
                crate::CALL,
            ),
            pending: gauges("postroad_journal_pending_commits", "Commits that a view does not have yet.", follower),
            interrupted: gauges(
                "postroad_journal_follow_interrupted",
                "Whether a view cannot follow the journal at the moment.",
                follower,
            ),
        }
    }
}
