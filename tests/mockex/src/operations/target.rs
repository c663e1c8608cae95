//! Which folder or item a request means.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Call;
use super::response::Failure;
use crate::directory::Account;
use crate::soap::Element;
use crate::store::identifier::item_change_key;
use crate::store::{FolderKey, Identifier, Item, ItemKey, Mailbox};

/// The folder that a `FolderId` or `DistinguishedFolderId` names, with the account it belongs to.
pub fn folder<'a>(call: &Call<'a>, element: &Element) -> Result<(&'a Arc<Account>, FolderKey), Failure> {
    if element.name == "DistinguishedFolderId" {
        return distinguished(call, element);
    }
    let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
    let id = element.attribute("Id").unwrap_or_default();
    let Some(Identifier::Folder { mailbox, key }) = Identifier::decode(id) else {
        return Err(Failure::new("ErrorInvalidIdMalformed"));
    };
    let store = account.mailbox();
    if store.guid != mailbox || store.folder(key).is_none() {
        return Err(Failure::new("ErrorFolderNotFound"));
    }
    drop(store);
    Ok((account, key))
}

fn distinguished<'a>(call: &Call<'a>, element: &Element) -> Result<(&'a Arc<Account>, FolderKey), Failure> {
    let named = element.path(&["Mailbox", "EmailAddress"]).map(|address| address.text.trim());
    let account = match (named, call.account) {
        (Some(address), Some(account)) if account.has_address(address) => account,
        // Nobody has rights on the folders of others here.
        (Some(address), _) => {
            let exists = call.directory.by_address(address).is_some();
            return Err(Failure::new(if exists { "ErrorAccessDenied" } else { "ErrorNonExistentMailbox" }));
        }
        (None, Some(account)) => account,
        (None, None) => return Err(Failure::new("ErrorMissingEmailAddress")),
    };
    let id = element.attribute("Id").unwrap_or_default();
    let key = account.mailbox().distinguished(id);
    key.map(|key| (account, key)).ok_or_else(|| Failure::new("ErrorFolderNotFound"))
}

/// The single folder inside an element such as `ToFolderId`.
pub fn within<'a>(call: &Call<'a>, element: Option<&Element>) -> Result<(&'a Arc<Account>, FolderKey), Failure> {
    match element.and_then(|element| element.children.first()) {
        Some(id) => folder(call, id),
        None => Err(Failure::new("ErrorInvalidRequest")),
    }
}

/// The item that an `ItemId` names, with the change key that came with it.
pub fn item<'a, 'b>(
    call: &Call<'a>,
    element: &'b Element,
) -> Result<(&'a Arc<Account>, ItemKey, Option<&'b str>), Failure> {
    let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
    let id = element.attribute("Id").unwrap_or_default();
    let (mailbox, key) = match Identifier::decode(id) {
        Some(Identifier::Item { mailbox, key }) => (mailbox, key),
        Some(Identifier::Folder { .. }) => return Err(Failure::new("ErrorCannotUseFolderIdForItemId")),
        _ => return Err(Failure::new("ErrorInvalidIdMalformed")),
    };
    let store = account.mailbox();
    if store.guid != mailbox || store.item(key).is_none() {
        return Err(Failure::new("ErrorItemNotFound"));
    }
    drop(store);
    Ok((account, key, element.attribute("ChangeKey")))
}

/// Refuses a change key that is missing, or not that of the item as it is.
pub fn check_change_key(mailbox: &Mailbox, item: &Item, given: Option<&str>) -> Result<(), Failure> {
    let given = given.ok_or_else(|| Failure::new("ErrorChangeKeyRequiredForWriteOperations"))?;
    if STANDARD.decode(given).is_err() {
        return Err(Failure::new("ErrorInvalidChangeKey"));
    }
    let is_current = given == item_change_key(mailbox.guid, item.version);
    if is_current { Ok(()) } else { Err(Failure::new("ErrorStaleObject")) }
}

/// The children of a list such as `ItemIds`.
pub fn list<'a>(operation: &'a Element, name: &str) -> Vec<&'a Element> {
    operation.child(name).map(|list| list.children.iter().collect()).unwrap_or_default()
}
