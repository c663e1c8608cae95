//! UpdateItem (MS-OXWSCORE): of what messages have, the read flag, categories, the subject of drafts, MAPI properties.

use super::response::Failure;
use super::{Call, response, target};
use crate::content::Importance;
use crate::shape::extended::Extended;
use crate::shape::{Path, item_id};
use crate::soap::{Element, Xml};
use crate::store::identifier::item_change_key;
use crate::store::{Item, Mailbox};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let changes = target::list(operation, "ItemChanges");
    let resolution = operation.attribute("ConflictResolution").unwrap_or_default();
    response::batch(call, "UpdateItem", "<m:Items/>", &changes, |change| {
        let id = change.child("ItemId").ok_or_else(|| Failure::new("ErrorInvalidRequest"))?;
        let (account, key, change_key) = target::item(call, id)?;
        let mut mailbox = account.mailbox();
        let version = mailbox.item(key).map_or(0, |item| item.version);
        check_version(&mailbox, version, change_key, resolution)?;
        let updates = target::list(change, "Updates");
        let only_read =
            updates.iter().all(|update| Path::within(update) == Some(Path::Field("message:IsRead".to_owned())));
        let mut refused = None;
        mailbox.change_item(key, call.now, only_read, |item| {
            refused = updates.iter().find_map(|update| apply(item, update).err());
        });
        if let Some(failure) = refused {
            return Err(failure);
        }
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

fn apply(item: &mut Item, update: &Element) -> Result<(), Failure> {
    let path = Path::within(update).ok_or_else(|| Failure::new("ErrorInvalidPropertyUpdate"))?;
    // The path comes first, then an item with the new value.
    let value = update.children.get(1).and_then(|item| item.children.first());
    let refused = || Failure::new("ErrorInvalidPropertySet");
    match (update.name.as_str(), path) {
        ("DeleteItemField", Path::Extended(path)) => item.extended.retain(|stored| !stored.path.names_same(&path)),
        ("DeleteItemField", Path::Field(field)) if field == "item:Categories" => item.categories.clear(),
        ("SetItemField", Path::Extended(path)) => {
            let stored = value.and_then(Extended::read).ok_or_else(refused)?;
            item.extended.retain(|other| !other.path.names_same(&path));
            item.extended.push(stored);
        }
        ("SetItemField", Path::Field(field)) => {
            let value = value.ok_or_else(refused)?;
            match field.as_str() {
                "message:IsRead" => item.is_read = value.is_true(),
                "item:Categories" => item.categories = value.children.iter().map(|name| name.text.clone()).collect(),
                "item:Importance" => item.content.importance = Importance::of(&value.text),
                "item:Subject" => item.content.subject = Some(value.text.clone()),
                _ => return Err(refused()),
            }
        }
        _ => return Err(refused()),
    }
    Ok(())
}
