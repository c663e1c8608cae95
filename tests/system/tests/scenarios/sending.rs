//! Sending: what people queue in the CRM leaves through their mailboxes, once, and the CRM knows what became of it.

use mockex::{Fault, FaultKind, Region, ServerVersion};
use postroad_proto::{
    crm::v1::{Email, EmailStatus, Party, PartyRole, RecordKind, ResendEmailRequest},
    mailbox::v1::{MailboxSettings, SynchronizationMethod},
};
use system::{Options, scene::Scene};

const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";
const BUYER: &str = "buyer@fabrikam.example";

fn party(role: PartyRole, address: &str) -> Party {
    Party { role: role.into(), address: address.to_owned(), ..Party::default() }
}

/// An email from somebody to others.
pub fn email(from: &str, to: &[&str], subject: &str) -> Email {
    let to = to.iter().map(|address| party(PartyRole::To, address));
    let parties = std::iter::once(party(PartyRole::From, from)).chain(to).collect();
    Email { subject: subject.to_owned(), parties, ..Email::default() }
}

/// Queues an email; gives its id.
pub async fn send(scene: &Scene, from: &str, to: &[&str], subject: &str) -> String {
    scene.send(email(from, to, subject), "Hello").await.unwrap()
}

/// Mailboxes that send and receive.
pub async fn scene(addresses: &[&str]) -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
    let scene = Scene::open(mockex::Options::contoso(vec![region]), Options::default()).await.unwrap();
    for address in addresses {
        let both = MailboxSettings {
            outgoing_method: SynchronizationMethod::ServerSideSync.into(),
            ..MailboxSettings::default()
        };
        scene.set_up().mailbox_with(address, both).await.unwrap();
    }
    scene.set_up().test_and_enable().await.unwrap();
    scene
}

