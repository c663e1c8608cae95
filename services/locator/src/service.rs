//! gRPC: Locate and TestMailbox.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _, stream};
use postroad_core::{EmailAddress, fault::Report};
use postroad_ews::Endpoint;
use postroad_proto::locator::v1::{
    LocateRequest, LocateResponse, Location, Outcome as WireOutcome, Source as WireSource, Step as WireStep,
    TestMailboxRequest, TestMailboxResponse, Verdict, locator_service_server::LocatorService, test_mailbox_response,
};
use postroad_rig::{Context, clock, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    access::{Access, Failure, Opener},
    cache::{Cache, Found, Source},
    connection::{self, Ended, Observer, Outcome, Step, Wanted},
    discovery::{self, Located},
};

/// The service.
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    opener: Opener,
    cache: Arc<Cache>,
    released: Vec<String>,
    ask_again: Duration,
    asked: Mutex<HashMap<String, Instant>>,
}

impl Service {
    /// The service of a role.
    pub fn new(context: &Context, cache: Arc<Cache>) -> Self {
        let network = &context.config.network;
        let inner = Inner {
            opener: Opener::new(network.hosts.clone(), Arc::clone(&context.keyring)),
            cache,
            released: network.released_hosts.clone(),
            ask_again: Duration::from_millis(context.config.locator.ask_again_ms),
            asked: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl LocatorService for Service {
    type TestMailboxStream = Pin<Box<dyn Stream<Item = Result<TestMailboxResponse, Status>> + Send>>;

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        let request = request.into_inner();
        let access = self.inner.opener.open(&request.email_address, request.access).map_err(refused)?;
        let location = match &access.fixed {
            Some(endpoint) => fixed(endpoint),
            None => {
                let found = self.inner.locate(&access, &request.failed_location).await;
                location(&found.map_err(|report| status::failed(&report))?)
            }
        };
        Ok(Response::new(LocateResponse { location: Some(location) }))
    }

    async fn test_mailbox(
        &self,
        request: Request<TestMailboxRequest>,
    ) -> Result<Response<Self::TestMailboxStream>, Status> {
        let request = request.into_inner();
        let access = self.inner.opener.open(&request.email_address, request.access).map_err(refused)?;
        let wanted =
            Wanted { outgoing: request.outgoing, appointments_contacts_tasks: request.appointments_contacts_tasks };
        let (sender, receiver) = mpsc::channel(16);
        let inner = Arc::clone(&self.inner);
        let test = async move {
            let started = clock::instant();
            let mut observer = Sender(sender);
            let outcome = connection::test(&access, wanted, inner.locate_anew(&access), &mut observer).await;
            let report = test_mailbox_response::Report::Outcome(to_wire(&outcome, started.elapsed()));
            observer.send(report).await;
        };
        // The test runs while its stream is read, and ends with it.
        let steps = ReceiverStream::new(receiver).map(Ok);
        let test = stream::once(test).filter_map(|()| async { None });
        Ok(Response::new(Box::pin(stream::select(steps, test))))
    }
}

impl Inner {
    /// The cached location, or Autodiscover's where there is none or it is the one that failed.
    async fn locate(&self, access: &Access, failed: &str) -> Result<Found, Report> {
        let cached = self.cache.get(&access.address).await.unwrap_or_else(|error| {
            tracing::warn!(error = error.to_string(), "asking Autodiscover without the cache");
            None
        });
        match cached {
            Some(found) if failed.is_empty() || found.url != failed => Ok(found),
            // A location that failed is asked for again, but not with every attempt of every mailbox.
            Some(found) if !self.may_ask(&access.address) => Ok(found),
            Some(found) => match self.discover(access).await {
                Ok(located) => Ok(self.keep(&access.address, &located).await),
                Err(report) if report.code.is_permanent() => Err(report),
                // Autodiscover fails too: the old location is tried further, and its own failure is the one to tell.
                Err(_) => Ok(found),
            },
            None => {
                let located = self.discover(access).await?;
                Ok(self.keep(&access.address, &located).await)
            }
        }
    }

    /// For tests of a connection: never the cache.
    async fn locate_anew(&self, access: &Access) -> Result<(Endpoint, String), Report> {
        if let Some(endpoint) = &access.fixed {
            return Ok((endpoint.clone(), "as entered in the profile".to_owned()));
        }
        let located = self.discover(access).await?;
        self.keep(&access.address, &located).await;
        Ok((located.endpoint.clone(), connection::how(&located)))
    }

    async fn discover(&self, access: &Access) -> Result<Located, Report> {
        discovery::discover(access, &self.released).await
    }

    async fn keep(&self, address: &EmailAddress, located: &Located) -> Found {
        let found = Found { url: located.endpoint.as_str().to_owned(), source: located.source, at: clock::now() };
        if let Err(error) = self.cache.put(address, &found).await {
            tracing::warn!(error = error.to_string(), "the location is not kept");
        }
        found
    }

    fn may_ask(&self, address: &EmailAddress) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, at| at.elapsed() < self.ask_again);
        if asked.contains_key(&address.key()) {
            return false;
        }
        asked.insert(address.key(), clock::instant());
        true
    }
}

