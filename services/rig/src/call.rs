//! What is seen of the calls that a role answers: rate, errors, duration, how many are under way, and their spans.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response};
use hyper::body::{Frame, SizeHint};
use postroad_metric::{Histogram, IntGauge, call::CALLS};
use tonic::{Code, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, debug_span};

use crate::{Role, clock, trace};

/// Sees the calls of a role.
#[derive(Clone)]
pub struct Watch {
    role: &'static str,
    methods: Arc<HashMap<String, Method>>,
    limit: Duration,
}

/// The instruments of a method, found once.
#[derive(Clone)]
struct Method {
    service: String,
    name: String,
    duration: Histogram,
}

/// A service whose calls are seen.
#[derive(Clone)]
pub struct Watched<S> {
    inner: S,
    watch: Watch,
}

/// A call under way; whatever ends it ends this.
struct Call {
    role: &'static str,
    method: Method,
    in_flight: IntGauge,
    began: Instant,
    limit: Duration,
    is_answered: bool,
    code: Option<Code>,
    span: Span,
}

impl Watch {
    /// Sees the calls of a role: of the services that Postroad has. Whatever else is called is `other`. `limit` is how long a call may
    /// take until its answer begins.
    pub fn new(role: Role, limit: Duration) -> Self {
        let role = role.name();
        let mut methods = HashMap::new();
        for (service, name) in METHODS.iter() {
            let duration = CALLS.duration.with_label_values(&[role, service.as_str(), name.as_str()]);
            let method = Method { service: service.clone(), name: name.clone(), duration };
            methods.insert(format!("/{service}/{name}"), method);
        }
        Self { role, methods: Arc::new(methods), limit }
    }

    fn begin(&self, path: &str, headers: &HeaderMap) -> Call {
        let method = self.methods.get(path).cloned().unwrap_or_else(|| Method {
            service: "other".to_owned(),
            name: "other".to_owned(),
            duration: CALLS.duration.with_label_values(&[self.role, "other", "other"]),
        });
        let in_flight = CALLS.in_flight.with_label_values(&[self.role]);
        in_flight.inc();
        let span = if method.service.starts_with("postroad.") { self.span(&method, headers) } else { Span::none() };
        let (began, limit) = (clock::instant(), self.limit);
        Call { role: self.role, method, in_flight, began, limit, is_answered: false, code: None, span }
    }

    fn span(&self, method: &Method, headers: &HeaderMap) -> Span {
        let span = debug_span!(
            "answer",
            otel.name = format_args!("{}/{}", method.service, method.name),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            rpc.system = "grpc",
            rpc.service = method.service,
            rpc.method = method.name,
            rpc.grpc.status_code = tracing::field::Empty,
            postroad.role = self.role,
        );
        if !span.is_disabled() {
            trace::join(&span, headers);
        }
        span
    }
}

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, watch: self.clone() }
    }
}

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Seen>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = self.watch.begin(request.uri().path(), request.headers());
        let span = call.span.clone();
        let answer = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let answer = answer.await?;
                call.answered();
                call.note(answer.headers());
                Ok(answer.map(|body| Seen { body, call }))
            }
            .instrument(span),
        )
    }
}

impl Call {
    /// Its answer begins, or will not any more; gives how long that took.
    fn answered(&mut self) -> Duration {
        let took = self.began.elapsed();
        self.method.duration.observe(took.as_secs_f64());
        self.is_answered = true;
        took
    }

