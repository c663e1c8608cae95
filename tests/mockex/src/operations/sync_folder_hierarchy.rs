//! SyncFolderHierarchy (MS-OXWSSYNC).

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::{self, Shape};
use crate::soap::{Element, Xml};
use crate::store::{Change, FolderKey, Identifier, Mailbox, SyncState};

/// All folders fit into one answer.
const ALL: usize = usize::MAX;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    response::single(call, "SyncFolderHierarchy", "", || page(call, operation))
}

fn page(call: &Call<'_>, operation: &Element) -> Result<String, Failure> {
    let (account, root) = match operation.child("SyncFolderId") {
        Some(id) => target::within(call, Some(id)).map(|(account, key)| (account, Some(key)))?,
        None => (call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?, None),
    };
    let mailbox = account.mailbox();
    let folder = root.unwrap_or(FolderKey(0));
    let cursor = match operation.child_text("SyncState").filter(|state| !state.is_empty()) {
        None => None,
        Some(text) => {
            let state = SyncState::decode(text);
            let fits = |state: &SyncState| state.mailbox == mailbox.guid && state.hierarchy && state.folder == folder;
            let refused = (call.refuse_sync_state)();
            let state = state.filter(fits).filter(|_| !refused);
            Some(state.ok_or_else(|| Failure::new("ErrorInvalidSyncStateData"))?.cursor)
        }
    };
    let (changes, cursor, _) = mailbox.hierarchy().page(cursor, ALL);
    let shape = Shape::read(operation.child("FolderShape"), call.level);
    response::check_paths(&shape)?;
    let mut xml = Xml::new();
    let state = SyncState { mailbox: mailbox.guid, hierarchy: true, folder, cursor };
    xml.text("m:SyncState", &state.encode());
    xml.boolean("m:IncludesLastFolderInRange", true);
    xml.open("m:Changes");
    for change in changes {
        write(&mut xml, &mailbox, &shape, root, change);
    }
    xml.close("m:Changes");
    Ok(xml.into_string())
}

fn write(xml: &mut Xml, mailbox: &Mailbox, shape: &Shape, root: Option<FolderKey>, change: Change) {
    let (name, key) = match change {
        Change::Create(key) => ("t:Create", key),
        Change::Update(key) | Change::ReadFlag(key) => ("t:Update", key),
        Change::Delete(key) => {
            let id = Identifier::Folder { mailbox: mailbox.guid, key: FolderKey(key) }.encode();
            xml.open("t:Delete");
            xml.empty("t:FolderId", &[("Id", &id)]);
            xml.close("t:Delete");
            return;
        }
    };
    let is_inside = root.is_none_or(|root| mailbox.is_below(FolderKey(key), root));
    if let Some(folder) = mailbox.folder(FolderKey(key)).filter(|_| is_inside) {
        xml.open(name);
        shape::folder(xml, mailbox, folder, shape);
        xml.close(name);
    }
}
