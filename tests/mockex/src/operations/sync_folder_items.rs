//! SyncFolderItems (MS-OXWSSYNC).

use std::collections::HashSet;

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::{self, Shape, View, item_id};
use crate::soap::{Element, Xml};
use crate::store::{Change, Identifier, ItemKey, Mailbox, SyncState};

/// The most changes of one answer.
const MOST: usize = 512;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let empty = "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>";
    response::single(call, "SyncFolderItems", empty, || page(call, operation))
}

fn page(call: &Call<'_>, operation: &Element) -> Result<String, Failure> {
    let gone = |failure: Failure| match failure.code.as_str() {
        "ErrorFolderNotFound" => Failure::new("ErrorSyncFolderNotFound"),
        _ => failure,
    };
    let (account, key) = target::within(call, operation.child("SyncFolderId")).map_err(gone)?;
    let mailbox = account.mailbox();
    let folder = mailbox.folder(key).ok_or_else(|| Failure::new("ErrorSyncFolderNotFound"))?;
    let cursor = match operation.child_text("SyncState").filter(|state| !state.is_empty()) {
        None => None,
        Some(text) => {
            let state = SyncState::decode(text).filter(|state| {
                state.mailbox == mailbox.guid
                    && !state.hierarchy
                    && state.folder == key
                    && folder.log.knows(state.cursor)
            });
            let refused = (call.refuse_sync_state)();
            Some(state.filter(|_| !refused).ok_or_else(|| Failure::new("ErrorInvalidSyncStateData"))?.cursor)
        }
    };
    let maximum = operation.child_text("MaxChangesReturned").and_then(|text| text.parse().ok()).unwrap_or(MOST);
    let (changes, cursor, is_last) = folder.log.page(cursor, maximum.min(MOST));
    let ignored: HashSet<&str> = target::list(operation, "Ignore").iter().filter_map(|id| id.attribute("Id")).collect();
    let shape = Shape::read(operation.child("ItemShape"), call.level);
    response::check_paths(&shape)?;
    let mut xml = Xml::new();
    let state = SyncState { mailbox: mailbox.guid, hierarchy: false, folder: key, cursor };
    xml.text("m:SyncState", &state.encode());
    xml.boolean("m:IncludesLastItemInRange", is_last);
    xml.open("m:Changes");
    for change in changes {
        if !ignored.contains(id_of(&mailbox, change).as_str()) {
            write(&mut xml, &mailbox, &shape, change);
        }
    }
    xml.close("m:Changes");
    Ok(xml.into_string())
}

fn id_of(mailbox: &Mailbox, change: Change) -> String {
    let (Change::Create(key) | Change::Update(key) | Change::ReadFlag(key) | Change::Delete(key)) = change;
    Identifier::Item { mailbox: mailbox.guid, key: ItemKey(key) }.encode()
}

fn write(xml: &mut Xml, mailbox: &Mailbox, shape: &Shape, change: Change) {
    let whole = |xml: &mut Xml, name: &str, key: u64| {
        if let Some(item) = mailbox.item(ItemKey(key)) {
            xml.open(name);
            shape::item(xml, mailbox, item, shape, View::Listing);
            xml.close(name);
        }
    };
    match change {
        Change::Create(key) => whole(xml, "t:Create", key),
        Change::Update(key) => whole(xml, "t:Update", key),
        Change::Delete(key) => {
            xml.open("t:Delete");
            item_id(xml, mailbox, ItemKey(key));
            xml.close("t:Delete");
        }
        Change::ReadFlag(key) => {
            xml.open("t:ReadFlagChange");
            item_id(xml, mailbox, ItemKey(key));
            xml.boolean("t:IsRead", mailbox.item(ItemKey(key)).is_some_and(|item| item.is_read));
            xml.close("t:ReadFlagChange");
        }
    }
}
