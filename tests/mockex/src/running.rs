//! The handle that a test holds.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::content;
use crate::directory::Account;
use crate::fault::{Fault, ItemFault};
use crate::ledger::{Counters, Request};
use crate::options::Impersonates;
use crate::organization::State;
use crate::store::{FolderKey, Identifier, Item, Mailbox};
use crate::token;
use crate::transport::Sent;

/// A running organisation; dropping it stops everything.
#[derive(Debug)]
pub struct Running {
    state: Arc<State>,
    ca_pem: String,
    control_port: u16,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be had.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A certificate cannot be made.
    #[error("no certificate: {0}")]
    Certificate(String),
    /// Two mailboxes have one address or principal name.
    #[error("two mailboxes have the name {0}")]
    AddressTaken(String),
    /// There is no such mailbox.
    #[error("there is no mailbox {0}")]
    UnknownMailbox(String),
    /// There is no such folder.
    #[error("there is no folder {0}")]
    UnknownFolder(String),
    /// There is no such item in the mailbox.
    #[error("there is no item {0}")]
    UnknownItem(String),
    /// There is no such region.
    #[error("there is no region {0}")]
    UnknownRegion(String),
}

/// A message to deliver.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// An address of the mailbox.
    pub mailbox: String,
    /// The message; whatever it is, it is delivered.
    pub mime: Bytes,
    /// When it arrives; now if none.
    pub received: Option<Timestamp>,
    /// The folder, by distinguished id or name; the Inbox if none.
    pub folder: Option<String>,
    /// What is wrong with it.
    pub fault: Option<ItemFault>,
}

/// A delivered message.
#[derive(Clone, Debug, Serialize)]
pub struct Delivered {
    /// Its id in EWS.
    pub item_id: String,
    /// Its message id, given by the server if the message had none.
    pub message_id: Option<String>,
}

/// A mailbox on its way to another region.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// An address of the mailbox.
    pub mailbox: String,
    /// Where it is served from now on.
    pub region: String,
    /// What the other regions answer, e.g. `ErrorMailboxMoveInProgress`; `ErrorCrossSiteRequest` if none.
    #[serde(default)]
    pub elsewhere: Option<String>,
}

/// What a folder holds.
#[derive(Clone, Debug, Serialize)]
pub struct FolderListing {
    /// Its name.
    pub name: String,
    /// Its items, oldest first.
    pub items: Vec<ListedItem>,
}

/// An item of a listing.
#[derive(Clone, Debug, Serialize)]
pub struct ListedItem {
    /// Its id in EWS.
    pub item_id: String,
    /// Its message id.
    pub message_id: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Whether it is read.
    pub is_read: bool,
    /// Whether it is a draft.
    pub is_draft: bool,
    /// Its categories.
    pub categories: Vec<String>,
}

// === impl Running ===

impl Running {
    pub(crate) fn new(state: Arc<State>, ca_pem: String, control_port: u16, tasks: JoinSet<()>) -> Self {
        Self { state, ca_pem, control_port, _tasks: tasks }
    }

    /// The certificate of the organisation's authority, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The port of Autodiscover.
    #[must_use]
    pub fn autodiscover_port(&self) -> u16 {
        self.state.autodiscover_port
    }

    /// The SOAP URL of Autodiscover.
    #[must_use]
    pub fn autodiscover_url(&self) -> String {
        format!("https://{}:{}/autodiscover/autodiscover.svc", self.state.public_host, self.autodiscover_port())
    }

    /// The EWS URL of a region.
    #[must_use]
    pub fn region_url(&self, region: &str) -> Option<String> {
        let index = self.state.region_named(region)?;
        self.state.regions.get(index).map(crate::organization::Region::url)
    }

    /// The EWS port of a region.
    #[must_use]
    pub fn region_port(&self, region: &str) -> Option<u16> {
        let index = self.state.region_named(region)?;
        self.state.regions.get(index).map(|region| region.port)
    }

