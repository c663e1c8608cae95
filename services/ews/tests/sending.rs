//! The way of a message from a draft to its recipients, as the client goes it, against a server that is as strict as Exchange.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot happen may panic")]

use bytes::Bytes;
use mockex::{Fault, FaultKind, Options, Organization, Region, Running, ServerVersion};
use postroad_ews::{
    Access, Body, Change, Client, CreateAttachment, CreateItem, Credentials, DeleteItem, Deletion, Disposition,
    Distinguished, Endpoint, ExtendedField, FindFolder, FindItem, FolderRef, GetItem, ItemError, ItemId, ItemShape,
    Kind, Known, NewMessage, Party, SendItem, SyncFolderItems, Transport, TransportOptions,
};
use secrecy::SecretString;

const ADA: &str = "ada@contoso.example";
const BO: &str = "bo@contoso.example";
const MIME: &[u8] =
    b"From: Ada <ada@contoso.example>\r\nTo: bo@contoso.example\r\nSubject: offer\r\nIn-Reply-To: <0@f.example>\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello</p>\r\n";

struct Stand {
    exchange: Running,
    client: Client,
}

impl Stand {
    async fn start(version: ServerVersion) -> Self {
        let region = Region::new("europe", version, [ADA, BO]);
        let exchange = Organization::start(Options::contoso(vec![region])).await.unwrap();
        let options =
            TransportOptions { trust_anchors: vec![exchange.ca_pem().to_owned()], ..TransportOptions::default() };
        let endpoint = Endpoint::parse(&exchange.region_url("europe").unwrap()).unwrap();
        let credentials = Credentials::basic("crm@contoso.example", SecretString::from("Pass-word1"));
        let access = Access::impersonating(endpoint, credentials, ADA);
        Self { client: Client::new(&Transport::new(options).unwrap(), access), exchange }
    }

    async fn draft(&self, message: NewMessage) -> ItemId {
        let create = CreateItem { message, disposition: Disposition::SaveOnly, folder: None };
        self.client.ask(&create).await.unwrap().unwrap().unwrap()
    }

    async fn find(&self, folder: Distinguished) -> Vec<(ItemId, Option<bool>)> {
        let find = FindItem::with_property(FolderRef::Distinguished(folder), property(), "7");
        let page = self.client.ask(&FindItem { shape: ItemShape::draft(), ..find }).await.unwrap();
        page.items.into_iter().map(|item| (item.id.unwrap(), item.is_draft)).collect()
    }
}

fn property() -> ExtendedField {
    ExtendedField::Named { name: "PostroadEmail".to_owned(), kind: "String" }
}

fn message() -> NewMessage {
    NewMessage {
        mime: Some(Bytes::from_static(MIME)),
        extended: vec![
            (property(), "7".to_owned()),
            (ExtendedField::Tag { tag: 0x1035, kind: "String" }, "<7@crm.example>".to_owned()),
        ],
        bcc: vec![party("cy@fabrikam.example")],
        is_read: Some(true),
        ..NewMessage::default()
    }
}

fn party(address: &str) -> Party {
    Party { address: Some(address.to_owned()), ..Party::default() }
}

fn file(parent: &ItemId) -> CreateAttachment {
    CreateAttachment {
        parent: parent.clone(),
        name: "offer.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        content_id: Some("offer@crm".to_owned()),
        is_inline: false,
        content: Bytes::from_static(b"%PDF"),
    }
}

fn send(id: &ItemId) -> SendItem {
    SendItem { id: id.clone(), saves: true, folder: None }
}

