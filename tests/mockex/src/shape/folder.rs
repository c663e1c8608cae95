//! Folders.

use super::extended::Path as ExtendedPath;
use super::value::{Kind, Value};
use super::{Path, Shape};
use crate::schema::Level;
use crate::soap::Xml;
use crate::store::identifier::folder_change_key;
use crate::store::{Folder, FolderKey, Identifier, Mailbox};

/// Writes a folder with the properties that are wanted.
pub fn folder(xml: &mut Xml, mailbox: &Mailbox, folder: &Folder, shape: &Shape) {
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
    for path in shape.extended() {
        if let Some(value) = extended(mailbox, folder, path) {
            path.write_values(xml, &[value]);
        }
    }
    if wants("folder:EffectiveRights", false) {
        super::item::rights(xml, true);
    }
    let is_named = wants("folder:DistinguishedFolderId", false) && shape.level >= Level::Exchange2013;
    if let Some(distinguished) = folder.distinguished.filter(|_| is_named) {
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

/// The type of a folder's property; none for those that cannot be searched.
pub fn kind_of(path: &Path) -> Option<Kind> {
    match path {
        Path::Extended(path) => Some(path.kind()),
        Path::Indexed(..) => None,
        Path::Field(field) => match field.as_str() {
            "folder:DisplayName" | "folder:FolderClass" => Some(Kind::Text),
            "folder:TotalCount" | "folder:UnreadCount" | "folder:ChildFolderCount" => Some(Kind::Number),
            _ => None,
        },
    }
}

/// The value that a folder has.
pub fn value_of(mailbox: &Mailbox, folder: &Folder, path: &Path) -> Option<Value> {
    let number = |count: usize| i64::try_from(count).ok().map(Value::Number);
    match path {
        Path::Extended(path) => Value::read(path.kind(), &extended(mailbox, folder, path)?),
        Path::Indexed(..) => None,
        Path::Field(field) => match field.as_str() {
            "folder:DisplayName" => Some(Value::Text(folder.name.clone())),
            "folder:FolderClass" => Some(Value::Text(folder.class.clone())),
            "folder:TotalCount" => number(folder.log.len()),
            "folder:UnreadCount" => number(folder.unread),
            "folder:ChildFolderCount" => number(mailbox.below(folder.key, false).len()),
            _ => None,
        },
    }
}

/// The properties of MAPI that clients ask folders for.
fn extended(mailbox: &Mailbox, folder: &Folder, path: &ExtendedPath) -> Option<String> {
    Some(match path.tag()? {
        0x3001 => folder.name.clone(),
        // PidTagFolderType: the root, or a generic folder.
        0x3601 => if folder.parent.is_none() { "0" } else { "1" }.to_owned(),
        0x3602 => folder.log.len().to_string(),
        0x3603 => folder.unread.to_string(),
        0x360A => (!mailbox.below(folder.key, false).is_empty()).to_string(),
        0x3613 if !folder.class.is_empty() => folder.class.clone(),
        _ => return None,
    })
}
