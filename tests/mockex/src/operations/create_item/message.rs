//! A message as a request gives it.

use jiff::Timestamp;

use crate::content::{self, Address, Content, Importance, Sensitivity};
use crate::operations::create_attachment;
use crate::operations::response::Failure;
use crate::shape::Path;
use crate::shape::extended::Extended;
use crate::soap::Element;
use crate::store::Item;

/// Properties that only the server sets, of messages; the others that cannot be set are those of all items.
const OF_MESSAGES: &[&str] =
    &["ConversationIndex", "ConversationTopic", "InternetMessageId", "ReceivedBy", "ReceivedRepresenting"];

/// Reads a message; MIME comes first, and what else is given overrides it.
pub fn read(element: &Element, now: Timestamp) -> Result<Item, Failure> {
    let mut item = Item::draft(Content { class: "IPM.Note".to_owned(), ..Content::default() }, now);
    for property in &element.children {
        set(&mut item, property, now)?;
    }
    Ok(item)
}

fn set(item: &mut Item, property: &Element, now: Timestamp) -> Result<(), Failure> {
    let text = || Some(property.text.clone());
    let content = &mut item.content;
    match property.name.as_str() {
        "MimeContent" => *content = mime(property, now)?,
        "ItemClass" => property.text.trim().clone_into(&mut content.class),
        "Subject" => content.subject = text(),
        "Sensitivity" => content.sensitivity = Sensitivity::of(&property.text),
        "Body" if property.attribute("BodyType") == Some("HTML") => (content.html, content.text) = (text(), None),
        "Body" => (content.html, content.text) = (None, text()),
        "Attachments" => {
            for attachment in &property.children {
                content.attachments.push(create_attachment::read(attachment, now)?);
            }
        }
        "Categories" => item.categories = property.children.iter().map(|name| name.text.clone()).collect(),
        "Importance" => content.importance = Importance::of(&property.text),
        "InReplyTo" => content.in_reply_to = text(),
        "ExtendedProperty" => item.set_extended(extended(property)?),
        "Sender" => content.sender = people(property).pop(),
        "ToRecipients" => content.to = people(property),
        "CcRecipients" => content.cc = people(property),
        "BccRecipients" => content.bcc = people(property),
        "ReplyTo" => content.reply_to = people(property),
        "From" => content.from = people(property).pop(),
        "IsReadReceiptRequested" => content.read_receipt_requested = property.is_true(),
        "IsDeliveryReceiptRequested" => content.delivery_receipt_requested = property.is_true(),
        "IsRead" => item.is_read = property.is_true(),
        "References" => content.references = text(),
        // Taken, and of no consequence here.
        "Culture"
        | "Flag"
        | "IsAssociated"
        | "IsResponseRequested"
        | "ReminderDueBy"
        | "ReminderIsSet"
        | "ReminderMinutesBeforeStart"
        | "PolicyTag"
        | "ArchiveTag" => {}
        name => {
            let prefix = if OF_MESSAGES.contains(&name) { "message" } else { "item" };
            return Err(Failure::at("ErrorInvalidPropertySet", &Path::Field(format!("{prefix}:{name}"))));
        }
    }
    Ok(())
}

/// A draft of MIME has a message id only if it brings one; blind copies are a property.
fn mime(property: &Element, now: Timestamp) -> Result<Content, Failure> {
    let mime = property.base64().ok_or_else(|| Failure::new("ErrorMimeContentInvalidBase64String"))?;
    let mut content = content::read(mime, now, "");
    if !content.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("Message-ID") && !value.is_empty()) {
        content.message_id = None;
    }
    if content.sender == content.from {
        content.sender = None;
    }
    content.bcc = Vec::new();
    Ok(content)
}

fn extended(property: &Element) -> Result<Extended, Failure> {
    let path = Path::within(property).ok_or_else(|| Failure::new("ErrorInvalidExtendedProperty"))?;
    if !path.is_valid() {
        return Err(Failure::at("ErrorInvalidExtendedProperty", &path));
    }
    Extended::read(property).ok_or_else(|| Failure::at("ErrorInvalidExtendedPropertyValue", &path))
}

/// The mailboxes of a list of recipients, or of a single one.
fn people(property: &Element) -> Vec<Address> {
    let text = |mailbox: &Element, name| mailbox.child_text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let person = |mailbox| Address { name: text(mailbox, "Name"), address: text(mailbox, "EmailAddress") };
    property.children.iter().map(person).collect()
}
