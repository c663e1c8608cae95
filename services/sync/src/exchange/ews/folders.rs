//! Folders: the one for undeliverable mail, and those that can be tracked.

use std::collections::HashMap;

use postroad_core::mailbox::Place;
use postroad_ews::{CreateFolder, Distinguished, Error, FindFolder, FolderId, FolderRef};

use super::mailbox::Mailbox;
use crate::exchange::FolderName;

/// Where failed mail is moved, at the user's Inbox (setup guide, Additional Settings).
const UNDELIVERABLE: &str = "Undeliverable";

/// The folder of a place.
pub fn folder(place: &Place) -> FolderRef {
    match place {
        Place::Inbox => FolderRef::INBOX,
        Place::SentItems => FolderRef::Distinguished(Distinguished::SentItems),
        Place::Folder(id) => FolderRef::Id(FolderId { id: id.clone(), change_key: None }),
    }
}

impl Mailbox {
    /// The Undeliverable folder; made on first need. Look first, make, and look again if another one made it meanwhile.
    pub async fn undeliverable(&self) -> Result<FolderId, Error> {
        if let Some(folder) = self.find_undeliverable().await? {
            return Ok(folder);
        }
        let made = self.client.ask(&CreateFolder { parent: FolderRef::INBOX, name: UNDELIVERABLE.to_owned() }).await;
        match made {
            Err(error) if error.code().is_some_and(|code| code.as_str() == "ErrorFolderExists") => {
                self.find_undeliverable().await?.ok_or(error)
            }
            made => made,
        }
    }

    async fn find_undeliverable(&self) -> Result<Option<FolderId>, Error> {
        let page = self.client.ask(&FindFolder::named(FolderRef::INBOX, UNDELIVERABLE)).await?;
        Ok(page.folders.into_iter().find_map(|folder| folder.id))
    }

    /// The folders below the Inbox with their paths.
    pub async fn below_inbox(&self) -> Result<Vec<FolderName>, Error> {
        let mut found = Vec::new();
        let mut offset = 0;
        loop {
            let page = self.client.ask(&FindFolder::below(FolderRef::INBOX, offset)).await?;
            found.extend(page.folders);
            match page.next.filter(|next| !page.is_last && *next > offset) {
                Some(next) => offset = next,
                None => break,
            }
        }
        let named: HashMap<String, (Option<String>, String)> = found
            .into_iter()
            .filter_map(|folder| {
                let parent = folder.parent.map(|parent| parent.id);
                Some((folder.id?.id, (parent, folder.name.unwrap_or_default())))
            })
            .collect();
        Ok(named.keys().map(|id| FolderName { id: id.clone(), path: path(id, &named) }).collect())
    }
}

fn path(id: &str, named: &HashMap<String, (Option<String>, String)>) -> String {
    let mut names = Vec::new();
    let mut next = Some(id.to_owned());
    // Folders are not nested deeper than Exchange allows (300); a ring cannot be left.
    while let Some((parent, name)) = next.and_then(|id| named.get(&id)).filter(|_| names.len() < 300) {
        names.push(name.clone());
        next = parent.clone();
    }
    names.reverse();
    names.join("/")
}