async fn status(scene: &Scene, id: &str, status: EmailStatus) -> Email {
    scene.email(id, status.as_str_name(), |email| email.status() == status).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_sent_with_a_token_and_its_answer_is_tracked() {
    let scene = scene(&[ADA, BEN]).await;
    let copy = party(PartyRole::Bcc, BEN);
    let mut order = email(ADA, &[BUYER], "Your order");
    order.parties.push(copy);
    let id = scene.send(order, "Dear buyer").await.unwrap();
    let sent = status(&scene, &id, EmailStatus::Sent).await;
    assert_eq!(sent.tracking_token, "CRM:0001001");
    let mails = scene.deployment.exchange.sent();
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].subject.as_deref(), mails[0].sender.as_str()), (Some("Your order CRM:0001001"), ADA));
    let mime = String::from_utf8_lossy(&mails[0].mime).into_owned();
    assert!(mime.contains("Dear buyer") && !mime.contains(BEN), "Bcc is not in what recipients see: {mime}");
    // The copy is in Sent Items, and Ben has it by Bcc; in the CRM it stays one sent email and one received one.
    let listing = scene.deployment.exchange.list_folder(ADA, "sentitems").unwrap();
    assert_eq!(listing.items.len(), 1);
    scene.verdict(BEN, &sent.message_id).await.unwrap();
    // The answer to it regards what it regards, and is its child.
    let answer = format!(
        "From: {BUYER}\r\nTo: {ADA}\r\nSubject: RE: Your order CRM:0001001\r\nMessage-ID: <answer@y.example>\r\n\
         In-Reply-To: {}\r\n\r\nThanks\r\n",
        sent.message_id
    );
    let delivery = mockex::Delivery { mailbox: ADA.to_owned(), mime: answer.into(), ..mockex::Delivery::default() };
    scene.deliver_as(delivery).unwrap();
    let answer = scene.email("<answer@y.example>", "tracked", |_| true).await.unwrap();
    assert_eq!(answer.correlated_email_id, sent.id);
    // The next email of the same sender has the next token.
    let next = send(&scene, ADA, &[BUYER], "Another").await;
    assert_eq!(status(&scene, &next, EmailStatus::Sent).await.tracking_token, "CRM:0001002");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_emails_of_a_mailbox_keep_their_order_and_lost_answers_send_none_twice() {
    let scene = scene(&[ADA]).await;
    for operation in ["CreateItem", "SendItem"] {
        let fault = Fault::new(FaultKind::LostAnswer).operation(operation).share(400, 7);
        scene.deployment.exchange.set_fault(fault);
    }
    let mut ids = Vec::new();
    for number in 0..15 {
        ids.push(send(&scene, ADA, &[BUYER], &format!("number {number:02}")).await);
    }
    for id in &ids {
        status(&scene, id, EmailStatus::Sent).await;
    }
    let subjects: Vec<String> = scene.deployment.exchange.sent().into_iter().filter_map(|mail| mail.subject).collect();
    assert_eq!(subjects.len(), 15, "{subjects:?}");
    assert!(subjects.is_sorted(), "{subjects:?}");
    let drafts = scene.deployment.exchange.list_folder(ADA, "drafts").unwrap().items;
    assert!(drafts.is_empty(), "{drafts:?}");
    system::histories::Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_fails_with_its_reason_and_can_be_queued_again() {
    let scene = scene(&[ADA, BEN]).await;
    scene.record(RecordKind::Queue, "sales@contoso.example", "").await.unwrap();
    scene.settings(&[("send-through-submitter", "yes")]).await.unwrap();
    // Sales has no mailbox of its own here: Ada submits it, and may not send as sales.
    let header = postroad_proto::crm::v1::SendHeader {
        email: Some(email("sales@contoso.example", &[BUYER], "Offer")),
        submitter: ADA.to_owned(),
        ..postroad_proto::crm::v1::SendHeader::default()
    };
    let part = postroad_proto::crm::v1::send_email_request::Part::Header(header);
    let request = postroad_proto::crm::v1::SendEmailRequest { part: Some(part) };
    let answer = scene.deployment.crm().send_email(futures::stream::iter([request])).await.unwrap();
    let id = answer.into_inner().email_id;
    let failed = status(&scene, &id, EmailStatus::Failed).await;
    assert_eq!(failed.failure_code, "SEND_AS_DENIED");
    assert!(scene.deployment.exchange.sent().is_empty());
    // Exchange's administrator grants it; somebody queues it again.
    scene.deployment.exchange.set_send_as(ADA, vec!["sales@contoso.example".to_owned()]).unwrap();
    let request = ResendEmailRequest { email_id: id.clone() };
    assert_eq!(scene.deployment.crm().resend_email(request).await.unwrap().into_inner().attempt, 2);
    status(&scene, &id, EmailStatus::Sent).await;
    assert_eq!(scene.deployment.exchange.sent().len(), 1);
    // A full mailbox is tried again by itself, and says why meanwhile.
    scene.deployment.exchange.set_full(BEN, true).unwrap();
    let waiting = send(&scene, BEN, &[BUYER], "Patience").await;
    scene.email(&waiting, "delayed", |email| email.failure_code == "MAILBOX_FULL").await.unwrap();
    scene.deployment.exchange.set_full(BEN, false).unwrap();
    status(&scene, &waiting, EmailStatus::Sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_attachments_are_sent_in_requests_of_their_own_and_delayed_email_waits() {
    use postroad_proto::crm::v1::{Attachment, Content, SendEmailRequest, SendHeader, send_email_request::Part};
    use sha2::{Digest as _, Sha256};
    let scene = scene(&[ADA]).await;
    let large = vec![b'x'; 4 << 20];
    let digest = Sha256::digest(&large).iter().map(|byte| format!("{byte:02x}")).collect();
    let content = Some(Content { digest, size: large.len() as u64 });
    let file = |name: &str| Attachment {
        name: name.to_owned(),
        content_type: "application/octet-stream".to_owned(),
        content: content.clone(),
        ..Attachment::default()
    };
    let wanted =
        Email { attachments: vec![file("a.bin"), file("b.bin"), file("c.bin")], ..email(ADA, &[BUYER], "Plans") };
    let header = SendHeader { email: Some(wanted), ..SendHeader::default() };
    let pieces =
        (0..3).flat_map(|_| large.chunks(1 << 20).map(|piece| Part::Piece(piece.to_vec())).collect::<Vec<_>>());
    let requests: Vec<_> =
        std::iter::once(Part::Header(header)).chain(pieces).map(|part| SendEmailRequest { part: Some(part) }).collect();
    let answer = scene.deployment.crm().send_email(futures::stream::iter(requests)).await.unwrap();
    let id = answer.into_inner().email_id;
    status(&scene, &id, EmailStatus::Sent).await;
    let mails = scene.deployment.exchange.sent();
    assert!(mails[0].mime.len() > 12 << 20, "{} bytes", mails[0].mime.len());
    let requests = scene.deployment.exchange.requests();
    let attached = requests.iter().filter(|request| request.operation.as_deref() == Some("CreateAttachment")).count();
    assert_eq!(attached, 2, "the first fits into the message itself");

    let at = postroad_rig::clock::now() + jiff::SignedDuration::from_secs(4);
    let later = prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() };
    let delayed =
        scene.send(Email { send_after: Some(later), ..email(ADA, &[BUYER], "Later") }, "Hello").await.unwrap();
    let prompt = send(&scene, ADA, &[BUYER], "Prompt").await;
    status(&scene, &prompt, EmailStatus::Sent).await;
    scene.email(&delayed, "waiting or sent in time", |email| email.status() != EmailStatus::Failed).await.unwrap();
    status(&scene, &delayed, EmailStatus::Sent).await;
    let delayed = scene
        .deployment
        .exchange
        .sent()
        .into_iter()
        .find(|mail| mail.subject.as_deref().is_some_and(|s| s.starts_with("Later")));
    assert!(delayed.unwrap().submitted >= at);
}
