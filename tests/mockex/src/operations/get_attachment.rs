//! GetAttachment (MS-OXWSATT).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::response::Failure;
use super::{Call, response, target};
use crate::content::{Attachment, AttachmentBody, Content};
use crate::shape::{self, Shape};
use crate::soap::{Element, Xml};
use crate::store::{Identifier, Item, Mailbox};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::of_attachments(operation.child("AttachmentShape"), call.level);
    let ids = target::list(operation, "AttachmentIds");
    response::batch(call, "GetAttachment", "<m:Attachments/>", &ids, |id| {
        response::check_paths(&shape)?;
        let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
        let text = id.attribute("Id").unwrap_or_default();
        let invalid = || Failure::new("ErrorInvalidAttachmentId");
        let Some(Identifier::Attachment { mailbox: guid, item, key }) = Identifier::decode(text) else {
            return Err(invalid());
        };
        let mailbox = account.mailbox();
        let item = mailbox.item(item).filter(|_| mailbox.guid == guid).ok_or_else(invalid)?;
        let attachment = find(&item.content, key).ok_or_else(invalid)?;
        let mut xml = Xml::new();
        xml.open("m:Attachments");
        write(&mut xml, text, attachment, &mailbox, item, &shape);
        xml.close("m:Attachments");
        Ok(xml.into_string())
    })
}

/// Attachments of attached messages have ids of the same item.
fn find(content: &Content, key: [u8; 16]) -> Option<&Attachment> {
    content.attachments.iter().find_map(|attachment| match &attachment.body {
        _ if attachment.key == key => Some(attachment),
        AttachmentBody::Message(inner) => find(inner, key),
        AttachmentBody::File(_) => None,
    })
}

fn write(xml: &mut Xml, id: &str, attachment: &Attachment, mailbox: &Mailbox, item: &Item, shape: &Shape) {
    let element = match attachment.body {
        AttachmentBody::File(_) => "t:FileAttachment",
        AttachmentBody::Message(_) => "t:ItemAttachment",
    };
    xml.open(element);
    xml.empty("t:AttachmentId", &[("Id", id)]);
    xml.text("t:Name", &attachment.name);
    if let Some(kind) = &attachment.content_type {
        xml.text("t:ContentType", kind);
    }
    if let Some(id) = &attachment.content_id {
        xml.text("t:ContentId", id);
    }
    match &attachment.body {
        AttachmentBody::File(bytes) => xml.text("t:Content", &STANDARD.encode(bytes)),
        AttachmentBody::Message(content) => shape::attached_item(xml, mailbox, item, id, content, shape),
    }
    xml.close(element);
}
