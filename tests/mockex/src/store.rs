//! Mailboxes in memory: folders, items, and a log of changes for each folder.
//!
//! Delivery costs the same however full a folder is; a page of a synchronisation costs what it returns.

pub mod change_log;
pub mod feed;
pub mod folder;
pub mod identifier;
pub mod item;

use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;

use jiff::Timestamp;
use uuid::Uuid;

pub use change_log::{Change, ChangeLog, Cursor};
pub use feed::{Event, Feed};
pub use folder::{Folder, FolderKey};
pub use identifier::{Identifier, SyncState};
pub use item::{Item, ItemKey};

/// One mailbox.
#[derive(Debug)]
pub struct Mailbox {
    /// New with every start, so that ids and states of an earlier life are not taken for valid ones.
    pub guid: Uuid,
    folders: BTreeMap<FolderKey, Folder>,
    items: HashMap<ItemKey, Item>,
    hierarchy: ChangeLog,
    last_key: u64,
    last_version: u64,
    feeds: Vec<Weak<Feed>>,
}

// === impl Mailbox ===

impl Mailbox {
    /// An empty mailbox with the standard folders.
    pub fn new() -> Self {
        let mut mailbox = Self {
            guid: Uuid::new_v4(),
            folders: BTreeMap::new(),
            items: HashMap::new(),
            hierarchy: ChangeLog::default(),
            last_key: 0,
            last_version: 0,
            feeds: Vec::new(),
        };
        for (distinguished, parent, name, class) in folder::STANDARD {
            let parent = parent.and_then(|parent| mailbox.distinguished(parent));
            mailbox.add_folder(parent, name, class, Some(distinguished));
        }
        mailbox
    }

    pub fn folder(&self, key: FolderKey) -> Option<&Folder> {
        self.folders.get(&key)
    }

    pub fn item(&self, key: ItemKey) -> Option<&Item> {
        self.items.get(&key)
    }

    /// The standard folder with this distinguished id.
    pub fn distinguished(&self, id: &str) -> Option<FolderKey> {
        self.folders.values().find(|folder| folder.distinguished == Some(id)).map(|folder| folder.key)
    }

    /// A folder by distinguished id or display name, for the control API.
    pub fn named(&self, name: &str) -> Option<FolderKey> {
        let same = |folder: &&Folder| folder.name.eq_ignore_ascii_case(name);
        self.distinguished(&name.to_ascii_lowercase())
            .or_else(|| self.folders.values().find(same).map(|folder| folder.key))
    }

    /// The folders directly under a folder, or all below it.
    pub fn below(&self, parent: FolderKey, deep: bool) -> Vec<&Folder> {
        let wanted = |folder: &&Folder| folder.parent == Some(parent) || (deep && self.is_below(folder.key, parent));
        self.folders.values().filter(wanted).collect()
    }

    /// Whether a folder is somewhere under another one.
    pub fn is_below(&self, folder: FolderKey, ancestor: FolderKey) -> bool {
        let mut next = self.folders.get(&folder).and_then(|folder| folder.parent);
        while let Some(key) = next {
            if key == ancestor {
                return true;
            }
            next = self.folders.get(&key).and_then(|folder| folder.parent);
        }
        false
    }

    /// Creates a folder; none if the parent has one of this name, whatever its case.
    pub fn create_folder(&mut self, parent: FolderKey, name: &str, class: &str) -> Option<FolderKey> {
        let name_key = name.to_lowercase();
        let taken =
            self.folders.values().any(|folder| folder.parent == Some(parent) && folder.name.to_lowercase() == name_key);
        (!taken).then(|| self.add_folder(Some(parent), name, class, None))
    }

    fn add_folder(
        &mut self,
        parent: Option<FolderKey>,
        name: &str,
        class: &str,
        distinguished: Option<&'static str>,
    ) -> FolderKey {
        let key = FolderKey(self.next_key());
        let version = self.next_version();
        self.hierarchy.create(key.0);
        self.folders.insert(key, Folder::new(key, parent, name, class, distinguished, version));
        key
    }

