//! CreateAttachment (MS-OXWSATT): of the kinds of attachments, files. Each gives its item another change key.

use jiff::Timestamp;
use uuid::Uuid;

use super::response::Failure;
use super::{Call, response, target};
use crate::content::{Attachment, AttachmentBody};
use crate::soap::{Element, Xml};
use crate::store::Identifier;
use crate::store::identifier::item_change_key;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let attachments = target::list(operation, "Attachments");
    // Of the first only: each of them gives the item another change key.
    let mut given = operation.child("ParentItemId").and_then(|parent| parent.attribute("ChangeKey"));
    response::batch(call, "CreateAttachment", "<m:Attachments/>", &attachments, |element| {
        let parent = operation.child("ParentItemId").ok_or_else(|| Failure::new("ErrorInvalidRequest"))?;
        let (account, item, _) = target::item(call, parent)?;
        let attachment = read(element, call.now)?;
        let mut mailbox = account.mailbox();
        let stored = mailbox.item(item).ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        if let Some(given) = given.take() {
            target::check_change_key(&mailbox, stored, Some(given))?;
        }
        if account.is_full() {
            return Err(Failure::new("ErrorQuotaExceeded"));
        }
        let key = attachment.key;
        let mut content = stored.content.clone();
        content.attachments.push(attachment);
        call.transport.check_size(&content).map_err(Failure::new)?;
        let version = mailbox.change_item(item, call.now, false, |item| item.content = content);
        let version = version.ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        let id = Identifier::Attachment { mailbox: mailbox.guid, item, key }.encode();
        let root = Identifier::Item { mailbox: mailbox.guid, key: item }.encode();
        let root_key = item_change_key(mailbox.guid, version);
        let mut xml = Xml::new();
        xml.open("m:Attachments");
        xml.open("t:FileAttachment");
        xml.empty("t:AttachmentId", &[("Id", &id), ("RootItemId", &root), ("RootItemChangeKey", &root_key)]);
        xml.close("t:FileAttachment");
        xml.close("m:Attachments");
        Ok(xml.into_string())
    })
}

/// Reads a file; items as attachments are not made here.
pub fn read(element: &Element, now: Timestamp) -> Result<Attachment, Failure> {
    if element.name != "FileAttachment" {
        return Err(Failure::new("ErrorInvalidItemForOperationCreateItemAttachment"));
    }
    let text = |name| element.child_text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let content = element.child("Content").ok_or_else(|| Failure::new("ErrorRequiredPropertyMissing"))?;
    let bytes = content.base64().ok_or_else(|| Failure::new("ErrorInvalidValueForProperty"))?;
    Ok(Attachment {
        key: *Uuid::new_v4().as_bytes(),
        name: text("Name").unwrap_or_default(),
        content_type: text("ContentType"),
        content_id: text("ContentId"),
        inline: element.child_is_true("IsInline"),
        body: AttachmentBody::File(bytes),
        modified: now,
        is_in_mime: false,
    })
}
