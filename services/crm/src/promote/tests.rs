use postroad_core::email::{Party, example};

use super::*;

/// The view shows nothing here, as where it is behind: waiting for it ends by the paused clock.
#[tokio::test(start_paused = true)]
async fn a_sender_who_is_erased_while_the_record_is_saved_has_none() {
    for (second, is_created) in [(100, false), (10, true)] {
        // Given a promotion that began at second 50, and a sender who was erased up to then or long before.
        let (journal, store, actor) = (Journal::memory(), Store::default(), Actor::new("test"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let digest = erasure::digest("eve@fabrikam.example");
        journal.execute::<erasure::Rules>(digest, &actor, &erasure::Erase, |_| at(second)).await.unwrap();
        let draft = record::Draft {
            id: None,
            kind: Some(record::Kind::Contact),
            name: "Eve".into(),
            addresses: vec!["eve@fabrikam.example".into()],
            active: true,
            owner_id: None,
        };
        let (sender, role) = (draft.record().unwrap(), Role::From);
        let address = "Eve@fabrikam.example".into();
        let party = Party { role, name: String::new(), address, record_id: None, is_ambiguous: false };
        let mut email = Email { parties: vec![party], received_at: Some(at(50)), ..example() };
        // When the record is created.
        let created = create_sender(&journal, &store, (&actor, at(50)), &sender, &mut email).await.unwrap();
        // Then it stays only where the message is of after the erasure.
        assert_eq!(created, is_created);
        assert_eq!(journal.load::<record::Rules>(sender.id).await.unwrap().state.is_some(), is_created);
    }
}
