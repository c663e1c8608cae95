//! UpdateItem (MS-OXWSCORE): of what messages have, the marks, a few texts, MAPI properties.

mod field;

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::{Path, item_id};
use crate::soap::{Element, Xml};
use crate::store::Mailbox;
use crate::store::identifier::item_change_key;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let changes = target::list(operation, "ItemChanges");
    let resolution = operation.attribute("ConflictResolution").unwrap_or_default();
    response::batch(call, "UpdateItem", "<m:Items/>", &changes, |change| {
        let id = change.child("ItemId").ok_or_else(|| Failure::new("ErrorInvalidRequest"))?;
        let (account, key, change_key) = target::item(call, id)?;
        let mut mailbox = account.mailbox();
        let stored = mailbox.item(key).ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        check_version(&mailbox, stored.version, change_key, resolution)?;
        let updates = target::list(change, "Updates");
        // On a copy: an item of which one field is refused stays as it was, with its change key.
        let mut changed = stored.clone();
        updates.iter().try_for_each(|update| field::apply(&mut changed, update))?;
        let only_read =
            updates.iter().all(|update| Path::within(update) == Some(Path::Field("message:IsRead".to_owned())));
        mailbox.change_item(key, call.now, only_read, |item| *item = changed);
        let mut xml = Xml::new();
        xml.open("m:Items");
        if let Some(item) = mailbox.item(key) {
            let element = format!("t:{}", item.content.element());
            xml.open(&element);
            item_id(&mut xml, &mailbox, key);
            xml.close(&element);
        }
        xml.close("m:Items");
        xml.open("m:ConflictResults");
        xml.number("t:Count", 0);
        xml.close("m:ConflictResults");
        Ok(xml.into_string())
    })
}

fn check_version(mailbox: &Mailbox, version: u64, given: Option<&str>, resolution: &str) -> Result<(), Failure> {
    match given {
        _ if resolution == "AlwaysOverwrite" => Ok(()),
        None => Err(Failure::new("ErrorChangeKeyRequired")),
        Some(given) if given == item_change_key(mailbox.guid, version) => Ok(()),
        Some(_) => Err(Failure::new("ErrorIrresolvableConflict")),
    }
}
