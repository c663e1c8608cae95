//! The calls over a real connection, on a journal and an object store in memory.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod erasure;

use std::{convert::Infallible, sync::Arc};

use futures::TryStreamExt as _;
use postroad_crm::{
    Eraser, Limits, Service,
    content::{Contents, digest},
    store::Store,
};
use postroad_journal::Journal;
use postroad_proto::crm::v1::{
    Attachment, Content, CorrelationMethod, Email, EmailDirection, EmailSource, GetEmailRequest, GetRecordRequest,
    ListRecordsRequest, MatchEmailRequest, Omission, Party, PartyRole, PromoteEmailRequest, PromoteHeader,
    ReadContentRequest, Record, RecordKind, SaveRecordRequest, SearchEmailsRequest,
    crm_service_client::CrmServiceClient, crm_service_server::CrmServiceServer, promote_email_request::Part,
};
use postroad_rig::{Channels, Role, Tasks, config::Endpoints};
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};

const MOST: u64 = 4 * 1024 * 1024;

struct Crm {
    client: CrmServiceClient<Channel>,
    journal: Journal,
    store: Arc<Store>,
    contents: Contents,
    eraser: Eraser,
    shutdown: CancellationToken,
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn limits() -> Limits {
    let blocked = vec!["exe".to_owned()];
    Limits { message: MOST, attachments: postroad_core::email::Limits { bytes: 3_000_000, blocked } }
}

async fn crm() -> Crm {
    crm_with(Contents::memory().unwrap()).await
}

async fn crm_with(contents: Contents) -> Crm {
    let (journal, shutdown) = (Journal::memory(), CancellationToken::new());
    let tasks = Tasks::new(shutdown.clone());
    let store = Arc::new(Store::default());
    tasks.spawn("view", Arc::clone(&store).follow(journal.clone(), shutdown.clone()));
    store.caught_up().await;
    let eraser = Eraser::new(journal.clone(), Arc::clone(&store), contents.clone());
    let service =
        Service::new(journal.clone(), Arc::clone(&store), contents.clone(), limits(), CancellationToken::new());
    let server = CrmServiceServer::new(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tonic::transport::Server::builder()
        .add_service(server)
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    tasks.spawn("server", async move {
        drop(serving.await);
        Ok::<_, Infallible>(())
    });
    let channels = Channels::new(Endpoints { crm: endpoint, ..Endpoints::default() }, None);
    let client = CrmServiceClient::new(channels.to(Role::Crm).unwrap());
    Crm { client, journal, store, contents, eraser, shutdown }
}

fn content(bytes: &[u8]) -> Content {
    Content { digest: digest(bytes), size: bytes.len() as u64 }
}

/// The message of the tests: text, MIME and the same attachment twice.
struct Message {
    header: PromoteHeader,
    contents: Vec<Vec<u8>>,
}

fn message(message_id: &str, mailbox: u128) -> Message {
    let attached = vec![1_u8; 2_500_000];
    let contents =
        vec![b"text".to_vec(), format!("mime {message_id}").into_bytes(), attached.clone(), b"small".to_vec()];
    let attachment =
        |bytes: &[u8]| Attachment { name: "a.bin".into(), content: Some(content(bytes)), ..Default::default() };
    let party =
        |role: PartyRole, address: &str| Party { role: role.into(), address: address.into(), ..Default::default() };
    let email = Email {
        direction: EmailDirection::Incoming.into(),
        message_id: message_id.into(),
        subject: "Quarterly Report".into(),
        parties: vec![party(PartyRole::From, "Ada@Fabrikam.example"), party(PartyRole::To, "nobody@x.example")],
        text: Some(content(&contents[0])),
        mime: Some(content(&contents[1])),
        attachments: vec![attachment(&attached), attachment(b"small")],
        ..Default::default()
    };
    let mailbox_id = uuid::Uuid::from_u128(mailbox).to_string();
    let email_address = format!("m{mailbox}@contoso.example");
    let source = EmailSource { mailbox_id, email_address, ..Default::default() };
    Message { header: PromoteHeader { email: Some(email), source: Some(source), ..Default::default() }, contents }
}

fn header(message: &Message) -> PromoteEmailRequest {
    PromoteEmailRequest { part: Some(Part::Header(message.header.clone())) }
}

fn piece(bytes: &[u8]) -> PromoteEmailRequest {
    PromoteEmailRequest { part: Some(Part::Piece(bytes.to_vec().into())) }
}

/// The stream of a message, cut into pieces without regard to where its contents end.
fn stream(message: &Message) -> Vec<PromoteEmailRequest> {
    let bytes = message.contents.concat();
    std::iter::once(header(message)).chain(bytes.chunks(1024 * 1024).map(piece)).collect()
}

impl Crm {
    async fn promote(&self, requests: Vec<PromoteEmailRequest>) -> Result<(String, bool), tonic::Status> {
        let answer = self.client.clone().promote_email(futures::stream::iter(requests)).await?.into_inner();
        Ok((answer.email_id, answer.created))
    }

    async fn refusal(&self, requests: Vec<PromoteEmailRequest>) -> (Code, String) {
        let status = self.promote(requests).await.unwrap_err();
        (status.code(), postroad_rig::status::field_of(&status).map(|(field, _)| field).unwrap_or_default())
    }

    async fn read(&self, content: &Content) -> Vec<u8> {
        let request = ReadContentRequest { digest: content.digest.clone(), ..Default::default() };
        let pieces = self.client.clone().read_content(request).await.unwrap().into_inner();
        let pieces: Vec<_> = pieces.map_ok(|answer| answer.piece).try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= 1024 * 1024));
        pieces.concat()
    }

