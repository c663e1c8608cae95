//! CreateFolder (MS-OXWSFOLD).

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::{self, Shape};
use crate::soap::{Element, Xml};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let parent = target::within(call, operation.child("ParentFolderId"));
    let folders = target::list(operation, "Folders");
    response::batch(call, "CreateFolder", "<m:Folders/>", &folders, |wanted| {
        let (account, parent) = parent.clone()?;
        let name = wanted.child_text("DisplayName").unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::new("ErrorFolderSavePropertyError"));
        }
        let usual = match wanted.name.as_str() {
            "CalendarFolder" => "IPF.Appointment",
            "ContactsFolder" => "IPF.Contact",
            "TasksFolder" => "IPF.Task",
            _ => "IPF.Note",
        };
        let class = wanted.child_text("FolderClass").unwrap_or(usual);
        let mut mailbox = account.mailbox();
        let key = mailbox.create_folder(parent, name, class).ok_or_else(|| Failure::new("ErrorFolderExists"))?;
        let mut xml = Xml::new();
        xml.open("m:Folders");
        if let Some(folder) = mailbox.folder(key) {
            shape::folder(&mut xml, &mailbox, folder, &Shape::ids(call.level));
        }
        xml.close("m:Folders");
        Ok(xml.into_string())
    })
}
