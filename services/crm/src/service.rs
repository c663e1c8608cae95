//! The calls of `CrmService`.

mod privacy;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use postroad_core::{Refusal, email, fault::Code, organization, record, refusal::within};
use postroad_journal::Journal;
use postroad_metric::crm::CRM;
use postroad_proto::crm::v1::{
    ClaimEmailRequest, ClaimEmailResponse, ErasePersonRequest, ErasePersonResponse, FindPersonRequest,
    FindPersonResponse, GetEmailRequest, GetEmailResponse, GetRecordRequest, GetRecordResponse, GetSettingsRequest,
    GetSettingsResponse, ImposeRegardingRequest, ImposeRegardingResponse, ListOutboxRequest, ListOutboxResponse,
    ListQueueItemsRequest, ListQueueItemsResponse, ListRecordsRequest, ListRecordsResponse, MatchEmailRequest,
    MatchEmailResponse, OutboxEmail, PromoteEmailRequest, PromoteEmailResponse, PromoteHeader, QueueItem,
    ReadContentRequest, ReadContentResponse, ReportDeliveryRequest, ReportDeliveryResponse, ResealContentKeysRequest,
    ResealContentKeysResponse, ResendEmailRequest, ResendEmailResponse, SaveRecordRequest, SaveRecordResponse,
    SaveSettingsRequest, SaveSettingsResponse, SearchEmailsRequest, SearchEmailsResponse, SendEmailRequest,
    SendEmailResponse, SetRegardingRequest, SetRegardingResponse, UntrackEmailRequest, UntrackEmailResponse,
    WatchOutboxRequest, WatchOutboxResponse, crm_service_server::CrmService, promote_email_request, send_email_request,
};
use postroad_rig::{actor, clock, status, wire as rig_wire};
use std::sync::Arc;
use tokio_util::{io::ReaderStream, sync::CancellationToken};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::{
    content::{self, Contents},
    erase::Eraser,
    matching, outbox, page,
    pieces::Broken,
    promote::{self, Limits, Promoted},
    store::{Position, Store, Wanted},
    wire,
};

/// The largest query of a search, in characters.
const QUERY: usize = 1000;

/// The pieces in which content is given, in bytes.
const PIECE: usize = 256 * 1024;

/// The built-in record store as a gRPC service.
#[derive(Clone)]
pub struct Service {
    journal: Journal,
    store: Arc<Store>,
    contents: Contents,
    eraser: Eraser,
    limits: Arc<Limits>,
    shutdown: CancellationToken,
}

impl Service {
    /// A service over a store that follows the journal; watches end with `shutdown`.
    pub fn new(
        journal: Journal,
        store: Arc<Store>,
        contents: Contents,
        limits: Limits,
        shutdown: CancellationToken,
    ) -> Self {
        let eraser = Eraser::new(journal.clone(), Arc::clone(&store), contents.clone());
        Self { journal, store, contents, eraser, limits: Arc::new(limits), shutdown }
    }

