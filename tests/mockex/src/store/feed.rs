//! What a mailbox tells the subscriptions that read it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;

use super::identifier::{folder_change_key, item_change_key};
use super::{Folder, FolderKey, Identifier, ItemKey};
use crate::soap::Xml;
use uuid::Uuid;

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    Created,
    NewMail,
    Modified,
    Deleted,
    /// From an item of a folder.
    Moved(ItemKey, FolderKey),
}

/// What a stream hears.
#[derive(Debug)]
pub enum Signal {
    /// An event of a subscription, as XML.
    Event { subscription: String, xml: String },
    /// A subscription is gone.
    Forgotten(String),
    /// Another connection reads the subscription now.
    TakenOver(String),
    /// The connection is to break.
    Cut,
}

/// One subscription as its mailbox sees it. Events while nobody reads are lost: the reader has to look for itself.
#[derive(Debug)]
pub struct Feed {
    pub id: String,
    /// All folders if none.
    folders: Option<Vec<FolderKey>>,
    kinds: Vec<String>,
    reader: Mutex<Option<(u64, UnboundedSender<Signal>)>>,
}

/// What an event is about.
pub struct Scene<'a> {
    pub mailbox: Uuid,
    pub folder: &'a Folder,
    pub item: ItemKey,
    pub version: u64,
    pub now: Timestamp,
}

// === impl Event ===

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "CreatedEvent",
            Self::NewMail => "NewMailEvent",
            Self::Modified => "ModifiedEvent",
            Self::Deleted => "DeletedEvent",
            Self::Moved(..) => "MovedEvent",
        }
    }
}

// === impl Feed ===

impl Feed {
    pub fn new(id: String, folders: Option<Vec<FolderKey>>, kinds: Vec<String>) -> Self {
        Self { id, folders, kinds, reader: Mutex::default() }
    }

    /// Gives the feed to a stream; the one that had it is told.
    pub fn read_by(&self, stream: u64, sender: UnboundedSender<Signal>) {
        if let Some((_, before)) = self.reader().replace((stream, sender)) {
            drop(before.send(Signal::TakenOver(self.id.clone())));
        }
    }

    /// A stream has ended.
    pub fn left_by(&self, stream: u64) {
        self.reader().take_if(|(reader, _)| *reader == stream);
    }

    pub fn is_read(&self) -> bool {
        self.reader().as_ref().is_some_and(|(_, sender)| !sender.is_closed())
    }

    /// Tells the reader something; lost where there is none.
    pub fn tell(&self, signal: Signal) {
        if let Some((_, sender)) = self.reader().as_ref() {
            drop(sender.send(signal));
        }
    }

    /// Tells what happened to an item, and with new mail that its folder has changed.
    pub fn happened(&self, event: Event, scene: &Scene<'_>) {
        let from = match event {
            Event::Moved(_, from) => Some(from),
            _ => None,
        };
        let covers = |key: FolderKey| self.folders.as_ref().is_none_or(|folders| folders.contains(&key));
        if !covers(scene.folder.key) && !from.is_some_and(covers) {
            return;
        }
        let wants = |name: &str| self.kinds.iter().any(|kind| kind == name);
        if wants(event.name()) {
            self.send(item_event(event, scene));
        }
        if event == Event::NewMail && wants("ModifiedEvent") {
            self.send(folder_event(scene));
        }
    }

    fn send(&self, xml: String) {
        self.tell(Signal::Event { subscription: self.id.clone(), xml });
    }

    fn reader(&self) -> MutexGuard<'_, Option<(u64, UnboundedSender<Signal>)>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn item_event(event: Event, scene: &Scene<'_>) -> String {
    let mut xml = Xml::new();
    let name = format!("t:{}", event.name());
    xml.open(&name);
    xml.text("t:TimeStamp", &scene.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    item_id(&mut xml, "t:ItemId", scene.mailbox, scene.item, scene.version);
    folder_id(&mut xml, "t:ParentFolderId", scene.mailbox, scene.folder.key, scene.folder.version);
    if let Event::Moved(item, folder) = event {
        item_id(&mut xml, "t:OldItemId", scene.mailbox, item, scene.version);
        folder_id(&mut xml, "t:OldParentFolderId", scene.mailbox, folder, scene.folder.version);
    }
    xml.close(&name);
    xml.into_string()
}

fn folder_event(scene: &Scene<'_>) -> String {
    let mut xml = Xml::new();
    let folder = scene.folder;
    xml.open("t:ModifiedEvent");
    xml.text("t:TimeStamp", &scene.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    folder_id(&mut xml, "t:FolderId", scene.mailbox, folder.key, folder.version);
    folder_id(&mut xml, "t:ParentFolderId", scene.mailbox, folder.parent.unwrap_or(folder.key), folder.version);
    xml.number("t:UnreadCount", folder.unread);
    xml.close("t:ModifiedEvent");
    xml.into_string()
}

fn item_id(xml: &mut Xml, name: &str, mailbox: Uuid, key: ItemKey, version: u64) {
    let id = Identifier::Item { mailbox, key }.encode();
    xml.empty(name, &[("Id", &id), ("ChangeKey", &item_change_key(mailbox, version))]);
}

fn folder_id(xml: &mut Xml, name: &str, mailbox: Uuid, key: FolderKey, version: u64) {
    let id = Identifier::Folder { mailbox, key }.encode();
    xml.empty(name, &[("Id", &id), ("ChangeKey", &folder_change_key(mailbox, version))]);
}
