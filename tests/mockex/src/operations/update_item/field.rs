//! One field of an update: a path, and with `SetItemField` an item that has exactly that property.

use crate::content::{Importance, Sensitivity};
use crate::operations::response::Failure;
use crate::shape::Path;
use crate::shape::extended::Extended;
use crate::soap::Element;
use crate::store::Item;

/// Makes the change, or says why it cannot be made; then the item may be left half changed.
pub fn apply(item: &mut Item, update: &Element) -> Result<(), Failure> {
    let path = Path::within(update).ok_or_else(|| Failure::new("ErrorInvalidRequest"))?;
    if !path.is_valid() {
        return Err(Failure::at("ErrorInvalidExtendedProperty", &path));
    }
    match update.name.as_str() {
        "SetItemField" => set(item, &path, new_value(update, &path)?),
        "DeleteItemField" => delete(item, &path),
        // What can be appended to, bodies and recipients, is not changed here.
        _ => Err(Failure::at("ErrorInvalidPropertyAppend", &path)),
    }
}

/// The property inside the item that comes after the path.
fn new_value<'a>(update: &'a Element, path: &Path) -> Result<&'a Element, Failure> {
    let properties = update.children.get(1).map(|item| item.children.as_slice()).unwrap_or_default();
    let [value] = properties else { return Err(Failure::at("ErrorIncorrectUpdatePropertyCount", path)) };
    let is_named = match (path, Path::within(value)) {
        (Path::Field(uri), _) => uri.split(':').next_back() == Some(value.name.as_str()),
        (Path::Extended(path), Some(Path::Extended(given))) => path.names_same(&given),
        (Path::Extended(_), _) => false,
        // Messages have no property that is part of another.
        (Path::Indexed(..), _) => return Err(Failure::at("ErrorInvalidPropertySet", path)),
    };
    if is_named { Ok(value) } else { Err(Failure::at("ErrorUpdatePropertyMismatch", path)) }
}

fn set(item: &mut Item, path: &Path, value: &Element) -> Result<(), Failure> {
    let refused = || Failure::at("ErrorInvalidPropertySet", path);
    let text = || Some(value.text.clone());
    match path {
        Path::Indexed(..) => return Err(refused()),
        Path::Extended(_) => {
            let stored = Extended::read(value).ok_or_else(|| Failure::at("ErrorInvalidExtendedPropertyValue", path))?;
            item.set_extended(stored);
        }
        Path::Field(field) => match field.as_str() {
            "message:IsRead" => item.is_read = value.is_true(),
            "message:IsReadReceiptRequested" if item.is_draft => item.content.read_receipt_requested = value.is_true(),
            "message:IsDeliveryReceiptRequested" if item.is_draft => {
                item.content.delivery_receipt_requested = value.is_true();
            }
            "message:IsReadReceiptRequested" | "message:IsDeliveryReceiptRequested" => {
                return Err(Failure::at("ErrorInvalidPropertyUpdateSentMessage", path));
            }
            "message:References" => item.content.references = text(),
            "item:Categories" => item.categories = value.children.iter().map(|name| name.text.clone()).collect(),
            "item:Importance" => item.content.importance = Importance::of(&value.text),
            "item:InReplyTo" => item.content.in_reply_to = text(),
            "item:ItemClass" => item.content.class = value.text.trim().to_owned(),
            "item:Sensitivity" => item.content.sensitivity = Sensitivity::of(&value.text),
            "item:Subject" => item.content.subject = text(),
            _ => return Err(refused()),
        },
    }
    Ok(())
}

fn delete(item: &mut Item, path: &Path) -> Result<(), Failure> {
    match path {
        Path::Extended(path) => item.extended.retain(|stored| !stored.path.names_same(path)),
        Path::Field(field) if field == "item:Categories" => item.categories.clear(),
        Path::Field(field) if field == "item:InReplyTo" => item.content.in_reply_to = None,
        Path::Field(field) if field == "item:Subject" => item.content.subject = None,
        Path::Field(field) if field == "message:References" => item.content.references = None,
        Path::Field(_) | Path::Indexed(..) => return Err(Failure::at("ErrorInvalidPropertyDelete", path)),
    }
    Ok(())
}
