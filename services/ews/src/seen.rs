//! What is seen of requests from outside: a span each, and how many there were, how long they took and how they ended.

use std::sync::Arc;

use postroad_metric::exchange::{EXCHANGE, server};
use tokio::time::Instant;
use tracing::{Span, debug_span, field::Empty};

use crate::{Endpoint, Error, evidence::Exchange};

/// A request under way.
pub struct Seen {
    operation: &'static str,
    server: Arc<str>,
    began: Instant,
    span: Span,
}

impl Seen {
    /// A request begins. Its span has the ids by which the server's own logs know it once it ended.
    pub fn begin(operation: &'static str, endpoint: &Endpoint) -> Self {
        let span = debug_span!(
            "exchange",
            otel.name = format_args!("EWS {operation}"),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = "POST",
            http.response.status_code = Empty,
            url.full = endpoint.as_str(),
            server.address = endpoint.host(),
            server.port = endpoint.port(),
            network.peer.address = Empty,
            error.type = Empty,
            exchange.operation = operation,
            exchange.request_id = Empty,
            exchange.client_request_id = Empty,
        );
        let server = match endpoint.port() {
            443 => server(endpoint.host()),
            port => server(&format!("{}:{port}", endpoint.host())),
        };
        Self { operation, server, began: Instant::now(), span }
    }

    /// What belongs to it is done within.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// It ended.
    pub fn end(self, result: Result<&Exchange, &Error>) {
        let fault = result.err().map(Error::fault);
        if !self.span.is_disabled() {
            let exchange = result.unwrap_or_else(Error::exchange);
            let span = &self.span;
            span.record("http.response.status_code", exchange.status());
            span.record("exchange.request_id", exchange.response_header("request-id"));
            span.record("exchange.client_request_id", exchange.client_request_id());
            span.record("network.peer.address", exchange.peer.map(|peer| peer.ip().to_string()));
            if let Some(fault) = fault {
                span.record("error.type", fault.name());
                span.record("otel.status_code", "ERROR");
            }
        }
        let labels = [&*self.server, self.operation];
        EXCHANGE.duration.with_label_values(&labels).observe(self.began.elapsed().as_secs_f64());
        let result = fault.map_or("OK", |fault| fault.name());
        EXCHANGE.requests.with_label_values(&[&*self.server, self.operation, result]).inc();
    }
}
