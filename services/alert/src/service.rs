//! The calls of `AlertService`.

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use postroad_core::{Refusal, alert::Key, fault::Code};
use postroad_proto::alert::v1::{
    ListAlertsRequest, ListAlertsResponse, WatchAlertsRequest, WatchAlertsResponse, alert_service_server::AlertService,
};
use postroad_rig::{status, wire as rig_wire};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    board::Board,
    view::{Entry, Filter},
    wire,
};

/// The wall as a gRPC service.
#[derive(Clone)]
pub struct Service {
    board: Arc<Board>,
    shutdown: CancellationToken,
}

impl Service {
    /// A service over a view; watches end with `shutdown`.
    pub fn new(board: Arc<Board>, shutdown: CancellationToken) -> Self {
        Self { board, shutdown }
    }
}

#[tonic::async_trait]
impl AlertService for Service {
    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        let request = request.into_inner();
        let after = start(&request.page_token).map_err(|refusal| status::refused(&refusal))?;
        let size = rig_wire::page_size(request.page_size);
        let entries = self.board.read(|view| {
            let filter = wire::filter(view, request.filter)?;
            Ok(view.wall().list(view, &filter))
        });
        let entries = entries.map_err(|refusal: Refusal| status::refused(&refusal))?;
        let mut rest = entries.iter().skip_while(|entry| after.as_ref().is_some_and(|after| entry.order() <= *after));
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => {
                rig_wire::page_token(&format!("{}:{}", last.alert.last_at.as_nanosecond(), last.id()))
            }
            _ => String::new(),
        };
        let alerts = page.into_iter().map(wire::alert).collect();
        Ok(Response::new(ListAlertsResponse { alerts, next_page_token }))
    }

    type WatchAlertsStream = BoxStream<'static, Result<WatchAlertsResponse, Status>>;

    async fn watch_alerts(
        &self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        let wanted = request.into_inner().filter;
        let filter = self.board.read(|view| wire::filter(view, wanted)).map_err(|refusal| status::refused(&refusal))?;
        let watcher = Watcher::begin(Arc::clone(&self.board), filter);
        let alerts = futures::stream::unfold(watcher, async |mut watcher| {
            let entry = watcher.next().await?;
            Some((Ok(WatchAlertsResponse { alert: Some(wire::alert(&entry)) }), watcher))
        });
        // A stream that does not end would hold up the role's shutdown.
        Ok(Response::new(alerts.take_until(self.shutdown.clone().cancelled_owned()).boxed()))
    }
}

/// Somebody who watches. It remembers how far it has looked and looks again when something changed, so a slow one misses
/// nothing and keeps nothing waiting: of several changes of an alert it sees the last.
struct Watcher {
    board: Arc<Board>,
    filter: Filter,
    changes: watch::Receiver<u64>,
    seen: u64,
    /// Alerts that were given: it is told of all that becomes of them.
    given: HashSet<Key>,
    waiting: VecDeque<Entry>,
}

impl Watcher {
    fn begin(board: Arc<Board>, filter: Filter) -> Self {
        let changes = board.changes();
        let (seen, waiting) = board.read(|view| (view.sequence(), view.wall().list(view, &filter)));
        let given = waiting.iter().map(|entry| entry.alert.key.clone()).collect();
        Self { board, filter, changes, seen, given, waiting: waiting.into() }
    }

    async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Some(entry);
            }
            self.changes.changed().await.ok()?;
            let (seen, changed) = self.board.read(|view| (view.sequence(), view.wall().changes(view, self.seen)));
            self.seen = seen;
            for entry in changed {
                if self.given.contains(&entry.alert.key) || self.filter.wants(&entry) {
                    self.given.insert(entry.alert.key.clone());
                    self.waiting.push_back(entry);
                }
            }
        }
    }
}

fn start(token: &str) -> Result<Option<(Reverse<Timestamp>, String)>, Refusal> {
    let Some(key) = rig_wire::page_start(token)? else { return Ok(None) };
    let position = key.split_once(':').and_then(|(at, id)| {
        let at = Timestamp::from_nanosecond(at.parse().ok()?).ok()?;
        Some((Reverse(at), id.to_owned()))
    });
    position.map(Some).ok_or_else(|| Refusal::new(Code::PageTokenInvalid, "page_token", "was not issued by this call"))
}

#[cfg(test)]
mod tests;
