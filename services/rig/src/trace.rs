//! The trace that something belongs to, from process to process: W3C trace context in the metadata of calls.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Writes the present trace into the headers of a call; nothing where there is none.
pub fn write(headers: &mut HeaderMap) {
    global::get_text_map_propagator(|propagator| propagator.inject(&mut Headers(headers)));
}

/// Makes a span part of the trace that the headers of a call name.
pub fn join(span: &Span, headers: &HeaderMap) {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&Said(headers)));
    if context.has_active_span() {
        Trace(context).goes_on_in(span);
    }
}

/// A trace that goes on elsewhere, as in another task.
#[derive(Clone, Debug)]
pub struct Trace(Context);

impl Trace {
    /// The present one; none where nobody takes traces.
    pub fn present() -> Option<Self> {
        let context = Context::current();
        context.has_active_span().then_some(Self(context))
    }

    /// Makes a span part of it.
    pub fn goes_on_in(self, span: &Span) {
        // It fails where nobody takes traces.
        let _ = span.set_parent(self.0);
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}

struct Said<'a>(&'a HeaderMap);

impl Extractor for Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