    async fn email(&self, wanted: &str) -> Result<Email, tonic::Status> {
        let answer = self.client.clone().get_email(GetEmailRequest { email: wanted.into() }).await?;
        Ok(answer.into_inner().email.unwrap())
    }

    async fn save(&self, record: Record) -> Result<(Record, bool), tonic::Status> {
        let answer = self.client.clone().save_record(SaveRecordRequest { record: Some(record) }).await?.into_inner();
        Ok((answer.record.unwrap(), answer.changed))
    }
}

fn person(kind: RecordKind, name: &str, address: &str) -> Record {
    Record { kind: kind.into(), name: name.into(), addresses: vec![address.into()], ..Default::default() }
}

#[tokio::test]
async fn a_message_becomes_one_activity_with_its_contents_and_parties() {
    let crm = crm().await;
    let (ada, _) = crm.save(person(RecordKind::Contact, "Ada", "ada@fabrikam.example")).await.unwrap();
    let message = message("<1@x.example>", 1);
    let (id, created) = crm.promote(stream(&message)).await.unwrap();
    assert!(created);
    for wanted in [id.as_str(), "<1@x.example>", "1@x.example"] {
        assert_eq!(crm.email(wanted).await.unwrap().id, id);
    }
    let email = crm.email(&id).await.unwrap();
    assert_eq!((email.parties[0].record_id.as_str(), email.parties[1].record_id.as_str()), (ada.id.as_str(), ""));
    assert_eq!(crm.read(email.text.as_ref().unwrap()).await, b"text");
    assert!(crm.read(email.attachments[0].content.as_ref().unwrap()).await == message.contents[2]);
}

#[tokio::test]
async fn promoting_again_from_wherever_answers_with_the_same_activity() {
    let crm = crm().await;
    let (id, _) = crm.promote(stream(&message("<1@x.example>", 1))).await.unwrap();
    assert_eq!(crm.promote(stream(&message("1@x.example", 1))).await.unwrap(), (id.clone(), false));
    assert_eq!(crm.promote(stream(&message("<1@x.example>", 2))).await.unwrap(), (id.clone(), false));
    assert_eq!(crm.email(&id).await.unwrap().sources.len(), 2);
}

#[tokio::test]
async fn of_many_promotions_at_once_one_creates_the_activity() {
    let crm = crm().await;
    let promotions = (1..=12).map(|mailbox| crm.promote(stream(&message("<1@x.example>", mailbox))));
    let answers = futures::future::try_join_all(promotions).await.unwrap();
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    assert_eq!(crm.email(&answers[0].0).await.unwrap().sources.len(), 12);
}

#[tokio::test]
async fn a_message_without_id_is_identified_by_its_content() {
    let crm = crm().await;
    let mut message = message("", 1);
    assert!(crm.promote(stream(&message)).await.unwrap().1);
    assert!(!crm.promote(stream(&message)).await.unwrap().1);
    message.contents[1] = b"another".to_vec();
    message.header.email.as_mut().unwrap().mime = Some(content(b"another"));
    assert!(crm.promote(stream(&message)).await.unwrap().1);
}

