//! GetAttachment (MS-OXWSATT).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::response::Failure;
use super::{Call, response, target};
use crate::content::{Attachment, AttachmentBody};
use crate::soap::{Element, Xml};
use crate::store::Identifier;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let ids = target::list(operation, "AttachmentIds");
    response::batch(call, "GetAttachment", "<m:Attachments/>", &ids, |id| {
        let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
        let text = id.attribute("Id").unwrap_or_default();
        let invalid = || Failure::new("ErrorInvalidAttachmentId");
        let Some(Identifier::Attachment { mailbox: guid, item, key }) = Identifier::decode(text) else {
            return Err(invalid());
        };
        let mailbox = account.mailbox();
        let item = mailbox.item(item).filter(|_| mailbox.guid == guid).ok_or_else(invalid)?;
        let attachment =
            item.content.attachments.iter().find(|attachment| attachment.key == key).ok_or_else(invalid)?;
        let mut xml = Xml::new();
        xml.open("m:Attachments");
        write(&mut xml, text, attachment);
        xml.close("m:Attachments");
        Ok(xml.into_string())
    })
}

fn write(xml: &mut Xml, id: &str, attachment: &Attachment) {
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
        AttachmentBody::Message(content) => {
            xml.open("t:Message");
            xml.text_with("t:MimeContent", &[("CharacterSet", "UTF-8")], &STANDARD.encode(content.to_mime()));
            xml.empty("t:ItemId", &[("Id", id)]);
            xml.text("t:ItemClass", &content.class);
            xml.text("t:Subject", content.subject.as_deref().unwrap_or_default());
            xml.close("t:Message");
        }
    }
    xml.close(element);
}
