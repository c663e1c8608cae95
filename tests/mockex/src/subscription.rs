//! The subscriptions of an organisation: who owns them, on which back end they live, and until when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use http::header::COOKIE;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::authentication::Caller;
use crate::options::{ServerVersion, Streaming};
use crate::store::feed::{Feed, Signal};

/// One server process of a region; subscriptions live in its memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BackEnd {
    pub region: usize,
    pub number: usize,
}

/// Where a request lands, and what its answer says about that.
#[derive(Clone, Debug)]
pub struct Routed {
    pub back_end: BackEnd,
    /// The value of `Set-Cookie` for a client that wants to come back here.
    pub cookie: Option<String>,
}

/// All subscriptions, and the connections that read them.
#[derive(Debug)]
pub struct Subscriptions {
    pub options: Streaming,
    book: Mutex<HashMap<String, Entry>>,
    /// Hanging connections by what they are charged to.
    hanging: Mutex<HashMap<String, usize>>,
    last: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    feed: Arc<Feed>,
    owner: String,
    mailbox: String,
    back_end: BackEnd,
    /// When the last connection ended, or the subscription was made.
    left: Instant,
}

/// A hanging connection; no longer counted once dropped.
#[derive(Debug)]
pub struct Hanging {
    subscriptions: Arc<Subscriptions>,
    charged: String,
    /// The number of the stream.
    pub number: u64,
    pub ids: Vec<String>,
}

// === impl Subscriptions ===

impl Subscriptions {
    pub fn new(options: Streaming) -> Arc<Self> {
        Arc::new(Self { options, book: Mutex::default(), hanging: Mutex::default(), last: AtomicU64::new(0) })
    }

    /// The back end that a request reaches: the one of its cookie; else that of the anchor mailbox, or on Exchange 2010, which
    /// knows no anchor, any.
    pub fn route(&self, region: usize, version: ServerVersion, headers: &HeaderMap, mailbox: Option<&str>) -> Routed {
        let count = self.options.back_ends.max(1);
        let at = |number: usize| BackEnd { region, number: number % count };
        let name = if version == ServerVersion::Exchange2010Sp3 { "exchangecookie" } else { "X-BackEndOverrideCookie" };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let prefix = format!("region{region}~");
        let known = pairs.find_map(|(given, value)| {
            given.eq_ignore_ascii_case(name).then(|| value.strip_prefix(&prefix)?.parse().ok()).flatten()
        });
        if let Some(number) = known {
            return Routed { back_end: at(number), cookie: None };
        }
        let anchor = text("x-anchormailbox").filter(|anchor| !anchor.is_empty());
        let back_end = match (version, anchor.or(mailbox)) {
            (ServerVersion::Exchange2010Sp3, _) | (_, None) => at(usize::try_from(self.next()).unwrap_or(0)),
            (_, Some(mailbox)) => at(home(mailbox)),
        };
        let wants = version == ServerVersion::Exchange2010Sp3
            || (anchor.is_some()
                && text("x-preferserveraffinity").is_some_and(|value| value.eq_ignore_ascii_case("true")));
        let cookie = wants.then(|| format!("{name}={prefix}{}; path=/; secure; HttpOnly", back_end.number));
        Routed { back_end, cookie }
    }

    /// Makes a subscription; none if the mailbox has as many as it may.
    pub fn add(
        &self,
        back_end: BackEnd,
        caller: &Caller,
        mailbox: &str,
        feed: impl FnOnce(String) -> Feed,
    ) -> Option<Arc<Feed>> {
        let mut book = self.book();
        let charged = book.values().filter(|entry| entry.mailbox == mailbox).count();
        if self.options.subscription_limit.is_some_and(|limit| charged >= limit) {
            return None;
        }
        let mut bytes = vec![0x26, 0x00, 0x65];
        bytes.extend_from_slice(Uuid::new_v4().as_bytes());
        bytes.extend_from_slice(Uuid::new_v4().as_bytes());
        let id = STANDARD.encode(bytes);
        let feed = Arc::new(feed(id.clone()));
        let (owner, mailbox) = (owner(caller), mailbox.to_owned());
        let entry = Entry { feed: Arc::clone(&feed), owner, mailbox, back_end, left: Instant::now() };
        book.insert(id, entry);
        Some(feed)
    }

