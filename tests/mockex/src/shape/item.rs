//! Items.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{BodyType, Path, Shape};
use crate::content::{Address, Attachment, AttachmentBody};
use crate::fault::ItemFault;
use crate::soap::Xml;
use crate::store::identifier::item_change_key;
use crate::store::{Identifier, Item, ItemKey, Mailbox};

/// Which operation asks: listings cannot give everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// GetItem.
    Whole,
    /// FindItem, SyncFolderItems: no MIME, bodies, attachments, recipients, headers (MS-OXWSSRCH).
    Listing,
}

/// Writes an item with the properties that are wanted.
pub fn item(xml: &mut Xml, mailbox: &Mailbox, item: &Item, shape: &Shape, view: View) {
    let writer = Writer { mailbox, item, shape, view };
    let element = format!("t:{}", item.content.element());
    xml.open(&element);
    writer.identity(xml);
    writer.basics(xml);
    writer.flags_and_dates(xml);
    writer.summary(xml);
    writer.message(xml);
    xml.close(&element);
}

/// Writes `t:ItemId`.
pub fn item_id(xml: &mut Xml, mailbox: &Mailbox, key: ItemKey) {
    let id = Identifier::Item { mailbox: mailbox.guid, key }.encode();
    match mailbox.item(key) {
        Some(item) => {
            xml.empty("t:ItemId", &[("Id", &id), ("ChangeKey", &item_change_key(mailbox.guid, item.version))]);
        }
        None => xml.empty("t:ItemId", &[("Id", &id), ("ChangeKey", &item_change_key(mailbox.guid, 0))]),
    }
}

/// The value of a property as text, for restrictions and sorting.
pub fn value_of(item: &Item, path: &Path) -> Option<String> {
    let content = &item.content;
    match path {
        Path::Extended(path) => path.value(item).and_then(|values| values.into_iter().next()),
        Path::Indexed(..) => None,
        Path::Field(field) => match field.as_str() {
            "item:Subject" => Some(subject(item).unwrap_or_default()),
            "item:ItemClass" => Some(content.class.clone()),
            "item:DateTimeReceived" => item.received.map(instant),
            "item:DateTimeSent" => content.sent.map(instant),
            "item:DateTimeCreated" => Some(instant(item.created)),
            "item:LastModifiedTime" => Some(instant(item.modified)),
            "item:Size" => Some(content.size().to_string()),
            "item:HasAttachments" => Some(content.has_attachments().to_string()),
            "item:Importance" => Some(content.importance.name().to_owned()),
            "item:Sensitivity" => Some(content.sensitivity.name().to_owned()),
            "item:IsDraft" => Some(item.is_draft.to_string()),
            "item:Categories" => item.categories.first().cloned(),
            "item:InReplyTo" => content.in_reply_to.clone(),
            "message:InternetMessageId" => content.message_id.clone(),
            "message:IsRead" => Some(item.is_read.to_string()),
            "message:From" => content.from.as_ref().and_then(|from| from.address.clone()),
            "message:Sender" => content.sender.as_ref().and_then(|sender| sender.address.clone()),
            "message:References" => content.references.clone(),
            "message:ConversationTopic" => content.subject.clone(),
            _ => None,
        },
    }
}

struct Writer<'a> {
    mailbox: &'a Mailbox,
    item: &'a Item,
    shape: &'a Shape,
    view: View,
}

// === impl Writer ===

