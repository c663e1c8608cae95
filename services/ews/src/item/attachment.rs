//! Attachments, without their content (MS-OXWSATT).

use jiff::Timestamp;

use crate::xml::{Element, Reader, XmlError};

/// What is known of an attachment. Its id becomes invalid when the item changes, is sent or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// File, item or something newer.
    pub kind: AttachmentKind,
    /// Its id.
    pub id: Option<String>,
    /// File name or subject.
    pub name: Option<String>,
    /// Media type.
    pub content_type: Option<String>,
    /// The id that an HTML body refers to it by.
    pub content_id: Option<String>,
    /// Size in bytes, roughly.
    pub size: Option<u64>,
    /// Whether the body shows it.
    pub is_inline: bool,
    /// When it was changed last.
    pub modified: Option<Timestamp>,
}

/// The kind of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentKind {
    /// A file.
    File,
    /// A message or another item.
    Item,
    /// A kind that this version does not know, by its element's name.
    Other(String),
}

impl Attachment {
    fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self, XmlError> {
        let kind = match element.name() {
            "FileAttachment" => AttachmentKind::File,
            "ItemAttachment" => AttachmentKind::Item,
            other => AttachmentKind::Other(other.to_owned()),
        };
        let mut attachment = Self {
            kind,
            id: None,
            name: None,
            content_type: None,
            content_id: None,
            size: None,
            is_inline: false,
            modified: None,
        };
        reader.children(|reader, child| {
            match child.name() {
                "AttachmentId" => attachment.id = child.attribute("Id")?,
                "Name" => attachment.name = reader.string()?,
                "ContentType" => attachment.content_type = reader.string()?,
                "ContentId" => attachment.content_id = reader.string()?,
                "Size" => attachment.size = reader.number(child)?,
                "IsInline" => attachment.is_inline = reader.boolean(child)?.unwrap_or_default(),
                "LastModifiedTime" => attachment.modified = reader.instant(child)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(attachment)
    }

    pub(super) fn read_list(reader: &mut Reader<'_>, attachments: &mut Vec<Self>) -> Result<(), XmlError> {
        reader.children(|reader, element| {
            attachments.push(Self::read(reader, element)?);
            Ok(())
        })
    }
}