    /// Tells a subscription from now on what happens.
    pub fn subscribe(&mut self, feed: Weak<Feed>) {
        self.feeds.retain(|feed| feed.strong_count() > 0);
        self.feeds.push(feed);
    }

    /// Puts a new item into a folder; the item's key, folder and version are set here.
    pub fn add_item(&mut self, folder: FolderKey, item: Item) -> Option<ItemKey> {
        let key = self.put_item(folder, item)?;
        self.happened(Event::Created, key, folder);
        Some(key)
    }

    /// Puts an item into a folder as the transport does it.
    pub fn deliver_item(&mut self, folder: FolderKey, item: Item) -> Option<ItemKey> {
        let key = self.add_item(folder, item)?;
        self.happened(Event::NewMail, key, folder);
        Some(key)
    }

    fn put_item(&mut self, folder: FolderKey, mut item: Item) -> Option<ItemKey> {
        let key = ItemKey(self.next_key());
        let version = self.next_version();
        let into = self.folders.get_mut(&folder)?;
        into.log.create(key.0);
        into.unread += usize::from(!item.is_read);
        (item.key, item.folder, item.version) = (key, folder, version);
        self.items.insert(key, item);
        Some(key)
    }

    /// Changes an item and gives it a new change key. `only_read_flag` makes it a change of the read flag for
    /// synchronisation.
    pub fn change_item(
        &mut self,
        key: ItemKey,
        now: Timestamp,
        only_read_flag: bool,
        change: impl FnOnce(&mut Item),
    ) -> Option<u64> {
        let version = self.next_version();
        let item = self.items.get_mut(&key)?;
        let was_unread = !item.is_read;
        change(item);
        item.version = version;
        item.modified = now;
        let folder = self.folders.get_mut(&item.folder)?;
        folder.unread = (folder.unread + usize::from(!item.is_read)).saturating_sub(usize::from(was_unread));
        folder.log.update(key.0, only_read_flag);
        let folder = folder.key;
        self.happened(Event::Modified, key, folder);
        Some(version)
    }

    /// Moves an item to another folder, where it has a new key.
    pub fn move_item(&mut self, key: ItemKey, folder: FolderKey) -> Option<ItemKey> {
        self.folders.get(&folder)?;
        let item = self.take_item(key)?;
        let from = item.folder;
        let moved = self.put_item(folder, item)?;
        self.happened(Event::Moved(key, from), moved, folder);
        Some(moved)
    }

    pub fn remove_item(&mut self, key: ItemKey) -> Option<Item> {
        let item = self.take_item(key)?;
        self.happened(Event::Deleted, key, item.folder);
        Some(item)
    }

    fn take_item(&mut self, key: ItemKey) -> Option<Item> {
        let item = self.items.remove(&key)?;
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.log.remove(key.0);
            folder.unread = folder.unread.saturating_sub(usize::from(!item.is_read));
        }
        Some(item)
    }

    fn happened(&self, event: Event, item: ItemKey, folder: FolderKey) {
        if self.feeds.is_empty() {
            return;
        }
        let Some(folder) = self.folders.get(&folder) else { return };
        let version = self.items.get(&item).map_or(self.last_version, |item| item.version);
        let scene = feed::Scene { mailbox: self.guid, folder, item, version, now: Timestamp::now() };
        for feed in self.feeds.iter().filter_map(Weak::upgrade) {
            feed.happened(event, &scene);
        }
    }

    /// The items of a folder, oldest first.
    pub fn items_of(&self, folder: FolderKey) -> impl Iterator<Item = &Item> {
        let keys = self.folders.get(&folder).into_iter().flat_map(|folder| folder.log.living());
        keys.filter_map(|key| self.items.get(&ItemKey(key)))
    }

    /// What changed among the folders.
    pub const fn hierarchy(&self) -> &ChangeLog {
        &self.hierarchy
    }

    const fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    const fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }
}
