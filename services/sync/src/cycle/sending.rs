//! Sending in a cycle: the emails of the outbox, in their order, with this cycle's journal.

use async_trait::async_trait;
use postroad_core::{
    mailbox::{CycleCommand, Mailbox, Page, SendCommand},
    organization::Settings,
};

use super::{Cycle, Stop};
use crate::{
    exchange::Exchange,
    outbox::{Ledger, Outbox, Stopped},
};

/// Sends what waits.
pub async fn send(cycle: &mut Cycle<'_>, exchange: &dyn Exchange, settings: &Settings) -> Result<(), Stop> {
    let (worker, id) = (cycle.worker, cycle.id);
    let is_quiet = cycle.mailbox()?.sync.sending.is_empty();
    if is_quiet && !worker.outboxes.is_due(id) {
        return Ok(());
    }
    worker.outboxes.looked(id);
    let crm = std::sync::Arc::clone(&worker.crm);
    let sent = Outbox { ledger: &mut *cycle, exchange, crm: &*crm, settings }.send().await;
    if !matches!(sent, Ok(false)) {
        // Looked at once more: what failed in passing is still there.
        worker.outboxes.wait(id);
    }
    match sent {
        Ok(_) => Ok(()),
        Err(Stopped::Exchange(failure)) => Err(Stop::Exchange(failure)),
        Err(Stopped::Crm(report)) => Err(Stop::Fault(report)),
        Err(Stopped::Refused) => Err(Stop::Refused),
        Err(Stopped::Journal) => Err(Stop::Journal),
    }
}

/// A mailbox that only sends has no page of incoming mail to record its attempts with.
pub async fn record(cycle: &mut Cycle<'_>) -> Result<(), Stop> {
    cycle.finish(Page::default()).await
}

#[async_trait]
impl Ledger for Cycle<'_> {
    fn mailbox(&self) -> Option<Mailbox> {
        self.known.state.live().cloned()
    }

    async fn note(&mut self, command: SendCommand) -> Result<(), Stopped> {
        match self.commit(move |epoch| CycleCommand::Send { epoch, command: command.clone() }).await {
            Ok(()) => Ok(()),
            Err(Stop::Journal) => Err(Stopped::Journal),
            Err(_) => Err(Stopped::Refused),
        }
    }

    fn now(&self) -> jiff::Timestamp {
        postroad_rig::clock::now()
    }

    fn distance(&self) -> jiff::SignedDuration {
        self.worker.retry.interval
    }
}
