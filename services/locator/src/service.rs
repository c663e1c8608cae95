//! gRPC: Locate, Explain and TestMailbox.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use postroad_core::{
    autodiscover::{self, Entry, Known},
    fault::{Code, Report},
};
use postroad_ews::Endpoint;
use postroad_metric::locator::LOCATOR;
use postroad_proto::locator::v1::{
    Conclusion, ExplainRequest, ExplainResponse, LocateRequest, LocateResponse, Location, Outcome as WireOutcome,
    Source as WireSource, Step as WireStep, TestMailboxRequest, TestMailboxResponse, TranscriptEntry, Verdict,
    explain_response, locator_service_server::LocatorService, test_mailbox_response, transcript_entry,
};
use postroad_rig::{Context, Error, clock, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    access::{Access, Failure, Opener},
    cache::Cache,
    connection::{self, Ended, Observer, Outcome, Step, Wanted},
    locations::{Locations, Said},
};

/// The service.
pub struct Service {
    opener: Opener,
    locations: Arc<Locations>,
}

impl Service {
    /// The service of a role.
    pub fn new(context: &Context, cache: Cache) -> Result<Self, Error> {
        let config = &context.config.locator;
        let opener = Opener::new(&context.config.network, Arc::clone(&context.keyring))
            .map_err(|error| Error::Configuration(format!("network.resolvers: {error}")))?;
        let patience = Duration::from_millis(config.ask_again_ms);
        let (locations, refresh) = Locations::new(cache, patience, config.discoveries_per_second);
        let shutdown = context.shutdown.clone();
        context.tasks.spawn("refresh", async move {
            tokio::select! {
                () = refresh => Err("the refreshing of locations ended"),
                () = shutdown.cancelled() => Ok(()),
            }
        });
        Ok(Self { opener, locations })
    }
}

#[async_trait]
impl LocatorService for Service {
    type TestMailboxStream = Pin<Box<dyn Stream<Item = Result<TestMailboxResponse, Status>> + Send>>;
    type ExplainStream = Pin<Box<dyn Stream<Item = Result<ExplainResponse, Status>> + Send>>;

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        let request = request.into_inner();
        let access = Arc::new(self.opener.open(&request.email_address, request.access).map_err(refused)?);
        let location = match &access.fixed {
            Some(endpoint) => fixed(endpoint),
            None => {
                let failed = Some(request.failed_location.as_str()).filter(|url| !url.is_empty());
                let known = self.locations.locate(&access, failed).await;
                LOCATOR.locations.with_label_values(&[result(known.as_ref().err())]).inc();
                location(&known.map_err(|report| status::failed(&report))?)
            }
        };
        Ok(Response::new(LocateResponse { location: Some(location) }))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<Self::ExplainStream>, Status> {
        let request = request.into_inner();
        let access = self.opener.open(&request.email_address, request.access).map_err(refused)?;
        let locations = Arc::clone(&self.locations);
        let (sender, receiver) = mpsc::channel(16);
        let (watcher, mut entries) = mpsc::channel::<Entry>(16);
        let tell = sender.clone();
        let relay = async move {
            while let Some(told) = entries.recv().await {
                explain(&tell, explain_response::Report::Entry(entry(&told))).await;
            }
        };
        let find = async move {
            let conclusion = match &access.fixed {
                Some(endpoint) => Conclusion { location: Some(fixed(endpoint)), ..Conclusion::default() },
                None if request.anew => conclusion(&locations.anew(&access, Some(&watcher)).await),
                None => {
                    let said = locations.said(&access).await;
                    // Never asked about, there is nothing to explain yet.
                    if said.asked_at.is_none() {
                        conclusion(&locations.anew(&access, Some(&watcher)).await)
                    } else {
                        for told in &said.transcript {
                            if watcher.send(told.clone()).await.is_err() {
                                break;
                            }
                        }
                        conclusion(&said)
                    }
                }
            };
            drop(watcher);
            conclusion
        };
        let run = async move {
            let (conclusion, ()) = tokio::join!(find, relay);
            explain(&sender, explain_response::Report::Conclusion(conclusion)).await;
        };
        let run = stream::once(run).filter_map(|()| async { None });
        Ok(Response::new(Box::pin(stream::select(ReceiverStream::new(receiver).map(Ok), run))))
    }

