//! Test Connection of a profile: as the service account itself, or for one mailbox.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
    profile::{Command, Facts, Profile, Rules},
};
use postroad_journal::Actor;
use postroad_proto::{
    locator::v1::{Outcome, Step, Verdict},
    profile::v1::{TestProfileResponse, test_profile_response},
};
use postroad_rig::{clock, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    prober::{Probe, Probed, access},
    registry::Registry,
};

/// Runs the test while its stream is read; its outcome is recorded.
pub fn run(
    registry: Arc<Registry>,
    profile: Profile,
    mailbox: Option<EmailAddress>,
    actor: Actor,
) -> impl Stream<Item = Result<TestProfileResponse, Status>> {
    let (sender, receiver) = mpsc::channel(16);
    let test = async move { perform(&registry, &profile, mailbox, &actor, sender).await };
    let test = stream::once(test).filter_map(|()| async { None });
    stream::select(ReceiverStream::new(receiver).map(Ok), test)
}

async fn perform(
    registry: &Registry,
    profile: &Profile,
    mailbox: Option<EmailAddress>,
    actor: &Actor,
    sender: mpsc::Sender<TestProfileResponse>,
) {
    let started = clock::instant();
    let outcome = match missing(profile) {
        Some(report) => failed(&sender, report).await,
        None => probe(registry, profile, mailbox, &sender).await,
    };
    registry.learn(profile.id, outcome.server_allows_connections);
    let fault = outcome.incoming.as_ref().map(status::from_wire);
    // What is wrong with Postroad's own parts says nothing about the profile.
    if fault.as_ref().is_none_or(|report| report.code.row().scope != postroad_core::fault::Scope::Deployment) {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let facts = Facts { now: clock::now(), name_taken: false, used_by: Vec::new() };
        let command = Command::RecordTest { fault, elapsed_ms };
        if let Err(error) = registry.execute::<Rules>(profile.id, actor, &command, &facts, |_| true).await {
            tracing::warn!(%error, "the outcome of a test is not recorded");
        }
    }
    send(&sender, test_profile_response::Report::Outcome(outcome)).await;
}

fn missing(profile: &Profile) -> Option<Report> {
    profile.sealed.is_none().then(|| Report::new(Code::CredentialsMissing, profile.settings.name.clone()))
}

async fn probe(
    registry: &Registry,
    profile: &Profile,
    mailbox: Option<EmailAddress>,
    sender: &mpsc::Sender<TestProfileResponse>,
) -> Outcome {
    let impersonate = mailbox.is_some();
    let address = mailbox.map_or_else(|| profile.settings.user_name.clone(), |address| address.as_str().to_owned());
    let access = postroad_proto::locator::v1::Access { impersonate, ..access(profile, None) };
    let probe = Probe { email_address: address, access, outgoing: false, appointments_contacts_tasks: false };
    let mut steps = registry.prober.probe(probe).await;
    while let Some(probed) = steps.next().await {
        match probed {
            Probed::Step(step) => send(sender, test_profile_response::Report::Step(*step)).await,
            Probed::Outcome(outcome) => return *outcome,
            Probed::Unavailable(report) => return failed(sender, report).await,
        }
    }
    failed(sender, Report::new(Code::LocatorUnavailable, "the test ended without an outcome")).await
}

/// A failure before the locator's first step.
async fn failed(sender: &mpsc::Sender<TestProfileResponse>, report: Report) -> Outcome {
    let fault = status::to_wire(&report);
    let step = Step {
        name: "profile".to_owned(),
        title: "Checking the profile".to_owned(),
        verdict: Verdict::Failed.into(),
        detail: report.sentence(),
        elapsed: Some(wire::duration(std::time::Duration::ZERO)),
        fault: Some(fault.clone()),
        evidence: String::new(),
    };
    send(sender, test_profile_response::Report::Step(step)).await;
    Outcome { incoming: Some(fault), ..Outcome::default() }
}

async fn send(sender: &mpsc::Sender<TestProfileResponse>, report: test_profile_response::Report) {
    if sender.send(TestProfileResponse { report: Some(report) }).await.is_err() {
        tracing::debug!("nobody reads the test any more");
    }
}