    /// The status stands in the trailers; in the headers where there is nothing else.
    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.in_flight.dec();
        // A call that was cut by the limit of time is the role's fault; otherwise whoever called went away before there was a status.
        let is_late = !self.is_answered && self.answered() >= self.limit;
        let code = self.code.unwrap_or(if is_late { Code::DeadlineExceeded } else { Code::Cancelled });
        let Method { service, name, .. } = &self.method;
        CALLS.requests.with_label_values(&[self.role, service.as_str(), name.as_str(), name_of(code)]).inc();
        self.span.record("rpc.grpc.status_code", i32::from(code));
        if is_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// An answer that is watched to its end.
pub struct Seen {
    body: Body,
    call: Call,
}

impl hyper::body::Body for Seen {
    type Data = <Body as hyper::body::Body>::Data;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let polled = this.call.span.in_scope(|| Pin::new(&mut this.body).poll_frame(context));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            this.call.note(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Every method of every service that a role may serve.
static METHODS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut methods = Vec::new();
    for descriptors in [postroad_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        let Ok(pool) = prost_reflect::DescriptorPool::decode(descriptors) else { continue };
        for service in pool.services() {
            let name = |method: prost_reflect::MethodDescriptor| method.name().to_owned();
            methods.extend(service.methods().map(|method| (service.full_name().to_owned(), name(method))));
        }
    }
    methods
});

/// Service and method of a call's path.
pub fn split(path: &str) -> (&str, &str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path, ""))
}

/// Whether a status is the server's fault, and not what whoever calls got wrong or ended.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// As gRPC writes it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::health_server::HealthServer;
    use tower::ServiceExt as _;

    use super::*;

    /// What was counted of a method and code.
    fn counted(method: &str, code: &str) -> u64 {
        CALLS.requests.with_label_values(&["alert", "grpc.health.v1.Health", method, code]).get()
    }

    #[tokio::test]
    async fn calls_are_counted_with_their_status_and_none_stays_under_way() {
        let (_, health): (_, HealthServer<_>) = tonic_health::server::health_reporter();
        let service = Watch::new(Role::Alert, Duration::MAX).layer(tonic::service::Routes::new(health));
        let call = async |path: &str, body: &'static [u8]| {
            let body = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(body)));
            let request = Request::post(path).header("content-type", "application/grpc").body(body).unwrap();
            let answer = service.clone().oneshot(request).await.unwrap();
            http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
        };
        call("/grpc.health.v1.Health/Check", &[0, 0, 0, 0, 0]).await;
        assert_eq!(counted("Check", "OK"), 1);
        // A message that breaks off.
        call("/grpc.health.v1.Health/Check", &[0, 0, 0, 0, 9]).await;
        assert_eq!(counted("Check", "OK"), 1);
        call("/who/knows", &[]).await;
        let other = CALLS.requests.with_label_values(&["alert", "other", "other", "UNIMPLEMENTED"]).get();
        assert_eq!((other, CALLS.in_flight.with_label_values(&["alert"]).get()), (1, 0));
    }

    #[tokio::test]
    async fn calls_that_are_never_answered_are_counted_with_their_duration() {
        const SERVICE: &str = "postroad.locator.v1.LocatorService";
        for (limit, method, code) in [
            (Duration::ZERO, "Locate", "DEADLINE_EXCEEDED"),
            // Whoever called gives up before.
            (Duration::MAX, "TestMailbox", "CANCELLED"),
        ] {
            let hangs = tower::service_fn(|_: Request<Body>| {
                std::future::pending::<Result<Response<Body>, std::convert::Infallible>>()
            });
            let mut service = Watch::new(Role::Locator, limit).layer(hangs);
            let request = Request::post(format!("/{SERVICE}/{method}")).body(Body::empty()).unwrap();
            let call = service.call(request);
            assert!(futures::FutureExt::now_or_never(call).is_none());
            let counted = CALLS.requests.with_label_values(&["locator", SERVICE, method, code]).get();
            let timed = CALLS.duration.with_label_values(&["locator", SERVICE, method]).get_sample_count();
            assert_eq!((counted, timed), (1, 1), "{method}");
        }
    }

    #[test]
    fn every_service_is_known_with_its_methods() {
        let has = |service: &str, method: &str| METHODS.contains(&(service.to_owned(), method.to_owned()));
        assert!(has("postroad.crm.v1.CrmService", "PromoteEmail") && has("grpc.health.v1.Health", "Check"));
        assert_eq!(split("/postroad.crm.v1.CrmService/PromoteEmail"), ("postroad.crm.v1.CrmService", "PromoteEmail"));
    }
}
