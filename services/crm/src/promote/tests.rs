use std::sync::Arc;

use postroad_proto::crm::v1 as wire;
use tokio_util::sync::CancellationToken;

use super::*;

/// A record with this name and the address of its own.
fn contact(name: &str) -> record::Record {
    let draft = record::Draft {
        id: None,
        kind: Some(record::Kind::Contact),
        name: name.into(),
        addresses: vec![format!("{name}@fabrikam.example")],
        active: true,
        owner_id: None,
    };
    draft.record().unwrap()
}

/// A view that knows nothing of what a test's journal holds, and is not waited for: it follows another journal, which is longer.
#[expect(clippy::disallowed_methods, reason = "a test")]
async fn apart() -> Arc<Store> {
    let (journal, store, actor) = (Journal::memory(), Arc::new(Store::default()), Actor::new("test"));
    let mut last = 0;
    for name in ["adam", "bea", "cid", "dora"] {
        let other = contact(name);
        let command = record::Command::Save(other.clone());
        last = journal.execute::<record::Rules>(other.id, &actor, &command, |_| ()).await.unwrap().sequence;
    }
    tokio::spawn(Arc::clone(&store).follow(journal, CancellationToken::new()));
    store.reached(last).await;
    store
}

#[tokio::test]
async fn a_sender_who_is_erased_while_the_record_is_saved_has_none() {
    for (second, is_created) in [(100, false), (10, true)] {
        // Given a promotion that began at second 50, and a sender who was erased up to then or long before.
        let (journal, store, actor) = (Journal::memory(), apart().await, Actor::new("test"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let digest = erasure::digest("eve@fabrikam.example");
        journal.execute::<erasure::Rules>(digest, &actor, &erasure::Erase, |_| at(second)).await.unwrap();
        let party = wire::Party {
            role: wire::PartyRole::From.into(),
            address: "Eve@fabrikam.example".into(),
            ..Default::default()
        };
        let email = wire::Email {
            direction: wire::EmailDirection::Incoming.into(),
            message_id: "<1@fabrikam.example>".into(),
            received_at: Some(postroad_rig::wire::timestamp(at(50))),
            parties: vec![party],
            ..Default::default()
        };
        let mailbox_id = Uuid::from_u128(1).to_string();
        let source =
            wire::EmailSource { mailbox_id, email_address: "ada@contoso.example".into(), ..Default::default() };
        let header = wire::PromoteHeader { email: Some(email), source: Some(source), ..Default::default() };
        let (Promote { mut email, .. }, _) = crate::wire::promotion(header, 1000).unwrap();
        let sender = contact("eve");
        // When the record is created.
        let created = create_sender(&journal, &store, (&actor, at(50)), &sender, &mut email).await.unwrap();
        // Then it stays only where the message is of after the erasure.
        assert_eq!(created, is_created);
        assert_eq!(journal.load::<record::Rules>(sender.id).await.unwrap().state.is_some(), is_created);
    }
}
