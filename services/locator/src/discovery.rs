//! Runs a discovery: carries the step machine's questions to the network and its answers back.
//!
//! What may be asked, and who may get credentials, is decided in `postroad_core::autodiscover` alone.

use std::{collections::BTreeMap, time::Duration};

use postroad_core::{
    autodiscover::{Answer, Discovery, Entry, Failure, Found, Question, Release, Rules, Service, Step},
    fault::{Code, Report},
};
use postroad_ews::{
    Endpoint, Error, HttpMeaning, Kind, Transport,
    autodiscover::{self, Outcome, Probe},
};
use tokio::sync::mpsc;
use url::Url;

use crate::{access::Access, cache::Domain};

/// A discovery that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it found.
    pub result: Result<Found, Failure>,
    /// How it went.
    pub transcript: Vec<Entry>,
    /// What is worth to be kept of the domain.
    pub domain: Domain,
}

/// Discovers where a mailbox is served. Each entry of the transcript is sent as soon as it is made.
pub async fn discover(access: &Access, known: &Domain, anew: bool, watcher: Option<&mpsc::Sender<Entry>>) -> Ended {
    let endpoint = known.endpoint.as_ref().filter(|_| !anew);
    let rules = Rules {
        release: access.release.clone(),
        cached: endpoint.and_then(|(service, url)| Some((*service, Url::parse(url).ok()?))),
        // An administrator who asks anew has looked at the change.
        offered: if anew { BTreeMap::new() } else { known.offered.clone() },
        luck: u64::from(uuid::Uuid::new_v4().as_fields().0),
    };
    let (mut discovery, mut step) = Discovery::begin(&access.address, rules);
    let mut told = 0;
    let result = loop {
        for entry in discovery.transcript().iter().skip(told) {
            tell(watcher, entry).await;
        }
        told = discovery.transcript().len();
        match step {
            Step::Done(result) => break result,
            Step::Ask(question, within) => {
                let started = postroad_rig::clock::instant();
                let answer = ask(access, &question, within).await;
                step = discovery.answer(answer, started.elapsed());
            }
        }
    };
    let mut domain = Domain { endpoint: known.endpoint.clone(), offered: known.offered.clone() };
    domain.offered.extend(discovery.offered().clone());
    if let Ok(found) = &result {
        domain.endpoint = Some((found.service, found.endpoint.to_string()));
    }
    Ended { result, transcript: discovery.transcript().to_vec(), domain }
}

async fn tell(watcher: Option<&mpsc::Sender<Entry>>, entry: &Entry) {
    if let Some(watcher) = watcher
        && watcher.send(entry.clone()).await.is_err()
    {
        tracing::debug!("nobody reads the transcript any more");
    }
}

async fn ask(access: &Access, question: &Question, within: Duration) -> Answer {
    let within = within.min(access.timeout);
    match question {
        Question::Probe(url) => match endpoint(url) {
            Ok(endpoint) => probed(autodiscover::probe(&access.finding, &endpoint, within).await),
            Err(answer) => answer,
        },
        Question::Hint(url) => probed(autodiscover::hint(&access.finding, url, within).await),
        Question::Records(name) => match access.finding.names().records(name).await {
            Ok(records) => Answer::Records(records),
            Err(error) => Answer::Unanswered(Report::new(Code::DnsFailed, error.to_string())),
        },
        Question::Ask { service, url, address } => match endpoint(url) {
            Ok(endpoint) => asked(access, *service, &endpoint, address, within).await,
            Err(answer) => answer,
        },
    }
}

fn endpoint(url: &Url) -> Result<Endpoint, Answer> {
    Endpoint::try_from(url.clone())
        .map_err(|error| Answer::Unanswered(Report::new(Code::LocationInvalid, error.to_string())))
}

fn probed(answer: Result<Probe, Error>) -> Answer {
    match answer {
        Ok(Probe::Autodiscover(schemes)) => Answer::Recognised(schemes),
        Ok(Probe::Redirect { status, location }) => Answer::Redirect { status, location },
        Ok(Probe::Other(status @ (429 | 503))) => Answer::Busy(format!("HTTP {status}")),
        Ok(Probe::Other(status)) => Answer::Status(status),
        Err(error) => Answer::Unanswered(report(&error)),
    }
}

async fn asked(access: &Access, service: Service, endpoint: &Endpoint, address: &str, within: Duration) -> Answer {
    let (transport, credentials): (&Transport, _) = (&access.finding, &access.credentials);
    match autodiscover::ask(transport, service, endpoint, credentials, address, within).await {
        Ok(Outcome::Settings(settings)) => Answer::Settings(settings),
        Ok(Outcome::RedirectUrl(url)) => Answer::RedirectUrl(url),
        Ok(Outcome::RedirectAddress(address)) => Answer::RedirectAddress(address),
        Ok(Outcome::UserUnknown(message)) => Answer::UserUnknown(message),
        Ok(Outcome::Failed { code, message, .. }) if code == "ServerBusy" => Answer::Busy(format!("{code}: {message}")),
        Ok(Outcome::Failed { code, message, .. }) => Answer::Refused { code, message },
        Err(error) => match error.kind() {
            Kind::Unauthorized(_) | Kind::Http { meaning: HttpMeaning::TokenPermission, .. } => {
                Answer::Rejected(report(&error))
            }
            // Without a token there is nothing to show to anybody.
            Kind::Token(_) => Answer::Locked(report(&error)),
            Kind::Redirect { status, location, .. } => Answer::Redirect { status: *status, location: location.clone() },
            Kind::Http { meaning: HttpMeaning::AccountLocked, .. } => Answer::Locked(report(&error)),
            Kind::Http { meaning: HttpMeaning::Throttled | HttpMeaning::Unavailable, status, .. } => {
                Answer::Busy(format!("HTTP {status}"))
            }
            Kind::Http { status, .. } => Answer::Status(*status),
            _ => Answer::Unanswered(report(&error)),
        },
    }
}

fn report(error: &Error) -> Report {
    Report::new(error.fault(), error.to_string())
}

/// What an access depends on that an administrator can change: what was not found is asked for again at once after that.
pub fn depends_on(access: &Access) -> String {
    let Release { domains: _, patterns, online, internal } = &access.release;
    let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    let text = format!("{}\n{}\n{online} {internal}\n{}", access.account, patterns.join(" "), access.proof);
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}
