//! Every reader against every answer of the reference, whole, cut and damaged.

use proptest::prelude::*;

use super::{
    answer,
    convert_id::ConvertId,
    create_attachment::CreateAttachment,
    create_folder::CreateFolder,
    create_item::{CreateItem, Disposition, NewMessage},
    delete_item::{DeleteItem, Deletion},
    find_folder::FindFolder,
    find_item::FindItem,
    get_folder::GetFolder,
    get_item::GetItem,
    move_item::MoveItem,
    send_item::SendItem,
    sync_folder_items::SyncFolderItems,
};
use crate::{FolderRef, ItemId, ItemShape, reference, xml::Filter};

/// Reads a text as the answer of every operation; says how many read it as a success.
fn read_by_all(text: &str) -> usize {
    let inbox = FolderRef::INBOX;
    let ids = vec![ItemId::new("a"), ItemId::new("b")];
    let message = NewMessage::default();
    let attachment = CreateAttachment {
        parent: ItemId::new("a"),
        name: String::new(),
        content_type: String::new(),
        content_id: None,
        is_inline: false,
        content: bytes::Bytes::new(),
    };
    let read = [
        answer(&attachment, text).is_ok_and(|answer| answer.is_some()),
        answer(&CreateItem { message, disposition: Disposition::SaveOnly, folder: None }, text)
            .is_ok_and(|answer| answer.is_some()),
        answer(&DeleteItem { ids: ids.clone(), deletion: Deletion::Hard }, text).is_ok_and(|answer| answer.is_some()),
        answer(&SendItem { id: ItemId::new("a"), saves: true, folder: None }, text)
            .is_ok_and(|answer| answer.is_some()),
        answer(&ConvertId::probe("user1@contoso.example"), text).is_ok_and(|answer| answer.is_some()),
        answer(&CreateFolder { parent: inbox.clone(), name: "x".to_owned() }, text)
            .is_ok_and(|answer| answer.is_some()),
        answer(&FindFolder::named(inbox.clone(), "x"), text).is_ok_and(|answer| answer.is_some()),
        answer(&FindItem::all(inbox.clone()), text).is_ok_and(|answer| answer.is_some()),
        answer(&GetFolder::one(inbox.clone()), text).is_ok_and(|answer| answer.is_some()),
        answer(&GetItem { ids: ids.clone(), shape: ItemShape::message() }, text).is_ok_and(|answer| answer.is_some()),
        answer(&MoveItem { ids, target: inbox.clone() }, text).is_ok_and(|answer| answer.is_some()),
        answer(&SyncFolderItems::since(inbox, None), text).is_ok_and(|answer| answer.is_some()),
    ];
    read.into_iter().filter(|read| *read).count()
}

#[test]
fn an_answer_is_read_by_its_own_operation_only() {
    for (name, bytes) in reference::samples() {
        assert!(read_by_all(&Filter::apply(&bytes)) <= 1, "{name}");
    }
}

#[test]
fn an_answer_that_is_cut_is_never_a_success() {
    for (name, bytes) in reference::samples() {
        let text = Filter::apply(&bytes);
        let Some(end) = text.rfind("Body>") else { continue };
        for part in 1..16 {
            let cut = text.floor_char_boundary(end * part / 16);
            assert_eq!(read_by_all(&text[..cut]), 0, "{name} cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_an_error_or_harmless_but_never_a_panic(which in 0_usize..1000, at in 0_usize..100_000, byte in any::<u8>()) {
        let samples = reference::samples();
        if let Some((_, bytes)) = samples.get(which % samples.len().max(1)) {
            let mut bytes = bytes.clone();
            if let Some(place) = at.checked_rem(bytes.len()) {
                bytes[place] = byte;
            }
            read_by_all(&Filter::apply(&bytes));
        }
    }
}
