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
    let crm = std::sync::Arc::clone(&cycle.worker.crm);
    let sent = Outbox { ledger: &mut *cycle, exchange, crm: &*crm, settings }.send().await;
    match sent {
        Ok(()) => Ok(()),
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
}
