//! FindFolder (MS-OXWSSRCH).

use super::response::Failure;
use super::{Call, response, target};
use crate::query::{Page, Refusal, Restriction};
use crate::shape::{self, Shape, folder};
use crate::soap::{Element, Xml};
use crate::store::Folder;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("FolderShape"), call.level);
    let parents = target::list(operation, "ParentFolderIds");
    let deep = operation.attribute("Traversal") == Some("Deep");
    let restriction = Restriction::read(operation.child("Restriction"), &folder::kind_of);
    response::batch(call, "FindFolder", "", &parents, |parent| {
        let (account, key) = target::folder(call, parent)?;
        response::check_paths(&shape)?;
        let restriction = restriction.as_ref().map_err(Refusal::clone)?;
        let mailbox = account.mailbox();
        let mut found: Vec<&Folder> = mailbox.below(key, deep);
        found.retain(|found| restriction.holds(&|path| folder::value_of(&mailbox, found, path)));
        let page =
            Page::read(operation, found.len()).ok_or_else(|| Failure::new("ErrorInvalidFractionalPagingParameters"))?;
        let mut xml = Xml::new();
        page.open(&mut xml);
        xml.open("t:Folders");
        for folder in page.of(&found) {
            shape::folder(&mut xml, &mailbox, folder, &shape);
        }
        xml.close("t:Folders");
        xml.close("m:RootFolder");
        Ok(xml.into_string())
    })
}
