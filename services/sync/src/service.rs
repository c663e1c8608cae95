//! gRPC.

mod past;
mod wake;

use std::sync::Arc;

use postroad_core::{
    Refusal,
    fault::{Code, Report},
    mailbox::{AdminCommand, AdminFacts, Administration, Event, Mailbox, TrackedFolder},
    owner,
    profile::Profile,
};
use postroad_proto::sync::v1::{
    AuditMailboxRequest, AuditMailboxResponse, Backfill, DrainWorkerRequest, DrainWorkerResponse,
    ExplainMessageRequest, ExplainMessageResponse, Folder, GetProgressRequest, GetProgressResponse, GetWorkerRequest,
    GetWorkerResponse, ListFoldersRequest, ListFoldersResponse, ListServersRequest, ListServersResponse,
    ListVerdictsRequest, ListVerdictsResponse, ListWorkersRequest, ListWorkersResponse, PauseBackfillRequest,
    PauseBackfillResponse, RetryMessagesRequest, RetryMessagesResponse, SyncNowRequest, SyncNowResponse,
    TrackFolderRequest, TrackFolderResponse, TryRulesRequest, TryRulesResponse, UntrackFolderRequest,
    UntrackFolderResponse, sync_service_server::SyncService,
};
use postroad_rig::{Caller, actor, clock, status, wire};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use past::Answers;
pub use wake::wake;

use crate::{exchange::FolderName, fleet, lock::lock, worker::Worker};

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

#[async_trait]
impl SyncService for Service {
    async fn sync_now(&self, request: Request<SyncNowRequest>) -> Result<Response<SyncNowResponse>, Status> {
        let caller = Caller::of(&request);
        let id = self.find(&caller, &request.into_inner().mailbox)?;
        self.call(id).await?;
        Ok(Response::new(SyncNowResponse {}))
    }

    async fn explain_message(
        &self,
        request: Request<ExplainMessageRequest>,
    ) -> Result<Response<ExplainMessageResponse>, Status> {
        let caller = Caller::of(&request);
        self.verdicts_about(&caller, &request.into_inner().message_id).await.map(Response::new)
    }

    type ListVerdictsStream = Answers<ListVerdictsResponse>;

