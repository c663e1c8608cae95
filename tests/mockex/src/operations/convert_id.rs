//! ConvertId (MS-OXWSCVTID), between the ids of EWS and entry ids in base64 or hexadecimal.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use uuid::Uuid;

use super::response::Failure;
use super::{Call, response, target};
use crate::soap::{Element, Xml};
use crate::store::{FolderKey, Identifier, ItemKey};

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// `eitLTPrivateFolder` and `eitLTPrivateMessage` (MS-OXCDATA, entry ids), little endian.
const FOLDER: [u8; 2] = [0x01, 0x00];
const MESSAGE: [u8; 2] = [0x07, 0x00];

/// The formats that are converted. What Outlook on the web and the store use inside, and the ids of 2007, are not known.
#[derive(Clone, Copy, Debug)]
enum Format {
    Ews,
    Entry,
    HexEntry,
}

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let ids = target::list(operation, "SourceIds");
    let name = operation.attribute("DestinationFormat").unwrap_or_default();
    response::batch(call, "ConvertId", "", &ids, |source| {
        let malformed = || Failure::new("ErrorInvalidIdMalformed");
        let from = source.attribute("Format").and_then(Format::of).ok_or_else(malformed)?;
        let id = from.read(source.attribute("Id").unwrap_or_default()).ok_or_else(malformed)?;
        let id = Format::of(name).and_then(|to| to.write(id)).ok_or_else(|| Failure::new("ErrorInvalidOperation"))?;
        let mailbox = source.attribute("Mailbox").unwrap_or_default();
        let mut xml = Xml::new();
        let attributes = [
            ("xmlns:xsi", INSTANCE),
            ("xsi:type", "t:AlternateIdType"),
            ("Format", name),
            ("Id", &id),
            ("Mailbox", mailbox),
        ];
        xml.empty("m:AlternateId", &attributes);
        Ok(xml.into_string())
    })
}

// === impl Format ===

impl Format {
    fn of(name: &str) -> Option<Self> {
        match name {
            "EwsId" => Some(Self::Ews),
            "EntryId" => Some(Self::Entry),
            "HexEntryId" => Some(Self::HexEntry),
            _ => None,
        }
    }

    fn read(self, text: &str) -> Option<Identifier> {
        match self {
            Self::Ews => Identifier::decode(text).filter(|id| !matches!(id, Identifier::Attachment { .. })),
            Self::Entry => from_entry(&STANDARD.decode(text).ok()?),
            Self::HexEntry => {
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
                let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
                from_entry(&pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?)
            }
        }
    }

    /// None for attachments, which have no entry id.
    fn write(self, id: Identifier) -> Option<String> {
        Some(match self {
            Self::Ews => id.encode(),
            Self::Entry => STANDARD.encode(to_entry(id)?),
            Self::HexEntry => to_entry(id)?.iter().fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _written = write!(text, "{byte:02X}");
                text
            }),
        })
    }
}

/// 46 bytes for a folder, 70 for a message, as MS-OXCDATA lays them out; the folder's part of a message's is empty here.
fn to_entry(id: Identifier) -> Option<Vec<u8>> {
    let (kind, mailbox, key) = match id {
        Identifier::Folder { mailbox, key } => (FOLDER, mailbox, key.0),
        Identifier::Item { mailbox, key } => (MESSAGE, mailbox, key.0),
        Identifier::Attachment { .. } => return None,
    };
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(mailbox.as_bytes());
    bytes.extend_from_slice(&kind);
    if kind == MESSAGE {
        bytes.extend_from_slice(&[0; 24]);
    }
    bytes.extend_from_slice(mailbox.as_bytes());
    bytes.extend(key.to_be_bytes().iter().skip(2));
    bytes.extend_from_slice(&[0; 2]);
    Some(bytes)
}

fn from_entry(bytes: &[u8]) -> Option<Identifier> {
    let mailbox = Uuid::from_slice(bytes.get(4..20)?).ok()?;
    let (counter, _) = bytes.get(bytes.len().checked_sub(8)?..)?.split_first_chunk::<6>()?;
    let key = counter.iter().fold(0, |key, byte| (key << 8) | u64::from(*byte));
    let ids = [Identifier::Folder { mailbox, key: FolderKey(key) }, Identifier::Item { mailbox, key: ItemKey(key) }];
    ids.into_iter().find(|id| to_entry(*id).as_deref() == Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_there_and_back() {
        let mailbox = Uuid::new_v4();
        for (id, length) in [
            (Identifier::Folder { mailbox, key: FolderKey(7) }, 46),
            (Identifier::Item { mailbox, key: ItemKey(7_000_000) }, 70),
        ] {
            let texts =
                [Format::Ews, Format::Entry, Format::HexEntry].map(|format| (format, format.write(id).unwrap()));
            assert_eq!(texts[2].1.len(), 2 * length);
            for (format, text) in texts {
                assert_eq!(format.read(&text), Some(id), "{format:?}");
                assert_eq!(format.read(&text[..text.len() - 4]), None, "{format:?}");
            }
        }
    }

    #[test]
    fn an_id_is_not_taken_for_one_of_another_format() {
        let id = Identifier::Item { mailbox: Uuid::new_v4(), key: ItemKey(1) };
        let (ews, entry) = (Format::Ews.write(id).unwrap(), Format::Entry.write(id).unwrap());
        assert_eq!((Format::Ews.read(&entry), Format::Entry.read(&ews)), (None, None));
        assert_eq!(Format::HexEntry.read("+1é"), None);
    }
}
