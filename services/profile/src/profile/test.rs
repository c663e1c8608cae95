//! Test Connection of a profile: as the service account itself, or for one mailbox; stored, or before it is saved.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
    profile::{Command, Facts, Profile, Rules},
};
use postroad_journal::Actor;
use postroad_proto::locator::v1::{Access, Outcome, Step, Verdict};
use postroad_rig::{clock, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    prober::{Probe, Probed},
    registry::Registry,
};

/// What a test tells.
pub enum Told {
    /// A step began or ended.
    Step(Box<Step>),
    /// The last word.
    Outcome(Box<Outcome>),
}

/// Runs the test while its stream is read. With an actor its outcome is recorded; settings that are not stored have none.
pub fn run(
    registry: Arc<Registry>,
    profile: Profile,
    mailbox: Option<EmailAddress>,
    actor: Option<Actor>,
) -> impl Stream<Item = Told> {
    let (sender, receiver) = mpsc::channel(16);
    let test = async move { perform(&registry, &profile, mailbox, actor.as_ref(), sender).await };
    let test = stream::once(test).filter_map(|()| async { None });
    stream::select(ReceiverStream::new(receiver), test)
}

async fn perform(
    registry: &Registry,
    profile: &Profile,
    mailbox: Option<EmailAddress>,
    actor: Option<&Actor>,
    sender: mpsc::Sender<Told>,
) {
    let started = clock::instant();
    let mut outcome = match missing(profile, mailbox.as_ref()) {
        Some(report) => failed(&sender, report).await,
        None => probe(registry, profile, mailbox, &sender).await,
    };
    outcome.affected_mailboxes = if outcome.incoming.is_some() { registry.directory.count_of(profile.id) } else { 0 };
    if let Some(actor) = actor {
        registry.learn(profile.id, outcome.server_allows_connections);
        record(registry, profile, actor, &outcome, started.elapsed()).await;
    }
    send(&sender, Told::Outcome(Box::new(outcome))).await;
}

async fn record(
    registry: &Registry,
    profile: &Profile,
    actor: &Actor,
    outcome: &Outcome,
    elapsed: std::time::Duration,
) {
    let fault = outcome.incoming.as_ref().map(status::from_wire);
    // What is wrong with Postroad's own parts says nothing about the profile.
    if fault.as_ref().is_some_and(|report| report.code.row().scope == postroad_core::fault::Scope::Deployment) {
        return;
    }
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let facts = Facts { now: clock::now(), name_taken: false, used_by: Vec::new() };
    let command = Command::RecordTest { fault, elapsed_ms };
    if let Err(error) = registry.execute::<Rules>(profile.id, actor, &command, &facts, |_| true).await {
        tracing::warn!(%error, "the outcome of a test is not recorded");
    }
}

fn missing(profile: &Profile, mailbox: Option<&EmailAddress>) -> Option<Report> {
    if profile.sealed.is_none() {
        return Some(Report::new(Code::CredentialsMissing, profile.settings.name.clone()));
    }
    let nobody = profile.settings.user_name.is_empty() && mailbox.is_none();
    nobody.then(|| Report::new(Code::FieldRequired, "an application has no mailbox of its own: name one to test with"))
}

async fn probe(
    registry: &Registry,
    profile: &Profile,
    mailbox: Option<EmailAddress>,
    sender: &mpsc::Sender<Told>,
) -> Outcome {
    let impersonate = mailbox.is_some();
    let address = mailbox.map_or_else(|| profile.settings.user_name.clone(), |address| address.as_str().to_owned());
    let domains = registry.directory.domains_of(profile.id);
    let access = Access { impersonate, ..postroad_rig::access(profile, None, domains) };
    // With a mailbox everything is tested that may be switched on for it later.
    let probe =
        Probe { email_address: address, access, outgoing: impersonate, appointments_contacts_tasks: impersonate };
    let mut steps = registry.prober.probe(probe).await;
    while let Some(probed) = steps.next().await {
        match probed {
            Probed::Step(step) => send(sender, Told::Step(step)).await,
            Probed::Outcome(outcome) => return *outcome,
            Probed::Unavailable(report) => return failed(sender, report).await,
        }
    }
    failed(sender, Report::new(Code::LocatorUnavailable, "the test ended without an outcome")).await
}

/// A failure before the locator's first step.
async fn failed(sender: &mpsc::Sender<Told>, report: Report) -> Outcome {
    let fault = status::to_wire(&report);
    let step = Step {
        name: "settings".to_owned(),
        title: "Checking the settings".to_owned(),
        verdict: Verdict::Failed.into(),
        detail: report.sentence(),
        elapsed: Some(wire::duration(std::time::Duration::ZERO)),
        fault: Some(fault.clone()),
        ..Step::default()
    };
    send(sender, Told::Step(Box::new(step))).await;
    Outcome { incoming: Some(fault), ..Outcome::default() }
}

async fn send(sender: &mpsc::Sender<Told>, told: Told) {
    if sender.send(told).await.is_err() {
        tracing::debug!("nobody reads the test any more");
    }
}
