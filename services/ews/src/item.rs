//! Items, as answers describe them (MS-OXWSMSG, MS-OXWSMTGS, MS-OXWSCORE).

use jiff::Timestamp;

use crate::{
    FolderId, ItemId,
    xml::{Element, Namespace, Reader, XmlError},
};

mod attachment;
mod party;
mod property;

pub use attachment::{Attachment, AttachmentKind};
pub use party::Party;
pub use property::ExtendedProperty;

/// An item. Only what was asked for is there; properties that are absent on the server are absent here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The element's name, which tells the kind: `Message`, `MeetingRequest`, `PostItem`, or one that is newer than this.
    pub kind: String,
    /// Its id.
    pub id: Option<ItemId>,
    /// The folder it is in.
    pub parent: Option<FolderId>,
    /// Its class, such as `IPM.Note` or `REPORT.IPM.Note.NDR`.
    pub class: Option<String>,
    /// The message as MIME (RFC 5322), decoded.
    pub mime: Option<Vec<u8>>,
    /// The subject; empty and absent are different.
    pub subject: Option<String>,
    /// `Normal`, `Personal`, `Private` or `Confidential`.
    pub sensitivity: Option<String>,
    /// `Low`, `Normal` or `High`.
    pub importance: Option<String>,
    /// The body.
    pub body: Option<Body>,
    /// Attachments, without their content.
    pub attachments: Vec<Attachment>,
    /// Whether there are attachments besides inline ones.
    pub has_attachments: Option<bool>,
    /// When it was delivered to this mailbox.
    pub received: Option<Timestamp>,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was changed last.
    pub modified: Option<Timestamp>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Categories.
    pub categories: Vec<String>,
    /// Whether it is an unsent draft.
    pub is_draft: Option<bool>,
    /// Whether it was read.
    pub is_read: Option<bool>,
    /// Headers of the message as name and value, in order.
    pub headers: Vec<(String, String)>,
    /// The message id, usually in angle brackets.
    pub internet_message_id: Option<String>,
    /// The message id it replies to.
    pub in_reply_to: Option<String>,
    /// The message ids of its thread, as one text.
    pub references: Option<String>,
    /// Outlook's position in the thread.
    pub conversation_index: Option<Vec<u8>>,
    /// The thread's subject.
    pub conversation_topic: Option<String>,
    /// Exchange's id of the thread.
    pub conversation_id: Option<String>,
    /// The author.
    pub from: Option<Party>,
    /// Who sent it, possibly on behalf of the author.
    pub sender: Option<Party>,
    /// Recipients.
    pub to: Vec<Party>,
    /// Recipients of copies.
    pub cc: Vec<Party>,
    /// Recipients of blind copies; known of sent messages only.
    pub bcc: Vec<Party>,
    /// Where replies go.
    pub reply_to: Vec<Party>,
    /// MAPI properties that were asked for.
    pub extended: Vec<ExtendedProperty>,
}

/// The body of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Whether it is HTML; plain text otherwise.
    pub is_html: bool,
    /// The text.
    pub text: String,
}

// === impl Item ===

impl Item {
    pub(crate) fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self, XmlError> {
        let mut item = Self { kind: element.name().to_owned(), ..Self::default() };
        reader.children(|reader, child| {
            if child.namespace() != Namespace::Types {
                return Ok(());
            }
            if item.read_core(reader, child)? || item.read_times(reader, child)? {
                return Ok(());
            }
            item.read_message(reader, child)
        })?;
        Ok(item)
    }

    /// Reads the items of a list such as `m:Items`.
    pub(crate) fn read_list(reader: &mut Reader<'_>, items: &mut Vec<Self>) -> Result<(), XmlError> {
        reader.children(|reader, element| {
            items.push(Self::read(reader, element)?);
            Ok(())
        })
    }

    fn read_core(&mut self, reader: &mut Reader<'_>, child: &Element<'_>) -> Result<bool, XmlError> {
        match child.name() {
            "ItemId" => self.id = Some(ItemId::read(child)?),
            "ParentFolderId" => self.parent = Some(FolderId::read(child)?),
            "ItemClass" => self.class = reader.string()?,
            "MimeContent" => self.mime = reader.base64(child)?,
            "Subject" => self.subject = reader.string()?,
            "Sensitivity" => self.sensitivity = reader.string()?,
            "Importance" => self.importance = reader.string()?,
            "Body" => {
                let is_html = child.attribute("BodyType")?.is_some_and(|kind| kind.eq_ignore_ascii_case("html"));
                self.body = Some(Body { is_html, text: reader.text()?.into_owned() });
            }
            "Attachments" => Attachment::read_list(reader, &mut self.attachments)?,
            "HasAttachments" => self.has_attachments = reader.boolean(child)?,
            "Size" => self.size = reader.number(child)?,
            "Categories" => strings(reader, &mut self.categories)?,
            "IsDraft" => self.is_draft = reader.boolean(child)?,
            "InReplyTo" => self.in_reply_to = reader.string()?,
            "InternetMessageHeaders" => headers(reader, &mut self.headers)?,
            "ConversationId" => self.conversation_id = child.attribute("Id")?,
            "ExtendedProperty" => self.extended.push(ExtendedProperty::read(reader)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn read_times(&mut self, reader: &mut Reader<'_>, child: &Element<'_>) -> Result<bool, XmlError> {
        let field = match child.name() {
            "DateTimeReceived" => &mut self.received,
            "DateTimeSent" => &mut self.sent,
            "DateTimeCreated" => &mut self.created,
            "LastModifiedTime" => &mut self.modified,
            _ => return Ok(false),
        };
        *field = reader.instant(child)?;
        Ok(true)
    }

    fn read_message(&mut self, reader: &mut Reader<'_>, child: &Element<'_>) -> Result<(), XmlError> {
        match child.name() {
            "From" => self.from = Party::read_one(reader)?,
            "Sender" => self.sender = Party::read_one(reader)?,
            "ToRecipients" => Party::read_list(reader, &mut self.to)?,
            "CcRecipients" => Party::read_list(reader, &mut self.cc)?,
            "BccRecipients" => Party::read_list(reader, &mut self.bcc)?,
            "ReplyTo" => Party::read_list(reader, &mut self.reply_to)?,
            "IsRead" => self.is_read = reader.boolean(child)?,
            "InternetMessageId" => self.internet_message_id = reader.string()?,
            "References" => self.references = reader.string()?,
            "ConversationIndex" => self.conversation_index = reader.base64(child)?,
            "ConversationTopic" => self.conversation_topic = reader.string()?,
            _ => {}
        }
        Ok(())
    }
}

fn strings(reader: &mut Reader<'_>, texts: &mut Vec<String>) -> Result<(), XmlError> {
    reader.children(|reader, _| {
        texts.push(reader.text()?.into_owned());
        Ok(())
    })
}

fn headers(reader: &mut Reader<'_>, headers: &mut Vec<(String, String)>) -> Result<(), XmlError> {
    reader.children(|reader, header| {
        let name = header.attribute("HeaderName")?.unwrap_or_default();
        headers.push((name, reader.text()?.into_owned()));
        Ok(())
    })
}
