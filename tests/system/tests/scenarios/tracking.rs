//! Tracking as the specification has it: spec §12's checks that need a mail server, each under its number, and what people do by hand.

use mockex::{Delivery, ItemFault, Region, ServerVersion};
use postroad_proto::{
    crm::v1::{CorrelationMethod, EmailDirection, ListQueueItemsRequest, RecordKind, SetRegardingRequest},
    mailbox::v1::{FilteringMethod, MailboxKind, MailboxSettings, SynchronizationMethod},
    sync::v1::{GetProgressRequest, PauseBackfillRequest, RetryMessagesRequest, TrackFolderRequest},
};
use system::{
    Options,
    scene::{DEADLINE, Scene},
};

const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";
const CLEO: &str = "cleo@contoso.example";
const GRACE: &str = "grace@fabrikam.example";
const TRACKED: &str = "Tracked to Dynamics 365";

/// A message of Grace's.
fn mime(id: &str, to: &str, headers: &str) -> Vec<u8> {
    format!(
        "From: Grace <{GRACE}>\r\nTo: {to}\r\nSubject: {id}\r\nMessage-ID: <{id}@x.example>\r\n{headers}\r\nText\r\n"
    )
    .into_bytes()
}

fn id(name: &str) -> String {
    format!("<{name}@x.example>")
}

fn deliver(scene: &Scene, mailbox: &str, id: &str, to: &str, headers: &str) -> String {
    let mime = mime(id, to, headers).into();
    scene.deliver_as(Delivery { mailbox: mailbox.to_owned(), mime, ..Delivery::default() }).unwrap().item_id
}

async fn closed(addresses: &[&str]) -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
    Scene::open(mockex::Options::contoso(vec![region]), Options::default()).await.unwrap()
}

