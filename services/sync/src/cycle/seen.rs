//! What is seen of cycles from outside: their spans, and how they end.

use postroad_core::{
    fault::Code,
    mailbox::{Event, ItemOutcome, ItemResult, Trigger},
};
use postroad_metric::sync::SYNC;
use postroad_rig::{clock, trace::Trace};
use tracing::{Instrument as _, Span, debug_span, field::Empty};
use uuid::Uuid;

use super::{End, Failure, Stop};
use crate::figures;

/// The span of a cycle, in the trace of what caused it.
pub fn cycle(id: Uuid, trigger: Trigger, cause: Option<Trace>) -> Span {
    let span = debug_span!(
        "cycle",
        mailbox.id = %id,
        sync.trigger = figures::why_now(trigger),
        sync.outcome = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    if let Some(cause) = cause {
        cause.goes_on_in(&span);
    }
    span
}

/// A cycle ended.
pub fn ended(trigger: Trigger, began: std::time::Instant, result: &Result<End, Stop>, has_worked: bool) {
    let (outcome, fault) = outcome(result, has_worked);
    SYNC.attempts.with_label_values(&[figures::why_now(trigger), outcome]).inc();
    SYNC.attempt_duration.observe(clock::instant().saturating_duration_since(began).as_secs_f64());
    let span = Span::current();
    span.record("sync.outcome", outcome);
    if let Some(fault) = fault {
        span.record("error.type", fault.name());
        span.record("otel.status_code", "ERROR");
    }
}

fn outcome(result: &Result<End, Stop>, has_worked: bool) -> (&'static str, Option<Code>) {
    match result {
        Ok(_) if !has_worked => ("idle", None),
        Ok(_) => ("done", None),
        Err(Stop::Refused) => ("refused", None),
        Err(Stop::Journal) => ("unrecorded", Some(Code::JournalUnavailable)),
        Err(Stop::Exchange(Failure::Throttled(_, report))) => ("throttled", Some(report.code)),
        Err(Stop::Exchange(failure)) => ("failed", Some(failure.report().code)),
        Err(Stop::Fault(report)) => ("failed", Some(report.code)),
    }
}

/// What is decided about a message is a span of its own.
pub async fn message(deciding: impl Future<Output = Result<ItemOutcome, Stop>>) -> Result<ItemOutcome, Stop> {
    let span = debug_span!("verdict", sync.decision = Empty, sync.reason = Empty, email.activity.id = Empty);
    let outcome = deciding.instrument(span.clone()).await;
    if let (false, Ok(outcome)) = (span.is_disabled(), &outcome) {
        let (decision, reason) = match &outcome.result {
            ItemResult::Promoted { created: true, .. } => ("tracked", "created"),
            ItemResult::Promoted { created: false, .. } => ("tracked", "known"),
            ItemResult::Skipped(reason) => ("not_tracked", figures::why(reason)),
            ItemResult::Failed(report) => ("failed", report.code.name()),
        };
        span.record("sync.decision", decision);
        span.record("sync.reason", reason);
        if let ItemResult::Promoted { email_id, .. } = &outcome.result {
            span.record("email.activity.id", email_id.to_string());
        }
    }
    outcome
}

/// Says what an operator looks for: that a mailbox begins to fail, is disabled, or is well again. What repeats is in the journal.
pub fn tell(id: Uuid, events: &[Event]) {
    for event in events {
        match event {
            Event::AttemptFailed { report, failures, disables, .. } if *failures == 1 || *disables => {
                let (fault, what) = (report.code.name(), report.sentence());
                tracing::warn!(mailbox.id = %id, fault, disables, "mailbox {id} fails: {what}");
            }
            Event::Recovered { report, .. } => {
                tracing::info!(mailbox.id = %id, fault = report.code.name(), "mailbox {id} is well again");
            }
            _ => {}
        }
    }
}