    /// Promotes what a stream carries, on behalf of `actor`; `None` where it concerns an erased person.
    async fn promote<S>(&self, actor: postroad_journal::Actor, requests: S) -> Result<Option<Promoted>, Status>
    where
        S: Stream<Item = Result<PromoteEmailRequest, Status>> + Send + Unpin,
    {
        let by = (&actor, clock::now());
        let promoted = promote::promote(&self.journal, &self.store, &self.contents, by, (requests, &self.limits)).await;
        match promoted {
            Ok(promoted) => Ok(Some(promoted)),
            Err(promote::Error::Erased) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn decide(&self, actor: &postroad_journal::Actor, id: Uuid, command: email::Command) -> Result<(), Status> {
        let done = promote::decide(&self.journal, &self.store, actor, id, &command, clock::now()).await;
        done.map(drop).map_err(failed)
    }
}

#[tonic::async_trait]
impl CrmService for Service {
    async fn save_record(&self, request: Request<SaveRecordRequest>) -> Result<Response<SaveRecordResponse>, Status> {
        let actor = actor::of(&request);
        let draft = wire::draft(request.into_inner().record).map_err(|refusal| status::refused(&refusal))?;
        let wanted = draft.record().map_err(|refusal| status::refused(&refusal))?;
        let command = record::Command::Save(wanted.clone());
        let done = self
            .journal
            .execute::<record::Rules>(wanted.id, &actor, &command, |_| ())
            .await
            .map_err(status::journal)?;
        self.store.reached(done.sequence).await;
        let record = Some(wire::record(&done.state.unwrap_or(wanted)));
        Ok(Response::new(SaveRecordResponse { record, changed: !done.events.is_empty() }))
    }

    async fn get_record(&self, request: Request<GetRecordRequest>) -> Result<Response<GetRecordResponse>, Status> {
        let request = request.into_inner();
        let kind = wire::kind("kind", request.kind).map_err(|refusal| status::refused(&refusal))?;
        let wanted = request.record.trim();
        let found = self.store.read(|view| match Uuid::parse_str(wanted) {
            Ok(id) => view.by_id(id).filter(|record| kind.is_none_or(|kind| record.kind == kind)).map(wire::record),
            Err(_) => view.by_address(wanted, kind).map(wire::record),
        });
        let record = found.ok_or_else(|| missing("record", wanted))?;
        Ok(Response::new(GetRecordResponse { record: Some(record) }))
    }

    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        let request = request.into_inner();
        let kind = wire::kind("kind", request.kind).map_err(|refusal| status::refused(&refusal))?;
        let after = start(&request.page_token, |key| {
            let (id, name) = key.split_once(':')?;
            Some((name.to_owned(), Uuid::parse_str(id).ok()?))
        })?;
        let size = rig_wire::page_size(request.page_size);
        let found: Vec<_> = self.store.read(|view| {
            let records = view.records(kind, after.as_ref()).take(size + 1);
            records
                .map(|record| (format!("{}:{}", record.id, record.name.to_lowercase()), wire::record(record)))
                .collect()
        });
        let (records, next_page_token) = page::cut(found, size);
        Ok(Response::new(ListRecordsResponse { records, next_page_token }))
    }

    async fn get_settings(&self, _: Request<GetSettingsRequest>) -> Result<Response<GetSettingsResponse>, Status> {
        let settings = self.store.read(|view| view.entries().clone().into_iter().collect());
        Ok(Response::new(GetSettingsResponse { settings }))
    }

    async fn save_settings(
        &self,
        request: Request<SaveSettingsRequest>,
    ) -> Result<Response<SaveSettingsResponse>, Status> {
        let actor = actor::of(&request);
        let mut wanted: Vec<(String, String)> = request.into_inner().settings.into_iter().collect();
        wanted.sort();
        let command = organization::Command(wanted);
        let done = self.journal.execute::<organization::Rules>(organization::ID, &actor, &command, |_| ()).await;
        let done = done.map_err(status::journal)?;
        self.store.reached(done.sequence).await;
        Ok(Response::new(SaveSettingsResponse { settings: done.state.into_iter().collect() }))
    }

    async fn match_email(&self, request: Request<MatchEmailRequest>) -> Result<Response<MatchEmailResponse>, Status> {
        let request = request.into_inner();
        let most = wire::REFERENCES;
        within("in_reply_to", request.in_reply_to.len() as u64, 0, most)
            .and_then(|()| within("references", request.references.len() as u64, 0, most))
            .and_then(|()| within("addresses", request.addresses.len() as u64, 0, most))
            .and_then(|()| within("tokens", request.tokens.len() as u64, 0, most))
            .map_err(|refusal| status::refused(&refusal))?;
        Ok(Response::new(self.store.read(|view| matching::matches(&request, view))))
    }

    async fn promote_email(
        &self,
        request: Request<Streaming<PromoteEmailRequest>>,
    ) -> Result<Response<PromoteEmailResponse>, Status> {
        let actor = actor::of(&request);
        let promoted = Box::pin(self.promote(actor, request.into_inner())).await?;
        let (answer, result) = match promoted {
            Some(Promoted { id, created }) => {
                let answer =
                    PromoteEmailResponse { email_id: id.to_string(), created, ..PromoteEmailResponse::default() };
                (answer, if created { "created" } else { "known" })
            }
            None => (PromoteEmailResponse { erased: true, ..PromoteEmailResponse::default() }, "erased"),
        };
        CRM.promotions.with_label_values(&[result]).inc();
        Ok(Response::new(answer))
    }

    async fn get_email(&self, request: Request<GetEmailRequest>) -> Result<Response<GetEmailResponse>, Status> {
        let request = request.into_inner();
        let wanted = request.email.trim();
        if email::normalized(wanted).is_empty() {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "email", "is required")));
        }
        if Uuid::parse_str(wanted).is_ok_and(|id| self.store.read(|view| view.was_erased(id))) {
            return Err(failed(promote::Error::Erased));
        }
        let found = self.store.read(|view| {
            let by_id = Uuid::parse_str(wanted).ok().and_then(|id| view.activity(id));
            let ways = [email::Direction::Incoming, email::Direction::Outgoing].into_iter();
            let by_message_id = || ways.filter_map(|way| view.by_message_id(way, wanted)).next();
            let row = by_id.or_else(|| by_message_id().and_then(|id| view.activity(id)))?;
            Some(wire::activity(&row.activity, view))
        });
        let email = found.ok_or_else(|| missing("email", wanted))?;
        Ok(Response::new(GetEmailResponse { email: Some(email) }))
    }

    async fn untrack_email(
        &self,
        request: Request<UntrackEmailRequest>,
    ) -> Result<Response<UntrackEmailResponse>, Status> {
        let actor = actor::of(&request);
        let request = request.into_inner();
        let id = given("email_id", &request.email_id)?;
        let mailbox_id = given("mailbox_id", &request.mailbox_id)?;
        self.decide(&actor, id, email::Command::Untrack { mailbox_id }).await?;
        Ok(Response::new(UntrackEmailResponse {}))
    }

    async fn set_regarding(
        &self,
        request: Request<SetRegardingRequest>,
    ) -> Result<Response<SetRegardingResponse>, Status> {
        let actor = actor::of(&request);
        let request = request.into_inner();
        let id = given("email_id", &request.email_id)?;
        let regarding_id = wire::maybe_id("regarding_id", &request.regarding_id).map_err(|r| status::refused(&r))?;
        if regarding_id.is_some_and(|id| self.store.read(|view| view.by_id(id).is_none())) {
            return Err(missing("regarding_id", &request.regarding_id));
        }
        self.decide(&actor, id, email::Command::SetRegarding { regarding_id }).await?;
        Ok(Response::new(SetRegardingResponse {}))
    }

    async fn impose_regarding(
        &self,
        request: Request<ImposeRegardingRequest>,
    ) -> Result<Response<ImposeRegardingResponse>, Status> {
        let actor = actor::of(&request);
        let request = request.into_inner();
        let mailbox = given("mailbox_id", &request.mailbox_id)?;
        let regarding = given("regarding_id", &request.regarding_id)?;
        let others = self.store.read(|view| view.regarding_other(mailbox, &request.folder_id, regarding));
        for id in &others {
            self.decide(&actor, *id, email::Command::SetRegarding { regarding_id: Some(regarding) }).await?;
        }
        Ok(Response::new(ImposeRegardingResponse { changed: u32::try_from(others.len()).unwrap_or(u32::MAX) }))
    }

    async fn list_outbox(&self, request: Request<ListOutboxRequest>) -> Result<Response<ListOutboxResponse>, Status> {
        let request = request.into_inner();
        let most = if request.limit == 0 { 100 } else { request.limit.min(1000) as usize };
        let waiting = self.store.read(|view| view.outbox(&request.mailbox_address, clock::now(), most));
        let emails = waiting.into_iter().map(|(id, attempt)| OutboxEmail { email_id: id.to_string(), attempt });
        Ok(Response::new(ListOutboxResponse { emails: emails.collect() }))
    }

    type WatchOutboxStream = BoxStream<'static, Result<WatchOutboxResponse, Status>>;

    async fn watch_outbox(&self, _: Request<WatchOutboxRequest>) -> Result<Response<Self::WatchOutboxStream>, Status> {
        self.store.caught_up().await;
        let waiting = outbox::watch(Arc::clone(&self.store));
        // A stream that does not end would hold up the role's shutdown.
        Ok(Response::new(waiting.take_until(self.shutdown.clone().cancelled_owned()).boxed()))
    }

    async fn claim_email(&self, request: Request<ClaimEmailRequest>) -> Result<Response<ClaimEmailResponse>, Status> {
        let actor = actor::of(&request);
        let request = request.into_inner();
        let id = given("email_id", &request.email_id)?;
        postroad_core::refusal::required("message_id", &request.message_id, 320).map_err(|r| status::refused(&r))?;
        let wanted = (id, request.attempt, request.message_id.as_str());
        outbox::claim(&self.journal, &self.store, (&actor, clock::now()), wanted).await.map_err(failed)?;
        let email = self.store.read(|view| view.activity(id).map(|row| wire::activity(&row.activity, view)));
        Ok(Response::new(ClaimEmailResponse { email }))
    }

    async fn report_delivery(
        &self,
        request: Request<ReportDeliveryRequest>,
    ) -> Result<Response<ReportDeliveryResponse>, Status> {
        let actor = actor::of(&request);
        let ReportDeliveryRequest { email_id, attempt, status, failure, failure_code } = request.into_inner();
        let id = given("email_id", &email_id)?;
        let status = wire::reported(status).map_err(|refusal| status::refused(&refusal))?;
        self.decide(&actor, id, email::Command::Report { attempt, status, failure, failure_code }).await?;
        Ok(Response::new(ReportDeliveryResponse {}))
    }

    async fn send_email(
        &self,
        request: Request<Streaming<SendEmailRequest>>,
    ) -> Result<Response<SendEmailResponse>, Status> {
        let actor = actor::of(&request);
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.part);
        let Some(send_email_request::Part::Header(header)) = first else {
            let refusal = Refusal::new(Code::FieldRequired, "header", "is required, and comes first");
            return Err(status::refused(&refusal));
        };
        let pieces = requests.map(|request| {
            request.map(|request| PromoteEmailRequest {
                part: request.part.map(|part| match part {
                    send_email_request::Part::Piece(piece) => promote_email_request::Part::Piece(piece.into()),
                    send_email_request::Part::Header(_) => {
                        promote_email_request::Part::Header(PromoteHeader::default())
                    }
                }),
            })
        });
        let by = (&actor, clock::now());
        let sent = outbox::send(&self.journal, &self.store, &self.contents, by, (header, pieces, &self.limits));
        let id = Box::pin(sent).await.map_err(failed)?;
        Ok(Response::new(SendEmailResponse { email_id: id.to_string() }))
    }

    async fn resend_email(
        &self,
        request: Request<ResendEmailRequest>,
    ) -> Result<Response<ResendEmailResponse>, Status> {
        let actor = actor::of(&request);
        let id = given("email_id", &request.into_inner().email_id)?;
        self.decide(&actor, id, email::Command::Resend).await?;
        let row = self.store.read(|view| view.activity(id));
        let delivery = row.and_then(|row| row.activity.email.delivery.clone());
        Ok(Response::new(ResendEmailResponse { attempt: delivery.map_or(0, |delivery| delivery.attempt) }))
    }

    async fn list_queue_items(
        &self,
        request: Request<ListQueueItemsRequest>,
    ) -> Result<Response<ListQueueItemsResponse>, Status> {
        let request = request.into_inner();
        let wanted = request.queue.trim();
        let queue = self.store.read(|view| {
            let by_id = Uuid::parse_str(wanted).ok().and_then(|id| view.by_id(id));
            let record = by_id.or_else(|| view.by_address(wanted, Some(record::Kind::Queue)));
            record.filter(|record| record.kind == record::Kind::Queue).map(|record| record.id)
        });
        let queue = queue.ok_or_else(|| missing("queue", wanted))?;
        let before = start(&request.page_token, |key| {
            let (at, id) = key.split_once(':')?;
            let at = jiff::Timestamp::from_nanosecond(at.parse().ok()?).ok()?;
            Some((at, Uuid::parse_str(id).ok()?))
        })?;
        let size = rig_wire::page_size(request.page_size);
        let found = self.store.read(|view| view.queue(queue, before, size + 1));
        let items = found.into_iter().map(|(at, row)| {
            let email = &row.activity.email;
            let item = QueueItem {
                email_id: email.id.to_string(),
                subject: email.subject.clone(),
                entered_at: Some(rig_wire::timestamp(at)),
            };
            (format!("{}:{}", at.as_nanosecond(), email.id), item)
        });
        let (items, next_page_token) = page::cut(items.collect::<Vec<_>>(), size);
        Ok(Response::new(ListQueueItemsResponse { items, next_page_token }))
    }

    async fn search_emails(
        &self,
        request: Request<SearchEmailsRequest>,
    ) -> Result<Response<SearchEmailsResponse>, Status> {
        let request = request.into_inner();
        postroad_core::refusal::length("query", &request.query, QUERY).map_err(|refusal| status::refused(&refusal))?;
        let size = rig_wire::page_size(request.page_size);
        let mailbox = request.mailbox.trim();
        let wanted = Wanted {
            words: request.query.split_whitespace().map(str::to_lowercase).collect(),
            mailbox: (!mailbox.is_empty()).then(|| mailbox.to_owned()),
            after: start(&request.page_token, Position::by_key)?,
            most: size + 1,
        };
        let found = self.store.search(&wanted).await;
        let rows: Vec<_> = self.store.read(|view| {
            found.rows.iter().map(|row| (row.position.key(), wire::activity(&row.activity, view))).collect()
        });
        let (emails, next_page_token) = page::cut(rows, size);
        Ok(Response::new(SearchEmailsResponse { emails, next_page_token, total: found.total }))
    }

    type ReadContentStream = BoxStream<'static, Result<ReadContentResponse, Status>>;

    async fn read_content(
        &self,
        request: Request<ReadContentRequest>,
    ) -> Result<Response<Self::ReadContentStream>, Status> {
        let ReadContentRequest { digest, email_id } = request.into_inner();
        if !content::is_digest(&digest) {
            let refusal = Refusal::new(Code::ValueOutOfRange, "digest", "is not a SHA-256 in lower-case hexadecimal");
            return Err(status::refused(&refusal));
        }
        let given = wire::maybe_id("email_id", &email_id).map_err(|refusal| status::refused(&refusal))?;
        // Older callers do not say whose it is.
        let email = given.or_else(|| self.store.holder(&digest));
        let email = email.ok_or_else(|| missing("digest", &digest))?;
        let opened = self.contents.open(email, &digest).await.map_err(|error| unavailable(&error))?;
        let reader = opened.ok_or_else(|| missing("digest", &digest))?;
        let pieces = ReaderStream::with_capacity(reader, PIECE).map(|piece| match piece {
            Ok(piece) => Ok(ReadContentResponse { piece: piece.into() }),
            Err(error) => Err(unavailable(&content::Error::Read(error))),
        });
        Ok(Response::new(pieces.boxed()))
    }

    type ErasePersonStream = BoxStream<'static, Result<ErasePersonResponse, Status>>;

    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<Self::ErasePersonStream>, Status> {
        let actor = actor::of(&request);
        privacy::erase(self.eraser.clone(), &self.store, actor, request.get_ref()).map(Response::new)
    }

    type FindPersonStream = BoxStream<'static, Result<FindPersonResponse, Status>>;

    async fn find_person(
        &self,
        request: Request<FindPersonRequest>,
    ) -> Result<Response<Self::FindPersonStream>, Status> {
        privacy::find(&self.store, &request.get_ref().person).map(Response::new)
    }

    type ResealContentKeysStream = BoxStream<'static, Result<ResealContentKeysResponse, Status>>;

    async fn reseal_content_keys(
        &self,
        request: Request<ResealContentKeysRequest>,
    ) -> Result<Response<Self::ResealContentKeysStream>, Status> {
        privacy::reseal(self.contents.clone(), request.get_ref().dry_run).await.map(Response::new)
    }
}

