//! A collector of traces: what Postroad sends by OTLP, to be looked at.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::status::StatusCode,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// Takes traces at a port of its own until it is dropped.
pub struct Collector {
    port: u16,
    taken: Taken,
    serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
}

/// A span.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Which process it is of, such as `postroad-sync`.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace_id: String,
    /// Its id.
    pub id: String,
    /// The span that it is part of; empty for the first one.
    pub parent: String,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What is said of it.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub is_failed: bool,
}

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Opens it.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let taken = Taken::default();
        let service = TraceServiceServer::new(taken.clone());
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        Ok(Self { port, taken, serving: tokio::spawn(serving) })
    }

    /// Where it listens on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a trace, the first first.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans: Vec<_> = self.spans().into_iter().filter(|span| span.trace_id == trace_id).collect();
        spans.sort_by_key(|span| span.began);
        spans
    }

    /// A trace for people: each span below the one that it is part of, with when it began and how long it took.
    pub fn tree(&self, trace_id: &str) -> String {
        let spans = self.trace(trace_id);
        let began = spans.first().map_or(0, |span| span.began);
        let mut below: HashMap<&str, Vec<&Span>> = HashMap::new();
        let known = |id: &str| spans.iter().any(|span| span.id == id);
        for span in &spans {
            let parent = if known(&span.parent) { span.parent.as_str() } else { "" };
            below.entry(parent).or_default().push(span);
        }
        let mut text = format!("trace {trace_id}\n");
        branch(&mut text, &below, "", began, 0);
        text
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn branch(text: &mut String, below: &HashMap<&str, Vec<&Span>>, parent: &str, began: u64, depth: usize) {
    for span in below.get(parent).into_iter().flatten() {
        let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let name = format!("{}{}", "  ".repeat(depth), span.name);
        let at = milliseconds(span.began.saturating_sub(began));
        let took = milliseconds(span.ended.saturating_sub(span.began));
        let mark = if span.is_failed { "  FAILED" } else { "" };
        let service = span.service.trim_start_matches("postroad-");
        let _ = write!(text, "{name:<62} {service:<8} +{at:>8.1} ms {took:>8.1} ms{mark}");
        for shown in SHOWN {
            if let Some(value) = span.attributes.get(shown) {
                let _ = write!(text, "  {shown}={value}");
            }
        }
        text.push('\n');
        branch(text, below, &span.id, began, depth + 1);
    }
}

/// What is worth a place in the tree.
const SHOWN: [&str; 9] = [
    "sync.trigger",
    "sync.outcome",
    "sync.decision",
    "sync.reason",
    "error.type",
    "server.address",
    "http.response.status_code",
    "exchange.request_id",
    "journal.sequence",
];

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let of = attributes(resource.resource.map(|resource| resource.attributes).unwrap_or_default());
            let service = of.get("service.name").cloned().unwrap_or_default();
            taken.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Span {
                service: service.clone(),
                name: span.name,
                trace_id: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
                is_failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(said: Vec<KeyValue>) -> BTreeMap<String, String> {
    said.into_iter().map(|one| (one.key, one.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(value)) => value,
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
