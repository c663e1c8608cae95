//! DeleteItem (MS-OXWSCORE).

use super::{Call, response, target};
use crate::soap::Element;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let ids = target::list(operation, "ItemIds");
    let wanted = match operation.attribute("DeleteType") {
        Some("MoveToDeletedItems") => Some("deleteditems"),
        Some("SoftDelete") => Some("recoverableitemsdeletions"),
        _ => None,
    };
    response::batch(call, "DeleteItem", "", &ids, |id| {
        let (account, key, _) = target::item(call, id)?;
        let mut mailbox = account.mailbox();
        match wanted.and_then(|name| mailbox.distinguished(name)) {
            Some(folder) => drop(mailbox.move_item(key, folder)),
            None => drop(mailbox.remove_item(key)),
        }
        Ok(String::new())
    })
}
