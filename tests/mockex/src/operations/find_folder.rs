//! FindFolder (MS-OXWSSRCH).

use super::response::Failure;
use super::{Call, response, target};
use crate::query::{self, Page};
use crate::shape::{self, Path, Shape};
use crate::soap::{Element, Xml};
use crate::store::{Folder, Mailbox};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("FolderShape"));
    let parents = target::list(operation, "ParentFolderIds");
    let deep = operation.attribute("Traversal") == Some("Deep");
    let restriction = operation.child("Restriction");
    response::batch(call, "FindFolder", "", &parents, |parent| {
        let (account, key) = target::folder(call, parent)?;
        let mailbox = account.mailbox();
        let mut found = Vec::new();
        for folder in mailbox.below(key, deep) {
            let satisfies = query::satisfies(restriction, &|path| value(&mailbox, folder, path));
            if satisfies.map_err(|_| Failure::new("ErrorUnsupportedPathForQuery"))? {
                found.push(folder);
            }
        }
        let Page { offset, limit } = query::page(operation.child("IndexedPageFolderView"), found.len());
        let end = (offset + limit).min(found.len());
        let mut xml = Xml::new();
        let attributes = [
            ("IndexedPagingOffset", end.to_string()),
            ("TotalItemsInView", found.len().to_string()),
            ("IncludesLastItemInRange", (end >= found.len()).to_string()),
        ];
        let attributes: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        xml.open_with("m:RootFolder", &attributes);
        xml.open("t:Folders");
        for folder in found.iter().skip(offset).take(limit) {
            shape::folder(&mut xml, &mailbox, folder, &shape, call.level);
        }
        xml.close("t:Folders");
        xml.close("m:RootFolder");
        Ok(xml.into_string())
    })
}

fn value(mailbox: &Mailbox, folder: &Folder, path: &Path) -> Option<String> {
    match path {
        Path::Field(field) => match field.as_str() {
            "folder:DisplayName" => Some(folder.name.clone()),
            "folder:FolderClass" => Some(folder.class.clone()),
            "folder:TotalCount" => Some(folder.log.len().to_string()),
            "folder:UnreadCount" => Some(folder.unread.to_string()),
            "folder:ChildFolderCount" => Some(mailbox.below(folder.key, false).len().to_string()),
            _ => None,
        },
        Path::Indexed(..) | Path::Extended(_) => None,
    }
}