impl Writer<'_> {
    fn wants(&self, field: &str, in_default: bool) -> bool {
        self.shape.wants(field, in_default)
    }

    /// Wanted, and not only in a listing.
    fn wants_whole(&self, field: &str, in_default: bool) -> bool {
        self.view == View::Whole && self.wants(field, in_default)
    }

    fn identity(&self, xml: &mut Xml) {
        if self.shape.mime && self.view == View::Whole {
            let mime = STANDARD.encode(self.item.content.to_mime());
            xml.text_with("t:MimeContent", &[("CharacterSet", "UTF-8")], &mime);
        }
        item_id(xml, self.mailbox, self.item.key);
        if self.wants("item:ParentFolderId", false) {
            super::folder::id(xml, "t:ParentFolderId", self.mailbox, self.item.folder);
        }
        if self.wants("item:ItemClass", false) {
            xml.text("t:ItemClass", &self.item.content.class);
        }
    }

    fn basics(&self, xml: &mut Xml) {
        let content = &self.item.content;
        if let Some(subject) = subject(self.item).filter(|_| self.wants("item:Subject", true)) {
            xml.text("t:Subject", &subject);
        }
        if self.wants("item:Sensitivity", true) {
            xml.text("t:Sensitivity", content.sensitivity.name());
        }
        if self.wants_whole("item:Body", true) {
            self.body(xml);
        }
        if self.wants_whole("item:Attachments", true) && !content.attachments.is_empty() {
            xml.open("t:Attachments");
            content.attachments.iter().for_each(|attachment| self.attachment(xml, attachment));
            xml.close("t:Attachments");
        }
        if let Some(received) = self.item.received.filter(|_| self.wants("item:DateTimeReceived", true)) {
            xml.text("t:DateTimeReceived", &instant(received));
        }
        if self.wants("item:Size", true) {
            xml.number("t:Size", content.size());
        }
        if self.wants("item:Categories", false) && !self.item.categories.is_empty() {
            xml.open("t:Categories");
            self.item.categories.iter().for_each(|category| xml.text("t:String", category));
            xml.close("t:Categories");
        }
        if self.wants("item:Importance", true) {
            xml.text("t:Importance", content.importance.name());
        }
        if let Some(parent) = content.in_reply_to.as_deref().filter(|_| self.wants("item:InReplyTo", false)) {
            xml.text("t:InReplyTo", parent);
        }
    }

    fn flags_and_dates(&self, xml: &mut Xml) {
        let flags = [
            ("IsSubmitted", false),
            ("IsDraft", self.item.is_draft),
            ("IsFromMe", false),
            ("IsResend", false),
            ("IsUnmodified", false),
        ];
        for (name, value) in flags {
            if self.wants(&format!("item:{name}"), false) {
                xml.boolean(&format!("t:{name}"), value);
            }
        }
        let headers = &self.item.content.headers;
        if self.wants_whole("item:InternetMessageHeaders", false) && !headers.is_empty() {
            xml.open("t:InternetMessageHeaders");
            for (name, value) in headers {
                xml.text_with("t:InternetMessageHeader", &[("HeaderName", name)], value);
            }
            xml.close("t:InternetMessageHeaders");
        }
        if let Some(sent) = self.item.content.sent.filter(|_| self.wants("item:DateTimeSent", true)) {
            xml.text("t:DateTimeSent", &instant(sent));
        }
        if self.wants("item:DateTimeCreated", true) {
            xml.text("t:DateTimeCreated", &instant(self.item.created));
        }
    }

    fn summary(&self, xml: &mut Xml) {
        let content = &self.item.content;
        let names = |list: &[Address]| list.iter().map(shown).collect::<Vec<_>>().join("; ");
        if self.wants("item:DisplayCc", false) {
            xml.text("t:DisplayCc", &names(&content.cc));
        }
        if self.wants("item:DisplayTo", false) {
            xml.text("t:DisplayTo", &names(&content.to));
        }
        if self.wants("item:HasAttachments", true) {
            xml.boolean("t:HasAttachments", content.has_attachments());
        }
        self.shape.extended().for_each(|path| path.write(xml, self.item));
        if self.wants("item:Culture", false) {
            xml.text("t:Culture", "en-US");
        }
        if self.wants("item:LastModifiedTime", false) {
            xml.text("t:LastModifiedTime", &instant(self.item.modified));
        }
        if self.wants("item:IsAssociated", false) {
            xml.boolean("t:IsAssociated", false);
        }
        if self.wants("item:ConversationId", false) {
            xml.empty("t:ConversationId", &[("Id", &STANDARD.encode(conversation(self.item)))]);
        }
    }

    fn message(&self, xml: &mut Xml) {
        if self.item.content.element() == "PostItem" {
            return;
        }
        let content = &self.item.content;
        if let Some(sender) = content.sender.as_ref().filter(|_| self.wants("message:Sender", true)) {
            recipient(xml, "t:Sender", sender);
        }
        for (name, list) in
            [("ToRecipients", &content.to), ("CcRecipients", &content.cc), ("BccRecipients", &content.bcc)]
        {
            if self.wants_whole(&format!("message:{name}"), true) && !list.is_empty() {
                recipients(xml, &format!("t:{name}"), list);
            }
        }
        if self.wants("message:IsReadReceiptRequested", false) {
            xml.boolean("t:IsReadReceiptRequested", content.read_receipt_requested);
        }
        if self.wants("message:IsDeliveryReceiptRequested", false) {
            xml.boolean("t:IsDeliveryReceiptRequested", content.delivery_receipt_requested);
        }
        if self.wants("message:ConversationIndex", false) {
            xml.text("t:ConversationIndex", &STANDARD.encode(conversation(self.item)));
        }
        if let Some(topic) = content.subject.as_deref().filter(|_| self.wants("message:ConversationTopic", false)) {
            xml.text("t:ConversationTopic", topic);
        }
        if let Some(from) = content.from.as_ref().filter(|_| self.wants("message:From", true)) {
            recipient(xml, "t:From", from);
        }
        if let Some(id) = content.message_id.as_deref().filter(|_| self.wants("message:InternetMessageId", false)) {
            xml.text("t:InternetMessageId", id);
        }
        if self.wants("message:IsRead", true) {
            xml.boolean("t:IsRead", self.item.is_read);
        }
        if let Some(references) = content.references.as_deref().filter(|_| self.wants("message:References", false)) {
            xml.text("t:References", references);
        }
        if self.wants_whole("message:ReplyTo", false) && !content.reply_to.is_empty() {
            recipients(xml, "t:ReplyTo", &content.reply_to);
        }
    }

    fn body(&self, xml: &mut Xml) {
        let content = &self.item.content;
        let (kind, text) = match (self.shape.body, &content.html, &content.text) {
            (BodyType::Text, html, None) => ("Text", html.as_deref().map(plain).unwrap_or_default()),
            (BodyType::Text, _, Some(text)) => ("Text", text.clone()),
            (_, Some(html), _) => ("HTML", html.clone()),
            (BodyType::Html, None, text) => {
                ("HTML", format!("<html><body><pre>{}</pre></body></html>", text.as_deref().unwrap_or_default()))
            }
            (BodyType::Best, None, text) => ("Text", text.clone().unwrap_or_default()),
        };
        xml.text_with("t:Body", &[("BodyType", kind)], &text);
    }

    fn attachment(&self, xml: &mut Xml, attachment: &Attachment) {
        let element = match attachment.body {
            AttachmentBody::File(_) => "t:FileAttachment",
            AttachmentBody::Message(_) => "t:ItemAttachment",
        };
        xml.open(element);
        let id = Identifier::Attachment { mailbox: self.mailbox.guid, item: self.item.key, key: attachment.key };
        xml.empty("t:AttachmentId", &[("Id", &id.encode())]);
        xml.text("t:Name", &attachment.name);
        if let Some(kind) = &attachment.content_type {
            xml.text("t:ContentType", kind);
        }
        if let Some(id) = &attachment.content_id {
            xml.text("t:ContentId", id);
        }
        xml.number("t:Size", attachment.size());
        xml.text("t:LastModifiedTime", &instant(attachment.modified));
        xml.boolean("t:IsInline", attachment.inline);
        xml.close(element);
    }
}

