//! The main job, and that no secret leaves.

use postroad_proto::{
    crm::v1::{GetEmailRequest, PartyRole, ReadContentRequest},
    profile::v1::{GetProfileRequest, ListProfileChangesRequest},
    sync::v1::{ExplainMessageRequest, SyncNowRequest},
};
use system::{
    Options,
    histories::Histories,
    message_id,
    scene::{PROFILE, Scene},
};

const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";

#[tokio::test(flavor = "multi_thread")]
async fn mail_arrives_in_the_crm_with_everything_that_it_has() {
    let scene = Scene::of(&[ADA, BEN]).await.unwrap();
    (0..20).for_each(|number| drop(scene.deliver("job", number, if number % 2 == 0 { ADA } else { BEN }).unwrap()));
    scene.wait_for("job", 0..20).await.unwrap();

    let mut crm = scene.deployment.crm();
    // Letter 15 has a text, an HTML body and an attachment.
    let request = GetEmailRequest { email: message_id("job", 15) };
    let email = crm.get_email(request).await.unwrap().into_inner().email.unwrap();
    assert_eq!(email.subject, "Order 15: 12 × Füllhalter");
    let from = email.parties.iter().find(|party| party.role() == PartyRole::From).unwrap();
    assert_eq!((from.name.as_str(), from.address.as_str()), ("Grace Hopper", "grace@fabrikam.example"));
    let to = email.parties.iter().find(|party| party.role() == PartyRole::To).unwrap();
    assert!(!to.record_id.is_empty(), "the recipient is a user of the CRM");
    assert!(email.text.is_some() && email.html.is_some() && email.mime.is_some() && email.received_at.is_some());
    assert_eq!(email.sources[0].email_address, BEN);
    let attachment = &email.attachments[0];
    assert_eq!((attachment.name.as_str(), attachment.content_type.as_str()), ("order.csv", "text/csv"));
    let digest = attachment.content.clone().unwrap().digest;
    let mut pieces =
        crm.read_content(ReadContentRequest { digest, email_id: email.id.clone() }).await.unwrap().into_inner();
    let mut content = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        content.extend(piece.piece);
    }
    assert_eq!(content, b"number\r\n15\r\n");

    let request = ExplainMessageRequest { message_id: format!("<{}>", message_id("job", 15)) };
    let verdicts = scene.deployment.sync().explain_message(request).await.unwrap().into_inner().verdicts;
    assert_eq!((verdicts.len(), verdicts[0].email_address.as_str(), verdicts[0].tracked), (1, BEN, true));
    assert_eq!(verdicts[0].email_id, email.id);

    let timeline = scene.timeline(ADA).await.unwrap().join("\n");
    for told in ["created", "approved", "test passed", "took it over", "10 messages decided"] {
        assert!(timeline.to_lowercase().contains(told), "{told} is not told by:\n{timeline}");
    }
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
    no_secret_left(scene).await;
}

/// Neither logs nor answers nor the audit history carry the password; SIGTERM ends every role in time.
async fn no_secret_left(mut scene: Scene) {
    let password = scene.account.password.clone();
    let mut profiles = scene.deployment.profiles();
    let request = GetProfileRequest { profile: PROFILE.to_owned() };
    let profile = profiles.get_profile(request).await.unwrap().into_inner().profile.unwrap();
    assert!(profile.password_set && !format!("{profile:?}").contains(&password));
    let request = ListProfileChangesRequest { profile: PROFILE.to_owned(), ..ListProfileChangesRequest::default() };
    let changes = profiles.list_profile_changes(request).await.unwrap().into_inner().changes;
    assert!(changes.iter().any(|change| change.field == "password") && !format!("{changes:?}").contains(&password));
    assert_eq!(scene.deployment.stop().await.unwrap(), [], "roles that had to be killed");
    assert!(!scene.deployment.logs().unwrap().contains(&password));
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_now_does_not_wait_for_the_interval() {
    let options = Options { poll: std::time::Duration::from_secs(3600), ..Options::default() };
    let region = mockex::Region::new("europe", mockex::ServerVersion::Exchange2016, [ADA]);
    let scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    // The first cycle after enabling.
    scene.until(ADA, "synchronized", |mailbox| mailbox.last_success_at.is_some()).await.unwrap();
    scene.deliver("now", 1, ADA).unwrap();
    let request = SyncNowRequest { mailbox: ADA.to_owned() };
    scene.deployment.sync().sync_now(request).await.unwrap();
    scene.wait_for("now", [1]).await.unwrap();
}
