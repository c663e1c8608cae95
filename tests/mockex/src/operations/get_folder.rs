//! GetFolder (MS-OXWSFOLD).

use super::{Call, response, target};
use crate::shape::{self, Shape};
use crate::soap::{Element, Xml};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("FolderShape"), call.level);
    let ids = target::list(operation, "FolderIds");
    response::batch(call, "GetFolder", "<m:Folders/>", &ids, |id| {
        response::check_paths(&shape)?;
        let (account, key) = target::folder(call, id)?;
        let mailbox = account.mailbox();
        let mut xml = Xml::new();
        xml.open("m:Folders");
        if let Some(folder) = mailbox.folder(key) {
            shape::folder(&mut xml, &mailbox, folder, &shape);
        }
        xml.close("m:Folders");
        Ok(xml.into_string())
    })
}
