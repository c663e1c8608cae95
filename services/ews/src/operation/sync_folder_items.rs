//! SyncFolderItems: what changed in a folder since a state (MS-OXWSSYNC, SyncFolderItems).

use jiff::Timestamp;

use crate::{
    FolderRef, Item, ItemId, ItemShape, Operation,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer, XmlError},
};

/// The most changes that one page holds.
pub const PAGE: u32 = 512;

/// Asks for one page of changes.
#[derive(Clone, Debug)]
pub struct SyncFolderItems {
    /// The folder. A state belongs to one mailbox and folder.
    pub folder: FolderRef,
    /// The state of the page before; none asks for everything.
    pub state: Option<String>,
    /// What comes with each change; bodies, attachments and recipients cannot.
    pub shape: ItemShape,
    /// Items to leave out.
    pub ignore: Vec<ItemId>,
    /// The most changes to answer with: 1 to 512.
    pub limit: u32,
}

/// A page of changes, and the state after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// To be stored even if there are no changes, and in one step with what became of the changes.
    pub state: String,
    /// Whether no page follows for now.
    pub is_last: bool,
    /// The changes, in the server's order.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An item appeared: it is new, was moved here, or the whole folder is listed.
    Create(Arrival),
    /// An item was changed.
    Update(Arrival),
    /// An item is gone.
    Delete(ItemId),
    /// An item was marked as read or unread.
    ReadFlag {
        /// The item.
        id: ItemId,
        /// Whether it is read now.
        is_read: bool,
    },
    /// A kind of change that this version does not know.
    Unknown {
        /// Its element.
        kind: String,
        /// The item, if it names one.
        id: Option<ItemId>,
    },
}

/// An item that appeared or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The item.
    pub id: ItemId,
    /// The element's name: `Message`, `MeetingRequest`, `PostItem` and so on.
    pub kind: String,
    /// Its item class, if asked for.
    pub class: Option<String>,
    /// Its message id, if asked for; some messages have none.
    pub message_id: Option<String>,
    /// When it was delivered to this mailbox, if asked for and readable.
    pub received: Option<Timestamp>,
    /// Its categories, if asked for.
    pub categories: Vec<String>,
}

/// A page as it is read.
#[derive(Default)]
struct Partial {
    state: String,
    is_last: Option<bool>,
    changes: Vec<Change>,
}

impl SyncFolderItems {
    /// Asks for ids, classes, message ids and arrival times of what changed.
    #[must_use]
    pub fn since(folder: impl Into<FolderRef>, state: Option<String>) -> Self {
        Self { folder: folder.into(), state, shape: ItemShape::arrivals(), ignore: Vec::new(), limit: PAGE }
    }
}