    async fn list_verdicts(
        &self,
        request: Request<ListVerdictsRequest>,
    ) -> Result<Response<Self::ListVerdictsStream>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let id = self.find(&caller, &request.mailbox)?;
        self.verdicts_of(id, request).await.map(Response::new)
    }

    type TryRulesStream = Answers<TryRulesResponse>;

    async fn try_rules(&self, request: Request<TryRulesRequest>) -> Result<Response<Self::TryRulesStream>, Status> {
        let caller = Caller::of(&request);
        self.trial(&caller, request.into_inner()).await.map(Response::new)
    }

    type AuditMailboxStream = Answers<AuditMailboxResponse>;

    async fn audit_mailbox(
        &self,
        request: Request<AuditMailboxRequest>,
    ) -> Result<Response<Self::AuditMailboxStream>, Status> {
        let caller = Caller::of(&request);
        let id = self.find(&caller, &request.into_inner().mailbox)?;
        self.audit(id).await.map(Response::new)
    }

    async fn track_folder(
        &self,
        request: Request<TrackFolderRequest>,
    ) -> Result<Response<TrackFolderResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let TrackFolderRequest { mailbox, folder, regarding_id } = request.into_inner();
        let id = self.find(&caller, &mailbox)?;
        let regarding = wire::id("regarding_id", &regarding_id).map_err(|refusal| status::refused(&refusal))?;
        if !self.worker.crm.has_record(regarding).await.map_err(|refused| status::failed(&refused.report()))? {
            let rule = format!("there is no record `{regarding_id}`");
            return Err(status::refused(&Refusal::new(Code::NotFound, "regarding_id", rule)));
        }
        let settings = self.worker.settings().await.map_err(|report| status::failed(&report))?;
        let found = self.folders(id).await?.into_iter().find(|one| is_folder(one, &folder));
        let found = found.ok_or_else(|| {
            let rule = format!("there is no folder `{folder}` under the Inbox");
            status::refused(&Refusal::new(Code::NotFound, "folder", rule))
        })?;
        let tracked = TrackedFolder { name: found.path.clone(), regarding };
        let command =
            AdminCommand::TrackFolder { folder_id: found.id.clone(), folder: tracked, settings: Box::new(settings) };
        self.administer(&actor, id, &command).await?;
        let folder = Some(Folder { id: found.id, name: found.path, regarding_id });
        Ok(Response::new(TrackFolderResponse { folder }))
    }

    async fn untrack_folder(
        &self,
        request: Request<UntrackFolderRequest>,
    ) -> Result<Response<UntrackFolderResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let UntrackFolderRequest { mailbox, folder } = request.into_inner();
        let id = self.find(&caller, &mailbox)?;
        let known = self.worker.directory.with_mailbox(id, |mailbox, _| mailbox.folders.clone()).unwrap_or_default();
        let by_name = known.iter().find(|(_, tracked)| tracked.name.eq_ignore_ascii_case(folder.trim()));
        let folder_id = by_name.map_or_else(|| folder.clone(), |(id, _)| id.clone());
        self.administer(&actor, id, &AdminCommand::UntrackFolder { folder_id }).await?;
        Ok(Response::new(UntrackFolderResponse {}))
    }

    async fn list_folders(
        &self,
        request: Request<ListFoldersRequest>,
    ) -> Result<Response<ListFoldersResponse>, Status> {
        let caller = Caller::of(&request);
        let id = self.find(&caller, &request.into_inner().mailbox)?;
        let tracked = self.worker.directory.with_mailbox(id, |mailbox, _| mailbox.folders.clone()).unwrap_or_default();
        let mut folders: Vec<Folder> = self
            .folders(id)
            .await?
            .into_iter()
            .map(|FolderName { id, path }| {
                let regarding_id = tracked.get(&id).map(|folder| folder.regarding.to_string()).unwrap_or_default();
                Folder { id, name: path, regarding_id }
            })
            .collect();
        folders.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Response::new(ListFoldersResponse { folders }))
    }

    async fn retry_messages(
        &self,
        request: Request<RetryMessagesRequest>,
    ) -> Result<Response<RetryMessagesResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let RetryMessagesRequest { mailbox, message_id } = request.into_inner();
        let id = self.find(&caller, &mailbox)?;
        let message = Some(message_id.trim().to_owned()).filter(|message| !message.is_empty());
        let events = self.administer(&actor, id, &AdminCommand::Retry { message }).await?;
        let count =
            events.iter().map(|event| if let Event::RetryAsked { items, .. } = event { items.len() } else { 0 });
        let count = count.sum();
        self.call(id).await?;
        Ok(Response::new(RetryMessagesResponse { count: self::count(count) }))
    }

    async fn pause_backfill(
        &self,
        request: Request<PauseBackfillRequest>,
    ) -> Result<Response<PauseBackfillResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let PauseBackfillRequest { mailbox, resume } = request.into_inner();
        let id = self.find(&caller, &mailbox)?;
        self.administer(&actor, id, &AdminCommand::PauseBackfill(!resume)).await?;
        self.call(id).await?;
        Ok(Response::new(PauseBackfillResponse {}))
    }

    async fn get_progress(
        &self,
        request: Request<GetProgressRequest>,
    ) -> Result<Response<GetProgressResponse>, Status> {
        let caller = Caller::of(&request);
        let id = self.find(&caller, &request.into_inner().mailbox)?;
        let progress = self.worker.directory.with_mailbox(id, |mailbox, _| {
            let sync = &mailbox.sync;
            GetProgressResponse {
                backfill: sync.backfill.as_ref().map(|backfill| Backfill {
                    from: backfill.from.0.map(wire::timestamp),
                    done: backfill.done,
                    total: backfill.total,
                    seconds_left: backfill.time_left().map_or(0, |left| left.as_secs().unsigned_abs()),
                    is_paused: backfill.is_paused,
                }),
                deferred: count(sync.deferred.len()),
                undeliverable: count(sync.undeliverable.len()),
                sending: count(sync.sending.len()),
            }
        });
        Ok(Response::new(progress.unwrap_or_default()))
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

    async fn list_workers(
        &self,
        _request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        fleet::workers(&self.worker, &self.nats).await.map(Response::new).map_err(unanswered)
    }

    async fn drain_worker(
        &self,
        request: Request<DrainWorkerRequest>,
    ) -> Result<Response<DrainWorkerResponse>, Status> {
        let wanted = request.into_inner().worker;
        let wanted = if wanted.is_empty() { self.worker.name.clone() } else { wanted };
        let known = fleet::workers(&self.worker, &self.nats).await.map_err(unanswered)?.workers;
        let matching: Vec<_> =
            known.into_iter().map(|known| known.worker).filter(|name| name.starts_with(&wanted)).collect();
        let refused = |code, rule| Err(status::refused(&Refusal::new(code, "worker", rule)));
        let [name] = matching.as_slice() else {
            return match matching.len() {
                0 => {
                    refused(Code::NotFound, format!("there is no worker `{wanted}`; `postroad sync status` lists them"))
                }
                many => refused(Code::StateConflict, format!("`{wanted}` begins the names of {many} workers")),
            };
        };
        if !fleet::drain(&self.nats, name).await {
            return Err(unanswered(format!("the worker {name} does not answer")));
        }
        Ok(Response::new(DrainWorkerResponse { worker: name.clone() }))
    }

    async fn list_servers(
        &self,
        _request: Request<ListServersRequest>,
    ) -> Result<Response<ListServersResponse>, Status> {
        fleet::servers(&self.worker, &self.nats).await.map(Response::new).map_err(unanswered)
    }
}