    /// The URL of the control API.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.control_port)
    }

    /// Delivers a message.
    ///
    /// # Errors
    /// There is no such mailbox or folder.
    pub fn deliver(&self, delivery: Delivery) -> Result<Delivered, Error> {
        self.state.deliver(delivery)
    }

    /// Sets a fault; gives its id.
    pub fn set_fault(&self, fault: Fault) -> u64 {
        self.state.faults.add(fault)
    }

    /// Removes a fault; says whether it was there.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.state.faults.remove(id)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Serves a mailbox from another region.
    ///
    /// # Errors
    /// There is no such mailbox or region.
    pub fn move_mailbox(&self, movement: &Move) -> Result<(), Error> {
        self.state.move_mailbox(movement)
    }

    /// Changes the service account's password.
    pub fn set_service_password(&self, password: &str) {
        password.clone_into(&mut self.state.service_account().password);
    }

    /// Changes whom the service account may impersonate.
    pub fn set_impersonates(&self, impersonates: Impersonates) {
        self.state.service_account().impersonates = impersonates;
    }

    /// The URL of the token endpoint, if there is an application.
    #[must_use]
    pub fn token_url(&self) -> Option<String> {
        token::url(&self.state)
    }

    /// How often a token was asked for.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.counters().by_operation.get("token").copied().unwrap_or(0)
    }

    /// Makes all tokens issued so far unknown.
    pub fn revoke_tokens(&self) {
        self.state.tokens.revoke();
    }

    /// Makes all tokens issued so far expired.
    pub fn expire_tokens(&self) {
        self.state.tokens.expire();
    }

    /// Refuses every token with these diagnostics (`x-ms-diagnostics`), until called again with none.
    pub fn refuse_tokens(&self, diagnostics: Option<&str>) {
        self.state.tokens.refuse(diagnostics.map(str::to_owned));
    }

    /// What a folder holds.
    ///
    /// # Errors
    /// There is no such mailbox or folder.
    pub fn list_folder(&self, mailbox: &str, folder: &str) -> Result<FolderListing, Error> {
        self.state.list_folder(mailbox, folder)
    }

    /// Everything that was submitted, the newest last.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.state.transport.sent()
    }

    /// Fills a mailbox, or makes room in it: in a full one nothing can be created.
    ///
    /// # Errors
    /// There is no such mailbox.
    pub fn set_full(&self, mailbox: &str, is_full: bool) -> Result<(), Error> {
        self.state.set_full(mailbox, is_full)
    }

    /// Replaces the addresses of others that the owner of a mailbox may send as.
    ///
    /// # Errors
    /// There is no such mailbox.
    pub fn set_send_as(&self, mailbox: &str, addresses: Vec<String>) -> Result<(), Error> {
        self.state.set_send_as(mailbox, addresses)
    }

    /// Replaces the categories of an item, as its owner does in a mail program.
    ///
    /// # Errors
    /// There is no such mailbox or item.
    pub fn set_categories(&self, mailbox: &str, item_id: &str, categories: Vec<String>) -> Result<(), Error> {
        self.state.set_categories(mailbox, item_id, categories)
    }

    /// Makes a folder under the Inbox, as its owner does in a mail program; one that is there is kept.
    ///
    /// # Errors
    /// There is no such mailbox.
    pub fn create_folder(&self, mailbox: &str, name: &str) -> Result<(), Error> {
        self.state.create_folder(mailbox, name)
    }

    /// Moves an item to a folder, as its owner does in a mail program; gives its new id.
    ///
    /// # Errors
    /// There is no such mailbox, item or folder.
    pub fn move_item(&self, mailbox: &str, item_id: &str, folder: &str) -> Result<String, Error> {
        self.state.move_item(mailbox, item_id, folder)
    }

    /// How many hanging connections there are.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.state.subscriptions.streams()
    }

    /// How many subscriptions there are, and how many of them a stream reads.
    #[must_use]
    pub fn subscriptions(&self) -> (usize, usize) {
        (self.state.subscriptions.count(), self.state.subscriptions.read())
    }

    /// Breaks all hanging connections.
    pub fn cut_streams(&self) {
        self.state.subscriptions.cut();
    }

    /// Forgets the subscriptions of a mailbox, or all; says how many.
    #[must_use = "it tells whether there were any"]
    pub fn forget_subscriptions(&self, mailbox: Option<&str>) -> usize {
        self.state.subscriptions.forget(mailbox)
    }

    /// How much was asked.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.ledger.counters()
    }

    /// What was asked, the newest last; at most the last 10 000 requests.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.ledger.requests()
    }
}

