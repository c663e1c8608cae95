//! The trace that a commit belongs to: W3C trace context in its headers, so that whoever follows goes on with it.

use async_nats::HeaderMap;
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use tracing::{Span, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

/// The header of W3C.
const PARENT: &str = "traceparent";

/// The span of an append.
pub fn commit(subject: &str, id: Uuid) -> Span {
    debug_span!(
        "commit",
        otel.name = "journal commit",
        otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        messaging.system = "nats",
        messaging.operation.type = "send",
        messaging.destination.name = subject,
        messaging.message.id = %id,
        journal.sequence = tracing::field::Empty,
    )
}

/// Notes that a view took over a commit, in the trace that it belongs to.
pub fn followed(parent: Option<&str>, subject: &str, sequence: u64, id: Uuid) {
    let Some(parent) = parent else { return };
    let span = debug_span!(
        "follow",
        otel.name = "journal follow",
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.type = "process",
        messaging.destination.name = subject,
        messaging.message.id = %id,
        journal.sequence = sequence,
    );
    if !span.is_disabled() {
        let context = global::get_text_map_propagator(|propagator| propagator.extract(&Said(parent)));
        // It fails where nobody takes traces.
        let _ = span.set_parent(context);
        span.in_scope(|| {});
    }
}

/// The present trace, as headers of a commit; none where there is none.
pub fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    if Context::current().has_active_span() {
        global::get_text_map_propagator(|propagator| propagator.inject(&mut Headers(&mut headers)));
    }
    headers
}

/// The trace that a commit's headers name.
pub fn parent(headers: Option<&HeaderMap>) -> Option<String> {
    headers.and_then(|headers| headers.get(PARENT)).map(|parent| parent.as_str().to_owned())
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // Without state there is nothing to say of it.
        if !value.is_empty() {
            self.0.insert(key, value);
        }
    }
}

struct Said<'a>(&'a str);

impl Extractor for Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == PARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT]
    }
}