    /// A subscription of a caller at a back end, or the response code for what is none.
    pub fn find(&self, back_end: BackEnd, caller: &Caller, id: &str) -> Result<Arc<Feed>, &'static str> {
        let mut book = self.book();
        let life = self.options.minute() * self.options.lifetime_minutes;
        if book.get(id).is_some_and(|entry| !entry.feed.is_read() && entry.left.elapsed() > life) {
            book.remove(id);
        }
        match book.get(id) {
            None => Err("ErrorSubscriptionNotFound"),
            Some(entry) if entry.back_end != back_end => Err("ErrorSubscriptionNotFound"),
            Some(entry) if entry.owner != owner(caller) => Err("ErrorSubscriptionAccessDenied"),
            Some(entry) => Ok(Arc::clone(&entry.feed)),
        }
    }

    pub fn remove(&self, id: &str) {
        self.book().remove(id);
    }

    /// Forgets the subscriptions of a mailbox, or all, as a server process that starts again; their readers are told.
    pub fn forget(&self, mailbox: Option<&str>) -> usize {
        let mut book = self.book();
        let is_meant = |entry: &Entry| mailbox.is_none_or(|mailbox| entry.mailbox.eq_ignore_ascii_case(mailbox));
        let ids: Vec<String> = book.iter().filter(|(_, entry)| is_meant(entry)).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            if let Some(entry) = book.remove(id) {
                entry.feed.tell(Signal::Forgotten(id.clone()));
            }
        }
        ids.len()
    }

    /// Breaks all hanging connections.
    pub fn cut(&self) {
        self.book().values().for_each(|entry| entry.feed.tell(Signal::Cut));
    }

    /// Begins a hanging connection; none where whom it is charged to has as many as the limit says.
    pub fn hang(
        self: &Arc<Self>,
        charged: &str,
        limit: usize,
        feeds: &[Arc<Feed>],
        sender: &UnboundedSender<Signal>,
    ) -> Option<Hanging> {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        let count = hanging.entry(charged.to_owned()).or_default();
        // Taking over the subscriptions of a connection ends it: the count is then one too high for a moment.
        let takes_over = usize::from(feeds.iter().any(|feed| feed.is_read()));
        if *count >= limit + takes_over {
            return None;
        }
        *count += 1;
        drop(hanging);
        let number = self.next();
        feeds.iter().for_each(|feed| feed.read_by(number, sender.clone()));
        let ids = feeds.iter().map(|feed| feed.id.clone()).collect();
        Some(Hanging { subscriptions: Arc::clone(self), charged: charged.to_owned(), number, ids })
    }

    /// How many hanging connections there are.
    pub fn streams(&self) -> usize {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// How many subscriptions a stream reads.
    pub fn read(&self) -> usize {
        self.book().values().filter(|entry| entry.feed.is_read()).count()
    }

    /// How many subscriptions there are.
    pub fn count(&self) -> usize {
        self.book().len()
    }

    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn book(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let mut hanging = self.subscriptions.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = hanging.get_mut(&self.charged) {
            *count = count.saturating_sub(1);
        }
        drop(hanging);
        let mut book = self.subscriptions.book();
        for id in &self.ids {
            if let Some(entry) = book.get_mut(id) {
                entry.feed.left_by(self.number);
                entry.left = Instant::now();
            }
        }
    }
}

fn owner(caller: &Caller) -> String {
    match caller {
        Caller::Service => String::new(),
        Caller::Owner(account) => account.address.clone(),
    }
}

/// A number that follows from a mailbox.
fn home(mailbox: &str) -> usize {
    mailbox.to_lowercase().bytes().fold(7, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

/// A span of fake minutes.
impl Streaming {
    /// How long a minute lasts here.
    pub fn minute(&self) -> Duration {
        Duration::from_millis(self.minute_ms)
    }
}