#[tokio::test]
async fn hostile_streams_are_refused_and_leave_nothing() {
    let crm = crm().await;
    let message = message("<1@x.example>", 1);
    let good = stream(&message);
    let invalid = |field: &str| (Code::InvalidArgument, field.to_owned());
    assert_eq!(crm.refusal(Vec::new()).await, invalid("header"));
    assert_eq!(crm.refusal(vec![PromoteEmailRequest { part: None }]).await, invalid("header"));
    assert_eq!(crm.refusal(good[1..].to_vec()).await, invalid("header"));
    assert_eq!(crm.refusal(vec![header(&message), header(&message)]).await, invalid("header"));
    assert_eq!(crm.refusal(good[..2].to_vec()).await, invalid("email.attachments[0].content.size"));
    assert_eq!(crm.refusal([good.clone(), vec![piece(b"more")]].concat()).await, invalid("piece"));
    assert_eq!(crm.refusal(vec![header(&message), piece(&vec![0; 1024 * 1024 + 1])]).await, invalid("piece"));
    let mut wrong = good.clone();
    wrong[1] = piece(&vec![9; 1024 * 1024]);
    assert_eq!(crm.refusal(wrong).await, invalid("email.text.digest"));
    let mut large = message;
    large.header.email.as_mut().unwrap().html = Some(Content { digest: digest(b""), size: MOST });
    // The refusal arrives although the client goes on sending.
    let much = std::iter::repeat_n(piece(&vec![0; 1024 * 1024]), 64);
    let requests = std::iter::once(header(&large)).chain(much).collect();
    assert_eq!(crm.refusal(requests).await, invalid("email"));
    assert_eq!(crm.email("1@x.example").await.unwrap_err().code(), Code::NotFound);
    assert!(crm.promote(good).await.unwrap().1);
}

