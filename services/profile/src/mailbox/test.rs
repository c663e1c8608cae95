//! Test & enable: for one, many or all; several at a time, each step told as it happens, each verdict one commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream};
use postroad_core::{
    fault::{Code, Report},
    mailbox::{AdminCommand, Direction, Mailbox, PerDirection, State, TestOutcome},
    profile::Profile,
};
use postroad_journal::Actor;
use postroad_proto::{
    locator::v1::{Outcome, Step, Verdict},
    mailbox::v1::{TestAndEnableMailboxesResponse, test_and_enable_mailboxes_response::Report as Told},
};
use postroad_rig::{clock, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    preconditions::{Precondition, preconditions},
    view,
};
use crate::{
    figures,
    prober::{Probe, Probed},
    registry::{Mailboxes, Registry},
};

/// The steps of the locator that every direction needs.
const SHARED: [(&str, &str); 5] = [
    ("location", "Finding the mailbox's location"),
    ("tls", "Connecting to the server over TLS"),
    ("credentials", "Logging on with the account"),
    ("impersonation", "Acting for the mailbox's user"),
    ("inbox", "Opening the Inbox"),
];

/// Tests while the stream is read; a caller who leaves ends the tests that have no verdict yet.
pub fn run(
    registry: Arc<Registry>,
    mailboxes: Vec<Mailbox>,
    actor: Actor,
) -> impl Stream<Item = Result<TestAndEnableMailboxesResponse, Status>> {
    let (sender, receiver) = mpsc::channel(64);
    let total = u32::try_from(mailboxes.len()).unwrap_or(u32::MAX);
    let parallel = registry.policy.parallel_tests;
    let done = Arc::new(AtomicU32::new(0));
    // The senders live in this block only: the stream ends when it does.
    let tests = async move {
        let tests = stream::iter(mailboxes).map(|mailbox| {
            let address = mailbox.settings.address.to_string();
            let telling = Telling { sender: sender.clone(), total, done: Arc::clone(&done), address };
            let (registry, actor) = (&registry, &actor);
            async move { one(registry, mailbox, actor, &telling).await }
        });
        tests.buffer_unordered(parallel).collect::<()>().await;
    };
    let tests = stream::once(tests).filter_map(|()| async { None });
    stream::select(ReceiverStream::new(receiver).map(Ok), tests)
}

/// Tells about one mailbox.
struct Telling {
    sender: mpsc::Sender<TestAndEnableMailboxesResponse>,
    total: u32,
    done: Arc<AtomicU32>,
    address: String,
}

impl Telling {
    async fn step(&self, step: Step) {
        self.tell(Told::Step(step), self.done.load(Ordering::Relaxed)).await;
    }

    async fn tell(&self, report: Told, done: u32) {
        let message = TestAndEnableMailboxesResponse {
            total: self.total,
            done,
            email_address: self.address.clone(),
            report: Some(report),
        };
        if self.sender.send(message).await.is_err() {
            tracing::debug!("nobody reads the test any more");
        }
    }
}

async fn one(registry: &Registry, mailbox: Mailbox, actor: &Actor, telling: &Telling) {
    let profile = mailbox.settings.profile_id.and_then(|id| registry.directory.profile_by_id(id));
    let checked = preconditions(&mailbox, profile.as_ref(), registry.policy.require_approval);
    let missing = checked.iter().find_map(|precondition| precondition.result.as_ref().err().cloned());
    for precondition in checked {
        telling.step(step_of(precondition)).await;
    }
    let outcomes = match (missing, profile) {
        (None, Some(profile)) => probe(registry, &mailbox, &profile, telling).await,
        (missing, _) => {
            for (name, title) in SHARED {
                telling.step(blank(name, title, Verdict::NotAttempted)).await;
            }
            let report = missing.unwrap_or_else(|| Report::new(Code::ProfileMissing, String::new()));
            Some(PerDirection::default().filled(&mailbox, |_| Err(report.clone())))
        }
    };
    let state = match outcomes {
        Some(outcomes) => record(registry, &mailbox, actor, outcomes).await,
        None => State::Live(Arc::new(mailbox)),
    };
    let done = telling.done.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(mailbox) = state.live() {
        telling.tell(Told::Mailbox(view::mailbox(mailbox, &registry.directory, clock::now())), done).await;
    }
}

