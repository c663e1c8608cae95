//! The calls of `AlertService`.

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use postroad_core::{
    Refusal,
    alert::{Key, Regarding},
    fault::Code,
};
use postroad_proto::alert::v1::{
    AlertFilter, ListAlertsRequest, ListAlertsResponse, WatchAlertsRequest, WatchAlertsResponse,
    alert_service_server::AlertService,
};
use postroad_rig::{Caller, status, wire as rig_wire};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    board::Board,
    view::{Entry, Filter, View},
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
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let after = start(&request.page_token).map_err(|refusal| status::refused(&refusal))?;
        let size = rig_wire::page_size(request.page_size);
        let entries = self.board.read(|view| {
            let filter = filter(view, &caller, request.filter)?;
            let mut entries = view.wall().list(view, &filter);
            if !caller.reaches_all() {
                entries.retain(|entry| reaches(view, &caller, entry));
            }
            Ok::<_, Status>(entries)
        });
        let entries = entries?;
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
        let caller = Caller::of(&request);
        let wanted = request.into_inner().filter;
        let filter = self.board.read(|view| filter(view, &caller, wanted))?;
        let watcher = Watcher::begin(Arc::clone(&self.board), filter, caller);
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
    caller: Caller,
    changes: watch::Receiver<u64>,
    seen: u64,
    /// Alerts that were given: it is told of all that becomes of them.
    given: HashSet<Key>,
    waiting: VecDeque<Entry>,
}

impl Watcher {
    fn begin(board: Arc<Board>, filter: Filter, caller: Caller) -> Self {
        let changes = board.changes();
        let reached = |view: &View, mut entries: Vec<Entry>| {
            entries.retain(|entry| reaches(view, &caller, entry));
            entries
        };
        let (seen, waiting) = board.read(|view| (view.folded(), reached(view, view.wall().list(view, &filter))));
        let given = waiting.iter().map(|entry| entry.alert.key.clone()).collect();
        Self { board, filter, caller, changes, seen, given, waiting: waiting.into() }
    }

    async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Some(entry);
            }
            self.changes.changed().await.ok()?;
            let (seen, changed) = self.board.read(|view| {
                let mut changed = view.wall().changes(view, self.seen);
                changed.retain(|entry| reaches(view, &self.caller, entry));
                (view.folded(), changed)
            });
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

/// A filter that a caller wants. Whoever reaches his own only is not told whether other profiles and mailboxes exist.
fn filter(view: &View, caller: &Caller, wanted: Option<AlertFilter>) -> Result<Filter, Status> {
    let named = wanted.as_ref().map(|wanted| format!("{}{}", wanted.profile, wanted.mailbox)).unwrap_or_default();
    let filter = wire::filter(view, wanted);
    if !caller.reaches_all() && !named.trim().is_empty() {
        let own = filter.as_ref().is_ok_and(|filter| {
            filter.profile.is_none_or(|id| caller.reaches(view.owners(Regarding::Profile(id))))
                && filter.mailbox.is_none_or(|id| caller.reaches(view.owners(Regarding::Mailbox(id))))
        });
        if !own {
            return Err(caller.denied("profile or mailbox", &named));
        }
    }
    filter.map_err(|refusal: Refusal| status::refused(&refusal))
}

/// Whether an alert is the caller's.
fn reaches(view: &View, caller: &Caller, entry: &Entry) -> bool {
    caller.reaches(view.owners(entry.alert.key.regarding))
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
