//! Ids, change keys and synchronisation states: opaque to clients, checked when they come back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Cursor, FolderKey, ItemKey};

const ITEM: [u8; 4] = [0x00, 0x03, 0x24, 0x00];
const FOLDER: [u8; 4] = [0x01, 0x03, 0x24, 0x00];
const ATTACHMENT: [u8; 4] = [0x01, 0x12, 0x00, 0x10];
const STATE: [u8; 4] = [0x1f, 0x8b, 0x08, 0x00];
const GUID_LENGTH: usize = 36;

/// What an id stands for. The mailbox is part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identifier {
    Item { mailbox: Uuid, key: ItemKey },
    Folder { mailbox: Uuid, key: FolderKey },
    Attachment { mailbox: Uuid, item: ItemKey, key: [u8; 16] },
}

/// A synchronisation state: bound to mailbox and folder. Folder 0 with `hierarchy` is a hierarchy asked for without a
/// root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyncState {
    pub mailbox: Uuid,
    pub hierarchy: bool,
    pub folder: FolderKey,
    pub cursor: Cursor,
}

// === impl Identifier ===

impl Identifier {
    pub fn encode(self) -> String {
        let (kind, mailbox, key, attachment) = match self {
            Self::Item { mailbox, key } => (ITEM, mailbox, key.0, None),
            Self::Folder { mailbox, key } => (FOLDER, mailbox, key.0, None),
            Self::Attachment { mailbox, item, key } => (ITEM, mailbox, item.0, Some(key)),
        };
        let mut bytes = kind.to_vec();
        bytes.extend_from_slice(mailbox.hyphenated().to_string().as_bytes());
        bytes.extend_from_slice(&[0x00, 0x46, 0x00, 0x00]);
        bytes.extend_from_slice(&key.to_be_bytes());
        if let Some(attachment) = attachment {
            bytes.extend_from_slice(&ATTACHMENT);
            bytes.extend_from_slice(&attachment);
        }
        sealed(bytes)
    }

    /// None if the text is no id that was ever given out: damaged, cut, or its case folded.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = opened(text)?;
        let (kind, rest) = bytes.split_first_chunk::<4>()?;
        let (guid, rest) = rest.split_first_chunk::<GUID_LENGTH>()?;
        let mailbox = Uuid::try_parse_ascii(guid).ok()?;
        let (key, rest) = rest.get(4..)?.split_first_chunk::<8>()?;
        let key = u64::from_be_bytes(*key);
        match (*kind, rest) {
            (ITEM, []) => Some(Self::Item { mailbox, key: ItemKey(key) }),
            (FOLDER, []) => Some(Self::Folder { mailbox, key: FolderKey(key) }),
            (ITEM, _) => {
                let attachment = rest.strip_prefix(&ATTACHMENT)?.try_into().ok()?;
                Some(Self::Attachment { mailbox, item: ItemKey(key), key: attachment })
            }
            _ => None,
        }
    }
}

// === impl SyncState ===

impl SyncState {
    pub fn encode(self) -> String {
        let mut bytes = STATE.to_vec();
        bytes.extend_from_slice(self.mailbox.as_bytes());
        bytes.push(u8::from(self.hierarchy));
        for number in [self.folder.0, self.cursor.high, self.cursor.low.unwrap_or(0)] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.push(u8::from(self.cursor.low.is_some()));
        sealed(bytes)
    }

    pub fn decode(text: &str) -> Option<Self> {
        let bytes = opened(text)?;
        let (mailbox, rest) = bytes.strip_prefix(&STATE)?.split_first_chunk::<16>()?;
        let (hierarchy, rest) = rest.split_first()?;
        let (folder, rest) = rest.split_first_chunk::<8>()?;
        let (high, rest) = rest.split_first_chunk::<8>()?;
        let (low, rest) = rest.split_first_chunk::<8>()?;
        let [partial] = rest else { return None };
        let low = (*partial == 1).then_some(u64::from_be_bytes(*low));
        Some(Self {
            mailbox: Uuid::from_bytes(*mailbox),
            hierarchy: *hierarchy == 1,
            folder: FolderKey(u64::from_be_bytes(*folder)),
            cursor: Cursor { high: u64::from_be_bytes(*high), low },
        })
    }
}

/// The change key of a version of an item.
pub fn item_change_key(mailbox: Uuid, version: u64) -> String {
    change_key([0x09, 0, 0, 0, 0x16, 0, 0, 0], mailbox, version)
}

/// The change key of a version of a folder.
pub fn folder_change_key(mailbox: Uuid, version: u64) -> String {
    change_key([0x01, 0, 0, 0, 0x16, 0, 0, 0], mailbox, version)
}

fn change_key(kind: [u8; 8], mailbox: Uuid, version: u64) -> String {
    let mut bytes = kind.to_vec();
    bytes.extend(mailbox.as_bytes().iter().take(8));
    bytes.extend_from_slice(&version.to_be_bytes());
    STANDARD.encode(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> String {
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest.iter().take(4));
    STANDARD.encode(bytes)
}

fn opened(text: &str) -> Option<Vec<u8>> {
    let mut bytes = STANDARD.decode(text).ok()?;
    let seal = bytes.split_off(bytes.len().checked_sub(4)?);
    Sha256::digest(&bytes).iter().take(4).eq(seal.iter()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_and_nothing_else_does() {
        let mailbox = Uuid::new_v4();
        for id in [
            Identifier::Item { mailbox, key: ItemKey(7) },
            Identifier::Folder { mailbox, key: FolderKey(7) },
            Identifier::Attachment { mailbox, item: ItemKey(7), key: [9; 16] },
        ] {
            let text = id.encode();
            assert_eq!(Identifier::decode(&text), Some(id));
            for bad in [text.to_lowercase(), text[..text.len() - 4].to_owned(), String::new(), "DUMMY".to_owned()] {
                assert_eq!(Identifier::decode(&bad), None, "{bad}");
            }
        }
        let cursor = Cursor { high: 12, low: Some(4) };
        let state = SyncState { mailbox, hierarchy: false, folder: FolderKey(3), cursor };
        assert_eq!(SyncState::decode(&state.encode()), Some(state));
        assert_eq!(SyncState::decode("H4sIAAAAAAAEAO=="), None);
    }
}