impl Operation for SyncFolderItems {
    const NAME: &'static str = "SyncFolderItems";
    const IS_SHORT: bool = true;
    type Response = ChangePage;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:SyncFolderItems", &[], |writer| {
            self.shape.write(writer);
            writer.element("m:SyncFolderId", &[], |writer| self.folder.write(writer));
            if let Some(state) = self.state.as_deref().filter(|state| !state.is_empty()) {
                writer.text("m:SyncState", state);
            }
            if !self.ignore.is_empty() {
                writer.element("m:Ignore", &[], |writer| self.ignore.iter().for_each(|id| id.write(writer)));
            }
            writer.text("m:MaxChangesReturned", &self.limit.clamp(1, PAGE).to_string());
            writer.text("m:SyncScope", "NormalItems");
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<ChangePage, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |page: &mut Partial, reader, part| {
            match part.key() {
                (Namespace::Messages, "SyncState") => reader.text()?.trim().clone_into(&mut page.state),
                (Namespace::Messages, "IncludesLastItemInRange") => page.is_last = reader.boolean(part)?,
                (Namespace::Messages, "Changes") => reader.children(|reader, change| {
                    page.changes.push(Change::read(reader, change)?);
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        let page = response::single(answers)?;
        if page.state.is_empty() {
            // Storing an empty state would list the whole folder again.
            return Err(XmlError::Unexpected("a page of changes without a state".to_owned()).into());
        }
        Ok(ChangePage { state: page.state, is_last: page.is_last.unwrap_or(true), changes: page.changes })
    }
}

impl Change {
    /// The item it is about.
    #[must_use]
    pub fn id(&self) -> Option<&ItemId> {
        match self {
            Self::Create(arrival) | Self::Update(arrival) => Some(&arrival.id),
            Self::Delete(id) | Self::ReadFlag { id, .. } => Some(id),
            Self::Unknown { id, .. } => id.as_ref(),
        }
    }

    /// A known change without its item fails the page: passing over it would lose an item unseen.
    fn read(reader: &mut Reader<'_>, change: &Element<'_>) -> Result<Self, XmlError> {
        let mut id = None;
        let mut is_read = None;
        let mut item = None;
        reader.children(|reader, child| {
            match child.key() {
                (Namespace::Types, "ItemId") => id = Some(ItemId::read(child)?),
                (Namespace::Types, "IsRead") => is_read = reader.boolean(child)?,
                (Namespace::Types, _) => item = Some(Item::read(reader, child)?),
                _ => {}
            }
            Ok(())
        })?;
        // An unreadable value of one item must not fail the page: GetItem meets it again, for that item alone.
        reader.take_defect();
        let kind = change.name();
        let missing = || XmlError::Unexpected(format!("a change {kind} without its item"));
        match kind {
            "Create" => Arrival::of(item).ok_or_else(missing).map(Self::Create),
            "Update" => Arrival::of(item).ok_or_else(missing).map(Self::Update),
            "Delete" => id.ok_or_else(missing).map(Self::Delete),
            "ReadFlagChange" => {
                Ok(Self::ReadFlag { id: id.ok_or_else(missing)?, is_read: is_read.ok_or_else(missing)? })
            }
            _ => Ok(Self::Unknown { kind: kind.to_owned(), id: id.or_else(|| item.and_then(|item| item.id)) }),
        }
    }
}

impl Arrival {
    fn of(item: Option<Item>) -> Option<Self> {
        let item = item?;
        let message_id = item.internet_message_id.clone().filter(|id| !id.trim().is_empty());
        let Item { id, kind, class, received, categories, .. } = item;
        Some(Self { id: id?, kind, class, message_id, received, categories })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Known, operation::answer, reference};

    fn request() -> SyncFolderItems {
        SyncFolderItems::since(FolderRef::INBOX, None)
    }

    #[test]
    fn a_new_state_comes_even_without_changes() {
        let Some(text) = reference::sample("022-syncfolderitems-nochange.resp.xml") else { return };
        let page = answer(&request(), &text).unwrap().unwrap();
        assert!(page.state.starts_with("H4sIAAAAAAAEAOBNHo8O8aJQ4o7") && page.is_last && page.changes.is_empty());
    }

    #[test]
    fn reads_changes() {
        let Some(text) = reference::sample("025-syncfolderitems-calendar-ignore.resp.xml") else { return };
        let page = answer(&request(), &text).unwrap().unwrap();
        assert!(matches!(&page.changes[0], Change::Update(arrival) if arrival.kind == "CalendarItem"));
        assert!(matches!(&page.changes[1], Change::Delete(_)));
    }

    #[test]
    fn a_vanished_folder_is_an_error() {
        let Some(text) = reference::sample("024-syncfolderitems-folder-gone.resp.xml") else { return };
        let Err(ReadError::Response(error)) = answer(&request(), &text) else { panic!("no error") };
        assert_eq!((error.code.known(), error.class()), (Some(Known::ErrorSyncFolderNotFound), Class::Resync));
    }

    #[test]
    fn throttling_inside_an_internal_error_is_throttling() {
        let Some(text) = reference::sample("155-response-internal-inner-busy.resp.xml") else { return };
        let Err(ReadError::Response(error)) = answer(&request(), &text) else { panic!("no error") };
        assert_eq!((error.class(), error.back_off().unwrap().as_secs()), (Class::Throttled, 30));
    }

    fn page(changes: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
             xmlns:m='http://schemas.microsoft.com/exchange/services/2006/messages' \
             xmlns:t='http://schemas.microsoft.com/exchange/services/2006/types'><s:Body><m:SyncFolderItemsResponse>\
             <m:ResponseMessages><m:SyncFolderItemsResponseMessage ResponseClass='Success'><m:ResponseCode>NoError\
             </m:ResponseCode><m:SyncState>S2</m:SyncState><m:IncludesLastItemInRange>false</m:IncludesLastItemInRange>\
             <m:Changes>{changes}</m:Changes></m:SyncFolderItemsResponseMessage></m:ResponseMessages>\
             </m:SyncFolderItemsResponse></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn reads_every_kind_of_change() {
        let text = page(
            "<t:Create><t:Message><t:ItemId Id='a' ChangeKey='k'/><t:DateTimeReceived>2016-03-01T08:15:30Z</t:DateTimeReceived>\
             </t:Message></t:Create><t:Create><t:FutureItem><t:ItemId Id='b'/><t:DateTimeReceived>soon</t:DateTimeReceived>\
             </t:FutureItem></t:Create><t:Delete><t:ItemId Id='c'/></t:Delete><t:ReadFlagChange><t:ItemId Id='d'/><t:IsRead>true\
             </t:IsRead></t:ReadFlagChange><t:Rename><t:Message><t:ItemId Id='e'/></t:Message></t:Rename>",
        );
        let page = answer(&request(), &text).unwrap().unwrap();
        assert!(!page.is_last);
        let Change::Create(first) = &page.changes[0] else { panic!("no Create") };
        assert_eq!(first.received.unwrap().to_string(), "2016-03-01T08:15:30Z");
        assert_eq!((first.id.id.as_str(), first.id.change_key.as_deref()), ("a", Some("k")));
        assert!(
            matches!(&page.changes[1], Change::Create(arrival) if arrival.kind == "FutureItem" && arrival.received.is_none())
        );
        assert_eq!(page.changes[3], Change::ReadFlag { id: ItemId::new("d"), is_read: true });
        let ids: Vec<&str> = page.changes.iter().map(|change| change.id().unwrap().as_ref()).collect();
        assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_change_without_its_item_fails_the_page() {
        for change in [
            "<t:Create><t:Message/></t:Create>",
            "<t:Create/>",
            "<t:Delete/>",
            "<t:ReadFlagChange><t:ItemId Id='d'/></t:ReadFlagChange>",
        ] {
            assert!(
                matches!(answer(&request(), &page(change)), Err(ReadError::Xml(XmlError::Unexpected(_)))),
                "{change}"
            );
        }
    }
}
