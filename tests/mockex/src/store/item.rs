//! An item: what the message says, and what the mailbox knows about it.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::FolderKey;
use crate::content::{self, Content};
use crate::fault::ItemFault;
use crate::shape::extended::Extended;

/// Identifies an item within its mailbox, until it is moved.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ItemKey(pub u64);

#[derive(Clone, Debug)]
pub struct Item {
    pub key: ItemKey,
    pub folder: FolderKey,
    /// What the change key stands for.
    pub version: u64,
    pub content: Content,
    /// None for drafts.
    pub received: Option<Timestamp>,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub is_read: bool,
    pub is_draft: bool,
    pub categories: Vec<String>,
    pub extended: Vec<Extended>,
    /// Survives moves (PidTagSearchKey).
    pub search_key: [u8; 16],
    pub fault: Option<ItemFault>,
}

// === impl Item ===

impl Item {
    /// An unread item as the transport delivers it.
    pub fn delivered(content: Content, received: Timestamp, now: Timestamp) -> Self {
        Self {
            key: ItemKey(0),
            folder: FolderKey(0),
            version: 0,
            content,
            received: Some(received),
            created: now,
            modified: now,
            is_read: false,
            is_draft: false,
            categories: Vec::new(),
            extended: Vec::new(),
            search_key: *Uuid::new_v4().as_bytes(),
            fault: None,
        }
    }

    /// A message that is being written.
    pub fn draft(content: Content, now: Timestamp) -> Self {
        Self { received: None, is_draft: true, ..Self::delivered(content, now, now) }
    }

    /// The item as MIME, with what was changed since the MIME came in.
    pub fn mime(&self) -> Bytes {
        let is_changed = self.is_draft || self.content.attachments.iter().any(|attachment| !attachment.is_in_mime);
        if is_changed { content::amend(&self.content) } else { self.content.to_mime() }
    }

    /// Sets a property of MAPI; those that a message has by another name too are set by both.
    pub fn set_extended(&mut self, property: Extended) {
        self.extended.retain(|stored| !stored.path.names_same(&property.path));
        let text = || property.values.first().cloned().filter(|text| !text.is_empty());
        match property.path.tag() {
            Some(0x1035) => self.content.message_id = text(),
            Some(0x1039) => self.content.references = text(),
            Some(0x1042) => self.content.in_reply_to = text(),
            _ => {}
        }
        self.extended.push(property);
    }
}
