//! A connection whose calls are part of the caller's trace.

use std::task::{Context, Poll};

use tonic::{body::Body, transport::Channel};
use tower::Service;
use tracing::{Instrument as _, debug_span, instrument::Instrumented};

use crate::{call::split, trace};

/// A connection whose calls are spans, and tell the role that answers to which trace they belong.
#[derive(Clone)]
pub struct Traced(Channel);

impl Traced {
    /// The calls of a connection, traced.
    pub const fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Traced {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Instrumented<<Channel as Service<http::Request<Body>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let (service, method) = split(request.uri().path());
        let span = debug_span!(
            "call",
            otel.name = format_args!("{service}/{method}"),
            otel.kind = "client",
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
        );
        // Where the call itself is no span, the trace is that of who calls.
        span.in_scope(|| trace::write(request.headers_mut()));
        let call = span.in_scope(|| self.0.call(request));
        call.instrument(span)
    }
}
