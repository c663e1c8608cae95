//! Probes a server that is down: one request without credentials at growing distance, whatever its mailboxes want.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Pace;
use crate::{lock::lock, place::Place, worker::Worker};

/// Probes what is down until shutdown; what answers again is taken up at once.
pub async fn watch_outages(worker: Arc<Worker>, shutdown: CancellationToken) -> Result<(), String> {
    let pace = Arc::clone(&worker.pace);
    loop {
        let (due, next) = pace.take_probes();
        let probes = due.into_iter().map(|(server, place)| probe(&worker, server, place));
        // A server that is down takes its time not to answer.
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = futures::future::join_all(probes) => {}
        }
        let pause = next.unwrap_or(std::time::Duration::from_secs(3600));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = pace.probing.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn probe(worker: &Worker, server: Arc<str>, place: Place) {
    match worker.exchange.reach(&place).await {
        Ok(()) => worker.pace.returned(&server),
        Err(report) => worker.pace.probe_failed(&server, report),
    }
}

impl Pace {
    /// The servers whose probe is due, and how long until the next one is.
    fn take_probes(&self) -> (Vec<(Arc<str>, Place)>, Option<std::time::Duration>) {
        let now = self.now();
        let mut due = Vec::new();
        let mut next = None;
        for (name, server) in &mut lock(&self.state).servers {
            let Some(at) = server.breaker.next_probe().filter(|_| !server.is_probed) else { continue };
            match &server.place {
                Some(place) if at <= now => {
                    server.is_probed = true;
                    due.push((Arc::clone(name), place.clone()));
                }
                _ => next = Some(next.map_or(at, |earlier: super::Moment| earlier.min(at))),
            }
        }
        // After what is probed now, it is looked again at once.
        let pause =
            if due.is_empty() { next.map(|at| at.saturating_sub(now)) } else { Some(std::time::Duration::ZERO) };
        (due, pause)
    }

    fn probe_failed(&self, server: &Arc<str>, report: postroad_core::fault::Report) {
        let now = self.now();
        if let Some(server) = lock(&self.state).servers.get_mut(server) {
            server.is_probed = false;
            server.breaker.probe_failed(Some(report), now);
        }
    }

    /// The server answers again: its mailboxes are taken up, one connection first, more with every answer.
    pub(super) fn returned(&self, name: &Arc<str>) {
        if let Some(server) = lock(&self.state).servers.get_mut(name) {
            server.is_probed = false;
            server.breaker.answered();
            server.budget.restart();
        }
        tracing::info!(server = %name, "the server answers again: its mailboxes are taken up");
        lock(&self.returned).push(Arc::clone(name));
        self.freed.notify_one();
    }

    /// The servers that returned since this was last asked.
    pub fn take_returned(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut lock(&self.returned))
    }
}
