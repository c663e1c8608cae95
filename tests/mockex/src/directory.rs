//! The accounts of the organisation, found by address, principal name or SID.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::options::Mailbox as MailboxOptions;
use crate::store;

/// An account with its mailbox.
#[derive(Debug)]
pub struct Account {
    pub address: String,
    pub proxy_addresses: Vec<String>,
    pub principal_name: String,
    pub display_name: String,
    pub sid: String,
    pub disabled: bool,
    /// Index of the region that serves it now.
    region: AtomicUsize,
    /// What other regions answer since it was moved, if not the usual.
    elsewhere: Mutex<Option<String>>,
    password: Mutex<Option<String>>,
    /// Addresses of others that the owner may send as.
    send_as: Mutex<Vec<String>>,
    /// Whether nothing more can be stored.
    is_full: AtomicBool,
    connections: AtomicUsize,
    mailbox: Mutex<store::Mailbox>,
}

/// A request that is being served for an account; counts against its concurrency until dropped.
#[derive(Debug)]
pub struct Connection(Arc<Account>);

/// All accounts. Keys are in lower case.
#[derive(Debug, Default)]
pub struct Directory {
    accounts: Vec<Arc<Account>>,
    by_address: HashMap<String, Arc<Account>>,
    by_principal: HashMap<String, Arc<Account>>,
    by_sid: HashMap<String, Arc<Account>>,
}

// === impl Directory ===

impl Directory {
    /// Adds an account; fails with the address or principal name that is taken.
    pub fn add(&mut self, options: &MailboxOptions, region: usize) -> Result<(), String> {
        let account = Arc::new(Account::new(options, region));
        let addresses: Vec<String> = account.addresses().map(str::to_lowercase).collect();
        if let Some(taken) = addresses.iter().find(|address| self.by_address.contains_key(*address)) {
            return Err(taken.clone());
        }
        if self.by_principal.contains_key(&account.principal_name.to_lowercase()) {
            return Err(account.principal_name.clone());
        }
        for address in addresses {
            self.by_address.insert(address, Arc::clone(&account));
        }
        self.by_principal.insert(account.principal_name.to_lowercase(), Arc::clone(&account));
        self.by_sid.insert(account.sid.to_lowercase(), Arc::clone(&account));
        self.accounts.push(account);
        Ok(())
    }

    pub fn by_address(&self, address: &str) -> Option<&Arc<Account>> {
        self.by_address.get(&address.to_lowercase())
    }

    pub fn by_principal(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_principal.get(&name.to_lowercase())
    }

    pub fn by_sid(&self, sid: &str) -> Option<&Arc<Account>> {
        self.by_sid.get(&sid.to_lowercase())
    }

    pub fn accounts(&self) -> &[Arc<Account>] {
        &self.accounts
    }
}

// === impl Account ===

impl Account {
    fn new(options: &MailboxOptions, region: usize) -> Self {
        Self {
            address: options.address.clone(),
            proxy_addresses: options.proxy_addresses.clone(),
            principal_name: options.principal_name.clone().unwrap_or_else(|| options.address.clone()),
            display_name: options.display_name.clone().unwrap_or_else(|| display_name(&options.address)),
            sid: sid(&options.address),
            disabled: options.disabled,
            region: AtomicUsize::new(region),
            elsewhere: Mutex::new(None),
            password: Mutex::new(options.password.clone()),
            send_as: Mutex::new(options.send_as.clone()),
            is_full: AtomicBool::new(options.full),
            connections: AtomicUsize::new(0),
            mailbox: Mutex::new(store::Mailbox::new()),
        }
    }

    /// The primary address and the others.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.address.as_str()).chain(self.proxy_addresses.iter().map(String::as_str))
    }

    /// Whether this is one of the account's addresses.
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses().any(|own| own.eq_ignore_ascii_case(address))
    }

    pub fn mailbox(&self) -> MutexGuard<'_, store::Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn region(&self) -> usize {
        self.region.load(Ordering::Relaxed)
    }

    /// Puts the mailbox into another region; the others answer with a code from then on.
    pub fn move_to(&self, region: usize, elsewhere: String) {
        *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Some(elsewhere);
        self.region.store(region, Ordering::Relaxed);
    }

    /// The response code for requests that reach a region which does not serve the mailbox.
    pub fn elsewhere(&self) -> String {
        let code = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        code.clone().unwrap_or_else(|| "ErrorCrossSiteRequest".to_owned())
    }

    pub fn has_password(&self, given: &str) -> bool {
        self.password.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(given)
    }

    /// Whether mail with this author may be sent: one's own, or with the right Send As.
    pub fn may_send_as(&self, address: &str) -> bool {
        let others = self.send_as.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_address(address) || others.iter().any(|other| other.eq_ignore_ascii_case(address))
    }

    /// Replaces the addresses of others that the owner may send as.
    pub fn set_send_as(&self, addresses: Vec<String>) {
        *self.send_as.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Counts a request; also says how many there are with it.
    pub fn connect(self: &Arc<Self>) -> (Connection, usize) {
        let now = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        (Connection(Arc::clone(self)), now)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `user.one@…` becomes `User One`.
fn display_name(address: &str) -> String {
    let local = address.split('@').next().unwrap_or(address);
    let words = local.split(['.', '_', '-']).filter(|word| !word.is_empty()).map(|word| {
        let mut characters = word.chars();
        let first = characters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(characters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A SID that follows from the address.
fn sid(address: &str) -> String {
    let digest = Sha256::digest(address.to_lowercase().as_bytes());
    let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    format!("S-1-5-21-1085031214-1563985344-725345543-{number}")
}
