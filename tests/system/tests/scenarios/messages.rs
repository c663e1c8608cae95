//! What is decided about messages.

use bytes::Bytes;
use mockex::{Delivery, Fault, FaultKind, ItemFault, PartialForm};
use postroad_proto::{
    mailbox::v1::{FilteringMethod, MailboxSettings, UpdateMailboxRequest},
    sync::v1::ExplainMessageRequest,
};
use prost_types::FieldMask;
use system::{
    activities::Activities,
    histories::Histories,
    letter,
    scene::{DEADLINE, Scene},
};

const ADA: &str = "ada@contoso.example";

async fn update(scene: &Scene, settings: MailboxSettings, field: &str) {
    let update_mask = Some(FieldMask { paths: vec![field.to_owned()] });
    let request =
        UpdateMailboxRequest { mailbox: ADA.to_owned(), settings: Some(settings), update_mask, etag: String::new() };
    scene.deployment.mailboxes().update_mailbox(request).await.unwrap();
}

async fn explained(scene: &Scene, message_id: &str) -> String {
    let found = stage::eventually(DEADLINE, || async {
        let request = ExplainMessageRequest { message_id: message_id.to_owned() };
        let verdicts = scene.deployment.sync().explain_message(request).await.ok()?.into_inner().verdicts;
        verdicts.into_iter().find(|verdict| !verdict.pending).map(|verdict| verdict.sentence)
    });
    found.await.unwrap_or_else(|| panic!("nothing was decided about {message_id}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_isolated_and_moved_and_never_stops_the_others() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    scene.deliver("poison", 1, ADA).unwrap();
    let fault = Some(ItemFault::Poison { code: "ErrorItemCorrupt".to_owned() });
    let mime = letter("poison", 2, ADA).into();
    scene.deliver_as(Delivery { mailbox: ADA.to_owned(), mime, fault, ..Delivery::default() }).unwrap();
    scene.deliver("poison", 3, ADA).unwrap();
    scene.wait_for("poison", [1, 3]).await.unwrap();
    let moved = stage::eventually(DEADLINE, || async {
        let listing = scene.deployment.exchange.list_folder(ADA, "Undeliverable").ok()?;
        (listing.items.len() == 1).then_some(listing)
    });
    let moved = moved.await.expect("the message was not moved");
    assert_eq!(moved.items[0].message_id.as_deref(), Some("<poison.2@fabrikam.example>"));
    let sentence = explained(&scene, "poison.2@fabrikam.example").await;
    assert!(sentence.contains("Undeliverable"), "{sentence}");
    // The mailbox is well, and other mail goes on.
    scene.deliver("poison", 4, ADA).unwrap();
    scene.wait_for("poison", [4]).await.unwrap();
    assert!(scene.mailbox(ADA).await.unwrap().fault.is_none());
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn illegal_characters_partial_batches_and_broken_answers_are_survived() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let exchange = &scene.deployment.exchange;
    for kind in [
        FaultKind::PartialBatch { keep: 1, form: PartialForm::Missing },
        FaultKind::PartialBatch { keep: 2, form: PartialForm::Stopped },
        FaultKind::CutAnswer { percent: 60 },
        FaultKind::HtmlPage,
        FaultKind::InnerError { code: "ErrorInternalServerTransientError".to_owned() },
    ] {
        exchange.set_fault(Fault::new(kind).operation("GetItem").times(1));
    }
    let fault = Some(ItemFault::IllegalCharacters);
    for number in 0..8 {
        let mime = letter("odd", number, ADA).into();
        let fault = if number == 3 { fault.clone() } else { None };
        scene.deliver_as(Delivery { mailbox: ADA.to_owned(), mime, fault, ..Delivery::default() }).unwrap();
    }
    scene.wait_for("odd", 0..8).await.unwrap();
    assert_eq!(Activities::read(&scene.deployment).await.unwrap().duplicates(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_letter_in_two_mailboxes_is_one_activity() {
    const BEN: &str = "ben@contoso.example";
    let scene = Scene::of(&[ADA, BEN]).await.unwrap();
    scene.deliver("same", 1, ADA).unwrap();
    scene.deliver("same", 1, BEN).unwrap();
    scene.wait_for("same", [1]).await.unwrap();
    scene.until(BEN, "done", |mailbox| mailbox.processed == 1).await.unwrap();
    scene.until(ADA, "done", |mailbox| mailbox.processed == 1).await.unwrap();
    let found = Activities::read(&scene.deployment).await.unwrap();
    assert_eq!((found.by_message_id.len(), found.duplicates()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mail_and_filtered_mail_are_told_apart_from_lost_mail() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let process_email_from = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    update(&scene, MailboxSettings { process_email_from, ..MailboxSettings::default() }, "process_email_from").await;
    let old = "2001-02-03T04:05:06Z".parse().ok();
    let mime: Bytes = letter("old", 1, ADA).into();
    scene.deliver_as(Delivery { mailbox: ADA.to_owned(), mime, received: old, ..Delivery::default() }).unwrap();
    scene.deliver("old", 2, ADA).unwrap();
    scene.wait_for("old", [2]).await.unwrap();
    let sentence = explained(&scene, "old.1@fabrikam.example").await;
    assert!(sentence.contains("2023"), "the sentence names the date: {sentence}");

    let settings =
        MailboxSettings { filtering_method: FilteringMethod::NoMessages.into(), ..MailboxSettings::default() };
    update(&scene, settings, "filtering_method").await;
    scene.deliver("old", 3, ADA).unwrap();
    let sentence = explained(&scene, "old.3@fabrikam.example").await;
    assert!(sentence.to_lowercase().contains("no messages") || sentence.contains("filtering"), "{sentence}");
    let found = Activities::read(&scene.deployment).await.unwrap();
    assert_eq!(found.by_message_id.keys().collect::<Vec<_>>(), ["old.2@fabrikam.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_lists_the_folder_anew_and_doubles_nothing() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    (0..5).for_each(|number| drop(scene.deliver("anew", number, ADA).unwrap()));
    scene.wait_for("anew", 0..5).await.unwrap();
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::InvalidSyncState).times(1));
    (5..8).for_each(|number| drop(scene.deliver("anew", number, ADA).unwrap()));
    scene.wait_for("anew", 0..8).await.unwrap();
    let histories = Histories::read(&scene.deployment).await.unwrap();
    histories.check().unwrap();
    assert_eq!(histories.tracked(), 8);
}

/// Several pages of a listing anew: what has a verdict is in none of them decided again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_of_a_large_folder_doubles_nothing_on_any_page() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    (0..350).for_each(|number| drop(scene.deliver("large", number, ADA).unwrap()));
    scene.wait_for("large", 0..350).await.unwrap();
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::InvalidSyncState).times(1));
    (350..353).for_each(|number| drop(scene.deliver("large", number, ADA).unwrap()));
    scene.wait_for("large", 350..353).await.unwrap();
    let histories = Histories::read(&scene.deployment).await.unwrap();
    histories.check().unwrap();
    assert_eq!(histories.tracked(), 353);
    // Its end is known: what comes later is looked at as ever.
    scene.deliver("large", 353, ADA).unwrap();
    scene.wait_for("large", [353]).await.unwrap();
}

/// A person who tidies up: pages of changes that are none of our business, and then a message.
#[tokio::test(flavor = "multi_thread")]
async fn mail_behind_many_pages_of_deletions_arrives() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let exchange = &scene.deployment.exchange;
    exchange.create_folder(ADA, "Archive").unwrap();
    (0..350).for_each(|number| drop(scene.deliver("tidy", number, ADA).unwrap()));
    scene.wait_for("tidy", 0..350).await.unwrap();
    for item in exchange.list_folder(ADA, "inbox").unwrap().items {
        exchange.move_item(ADA, &item.item_id, "Archive").unwrap();
    }
    scene.deliver("tidy", 350, ADA).unwrap();
    scene.wait_for("tidy", [350]).await.unwrap();
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_page_of_changes_is_fetched_at_once() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    (0..700).for_each(|number| drop(scene.deliver("page", number, ADA).unwrap()));
    scene.wait_for("page", 0..700).await.unwrap();
    assert_eq!(Activities::read(&scene.deployment).await.unwrap().duplicates(), 0);
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}
