//! The wake-up calls that reach every worker.

use std::sync::Arc;

use futures::StreamExt as _;
use postroad_core::{
    fault::{Code, Report},
    mailbox::Trigger,
};
use postroad_rig::status;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::Service;
use crate::worker::Worker;

/// The subject of wake-up calls, before the mailbox's id. They say look, never what.
const WAKE: &str = "postroad.wake.mailbox";

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
            worker.ask(id, Trigger::Asked);
        }
    }
}

impl Service {
    /// Wakes the owner of a mailbox.
    pub(super) async fn call(&self, id: Uuid) -> Result<(), Status> {
        let sent = self.nats.publish(format!("{WAKE}.{id}"), bytes::Bytes::new()).await;
        sent.map_err(|error| status::failed(&Report::new(Code::JournalUnavailable, error.to_string())))
    }
}