/// Steps on their way to the caller. A caller that left ends the stream, and the test with it.
struct Sender(mpsc::Sender<TestMailboxResponse>);

impl Sender {
    async fn send(&self, report: test_mailbox_response::Report) {
        if self.0.send(TestMailboxResponse { report: Some(report) }).await.is_err() {
            tracing::debug!("nobody reads the test any more");
        }
    }
}

impl Observer for Sender {
    async fn begins(&mut self, step: Step) {
        let step = WireStep { verdict: Verdict::Running.into(), ..blank(step) };
        self.send(test_mailbox_response::Report::Step(step)).await;
    }

    async fn ended(&mut self, step: Step, ended: Ended, elapsed: Duration) {
        let mut step = WireStep { elapsed: Some(wire::duration(elapsed)), ..blank(step) };
        match ended {
            Ended::Passed(detail) => {
                step.set_verdict(Verdict::Passed);
                step.detail = detail;
            }
            Ended::Warning(detail) => {
                step.set_verdict(Verdict::Warning);
                step.detail = detail;
            }
            Ended::Failed(report, evidence) => {
                step.set_verdict(Verdict::Failed);
                step.detail = report.sentence();
                step.fault = Some(status::to_wire(&report));
                step.evidence = evidence;
            }
            Ended::NotAttempted => step.set_verdict(Verdict::NotAttempted),
        }
        self.send(test_mailbox_response::Report::Step(step)).await;
    }
}

fn blank(step: Step) -> WireStep {
    WireStep { name: step.name().to_owned(), title: step.title().to_owned(), ..WireStep::default() }
}

fn to_wire(outcome: &Outcome, elapsed: Duration) -> WireOutcome {
    WireOutcome {
        incoming: outcome.incoming.as_ref().map(status::to_wire),
        outgoing: outcome.outgoing.as_ref().map(status::to_wire),
        appointments_contacts_tasks: outcome.appointments_contacts_tasks.as_ref().map(status::to_wire),
        elapsed: Some(wire::duration(elapsed)),
        server_version: outcome.server.as_ref().map(ToString::to_string).unwrap_or_default(),
        server_allows_connections: outcome.server.as_ref().map_or(0, postroad_ews::ServerVersion::default_concurrency),
    }
}

fn fixed(endpoint: &Endpoint) -> Location {
    Location { url: endpoint.as_str().to_owned(), source: WireSource::Fixed.into(), found_at: None }
}

fn location(found: &Found) -> Location {
    let source = match found.source {
        Source::Soap => WireSource::AutodiscoverSoap,
        Source::Pox => WireSource::AutodiscoverPox,
    };
    Location { url: found.url.clone(), source: source.into(), found_at: Some(wire::timestamp(found.at)) }
}

fn refused(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refusal) => status::refused(&refusal),
        Failure::Fault(report) => status::failed(&report),
    }
}
