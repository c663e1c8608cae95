//! A folder.

use super::ChangeLog;

/// Identifies a folder within its mailbox; kept when it moves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FolderKey(pub u64);

#[derive(Debug)]
pub struct Folder {
    pub key: FolderKey,
    pub parent: Option<FolderKey>,
    pub name: String,
    pub class: String,
    pub distinguished: Option<&'static str>,
    pub version: u64,
    pub unread: usize,
    pub log: ChangeLog,
}

/// The folders every mailbox has: distinguished id, its parent's, display name, class.
pub const STANDARD: &[(&str, Option<&str>, &str, &str)] = &[
    ("root", None, "Root", ""),
    ("msgfolderroot", Some("root"), "Top of Information Store", "IPF.Note"),
    ("inbox", Some("msgfolderroot"), "Inbox", "IPF.Note"),
    ("drafts", Some("msgfolderroot"), "Drafts", "IPF.Note"),
    ("sentitems", Some("msgfolderroot"), "Sent Items", "IPF.Note"),
    ("deleteditems", Some("msgfolderroot"), "Deleted Items", "IPF.Note"),
    ("outbox", Some("msgfolderroot"), "Outbox", "IPF.Note"),
    ("junkemail", Some("msgfolderroot"), "Junk E-Mail", "IPF.Note"),
    ("calendar", Some("msgfolderroot"), "Calendar", "IPF.Appointment"),
    ("contacts", Some("msgfolderroot"), "Contacts", "IPF.Contact"),
    ("tasks", Some("msgfolderroot"), "Tasks", "IPF.Task"),
    ("notes", Some("msgfolderroot"), "Notes", "IPF.StickyNote"),
    ("journal", Some("msgfolderroot"), "Journal", "IPF.Journal"),
    ("searchfolders", Some("root"), "Finder", "IPF.Note"),
    ("recoverableitemsroot", Some("root"), "Recoverable Items", "IPF.Note"),
    ("recoverableitemsdeletions", Some("recoverableitemsroot"), "Deletions", "IPF.Note"),
    ("recoverableitemspurges", Some("recoverableitemsroot"), "Purges", "IPF.Note"),
];

// === impl Folder ===

impl Folder {
    pub fn new(
        key: FolderKey,
        parent: Option<FolderKey>,
        name: &str,
        class: &str,
        distinguished: Option<&'static str>,
        version: u64,
    ) -> Self {
        let (name, class) = (name.to_owned(), class.to_owned());
        Self { key, parent, name, class, distinguished, version, unread: 0, log: ChangeLog::default() }
    }

    /// The element that stands for folders of this class.
    pub fn element(&self) -> &'static str {
        let is =
            |class: &str| self.class.strip_prefix(class).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if is("IPF.Appointment") {
            "CalendarFolder"
        } else if is("IPF.Contact") {
            "ContactsFolder"
        } else if is("IPF.Task") {
            "TasksFolder"
        } else {
            "Folder"
        }
    }
}