// === impl State ===

impl State {
    pub(crate) fn deliver(&self, delivery: Delivery) -> Result<Delivered, Error> {
        let account = self.account(&delivery.mailbox)?;
        let now = Timestamp::now();
        let content = content::read(delivery.mime, now, &self.public_host);
        let message_id = content.message_id.clone();
        let mut item = Item::delivered(content, delivery.received.unwrap_or(now), now);
        item.fault = delivery.fault;
        let mut mailbox = account.mailbox();
        let folder = folder(&mailbox, delivery.folder.as_deref().unwrap_or("inbox"))?;
        let key = mailbox.deliver_item(folder, item).ok_or_else(|| Error::UnknownFolder("inbox".to_owned()))?;
        Ok(Delivered { item_id: Identifier::Item { mailbox: mailbox.guid, key }.encode(), message_id })
    }

    pub(crate) fn move_mailbox(&self, movement: &Move) -> Result<(), Error> {
        let account = self.account(&movement.mailbox)?;
        let region =
            self.region_named(&movement.region).ok_or_else(|| Error::UnknownRegion(movement.region.clone()))?;
        account.move_to(region, movement.elsewhere.clone().unwrap_or_else(|| "ErrorCrossSiteRequest".to_owned()));
        Ok(())
    }

    pub(crate) fn list_folder(&self, address: &str, name: &str) -> Result<FolderListing, Error> {
        let account = self.account(address)?;
        let mailbox = account.mailbox();
        let key = folder(&mailbox, name)?;
        let items = mailbox.items_of(key).map(|item| ListedItem {
            item_id: Identifier::Item { mailbox: mailbox.guid, key: item.key }.encode(),
            message_id: item.content.message_id.clone(),
            subject: item.content.subject.clone(),
            is_read: item.is_read,
            is_draft: item.is_draft,
            categories: item.categories.clone(),
        });
        let items = items.collect();
        let name = mailbox.folder(key).map_or_else(String::new, |folder| folder.name.clone());
        Ok(FolderListing { name, items })
    }

    pub(crate) fn set_full(&self, address: &str, is_full: bool) -> Result<(), Error> {
        self.account(address)?.set_full(is_full);
        Ok(())
    }

    pub(crate) fn set_send_as(&self, address: &str, others: Vec<String>) -> Result<(), Error> {
        self.account(address)?.set_send_as(others);
        Ok(())
    }

    pub(crate) fn set_categories(&self, address: &str, item_id: &str, categories: Vec<String>) -> Result<(), Error> {
        let unknown = || Error::UnknownItem(item_id.to_owned());
        let mut mailbox = self.account(address)?.mailbox();
        let Some(Identifier::Item { mailbox: guid, key }) = Identifier::decode(item_id) else { return Err(unknown()) };
        if guid != mailbox.guid {
            return Err(unknown());
        }
        mailbox.change_item(key, Timestamp::now(), false, |item| item.categories = categories).ok_or_else(unknown)?;
        Ok(())
    }

    fn create_folder(&self, address: &str, name: &str) -> Result<(), Error> {
        let mut mailbox = self.account(address)?.mailbox();
        let inbox = folder(&mailbox, "inbox")?;
        mailbox.create_folder(inbox, name, "IPF.Note");
        Ok(())
    }

    fn move_item(&self, address: &str, item_id: &str, name: &str) -> Result<String, Error> {
        let unknown = || Error::UnknownItem(item_id.to_owned());
        let mut mailbox = self.account(address)?.mailbox();
        let Some(Identifier::Item { key, .. }) = Identifier::decode(item_id) else { return Err(unknown()) };
        let target = folder(&mailbox, name)?;
        let moved = mailbox.move_item(key, target).ok_or_else(unknown)?;
        Ok(Identifier::Item { mailbox: mailbox.guid, key: moved }.encode())
    }

    fn account(&self, address: &str) -> Result<&Arc<Account>, Error> {
        self.directory.by_address(address).ok_or_else(|| Error::UnknownMailbox(address.to_owned()))
    }
}

fn folder(mailbox: &Mailbox, name: &str) -> Result<FolderKey, Error> {
    mailbox.named(name).ok_or_else(|| Error::UnknownFolder(name.to_owned()))
}
