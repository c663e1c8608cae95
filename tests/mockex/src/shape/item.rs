//! Items.

mod people;
mod text;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{BodyType, Shape};
use crate::content::{Attachment, AttachmentBody, Content};
use crate::fault::ItemFault;
use crate::schema::Level;
use crate::soap::Xml;
use crate::store::identifier::item_change_key;
use crate::store::{Identifier, Item, ItemKey, Mailbox};

/// Which operation asks: listings cannot give everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// GetItem, GetAttachment.
    Whole,
    /// FindItem, SyncFolderItems: no MIME, bodies, attachments, recipients, headers, addresses (MS-OXWSSRCH).
    Listing,
}

/// Writes an item with the properties that are wanted.
pub fn item(xml: &mut Xml, mailbox: &Mailbox, item: &Item, shape: &Shape, view: View) {
    let id = Identifier::Item { mailbox: mailbox.guid, key: item.key }.encode();
    Writer { mailbox, item, shape, view, id, is_attached: false }.write(xml);
}

/// Writes an item inside an attachment; its id is the attachment's.
pub fn attached_item(xml: &mut Xml, mailbox: &Mailbox, parent: &Item, id: &str, content: &Content, shape: &Shape) {
    // Of the item around it, only what a message needs and does not say of itself.
    let mut item = parent.clone();
    item.content = content.clone();
    item.received = content.sent;
    item.is_read = true;
    item.fault = None;
    item.categories = Vec::new();
    item.extended = Vec::new();
    Writer { mailbox, item: &item, shape, view: View::Whole, id: id.to_owned(), is_attached: true }.write(xml);
}

/// Writes `t:ItemId`.
pub fn item_id(xml: &mut Xml, mailbox: &Mailbox, key: ItemKey) {
    let id = Identifier::Item { mailbox: mailbox.guid, key }.encode();
    let version = mailbox.item(key).map_or(0, |item| item.version);
    xml.empty("t:ItemId", &[("Id", &id), ("ChangeKey", &item_change_key(mailbox.guid, version))]);
}

struct Writer<'a> {
    mailbox: &'a Mailbox,
    item: &'a Item,
    shape: &'a Shape,
    view: View,
    id: String,
    is_attached: bool,
}

// === impl Writer ===