fn failed(error: promote::Error) -> Status {
    match error {
        promote::Error::Broken(Broken::Refused(refusal)) => status::refused(&refusal),
        promote::Error::Broken(Broken::Lost(status)) => *status,
        promote::Error::Contents(error) => unavailable(&error),
        promote::Error::Erased => {
            status::refused(&Refusal::new(Code::EmailErased, "email", "concerned a person who was erased"))
        }
        promote::Error::Journal(error) => status::journal(error),
    }
}

fn given(field: &str, text: &str) -> Result<Uuid, Status> {
    rig_wire::id(field, text).map_err(|refusal| status::refused(&refusal))
}

fn missing(field: &str, wanted: &str) -> Status {
    let shown: String = wanted.chars().take(200).collect();
    status::refused(&Refusal::new(Code::NotFound, field, format!("there is no `{shown}`")))
}

fn unavailable(error: &content::Error) -> Status {
    status::failed(&error.report())
}

fn start<K>(token: &str, key: impl FnOnce(&str) -> Option<K>) -> Result<Option<K>, Status> {
    let refused =
        || status::refused(&Refusal::new(Code::PageTokenInvalid, "page_token", "was not issued by this call"));
    match rig_wire::page_start(token).map_err(|refusal| status::refused(&refusal))? {
        None => Ok(None),
        Some(text) => key(&text).map(Some).ok_or_else(refused),
    }
}