/// The subject; an item with the fault has characters in it that XML forbids.
fn subject(item: &Item) -> Option<String> {
    let subject = item.content.subject.clone();
    match item.fault {
        Some(ItemFault::IllegalCharacters) => Some(format!("{}\u{0}\u{b}\u{1f}\u{ffff}", subject.unwrap_or_default())),
        _ => subject,
    }
}

/// Seconds, in UTC, as Exchange writes times.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn conversation(item: &Item) -> Vec<u8> {
    let topic = item.content.subject.as_deref().unwrap_or_default();
    Sha256::digest(topic.trim_start_matches("RE: ").as_bytes()).iter().take(22).copied().collect()
}

fn shown(address: &Address) -> String {
    address.name.clone().or_else(|| address.address.clone()).unwrap_or_default()
}

fn recipient(xml: &mut Xml, name: &str, address: &Address) {
    xml.open(name);
    mailbox(xml, address);
    xml.close(name);
}

fn recipients(xml: &mut Xml, name: &str, list: &[Address]) {
    xml.open(name);
    list.iter().for_each(|address| mailbox(xml, address));
    xml.close(name);
}

fn mailbox(xml: &mut Xml, address: &Address) {
    xml.open("t:Mailbox");
    xml.text("t:Name", &shown(address));
    if let Some(text) = &address.address {
        xml.text("t:EmailAddress", text);
        xml.text("t:RoutingType", "SMTP");
    }
    xml.close("t:Mailbox");
}

/// Markup left out; enough for tests.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text
}