#[tokio::test]
async fn search_and_lists_are_paged() {
    let crm = crm().await;
    for number in 0..5 {
        crm.promote(stream(&message(&format!("<{number}@x.example>"), number))).await.unwrap();
    }
    let search = |query: &str, token: &str| {
        let request =
            SearchEmailsRequest { query: query.into(), page_size: 2, page_token: token.into(), ..Default::default() };
        let mut client = crm.client.clone();
        async move { client.search_emails(request).await.map(tonic::Response::into_inner) }
    };
    let (mut ids, mut token) = (std::collections::HashSet::new(), String::new());
    loop {
        let page = search("report FABRIKAM", &token).await.unwrap();
        assert_eq!(page.total, 5);
        ids.extend(page.emails.into_iter().map(|email| email.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids.len(), 5);
    assert_eq!(search("", "zz").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(search(&"x".repeat(1001), "").await.unwrap_err().code(), Code::InvalidArgument);
    let request = SearchEmailsRequest { mailbox: "M3@contoso.example".into(), ..Default::default() };
    assert_eq!(crm.client.clone().search_emails(request).await.unwrap().into_inner().total, 1);
}

#[tokio::test]
async fn records_are_saved_once_and_found() {
    let crm = crm().await;
    let (ada, changed) = crm.save(person(RecordKind::User, "Ada", "Ada@x.example")).await.unwrap();
    assert!(changed);
    assert!(!crm.save(person(RecordKind::User, "Ada", "Ada@x.example")).await.unwrap().1);
    crm.save(person(RecordKind::Lead, "Ada again", "ada@x.example")).await.unwrap();
    let get = |record: &str, kind: RecordKind| {
        let request = GetRecordRequest { record: record.into(), kind: kind.into() };
        let mut client = crm.client.clone();
        async move { client.get_record(request).await.map(|answer| answer.into_inner().record.unwrap().name) }
    };
    assert_eq!(get("ADA@x.example", RecordKind::Unspecified).await.unwrap(), "Ada");
    assert_eq!(get("ADA@x.example", RecordKind::Lead).await.unwrap(), "Ada again");
    assert_eq!(get(&ada.id, RecordKind::User).await.unwrap(), "Ada");
    assert_eq!(get(&ada.id, RecordKind::Queue).await.unwrap_err().code(), Code::NotFound);
    let refused = crm.save(Record { id: ada.id.clone(), ..person(RecordKind::Queue, "Ada", "a@x.example") }).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let page = |token: String| {
        let request = ListRecordsRequest { page_size: 1, page_token: token, ..Default::default() };
        let mut client = crm.client.clone();
        async move { client.list_records(request).await.unwrap().into_inner() }
    };
    let first = page(String::new()).await;
    let second = page(first.next_page_token).await;
    assert_eq!((first.records[0].name.as_str(), second.records[0].name.as_str()), ("Ada", "Ada again"));
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn content_that_is_not_there_is_not_found() {
    let crm = crm().await;
    let read = |digest: String| {
        let mut client = crm.client.clone();
        async move {
            client.read_content(ReadContentRequest { digest, ..Default::default() }).await.map(drop).unwrap_err().code()
        }
    };
    assert_eq!(read(digest(b"x")).await, Code::NotFound);
    assert_eq!(read("../x".to_owned()).await, Code::InvalidArgument);
}

#[tokio::test]
async fn a_view_that_is_rebuilt_is_equal() {
    let crm = crm().await;
    crm.save(person(RecordKind::Contact, "Ada", "ada@fabrikam.example")).await.unwrap();
    for mailbox in [1, 2] {
        crm.promote(stream(&message("<1@x.example>", mailbox))).await.unwrap();
    }
    let rebuilt = Arc::new(Store::default());
    let shutdown = CancellationToken::new();
    let follow = Arc::clone(&rebuilt).follow(crm.journal.clone(), shutdown.clone());
    let (outcome, ()) = tokio::join!(follow, async {
        rebuilt.caught_up().await;
        shutdown.cancel();
    });
    outcome.unwrap();
    let id = crm.email("1@x.example").await.unwrap().id.parse().unwrap();
    let activity = rebuilt.read(|view| view.activity(id).unwrap().activity.clone());
    assert_eq!((activity.sources.len(), activity.email.subject.as_str()), (2, "Quarterly Report"));
    let from = &activity.email.parties[0];
    assert!(rebuilt.read(|view| view.resolved(from)).is_some());
}

#[tokio::test]
async fn a_message_is_matched_with_what_it_answers_and_who_sent_it() {
    let crm = crm().await;
    let (id, _) = crm.promote(stream(&message("<one@fabrikam.example>", 1))).await.unwrap();
    let record = Record {
        kind: RecordKind::Lead.into(),
        name: "Ada".into(),
        addresses: vec!["ada@fabrikam.example".into()],
        ..Default::default()
    };
    crm.save(record).await.unwrap();
    let ask = async |in_reply_to: &[&str], references: &[&str], address: &str| {
        let owned = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let request = MatchEmailRequest {
            in_reply_to: owned(in_reply_to),
            references: owned(references),
            addresses: vec![address.to_owned()],
            ..Default::default()
        };
        let answer = crm.client.clone().match_email(request).await.unwrap().into_inner();
        let found: Vec<_> = answer.emails.iter().map(|found| (found.email_id.clone(), found.method())).collect();
        let kinds: Vec<_> = answer.addresses.iter().flat_map(|one| one.records.iter().map(Record::kind)).collect();
        (found, kinds)
    };
    assert_eq!(ask(&[], &[], "").await, (vec![], vec![]));
    assert_eq!(ask(&["", " <> "], &["<two@fabrikam.example>"], "bob@x.example").await, (vec![], vec![]));
    let answered = ask(&["one@fabrikam.example"], &[], "ADA@fabrikam.example").await;
    assert_eq!(answered, (vec![(id.clone(), CorrelationMethod::InReplyTo)], vec![RecordKind::Lead]));
    let referred = ask(&["<two@x.example>"], &["<one@fabrikam.example>", "<two@x.example>"], "").await;
    assert_eq!(referred, (vec![(id, CorrelationMethod::References)], vec![]));
    let too_many = vec!["<x@y.example>".to_owned(); 1001];
    let request = MatchEmailRequest { references: too_many, ..Default::default() };
    assert_eq!(crm.client.clone().match_email(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_email_is_kept_without_the_attachments_that_are_not() {
    let crm = crm().await;
    let mut message = message("<harm@fabrikam.example>", 1);
    let large = vec![2_u8; 3_000_001];
    message.contents[2].clone_from(&large);
    let attachments = &mut message.header.email.as_mut().unwrap().attachments;
    attachments[0].content = Some(content(&large));
    attachments[1].name = "Invoice.PDF.exe".to_owned();
    let (id, created) = crm.promote(stream(&message)).await.unwrap();
    assert!(created);
    let email = crm.email(&id).await.unwrap();
    let omissions: Vec<_> = email.attachments.iter().map(Attachment::omission).collect();
    assert_eq!(omissions, [Omission::TooLarge, Omission::Blocked]);
    for attachment in &email.attachments {
        let request = ReadContentRequest { digest: attachment.content.clone().unwrap().digest, email_id: id.clone() };
        assert_eq!(crm.client.clone().read_content(request).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(crm.read(&email.mime.unwrap()).await, message.contents[1], "the original has them");
}