impl Writer<'_> {
    fn write(&self, xml: &mut Xml) {
        let element = format!("t:{}", self.item.content.element());
        xml.open(&element);
        self.identity(xml);
        self.basics(xml);
        self.flags_and_dates(xml);
        self.summary(xml);
        self.state(xml);
        self.newer(xml);
        match self.item.content.element() {
            "PostItem" => self.post(xml),
            _ => self.message(xml),
        }
        xml.close(&element);
    }

    fn wants(&self, field: &str, in_default: bool) -> bool {
        self.shape.wants(field, in_default)
    }

    /// Wanted, and not only in a listing.
    fn wants_whole(&self, field: &str, in_default: bool) -> bool {
        self.view == View::Whole && self.wants(field, in_default)
    }

    /// A text, if it is there and wanted; no shape but `AllProperties` has it.
    fn optional(&self, xml: &mut Xml, prefix: &str, name: &str, text: Option<&str>) {
        if let Some(text) = text.filter(|_| self.wants(&format!("{prefix}:{name}"), false)) {
            xml.text(&format!("t:{name}"), text);
        }
    }

    fn identity(&self, xml: &mut Xml) {
        if self.shape.mime && self.view == View::Whole {
            let mime = STANDARD.encode(self.item.mime());
            xml.text_with("t:MimeContent", &[("CharacterSet", "UTF-8")], &mime);
        }
        let change_key = item_change_key(self.mailbox.guid, self.item.version);
        xml.empty("t:ItemId", &[("Id", &self.id), ("ChangeKey", &change_key)]);
        if self.wants("item:ParentFolderId", false) && !self.is_attached {
            super::folder::id(xml, "t:ParentFolderId", self.mailbox, self.item.folder);
        }
        self.optional(xml, "item", "ItemClass", Some(&self.item.content.class));
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
            self.body(xml, "t:Body", self.shape.body);
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
        self.optional(xml, "item", "InReplyTo", content.in_reply_to.as_deref());
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
        self.headers(xml);
        if let Some(sent) = self.item.content.sent.filter(|_| self.wants("item:DateTimeSent", true)) {
            xml.text("t:DateTimeSent", &instant(sent));
        }
        if self.wants("item:DateTimeCreated", true) {
            xml.text("t:DateTimeCreated", &instant(self.item.created));
        }
    }

    fn headers(&self, xml: &mut Xml) {
        if self.view == View::Listing {
            return;
        }
        let all = self.wants("item:InternetMessageHeaders", false);
        let wants = |name: &str| all || self.shape.headers().any(|wanted| wanted.eq_ignore_ascii_case(name));
        let headers: Vec<_> = self.item.content.headers.iter().filter(|(name, _)| wants(name)).collect();
        if headers.is_empty() {
            return;
        }
        xml.open("t:InternetMessageHeaders");
        for (name, value) in headers {
            xml.text_with("t:InternetMessageHeader", &[("HeaderName", name)], value);
        }
        xml.close("t:InternetMessageHeaders");
    }

    fn summary(&self, xml: &mut Xml) {
        let content = &self.item.content;
        self.optional(xml, "item", "DisplayCc", Some(&people::names(&content.cc)));
        self.optional(xml, "item", "DisplayTo", Some(&people::names(&content.to)));
        if self.wants("item:HasAttachments", true) {
            xml.boolean("t:HasAttachments", content.has_attachments());
        }
        self.shape.extended().for_each(|path| path.write(xml, self.item));
        self.optional(xml, "item", "Culture", Some("en-US"));
    }

    fn state(&self, xml: &mut Xml) {
        if self.wants("item:EffectiveRights", false) {
            rights(xml, false);
        }
        self.optional(xml, "item", "LastModifiedTime", Some(&instant(self.item.modified)));
        if self.wants("item:IsAssociated", false) {
            xml.boolean("t:IsAssociated", false);
        }
        if self.wants("item:ConversationId", false) {
            xml.empty("t:ConversationId", &[("Id", &STANDARD.encode(conversation(self.item)))]);
        }
        // No quoted text is told from new text here: the whole body is unique.
        if self.view == View::Whole && self.shape.names("item:UniqueBody") {
            self.body(xml, "t:UniqueBody", self.shape.body);
        }
    }

    /// What Exchange 2013 added.
    fn newer(&self, xml: &mut Xml) {
        if self.shape.level < Level::Exchange2013 {
            return;
        }
        if self.wants("item:Flag", false) {
            xml.open("t:Flag");
            xml.text("t:FlagStatus", "NotFlagged");
            xml.close("t:Flag");
        }
        self.optional(xml, "item", "InstanceKey", Some(&STANDARD.encode(self.item.key.0.to_be_bytes())));
        if self.view == View::Whole && self.shape.names("item:NormalizedBody") {
            self.body(xml, "t:NormalizedBody", BodyType::Html);
        }
        let text = || text::body_text(&self.item.content);
        if self.wants("item:Preview", false) {
            xml.text("t:Preview", text::cut(&text()));
        }
        if self.wants_whole("item:TextBody", false) {
            xml.text_with("t:TextBody", &[("BodyType", "Text"), ("IsTruncated", "false")], &text());
        }
    }

    fn message(&self, xml: &mut Xml) {
        let content = &self.item.content;
        self.person(xml, "Sender", content.sender.as_ref());
        self.people(xml, "ToRecipients", true, &content.to);
        self.people(xml, "CcRecipients", true, &content.cc);
        self.people(xml, "BccRecipients", true, &content.bcc);
        if self.wants("message:IsReadReceiptRequested", false) {
            xml.boolean("t:IsReadReceiptRequested", content.read_receipt_requested);
        }
        if self.wants("message:IsDeliveryReceiptRequested", false) {
            xml.boolean("t:IsDeliveryReceiptRequested", content.delivery_receipt_requested);
        }
        self.optional(xml, "message", "ConversationIndex", Some(&STANDARD.encode(conversation(self.item))));
        self.optional(xml, "message", "ConversationTopic", content.subject.as_deref());
        self.person(xml, "From", content.from.as_ref());
        self.optional(xml, "message", "InternetMessageId", content.message_id.as_deref());
        if self.wants("message:IsRead", true) {
            xml.boolean("t:IsRead", self.item.is_read);
        }
        self.optional(xml, "message", "References", content.references.as_deref());
        self.people(xml, "ReplyTo", false, &content.reply_to);
    }

    /// Posts have fewer properties, in an order of their own.
    fn post(&self, xml: &mut Xml) {
        let content = &self.item.content;
        self.optional(xml, "message", "ConversationIndex", Some(&STANDARD.encode(conversation(self.item))));
        self.optional(xml, "message", "ConversationTopic", content.subject.as_deref());
        self.person(xml, "From", content.from.as_ref());
        self.optional(xml, "message", "InternetMessageId", content.message_id.as_deref());
        if self.wants("message:IsRead", true) {
            xml.boolean("t:IsRead", self.item.is_read);
        }
        self.optional(xml, "message", "References", content.references.as_deref());
        self.person(xml, "Sender", content.sender.as_ref());
    }

    fn body(&self, xml: &mut Xml, name: &str, wanted: BodyType) {
        let (kind, text) = text::body(&self.item.content, wanted);
        xml.text_with(name, &[("BodyType", kind)], &text);
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
        // The real server leaves the zone out here, and only here.
        xml.text("t:LastModifiedTime", instant(attachment.modified).trim_end_matches('Z'));
        xml.boolean("t:IsInline", attachment.inline);
        if element == "t:FileAttachment" {
            xml.boolean("t:IsContactPhoto", false);
        }
        xml.close(element);
    }
}

/// The subject; an item with the fault has characters in it that XML forbids.
pub fn subject(item: &Item) -> Option<String> {
    let subject = item.content.subject.clone();
    match item.fault {
        Some(ItemFault::IllegalCharacters) => Some(format!("{}\u{0}\u{b}\u{1f}\u{ffff}", subject.unwrap_or_default())),
        _ => subject,
    }
}

/// Writes what the caller may do; contents exist in folders only.
pub fn rights(xml: &mut Xml, in_folder: bool) {
    xml.open("t:EffectiveRights");
    for right in ["CreateAssociated", "CreateContents", "CreateHierarchy"] {
        xml.boolean(&format!("t:{right}"), in_folder);
    }
    for right in ["Delete", "Modify", "Read", "ViewPrivateItems"] {
        xml.boolean(&format!("t:{right}"), true);
    }
    xml.close("t:EffectiveRights");
}

/// Seconds, in UTC, as Exchange writes times.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn conversation(item: &Item) -> Vec<u8> {
    let topic = item.content.subject.as_deref().unwrap_or_default();
    Sha256::digest(topic.trim_start_matches("RE: ").as_bytes()).iter().take(22).copied().collect()
}
