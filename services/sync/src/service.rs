//! gRPC, and the wake-up calls that reach every worker.

use std::sync::Arc;

use futures::StreamExt as _;
use postroad_core::{
    Refusal,
    email::normalized,
    fault::Code,
    mailbox::{Cycles, Decision, Event, RULE_VERSION, verdict_sentence},
};
use postroad_proto::sync::v1::{
    ExplainMessageRequest, ExplainMessageResponse, GetWorkerRequest, GetWorkerResponse, MessageVerdict, SyncNowRequest,
    SyncNowResponse, sync_service_server::SyncService,
};
use postroad_rig::{status, wire};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{lock::lock, worker::Worker};

/// The subject of wake-up calls, before the mailbox's id. They say look, never what.
const WAKE: &str = "postroad.wake.mailbox";

/// The service of one worker.
pub struct Service {
    worker: Arc<Worker>,
    nats: async_nats::Client,
}

impl Service {
    /// The service of `worker`.
    pub const fn new(worker: Arc<Worker>, nats: async_nats::Client) -> Self {
        Self { worker, nats }
    }
}

/// Listens for wake-up calls and looks at the mailboxes that they name.
pub async fn wake(worker: Arc<Worker>, nats: async_nats::Client, shutdown: CancellationToken) -> Result<(), String> {
    let mut calls = nats.subscribe(format!("{WAKE}.*")).await.map_err(|error| error.to_string())?;
    loop {
        let call = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            call = calls.next() => call.ok_or("NATS closed the subscription of wake-up calls")?,
        };
        let id = call.subject.as_str().rsplit('.').next().and_then(|id| Uuid::parse_str(id).ok());
        if let Some(id) = id.filter(|id| worker.ownership.holds(*id)) {
            lock(&worker.asked).insert(id);
            worker.wake.notify_one();
        }
    }
}

#[async_trait]
impl SyncService for Service {
    async fn sync_now(&self, request: Request<SyncNowRequest>) -> Result<Response<SyncNowResponse>, Status> {
        let name = request.into_inner().mailbox;
        let id = self.worker.directory.find(&name).ok_or_else(|| {
            status::refused(&Refusal::new(Code::NotFound, "mailbox", format!("there is no mailbox `{name}`")))
        })?;
        let sent = self.nats.publish(format!("{WAKE}.{id}"), bytes::Bytes::new()).await;
        sent.map_err(|error| {
            status::failed(&postroad_core::fault::Report::new(Code::JournalUnavailable, error.to_string()))
        })?;
        Ok(Response::new(SyncNowResponse {}))
    }

    async fn explain_message(
        &self,
        request: Request<ExplainMessageRequest>,
    ) -> Result<Response<ExplainMessageResponse>, Status> {
        let message_id = request.into_inner().message_id;
        let wanted = normalized(&message_id);
        if wanted.is_empty() {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "message_id", "is required")));
        }
        let mut verdicts = Vec::new();
        for sequence in self.worker.directory.decided(wanted) {
            let commit =
                self.worker.journal.at::<Cycles>(sequence).await.map_err(|error| status::failed(&error.report()))?;
            let Some((mailbox, commit)) = commit else { continue };
            let address = self.worker.directory.address(mailbox);
            for event in &commit.events {
                verdicts.extend(explain(event, wanted, &address, commit.sequence));
            }
        }
        // A message that was tried again in a mailbox is told by its last word there.
        let mut last = std::collections::BTreeMap::new();
        for verdict in verdicts {
            last.insert(verdict.email_address.clone(), verdict);
        }
        let mut verdicts: Vec<_> = last.into_values().collect();
        verdicts.sort_by_key(|verdict| verdict.sequence);
        Ok(Response::new(ExplainMessageResponse { verdicts }))
    }

    async fn get_worker(&self, _request: Request<GetWorkerRequest>) -> Result<Response<GetWorkerResponse>, Status> {
        let worker = &self.worker;
        let mailboxes = worker.directory.mailboxes().into_iter().filter(|id| worker.ownership.holds(*id)).count();
        Ok(Response::new(GetWorkerResponse {
            worker: worker.name.clone(),
            partitions: count(worker.ownership.partitions()),
            mailboxes: count(mailboxes),
            running: count(lock(&worker.running).len()),
            members: worker.ownership.members(),
        }))
    }
}

fn explain(event: &Event, wanted: &str, address: &str, sequence: u64) -> Vec<MessageVerdict> {
    let Event::AttemptFinished { at, verdicts, deferrals, .. } = event else { return Vec::new() };
    let is_it = |message_id: &Option<String>| message_id.as_deref().is_some_and(|id| normalized(id) == wanted);
    let entry = |tracked: bool, pending: bool, email_id: String, sentence: String, rule_version: u32| MessageVerdict {
        email_address: address.to_owned(),
        at: Some(wire::timestamp(*at)),
        tracked,
        pending,
        email_id,
        sentence,
        rule_version,
        sequence,
    };
    let decided = verdicts.iter().filter(|verdict| is_it(&verdict.item.message_id)).map(|verdict| {
        let email_id = match &verdict.decision {
            Decision::Tracked { email_id, .. } => email_id.to_string(),
            Decision::NotTracked(_) | Decision::Undeliverable { .. } => String::new(),
        };
        entry(!email_id.is_empty(), false, email_id, verdict_sentence(verdict), verdict.rule_version)
    });
    let deferred = deferrals.iter().filter(|deferral| is_it(&deferral.item.message_id)).map(|deferral| {
        let sentence =
            format!("It failed {} times so far and is tried again: {}.", deferral.attempts, deferral.report.sentence());
        entry(false, true, String::new(), sentence, RULE_VERSION)
    });
    decided.chain(deferred).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
