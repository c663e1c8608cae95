//! Filtering methods and correlation: who accepts a message, and why (spec §12, incoming email).

use mockex::Delivery;
use postroad_proto::{
    crm::v1::{CorrelationMethod, GetEmailRequest, Record, RecordKind, SaveRecordRequest},
    mailbox::v1::{FilteringMethod, MailboxSettings, UpdateMailboxRequest},
    sync::v1::{ExplainMessageRequest, MessageVerdict},
};
use prost_types::FieldMask;
use system::scene::{DEADLINE, Scene};

const PAUL: &str = "paul@contoso.example";
const SALES: &str = "sales@contoso.example";
const GRACE: &str = "grace@fabrikam.example";

async fn filter(scene: &Scene, mailbox: &str, method: FilteringMethod) {
    let settings = MailboxSettings { filtering_method: method.into(), ..MailboxSettings::default() };
    let update_mask = Some(FieldMask { paths: vec!["filtering_method".to_owned()] });
    let request = UpdateMailboxRequest {
        mailbox: mailbox.to_owned(),
        settings: Some(settings),
        update_mask,
        etag: String::new(),
    };
    scene.deployment.mailboxes().update_mailbox(request).await.unwrap();
}

/// Delivers a message into a mailbox and waits for the verdict of that mailbox.
async fn verdict(scene: &Scene, mailbox: &str, id: &str, to: &str, headers: &str) -> MessageVerdict {
    let mime = format!(
        "From: Grace <{GRACE}>\r\nTo: {to}\r\nSubject: {id}\r\nMessage-ID: <{id}@fabrikam.example>\r\n{headers}\r\nText\r\n"
    );
    scene.deliver_as(Delivery { mailbox: mailbox.to_owned(), mime: mime.into(), ..Delivery::default() }).unwrap();
    let found = stage::eventually(DEADLINE, || async {
        let request = ExplainMessageRequest { message_id: format!("{id}@fabrikam.example") };
        let verdicts = scene.deployment.sync().explain_message(request).await.ok()?.into_inner().verdicts;
        verdicts.into_iter().find(|verdict| !verdict.pending && verdict.email_address == mailbox)
    });
    found.await.unwrap_or_else(|| panic!("nothing was decided about {id} in {mailbox}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filtering_method_accepts_what_it_says_and_tells_why() {
    let scene = Scene::of(&[PAUL, SALES]).await.unwrap();
    filter(&scene, PAUL, FilteringMethod::Responses).await;

    // A stranger's message answers nothing.
    let strange = verdict(&scene, PAUL, "strange", PAUL, "").await;
    assert!(!strange.tracked, "{}", strange.sentence);
    assert!(strange.sentence.contains("no recipient accepts it"), "{}", strange.sentence);
    assert!(strange.sentence.contains("in response to CRM email"), "{}", strange.sentence);

    // Sales takes everything, and so the CRM knows an email that can be answered.
    assert!(verdict(&scene, SALES, "offer", SALES, "").await.tracked);
    let answer = verdict(&scene, PAUL, "answer", PAUL, "In-Reply-To: <offer@fabrikam.example>\r\n").await;
    assert!(answer.tracked && answer.sentence.contains("(In-Reply-To)"), "{}", answer.sentence);
    let later = "References: <other@x.example> <offer@fabrikam.example>\r\n";
    let later = verdict(&scene, PAUL, "later", PAUL, later).await;
    assert!(later.tracked && later.sentence.contains("(References)"), "{}", later.sentence);
    let foreign = verdict(&scene, PAUL, "foreign", PAUL, "In-Reply-To: <nobody-knows@x.example>\r\n").await;
    assert!(!foreign.tracked, "{}", foreign.sentence);

    // Outlook's conversations.
    let begun = "Thread-Index: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==\r\n";
    let begun = verdict(&scene, SALES, "begun", SALES, begun).await;
    let turn = "Thread-Index: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQICAgIC\r\n";
    let turn = verdict(&scene, PAUL, "turn", PAUL, turn).await;
    assert!(turn.tracked && turn.sentence.contains("(conversation index)"), "{}", turn.sentence);
    // The activity itself says what it answers.
    let request = GetEmailRequest { email: turn.email_id };
    let email = scene.deployment.crm().get_email(request).await.unwrap().into_inner().email.unwrap();
    assert_eq!(
        (email.correlated_email_id.clone(), email.correlation_method()),
        (begun.email_id, CorrelationMethod::ConversationIndex)
    );

    // Every recipient is asked, not only the mailbox that is processed.
    let both = verdict(&scene, PAUL, "both", &format!("{PAUL}, {SALES}"), "").await;
    assert!(both.tracked && both.sentence.contains("sales@contoso.example accepts"), "{}", both.sentence);
    // By a distribution list Paul is not named: only "all messages" would take it.
    let list = verdict(&scene, PAUL, "list", "all@contoso.example", "In-Reply-To: <offer@fabrikam.example>\r\n").await;
    assert!(!list.tracked && list.sentence.contains("neither in To nor in Cc"), "{}", list.sentence);

    filter(&scene, PAUL, FilteringMethod::FromPeople).await;
    assert!(!verdict(&scene, PAUL, "unknown", PAUL, "").await.tracked);
    let grace = Record {
        kind: RecordKind::Contact.into(),
        name: "Grace Hopper".to_owned(),
        addresses: vec![GRACE.to_owned()],
        ..Record::default()
    };
    scene.deployment.crm().save_record(SaveRecordRequest { record: Some(grace) }).await.unwrap();
    let known = verdict(&scene, PAUL, "known", PAUL, "").await;
    assert!(known.tracked && known.sentence.contains("Leads, Contacts and Accounts"), "{}", known.sentence);
    filter(&scene, PAUL, FilteringMethod::FromRecords).await;
    assert!(verdict(&scene, PAUL, "record", PAUL, "").await.tracked);
    filter(&scene, PAUL, FilteringMethod::NoMessages).await;
    assert!(!verdict(&scene, PAUL, "none", PAUL, "In-Reply-To: <offer@fabrikam.example>\r\n").await.tracked);
}
