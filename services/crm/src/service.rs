//! The calls of `CrmService`.

use futures::{Stream, StreamExt as _, stream::BoxStream};
use postroad_core::{Refusal, email, fault::Code, record, refusal::within};
use postroad_journal::Journal;
use postroad_proto::crm::v1::{
    CorrelationMethod, GetEmailRequest, GetEmailResponse, GetRecordRequest, GetRecordResponse, ListRecordsRequest,
    ListRecordsResponse, MatchEmailRequest, MatchEmailResponse, PromoteEmailRequest, PromoteEmailResponse,
    ReadContentRequest, ReadContentResponse, SaveRecordRequest, SaveRecordResponse, SearchEmailsRequest,
    SearchEmailsResponse, crm_service_server::CrmService,
};
use postroad_rig::{actor, clock, status, wire as rig_wire};
use std::sync::Arc;
use tokio_util::io::ReaderStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::{
    content::{self, Contents},
    page,
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
    limits: Arc<Limits>,
}

impl Service {
    /// A service over a store that follows the journal.
    pub fn new(journal: Journal, store: Arc<Store>, contents: Contents, limits: Limits) -> Self {
        Self { journal, store, contents, limits: Arc::new(limits) }
    }

    /// Promotes what a stream carries, on behalf of `actor`.
    async fn promote<S>(&self, actor: postroad_journal::Actor, requests: S) -> Result<Promoted, Status>
    where
        S: Stream<Item = Result<PromoteEmailRequest, Status>> + Send + Unpin,
    {
        let by = (&actor, clock::now());
        let promoted = promote::promote(&self.journal, &self.store, &self.contents, by, (requests, &self.limits)).await;
        promoted.map_err(|error| match error {
            promote::Error::Broken(Broken::Refused(refusal)) => status::refused(&refusal),
            promote::Error::Broken(Broken::Lost(status)) => *status,
            promote::Error::Contents(error) => unavailable(&error),
            promote::Error::Journal(error) => status::journal(error),
        })
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

    async fn match_email(&self, request: Request<MatchEmailRequest>) -> Result<Response<MatchEmailResponse>, Status> {
        let request = request.into_inner();
        let most = wire::REFERENCES;
        within("in_reply_to", request.in_reply_to.len() as u64, 0, most)
            .and_then(|()| within("references", request.references.len() as u64, 0, most))
            .and_then(|()| {
                let length = request.conversation_index.len() as u64;
                within("conversation_index", length, 0, wire::CONVERSATION_INDEX)
            })
            .map_err(|refusal| status::refused(&refusal))?;
        let answering = email::Answering {
            in_reply_to: &request.in_reply_to,
            references: &request.references,
            conversation_index: &request.conversation_index,
        };
        let (found, sender) = self.store.read(|view| {
            let sender = view.party(&request.sender_address).and_then(|id| view.by_id(id)).map(wire::record);
            (view.answered(answering, None), sender)
        });
        let email_id = found.map(|found| found.email_id.to_string()).unwrap_or_default();
        let method = found.map_or(CorrelationMethod::Unspecified, wire::correlation_method);
        Ok(Response::new(MatchEmailResponse { email_id, method: method.into(), sender }))
    }

    async fn promote_email(
        &self,
        request: Request<Streaming<PromoteEmailRequest>>,
    ) -> Result<Response<PromoteEmailResponse>, Status> {
        let actor = actor::of(&request);
        let Promoted { id, created } = Box::pin(self.promote(actor, request.into_inner())).await?;
        Ok(Response::new(PromoteEmailResponse { email_id: id.to_string(), created }))
    }

    async fn get_email(&self, request: Request<GetEmailRequest>) -> Result<Response<GetEmailResponse>, Status> {
        let request = request.into_inner();
        let wanted = request.email.trim();
        if email::normalized(wanted).is_empty() {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "email", "is required")));
        }
        let by_message_id = email::activity_id(Some(wanted), "");
        let found = self.store.read(|view| {
            let by_id = Uuid::parse_str(wanted).ok().and_then(|id| view.activity(id));
            by_id.or_else(|| view.activity(by_message_id))
        });
        let row = found.ok_or_else(|| missing("email", wanted))?;
        Ok(Response::new(GetEmailResponse { email: Some(wire::activity(&row.activity)) }))
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
        let rows = found.rows.iter().map(|row| (row.position.key(), wire::activity(&row.activity)));
        let (emails, next_page_token) = page::cut(rows, size);
        Ok(Response::new(SearchEmailsResponse { emails, next_page_token, total: found.total }))
    }

    type ReadContentStream = BoxStream<'static, Result<ReadContentResponse, Status>>;

    async fn read_content(
        &self,
        request: Request<ReadContentRequest>,
    ) -> Result<Response<Self::ReadContentStream>, Status> {
        let digest = request.into_inner().digest;
        if !content::is_digest(&digest) {
            let refusal = Refusal::new(Code::ValueOutOfRange, "digest", "is not a SHA-256 in lower-case hexadecimal");
            return Err(status::refused(&refusal));
        }
        let opened = self.contents.open(&digest).await.map_err(|error| unavailable(&error))?;
        let reader = opened.ok_or_else(|| missing("digest", &digest))?;
        let pieces = ReaderStream::with_capacity(reader, PIECE).map(|piece| match piece {
            Ok(piece) => Ok(ReadContentResponse { piece: piece.into() }),
            Err(error) => Err(unavailable(&content::Error::Read(error))),
        });
        Ok(Response::new(pieces.boxed()))
    }
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