async fn filter(scene: &Scene, mailbox: &str, method: FilteringMethod) {
    let settings = MailboxSettings { filtering_method: method.into(), ..MailboxSettings::default() };
    scene.change(mailbox, settings, &["filtering_method"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_06_a_message_that_comes_into_the_inbox_later_than_newer_ones_is_tracked() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    scene.deployment.exchange.create_folder(ADA, "Elsewhere").unwrap();
    let hidden = Delivery {
        mailbox: ADA.to_owned(),
        mime: mime("hidden", ADA, "").into(),
        folder: Some("Elsewhere".to_owned()),
        ..Delivery::default()
    };
    let item = scene.deliver_as(hidden).unwrap().item_id;
    deliver(&scene, ADA, "newer", ADA, "");
    assert!(scene.verdict(ADA, &id("newer")).await.unwrap().tracked);
    scene.deployment.exchange.move_item(ADA, &item, "inbox").unwrap();
    assert!(scene.verdict(ADA, &id("hidden")).await.unwrap().tracked);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_07_headers_beat_tokens_and_a_token_finds_no_parent() {
    let scene = closed(&[ADA, BEN]).await;
    scene.record(RecordKind::Contact, GRACE, "").await.unwrap();
    let outgoing =
        MailboxSettings { outgoing_method: SynchronizationMethod::ServerSideSync.into(), ..MailboxSettings::default() };
    scene.set_up().mailbox_with(ADA, outgoing).await.unwrap();
    scene.enable(&[BEN]).await.unwrap();
    let sent = super::sending::send(&scene, ADA, &[GRACE], "Your order").await;
    let sent = scene.email(&sent, "sent", |email| !email.tracking_token.is_empty()).await.unwrap();
    filter(&scene, BEN, FilteringMethod::Responses).await;
    let token = &sent.tracking_token;
    let answer = |name: &str, headers: &str| {
        let text = format!(
            "From: {GRACE}\r\nTo: {BEN}\r\nSubject: RE: Your order {token}\r\nMessage-ID: {}\r\n{headers}\r\nText\r\n",
            id(name)
        );
        scene.deliver_as(Delivery { mailbox: BEN.to_owned(), mime: text.into(), ..Delivery::default() }).unwrap();
    };
    answer("by-token", "");
    let by_token = scene.email(&id("by-token"), "tracked", |_| true).await.unwrap();
    assert_eq!(by_token.correlation_method(), CorrelationMethod::TrackingToken);
    assert_eq!((by_token.correlated_email_id.as_str(), by_token.is_correlated_parent), (sent.id.as_str(), false));
    assert!(!by_token.has_correlated_subject_changed);
    // A header that names another email wins over the token.
    answer("by-header", &format!("In-Reply-To: {}\r\n", id("by-token")));
    let by_header = scene.email(&id("by-header"), "tracked", |_| true).await.unwrap();
    assert_eq!(by_header.correlation_method(), CorrelationMethod::InReplyTo);
    assert_eq!((by_header.correlated_email_id, by_header.is_correlated_parent), (by_token.id, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_09_the_accepting_mailbox_differs_from_the_receiving_one() {
    let scene = Scene::of(&[ADA, BEN]).await.unwrap();
    filter(&scene, ADA, FilteringMethod::Responses).await;
    deliver(&scene, ADA, "both", &format!("{ADA}, {BEN}"), "");
    let email = scene.email(&id("both"), "tracked", |_| true).await.unwrap();
    assert_eq!((email.accepted_by.as_str(), email.sources[0].email_address.as_str()), (BEN, ADA));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_09_the_restriction_flips_it() {
    let scene = closed(&[ADA, BEN]).await;
    scene.settings(&[("only-syncing-mailbox-filters", "yes")]).await.unwrap();
    scene.enable(&[ADA, BEN]).await.unwrap();
    filter(&scene, ADA, FilteringMethod::Responses).await;
    deliver(&scene, ADA, "both", &format!("{ADA}, {BEN}"), "");
    assert!(!scene.verdict(ADA, &id("both")).await.unwrap().tracked);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_10_and_11_parties_resolve_now_or_later_and_the_owner_is_found() {
    let scene = Scene::of(&[ADA, BEN]).await.unwrap();
    let ben = scene.record_id(BEN).await.unwrap();
    scene.record(RecordKind::Contact, GRACE, &ben).await.unwrap();
    deliver(&scene, ADA, "owned", &format!("{ADA}, {BEN}, late@y.example"), "");
    let email = scene.email(&id("owned"), "tracked", |_| true).await.unwrap();
    // Ben owns the sender's contact and is a recipient, though Ada comes first.
    assert_eq!(email.owner_id, ben);
    let unresolved = |email: &postroad_proto::crm::v1::Email| -> Vec<String> {
        email.parties.iter().filter(|party| party.record_id.is_empty()).map(|party| party.address.clone()).collect()
    };
    assert_eq!(unresolved(&email), ["late@y.example"]);
    scene.record(RecordKind::Lead, "late@y.example", "").await.unwrap();
    scene.email(&email.id, "resolved", |email| unresolved(email).is_empty()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_12_the_same_message_in_three_mailboxes_is_one_record() {
    let scene = Scene::of(&[ADA, BEN, CLEO]).await.unwrap();
    for mailbox in [ADA, BEN, CLEO] {
        deliver(&scene, mailbox, "one", &format!("{ADA}, {BEN}, {CLEO}"), "");
    }
    let email = scene.email(&id("one"), "in three mailboxes", |email| email.sources.len() == 3).await.unwrap();
    for mailbox in [ADA, BEN, CLEO] {
        assert_eq!(scene.verdict(mailbox, &id("one")).await.unwrap().email_id, email.id);
    }
    assert_eq!(system::activities::emails(&scene.deployment).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_13_a_message_that_fails_five_times_is_put_aside_and_can_be_tried_again() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let poison = Delivery {
        mailbox: ADA.to_owned(),
        mime: mime("poison", ADA, "").into(),
        fault: Some(ItemFault::Poison { code: "ErrorItemCorrupt".to_owned() }),
        ..Delivery::default()
    };
    scene.deliver_as(poison).unwrap();
    let verdict = scene.verdict(ADA, &id("poison")).await.unwrap();
    assert!(!verdict.tracked && verdict.sentence.contains("after 5 times"), "{}", verdict.sentence);
    let lies = |folder: &'static str| {
        stage::eventually(DEADLINE, || async {
            let listing = scene.deployment.exchange.list_folder(ADA, folder).ok()?;
            listing.items.iter().any(|item| item.subject.as_deref() == Some("poison")).then_some(())
        })
    };
    lies("Undeliverable").await.expect("it was not moved");
    // Cycles go on; it stays where it is, and other mail passes.
    deliver(&scene, ADA, "after", ADA, "");
    assert!(scene.verdict(ADA, &id("after")).await.unwrap().tracked);
    let request = RetryMessagesRequest { mailbox: ADA.to_owned(), message_id: String::new() };
    assert_eq!(scene.deployment.sync().retry_messages(request).await.unwrap().into_inner().count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_14_a_tracked_folder_imposes_its_record() {
    let scene = closed(&[ADA, BEN]).await;
    scene.settings(&[("most-tracked-folders", "2")]).await.unwrap();
    let queue = MailboxSettings { kind: MailboxKind::Queue.into(), ..MailboxSettings::default() };
    scene.record(RecordKind::Queue, BEN, "").await.unwrap();
    scene.set_up().mailbox_with(BEN, queue).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    filter(&scene, ADA, FilteringMethod::NoMessages).await;
    let account = scene.record(RecordKind::Account, "info@fabrikam.example", "").await.unwrap();
    let other = scene.record(RecordKind::Account, "info@other.example", "").await.unwrap();
    for folder in ["One", "Two", "Three"] {
        scene.deployment.exchange.create_folder(ADA, folder).unwrap();
        scene.deployment.exchange.create_folder(BEN, folder).unwrap();
    }
    let track = async |mailbox: &str, folder: &str, regarding: &str| {
        let request = TrackFolderRequest {
            mailbox: mailbox.to_owned(),
            folder: folder.to_owned(),
            regarding_id: regarding.to_owned(),
        };
        scene.deployment.sync().track_folder(request).await.map(drop)
    };
    track(ADA, "One", &account).await.unwrap();
    track(ADA, "Two", &account).await.unwrap();
    assert!(track(ADA, "Three", &account).await.unwrap_err().message().contains("one too many"));
    assert!(track(BEN, "One", &account).await.unwrap_err().message().contains("users only"));
    assert!(track(ADA, "None", &account).await.is_err() && track(ADA, "One", &"0".repeat(32)).await.is_err());

    let item = deliver(&scene, ADA, "deal", ADA, "");
    assert!(!scene.verdict(ADA, &id("deal")).await.unwrap().tracked);
    scene.deployment.exchange.move_item(ADA, &item, "One").unwrap();
    let email = scene.email(&id("deal"), "tracked", |email| email.regarding_id == account).await.unwrap();
    // Somebody sets something else: the folder imposes it again.
    let request = SetRegardingRequest { email_id: email.id.clone(), regarding_id: other };
    scene.deployment.crm().set_regarding(request).await.unwrap();
    scene.email(&email.id, "regarding the folder's record again", |email| email.regarding_id == account).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_15_the_later_date_counts_and_lowering_it_reads_older_mail_newest_first() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let at = |day: i64| postroad_rig::clock::now() - jiff::SignedDuration::from_hours(24 * day);
    let wire = |at: jiff::Timestamp| Some(prost_types::Timestamp { seconds: at.as_second(), nanos: 0 });
    let from = |day: i64| MailboxSettings { process_email_from: wire(at(day)), ..MailboxSettings::default() };
    scene.change(ADA, from(10), &["process_email_from"]).await.unwrap();
    for day in 1..60 {
        let delivery = Delivery {
            mailbox: ADA.to_owned(),
            mime: mime(&format!("day{day}"), ADA, "").into(),
            received: Some(at(day)),
            ..Delivery::default()
        };
        scene.deliver_as(delivery).unwrap();
    }
    assert!(scene.verdict(ADA, &id("day9")).await.unwrap().tracked);
    let old = scene.verdict(ADA, &id("day40")).await.unwrap();
    assert!(!old.tracked && old.sentence.contains("before Process Email From"), "{}", old.sentence);
    scene.change(ADA, from(50), &["process_email_from"]).await.unwrap();
    for day in [11, 30, 49] {
        scene.email(&id(&format!("day{day}")), "read by the backfill", |_| true).await.unwrap();
    }
    let done = stage::eventually(DEADLINE, || async {
        let request = GetProgressRequest { mailbox: ADA.to_owned() };
        let progress = scene.deployment.sync().get_progress(request).await.ok()?.into_inner();
        progress.backfill.is_none().then_some(())
    });
    done.await.expect("the backfill does not end");
    assert!(!scene.verdict(ADA, &id("day55")).await.unwrap().tracked);
    let none = PauseBackfillRequest { mailbox: ADA.to_owned(), resume: false };
    assert!(scene.deployment.sync().pause_backfill(none).await.unwrap_err().message().contains("no backfill"));
    system::histories::Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_19_a_forward_mailbox_unwraps_what_was_forwarded_as_an_attachment() {
    let scene = closed(&[ADA, BEN, "all@contoso.example"]).await;
    let forwarding = SynchronizationMethod::ForwardMailbox;
    let ada = MailboxSettings { incoming_method: forwarding.into(), ..MailboxSettings::default() };
    let all = MailboxSettings {
        kind: MailboxKind::Forward.into(),
        delete_after_processing: true,
        ..MailboxSettings::default()
    };
    scene.set_up().mailbox_with(ADA, ada).await.unwrap();
    scene.set_up().mailbox_with("all@contoso.example", all).await.unwrap();
    // Ada's own mailbox is not synchronized at all.
    scene.set_up().mailbox(BEN).await.unwrap();
    scene.set_up().test_and_enable().await.unwrap();
    let outer = |name: &str, inner: Option<Vec<u8>>| {
        let head = format!(
            "From: {ADA}\r\nTo: all@contoso.example\r\nSubject: FW: {name}\r\nMessage-ID: <outer-{name}@x.example>\r\n\
             MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\n\r\n"
        );
        let mut mime = head.into_bytes();
        if let Some(inner) = inner {
            mime.extend_from_slice(b"--o\r\nContent-Type: message/rfc822\r\n\r\n");
            mime.extend(inner);
        }
        mime.extend_from_slice(b"\r\n--o--\r\n");
        let delivery = Delivery { mailbox: "all@contoso.example".to_owned(), mime: mime.into(), ..Delivery::default() };
        scene.deliver_as(delivery).unwrap();
    };
    outer("right", Some(mime("right", ADA, "")));
    let email = scene.email(&id("right"), "unwrapped", |_| true).await.unwrap();
    assert_eq!((email.subject.as_str(), email.accepted_by.as_str()), ("right", ADA));
    // Ben's mail is not forwarded, so nobody's filter stands for it.
    outer("stranger", Some(mime("stranger", BEN, "")));
    let stranger = scene.verdict("all@contoso.example", &id("stranger")).await.unwrap();
    assert!(!stranger.tracked && stranger.sentence.contains("InvalidForwardMailItem"), "{}", stranger.sentence);
    outer("bare", None);
    let bare = scene.verdict("all@contoso.example", "<outer-bare@x.example>").await.unwrap();
    assert!(!bare.tracked && bare.sentence.contains("not forwarded as an attachment"), "{}", bare.sentence);
    // What was tracked is deleted from the server, and can be recovered there.
    let deleted = stage::eventually(DEADLINE, || async {
        let listing = scene.deployment.exchange.list_folder("all@contoso.example", "deleteditems").ok()?;
        (listing.items.len() == 1).then_some(())
    });
    deleted.await.expect("it was not deleted after processing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tracks_and_untracks_by_the_category() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    filter(&scene, ADA, FilteringMethod::NoMessages).await;
    let item = deliver(&scene, ADA, "mine", ADA, "");
    assert!(!scene.verdict(ADA, &id("mine")).await.unwrap().tracked);
    scene.deployment.exchange.set_categories(ADA, &item, vec!["Red".to_owned(), TRACKED.to_owned()]).unwrap();
    let email = scene.email(&id("mine"), "tracked by a person", |_| true).await.unwrap();
    assert!(email.accepted_by.is_empty());
    scene.deployment.exchange.set_categories(ADA, &item, vec!["Red".to_owned()]).unwrap();
    scene.email(&email.id, "untracked, and kept", |email| email.sources[0].is_untracked).await.unwrap();
    // What Postroad tracks by itself gets the category; its own mark is nobody's command.
    filter(&scene, ADA, FilteringMethod::AllMessages).await;
    let own = deliver(&scene, ADA, "own", ADA, "");
    let marked = stage::eventually(DEADLINE, || async {
        let listing = scene.deployment.exchange.list_folder(ADA, "inbox").ok()?;
        let item = listing.items.into_iter().find(|item| item.item_id == own)?;
        (item.categories == [TRACKED]).then_some(())
    });
    marked.await.expect("no mark");
    scene.deployment.exchange.set_categories(ADA, &own, Vec::new()).unwrap();
    scene.email(&id("own"), "untracked", |email| email.sources[0].is_untracked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_items_are_tracked_when_switched_on_and_queues_get_items() {
    let scene = closed(&[ADA, BEN]).await;
    scene.settings(&[("track-sent-items", "yes"), ("create-sender", "lead")]).await.unwrap();
    let queue = scene.record(RecordKind::Queue, BEN, "").await.unwrap();
    let settings = MailboxSettings { kind: MailboxKind::Queue.into(), ..MailboxSettings::default() };
    scene.set_up().mailbox_with(BEN, settings).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    let text =
        format!("From: {ADA}\r\nTo: buyer@y.example\r\nSubject: sent\r\nMessage-ID: {}\r\n\r\nText\r\n", id("sent"));
    let sent = Delivery {
        mailbox: ADA.to_owned(),
        mime: text.into(),
        folder: Some("sentitems".to_owned()),
        ..Delivery::default()
    };
    scene.deliver_as(sent).unwrap();
    let email = scene.email(&id("sent"), "tracked", |_| true).await.unwrap();
    assert_eq!(email.direction(), EmailDirection::Outgoing);
    // An unknown sender becomes a lead, and the queue gets one item.
    deliver(&scene, BEN, "question", BEN, "");
    let question = scene.email(&id("question"), "tracked", |_| true).await.unwrap();
    let lead = scene.record_id(GRACE).await.unwrap();
    assert_eq!(question.parties[0].record_id, lead);
    let request = ListQueueItemsRequest { queue, ..ListQueueItemsRequest::default() };
    let items = scene.deployment.crm().list_queue_items(request).await.unwrap().into_inner().items;
    assert_eq!(items.iter().map(|item| item.email_id.as_str()).collect::<Vec<_>>(), [question.id.as_str()]);
}