    async fn test_mailbox(
        &self,
        request: Request<TestMailboxRequest>,
    ) -> Result<Response<Self::TestMailboxStream>, Status> {
        let request = request.into_inner();
        let access = self.opener.open(&request.email_address, request.access).map_err(refused)?;
        let wanted =
            Wanted { outgoing: request.outgoing, appointments_contacts_tasks: request.appointments_contacts_tasks };
        let (sender, receiver) = mpsc::channel(16);
        let locations = Arc::clone(&self.locations);
        let test = async move {
            let started = clock::instant();
            let mut observer = Sender(sender);
            let test = connection::test(&access, wanted, find(&locations, &access), &mut observer);
            let outcome = Box::pin(test).await;
            let report = test_mailbox_response::Report::Outcome(to_wire(&outcome, started.elapsed()));
            observer.send(report).await;
        };
        // The test runs while its stream is read, and ends with it.
        let steps = ReceiverStream::new(receiver).map(Ok);
        let test = stream::once(test).filter_map(|()| async { None });
        Ok(Response::new(Box::pin(stream::select(steps, test))))
    }
}

/// For tests of a connection: never what is known.
async fn find(locations: &Locations, access: &Access) -> Result<(Endpoint, String), Report> {
    if let Some(endpoint) = &access.fixed {
        return Ok((endpoint.clone(), "as entered in the profile".to_owned()));
    }
    let said = locations.anew(access, None).await;
    if let Some(missing) = said.missing {
        return Err(missing.report);
    }
    let known = said.known.ok_or_else(|| Report::new(Code::AutodiscoverFailed, access.address.domain()))?;
    let endpoint = Endpoint::parse(&known.url)
        .map_err(|error| Report::new(Code::LocationInvalid, format!("{}: {error}", known.url)))?;
    Ok((endpoint, format!("found by Autodiscover ({})", known.service.name())))
}

async fn explain(sender: &mpsc::Sender<ExplainResponse>, report: explain_response::Report) {
    if sender.send(ExplainResponse { report: Some(report) }).await.is_err() {
        tracing::debug!("nobody reads the explanation any more");
    }
}

fn entry(told: &Entry) -> TranscriptEntry {
    let mut entry = TranscriptEntry {
        question: told.question.clone(),
        answer: told.answer.clone(),
        reason: told.reason.clone(),
        elapsed: Some(wire::duration(Duration::from_millis(told.elapsed_ms))),
        ..TranscriptEntry::default()
    };
    entry.set_use(match told.verdict {
        autodiscover::Verdict::Followed => transcript_entry::Use::Followed,
        autodiscover::Verdict::Dropped => transcript_entry::Use::Dropped,
        autodiscover::Verdict::Taken => transcript_entry::Use::Taken,
        autodiscover::Verdict::Stopped => transcript_entry::Use::Stopped,
    });
    entry
}

fn conclusion(said: &Said) -> Conclusion {
    Conclusion {
        location: said.known.as_ref().map(location),
        fault: said.missing.as_ref().map(|missing| status::to_wire(&missing.report)),
        wants_host: said.missing.as_ref().and_then(|missing| missing.wants.clone()).unwrap_or_default(),
        asked_at: said.asked_at.map(wire::timestamp),
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
        let tested = match &ended {
            Ended::Passed(_) => "OK",
            Ended::Warning(_) => "WARNING",
            Ended::Failed(report, _) => report.code.name(),
            Ended::NotAttempted => "NOT_ATTEMPTED",
        };
        LOCATOR.test_steps.with_label_values(&[step.name(), tested]).inc();
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

/// The label of how something ended.
fn result(failed: Option<&Report>) -> &'static str {
    failed.map_or("OK", |report| report.code.name())
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
        affected_mailboxes: 0,
        server_allows_connections: outcome.server.as_ref().map_or(0, postroad_ews::ServerVersion::default_concurrency),
    }
}

fn fixed(endpoint: &Endpoint) -> Location {
    Location {
        url: endpoint.as_str().to_owned(),
        source: WireSource::Fixed.into(),
        found_at: None,
        grouping: String::new(),
    }
}

fn location(known: &Known) -> Location {
    let source = match known.service {
        autodiscover::Service::Soap => WireSource::AutodiscoverSoap,
        autodiscover::Service::Pox => WireSource::AutodiscoverPox,
    };
    Location {
        url: known.url.clone(),
        source: source.into(),
        found_at: Some(wire::timestamp(known.at)),
        grouping: known.settings.grouping.clone().unwrap_or_default(),
    }
}

fn refused(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refusal) => status::refused(&refusal),
        Failure::Fault(report) => status::failed(&report),
    }
}