/// The other workers could not be asked.
fn unanswered(error: String) -> Status {
    status::failed(&Report::new(Code::JournalUnavailable, error))
}

impl Service {
    /// A mailbox that a caller asks for. Whoever reaches his own only is not told whether others exist.
    fn find(&self, caller: &Caller, name: &str) -> Result<Uuid, Status> {
        match self.worker.directory.find(name) {
            Some(id) if self.reaches(caller, id) => Ok(id),
            None if caller.reaches_all() => {
                Err(status::refused(&Refusal::new(Code::NotFound, "mailbox", format!("there is no mailbox `{name}`"))))
            }
            _ => Err(caller.denied("mailbox", name)),
        }
    }

    /// Whether a call may be about a mailbox. One that is gone is nobody's.
    fn reaches(&self, caller: &Caller, id: Uuid) -> bool {
        let own = |mailbox: &Mailbox, profile: Option<&Profile>| caller.reaches(owner::of_mailbox(mailbox, profile));
        self.worker.directory.with_mailbox(id, own).unwrap_or_else(|| caller.reaches_all())
    }

    /// The folders under the Inbox of a mailbox.
    async fn folders(&self, id: Uuid) -> Result<Vec<FolderName>, Status> {
        let missing = || status::refused(&Refusal::new(Code::ProfileInactive, "mailbox", "has no profile"));
        let (mailbox, profile) = crate::past::mailbox(&self.worker, id).ok_or_else(missing)?;
        let exchange =
            crate::past::open(&self.worker, &mailbox, &profile).await.map_err(|report| status::failed(&report))?;
        exchange.folders().await.map_err(|failure| status::failed(failure.report()))
    }

    /// What administrators decide about synchronization; on the same subject of the journal as the rest.
    async fn administer(
        &self,
        actor: &postroad_journal::Actor,
        id: Uuid,
        command: &AdminCommand,
    ) -> Result<Vec<Event>, Status> {
        let retry = self.worker.retry;
        let facts = move |_: &_| AdminFacts {
            now: clock::now(),
            address_taken: false,
            regarding_taken: false,
            regarding_known: true,
            profile: None,
            retry,
        };
        let done = self.worker.journal.execute::<Administration>(id, actor, command, facts).await;
        done.map(|done| done.events).map_err(status::journal)
    }
}

fn is_folder(folder: &FolderName, wanted: &str) -> bool {
    folder.id == wanted || folder.path.eq_ignore_ascii_case(wanted.trim().trim_matches('/'))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
