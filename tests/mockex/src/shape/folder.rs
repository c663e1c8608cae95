//! Folders.

use super::{Base, Shape};
use crate::schema::Level;
use crate::soap::Xml;
use crate::store::identifier::folder_change_key;
use crate::store::{Folder, FolderKey, Identifier, Mailbox};

/// Writes a folder with the properties that are wanted.
pub fn folder(xml: &mut Xml, mailbox: &Mailbox, folder: &Folder, shape: &Shape, level: Level) {
    let element = format!("t:{}", folder.element());
    let has_unread = matches!(folder.element(), "Folder" | "TasksFolder");
    let wants = |field: &str, in_default: bool| shape.wants(field, in_default);
    xml.open(&element);
    id(xml, "t:FolderId", mailbox, folder.key);
    if let Some(parent) = folder.parent.filter(|_| wants("folder:ParentFolderId", false)) {
        id(xml, "t:ParentFolderId", mailbox, parent);
    }
    if wants("folder:FolderClass", false) && !folder.class.is_empty() {
        xml.text("t:FolderClass", &folder.class);
    }
    if wants("folder:DisplayName", true) {
        xml.text("t:DisplayName", &folder.name);
    }
    if wants("folder:TotalCount", true) {
        xml.number("t:TotalCount", folder.log.len());
    }
    if wants("folder:ChildFolderCount", true) {
        xml.number("t:ChildFolderCount", mailbox.below(folder.key, false).len());
    }
    if wants("folder:EffectiveRights", false) {
        rights(xml);
    }
    let is_named = shape.base == Base::AllProperties || wants("folder:DistinguishedFolderId", false);
    if let Some(distinguished) = folder.distinguished.filter(|_| is_named && level >= Level::Exchange2013) {
        xml.text("t:DistinguishedFolderId", distinguished);
    }
    if has_unread && wants("folder:UnreadCount", true) {
        xml.number("t:UnreadCount", folder.unread);
    }
    xml.close(&element);
}

/// Writes the id of a folder.
pub fn id(xml: &mut Xml, name: &str, mailbox: &Mailbox, key: FolderKey) {
    let text = Identifier::Folder { mailbox: mailbox.guid, key }.encode();
    let version = mailbox.folder(key).map_or(0, |folder| folder.version);
    xml.empty(name, &[("Id", &text), ("ChangeKey", &folder_change_key(mailbox.guid, version))]);
}

fn rights(xml: &mut Xml) {
    xml.open("t:EffectiveRights");
    for right in
        ["CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read", "ViewPrivateItems"]
    {
        xml.boolean(&format!("t:{right}"), true);
    }
    xml.close("t:EffectiveRights");
}