/// The outcomes that the mailbox's server gives; none if the locator does not answer, which says nothing about the mailbox.
async fn probe(
    registry: &Registry,
    mailbox: &Mailbox,
    profile: &Profile,
    telling: &Telling,
) -> Option<PerDirection<TestOutcome>> {
    let probe = Probe {
        email_address: mailbox.settings.address.to_string(),
        access: postroad_rig::access(profile, Some(mailbox), registry.directory.domains_of(profile.id)),
        outgoing: mailbox.wants(Direction::Outgoing),
        appointments_contacts_tasks: mailbox.wants(Direction::AppointmentsContactsTasks),
    };
    let mut steps = registry.prober.probe(probe).await;
    let mut unavailable = Report::new(Code::LocatorUnavailable, "the test ended without an outcome");
    while let Some(probed) = steps.next().await {
        match probed {
            Probed::Step(step) => telling.step(*step).await,
            Probed::Outcome(outcome) => {
                registry.learn(profile.id, outcome.server_allows_connections);
                return Some(PerDirection::default().filled(mailbox, |direction| fault(&outcome, direction)));
            }
            Probed::Unavailable(report) => unavailable = report,
        }
    }
    let mut step = blank("location", "Finding the mailbox's location", Verdict::Failed);
    step.detail = unavailable.sentence();
    step.fault = Some(status::to_wire(&unavailable));
    telling.step(step).await;
    None
}

async fn record(registry: &Registry, mailbox: &Mailbox, actor: &Actor, outcomes: PerDirection<TestOutcome>) -> State {
    figures::tested(&outcomes);
    let facts = registry.plain_facts(mailbox.settings.profile_id);
    let command = AdminCommand::RecordTest(outcomes);
    match registry.execute::<Mailboxes>(mailbox.id, actor, &command, &facts, |_| true).await {
        Ok(executed) => executed.state,
        Err(error) => {
            tracing::warn!(mailbox.id = %mailbox.id, %error, "the outcome of a test is not recorded");
            State::Live(Arc::new(mailbox.clone()))
        }
    }
}

fn fault(outcome: &Outcome, direction: Direction) -> Result<(), Report> {
    let fault = match direction {
        Direction::Incoming => &outcome.incoming,
        Direction::Outgoing => &outcome.outgoing,
        Direction::AppointmentsContactsTasks => &outcome.appointments_contacts_tasks,
    };
    fault.as_ref().map_or(Ok(()), |fault| Err(status::from_wire(fault)))
}

/// Something for each direction that is synchronized.
trait Filled {
    fn filled(self, mailbox: &Mailbox, outcome: impl Fn(Direction) -> Result<(), Report>) -> Self;
}

impl Filled for PerDirection<TestOutcome> {
    fn filled(mut self, mailbox: &Mailbox, outcome: impl Fn(Direction) -> Result<(), Report>) -> Self {
        for direction in Direction::ALL.into_iter().filter(|direction| mailbox.wants(*direction)) {
            *self.get_mut(direction) = Some(outcome(direction));
        }
        self
    }
}

fn step_of(precondition: Precondition) -> Step {
    let mut step = blank(precondition.name, precondition.title, Verdict::Passed);
    match precondition.result {
        Ok(found) => step.detail = found,
        Err(report) => {
            step.set_verdict(Verdict::Failed);
            step.detail = report.sentence();
            step.fault = Some(status::to_wire(&report));
        }
    }
    step
}

fn blank(name: &str, title: &str, verdict: Verdict) -> Step {
    Step {
        name: name.to_owned(),
        title: title.to_owned(),
        verdict: verdict.into(),
        elapsed: Some(wire::duration(Duration::ZERO)),
        ..Step::default()
    }
}
