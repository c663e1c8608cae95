//! MoveItem (MS-OXWSCORE): the item gets another id.

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::item_id;
use crate::soap::{Element, Xml};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let to = target::within(call, operation.child("ToFolderId"));
    let ids = target::list(operation, "ItemIds");
    let returns = operation.child("ReturnNewItemIds").is_none_or(Element::is_true);
    response::batch(call, "MoveItem", "<m:Items/>", &ids, |id| {
        let (_, folder) = to.clone().map_err(|failure| match failure.code.as_str() {
            "ErrorFolderNotFound" => Failure::new("ErrorToFolderNotFound"),
            _ => failure,
        })?;
        let (account, key, _) = target::item(call, id)?;
        let mut mailbox = account.mailbox();
        let moved = mailbox.move_item(key, folder).ok_or_else(|| Failure::new("ErrorMoveCopyFailed"))?;
        let mut xml = Xml::new();
        xml.open("m:Items");
        if let Some(item) = mailbox.item(moved).filter(|_| returns) {
            let element = format!("t:{}", item.content.element());
            xml.open(&element);
            item_id(&mut xml, &mailbox, moved);
            xml.close(&element);
        }
        xml.close("m:Items");
        Ok(xml.into_string())
    })
}
