//! Identifiers: opaque, case-sensitive, up to some 500 characters.

use crate::xml::{Element, Writer, XmlError};

/// An item and the version of it that was seen. The id changes whenever the item moves to another folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemId {
    /// The item.
    pub id: String,
    /// Its version; not needed to read it.
    pub change_key: Option<String>,
}

/// A folder. The id survives moving and renaming it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FolderId {
    /// The folder.
    pub id: String,
    /// Its version.
    pub change_key: Option<String>,
}

/// A way to name a folder in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FolderRef {
    /// By what it is for; never by name, because names are localised and people edit them.
    Distinguished(Distinguished),
    /// By its id.
    Id(FolderId),
}

/// Folders that every mailbox has (MS-OXWSCDATA, DistinguishedFolderIdNameType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distinguished {
    /// The Inbox.
    Inbox,
    /// Drafts.
    Drafts,
    /// Sent Items.
    SentItems,
    /// Outbox.
    Outbox,
    /// Deleted Items.
    DeletedItems,
    /// Junk Email.
    JunkEmail,
    /// The calendar.
    Calendar,
    /// Contacts.
    Contacts,
    /// Tasks.
    Tasks,
    /// The parent of the folders that people see.
    MessageFolderRoot,
    /// The root of the mailbox.
    Root,
}

// === impl ItemId ===

impl ItemId {
    /// An item whatever its version.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), change_key: None }
    }

    pub(crate) fn read(element: &Element<'_>) -> Result<Self, XmlError> {
        Ok(Self { id: element.required("Id")?, change_key: element.attribute("ChangeKey")? })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        write(writer, "t:ItemId", &self.id, self.change_key.as_deref());
    }
}

impl AsRef<str> for ItemId {
    fn as_ref(&self) -> &str {
        &self.id
    }
}

// === impl FolderId ===

impl FolderId {
    /// A folder whatever its version.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), change_key: None }
    }

    pub(crate) fn read(element: &Element<'_>) -> Result<Self, XmlError> {
        Ok(Self { id: element.required("Id")?, change_key: element.attribute("ChangeKey")? })
    }
}

// === impl FolderRef ===

impl FolderRef {
    /// The Inbox.
    pub const INBOX: Self = Self::Distinguished(Distinguished::Inbox);

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Distinguished(folder) => writer.empty("t:DistinguishedFolderId", &[("Id", folder.as_str())]),
            Self::Id(folder) => write(writer, "t:FolderId", &folder.id, folder.change_key.as_deref()),
        }
    }
}

impl From<Distinguished> for FolderRef {
    fn from(folder: Distinguished) -> Self {
        Self::Distinguished(folder)
    }
}

impl From<FolderId> for FolderRef {
    fn from(folder: FolderId) -> Self {
        Self::Id(folder)
    }
}

// === impl Distinguished ===

impl Distinguished {
    /// The name as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Drafts => "drafts",
            Self::SentItems => "sentitems",
            Self::Outbox => "outbox",
            Self::DeletedItems => "deleteditems",
            Self::JunkEmail => "junkemail",
            Self::Calendar => "calendar",
            Self::Contacts => "contacts",
            Self::Tasks => "tasks",
            Self::MessageFolderRoot => "msgfolderroot",
            Self::Root => "root",
        }
    }
}

fn write(writer: &mut Writer, name: &str, id: &str, change_key: Option<&str>) {
    match change_key {
        Some(key) => writer.empty(name, &[("Id", id), ("ChangeKey", key)]),
        None => writer.empty(name, &[("Id", id)]),
    }
}