#[track_caller]
fn known<T: std::fmt::Debug>(outcome: Result<T, ItemError>) -> Known {
    match outcome.unwrap_err() {
        ItemError::Response(error) => error.code.known().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_draft_gets_its_files_and_is_sent_once() {
    for version in [ServerVersion::Exchange2010Sp3, ServerVersion::Exchange2013Sp1, ServerVersion::Exchange2016] {
        let stand = Stand::start(version).await;
        let made = stand.draft(message()).await;
        let draft = stand.client.ask(&file(&made)).await.unwrap().unwrap();
        assert_eq!(stand.find(Distinguished::Drafts).await, [(draft.clone(), Some(true))]);
        assert_eq!(known(stand.client.ask(&send(&made)).await.unwrap()), Known::ErrorStaleObject);
        stand.client.ask(&send(&draft)).await.unwrap().unwrap();
        assert_eq!(known(stand.client.ask(&send(&draft)).await.unwrap()), Known::ErrorItemNotFound);
        assert!(stand.find(Distinguished::Drafts).await.is_empty());
        let copies = stand.find(Distinguished::SentItems).await;
        assert!(copies.len() == 1 && copies[0].0.id != draft.id && copies[0].1 == Some(false), "{copies:?}");

        let [sent] = stand.exchange.sent().try_into().unwrap();
        assert_eq!(
            (sent.message_id.as_str(), sent.recipients),
            ("<7@crm.example>", vec![BO.to_owned(), "cy@fabrikam.example".to_owned()])
        );
        let get = GetItem { ids: vec![copies[0].0.clone()], shape: ItemShape::message() };
        let copy = stand.client.ask(&get).await.unwrap().remove(0).unwrap();
        assert_eq!(
            (copy.internet_message_id.as_deref(), copy.in_reply_to.as_deref()),
            (Some("<7@crm.example>"), Some("<0@f.example>"))
        );
        assert_eq!((copy.attachments.len(), copy.bcc.len(), copy.is_read), (1, 1, Some(true)));
        let got = stand.exchange.list_folder(BO, "inbox").unwrap().items;
        assert_eq!((got.len(), got[0].message_id.as_deref()), (1, Some("<7@crm.example>")));
    }
}

#[tokio::test]
async fn after_a_lost_answer_the_draft_tells_what_happened() {
    let stand = Stand::start(ServerVersion::Exchange2016).await;
    let lose =
        |operation: &str| stand.exchange.set_fault(Fault::new(FaultKind::LostAnswer).operation(operation).times(1));
    lose("CreateItem");
    let create = CreateItem { message: message(), disposition: Disposition::SaveOnly, folder: None };
    let error = stand.client.ask(&create).await.unwrap_err();
    assert!(!matches!(error.kind(), Kind::Http { .. }), "no answer at all: {error}");
    let [(draft, is_draft)] = stand.find(Distinguished::Drafts).await.try_into().unwrap();
    assert_eq!(is_draft, Some(true));
    lose("CreateAttachment");
    assert!(stand.client.ask(&file(&draft)).await.is_err());
    let [(attached, _)] = stand.find(Distinguished::Drafts).await.try_into().unwrap();
    assert_ne!(attached.change_key, draft.change_key, "the file was added");
    lose("SendItem");
    assert!(stand.client.ask(&send(&attached)).await.is_err());
    let get = GetItem { ids: vec![attached.clone()], shape: ItemShape::draft() };
    assert_eq!(known(stand.client.ask(&get).await.unwrap().remove(0)), Known::ErrorItemNotFound);
    assert_eq!((stand.find(Distinguished::SentItems).await.len(), stand.exchange.sent().len()), (1, 1));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let stand = Stand::start(ServerVersion::Exchange2016).await;
    let from = NewMessage { from: Some(party("queue@contoso.example")), ..message() };
    let create = |message: NewMessage| CreateItem { message, disposition: Disposition::SendAndSaveCopy, folder: None };
    let refused = stand.client.ask(&create(from.clone())).await.unwrap();
    assert_eq!(known(refused), Known::ErrorSendAsDenied);
    stand.exchange.set_send_as(ADA, vec!["queue@contoso.example".to_owned()]).unwrap();
    assert_eq!(stand.client.ask(&create(from)).await.unwrap(), Ok(None), "what was sent has no id");
    assert_eq!(stand.exchange.sent()[0].from, "queue@contoso.example");
    stand.exchange.set_full(ADA, true).unwrap();
    assert_eq!(known(stand.client.ask(&create(message())).await.unwrap()), Known::ErrorQuotaExceeded);
}

#[tokio::test]
async fn a_message_of_properties_is_made_and_deleted() {
    let stand = Stand::start(ServerVersion::Exchange2010Sp3).await;
    let body = Some(Body { is_html: true, text: "<p>Hello</p>".to_owned() });
    let categories = vec!["Red".to_owned()];
    let parts = NewMessage { subject: Some("offer".to_owned()), body, categories, ..NewMessage::default() };
    let draft = stand.draft(NewMessage { to: vec![party(BO)], cc: vec![party(ADA)], ..parts }).await;
    let get = GetItem { ids: vec![draft.clone()], shape: ItemShape::message_without_mime() };
    let item = stand.client.ask(&get).await.unwrap().remove(0).unwrap();
    assert_eq!(
        (item.subject.as_deref(), item.categories, item.is_draft),
        (Some("offer"), vec!["Red".to_owned()], Some(true))
    );
    assert_eq!((item.to.len(), item.cc.len(), item.body.unwrap().is_html), (1, 1, true));
    let delete = DeleteItem { ids: vec![draft.clone(), draft], deletion: Deletion::Soft };
    let deleted = stand.client.ask(&delete).await.unwrap();
    assert_eq!(deleted[0], Ok(()));
    assert_eq!(known(deleted[1].clone()), Known::ErrorItemNotFound);
    assert!(stand.exchange.list_folder(ADA, "recoverableitemsdeletions").unwrap().items.len() == 1);
}

#[tokio::test]
async fn categories_come_with_changes_and_folders_with_their_parents() {
    let stand = Stand::start(ServerVersion::Exchange2016).await;
    let mime = Bytes::from_static(b"From: g@f.example\r\nSubject: s\r\n\r\nx\r\n");
    let delivery = mockex::Delivery { mailbox: ADA.to_owned(), mime, ..mockex::Delivery::default() };
    let id = stand.exchange.deliver(delivery).unwrap().item_id;
    let first = stand.client.ask(&SyncFolderItems::since(FolderRef::INBOX, None)).await.unwrap();
    stand.exchange.set_categories(ADA, &id, vec!["Tracked".to_owned()]).unwrap();
    let next = stand.client.ask(&SyncFolderItems::since(FolderRef::INBOX, Some(first.state))).await.unwrap();
    let [Change::Update(arrival)] = next.changes.as_slice() else { panic!("{:?}", next.changes) };
    assert_eq!((&arrival.id.id, arrival.categories.as_slice()), (&id, ["Tracked".to_owned()].as_slice()));
    let below = FolderRef::Distinguished(Distinguished::MessageFolderRoot);
    let page = stand.client.ask(&FindFolder::below(below, 0)).await.unwrap();
    assert!(page.is_last && page.folders.iter().all(|folder| folder.parent.is_some() && folder.name.is_some()));
    assert!(page.folders.len() > 8, "{:?}", page.folders);
}
