//! How fast servers are asked: the budgets of servers and accounts, back-offs, and the breakers of servers that are down. The rules are
//! `core::pace`; here they are kept for the servers, accounts and mailboxes that there are.
//!
//! A budget of an account is its own at each server, since that is how Exchange counts. What one mailbox is refused counts for that
//! mailbox, whose copy of the budget it is when it is impersonated (PROTOCOL.md §5); when a second one is refused meanwhile, it is the
//! account's or the server's, and all of them rest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postroad_core::{
    fault::{Code, Report},
    pace::{BackOff, Breaker, Budget, Moment, Outcome, Permission, is_unreachable},
};
use postroad_rig::clock;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{lock::lock, place::Place};

mod probe;
mod view;

pub use probe::watch_outages;
pub use view::{AccountView, BudgetView, Rest, ServerView};

/// Who logs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// The service account of a profile.
    Profile(Uuid),
    /// A mailbox with credentials of its own.
    Mailbox(Uuid),
}

/// An account at a server: where requests go and to whom they are charged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Host and port; empty where it is not known yet.
    pub server: Arc<str>,
    /// The account.
    pub account: Account,
}

/// The pace of one worker.
pub struct Pace {
    began: Instant,
    /// Connections to one server at a time.
    ceiling: u32,
    state: Mutex<State>,
    /// Room became free, or an outage ended.
    pub freed: Notify,
    /// A probe is due.
    probing: Notify,
    /// Servers that are back, until the scheduler has heard of it.
    returned: Mutex<Vec<Arc<str>>>,
    /// Accounts that are to be left alone, until the other workers were told.
    to_tell: Mutex<Vec<Rest>>,
    telling: Notify,
}

#[derive(Default)]
struct State {
    servers: HashMap<Arc<str>, Server>,
    accounts: HashMap<Route, Budget>,
    /// Those that rest or did so lately.
    mailboxes: HashMap<Uuid, BackOff>,
    /// The mailbox that was refused last, by route.
    refused: HashMap<Route, (Uuid, Moment)>,
}

struct Server {
    budget: Budget,
    breaker: Breaker,
    /// How it is reached, for probes.
    place: Option<Place>,
    is_probed: bool,
}

/// Whether a request may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Now.
    Now,
    /// Not before; no back-off, only the learned rate.
    Later(Duration),
    /// Within a back-off that lasts so long (INV-4).
    Rest(Duration),
    /// The server is down.
    Down(Report),
}

/// Two refusals of different mailboxes within so long are the account's.
const TOGETHER: Duration = Duration::from_secs(10);
/// Connections to a server that is not known yet: its first mailboxes are being located.
const UNKNOWN: u32 = 16;

impl Pace {
    /// Nothing is known of any server; at most `ceiling` connections to each.
    pub fn new(ceiling: u32) -> Self {
        Self {
            began: clock::instant(),
            ceiling,
            state: Mutex::default(),
            freed: Notify::new(),
            probing: Notify::new(),
            returned: Mutex::default(),
            to_tell: Mutex::default(),
            telling: Notify::new(),
        }
    }

    /// Monotonic time since this worker began.
    pub fn now(&self) -> Moment {
        clock::instant().saturating_duration_since(self.began)
    }

    /// The one name of a server, shared by all who bear it.
    pub fn interned(&self, server: &Arc<str>) -> Arc<str> {
        let mut state = lock(&self.state);
        if let Some((name, _)) = state.servers.get_key_value(server) {
            return Arc::clone(name);
        }
        state.server(server, self.ceiling);
        Arc::clone(server)
    }

    /// Whether another mailbox of the route may be processed now: `most` connections are allowed to the account.
    pub fn has_room(&self, route: &Route, most: u32) -> bool {
        let now = self.now();
        let mut state = lock(&self.state);
        let account = state.account(route, most);
        account.set_ceiling(most);
        if account.closed(now).is_some() || !account.has_room() {
            return false;
        }
        let server = state.server(&route.server, self.ceiling);
        server.breaker.outage().is_none() && server.budget.closed(now).is_none() && server.budget.has_room()
    }

    /// A connection of the route is used until what is given back is dropped.
    pub fn take(self: &Arc<Self>, route: &Route) -> Connection {
        let mut state = lock(&self.state);
        state.server(&route.server, self.ceiling).budget.take();
        if let Some(account) = state.accounts.get_mut(route) {
            account.take();
        }
        Connection { pace: Arc::clone(self), route: route.clone() }
    }

    /// Whether a request may be sent for a mailbox.
    pub fn permit(&self, route: &Route, mailbox: Option<Uuid>) -> Permit {
        let now = self.now();
        let mut state = lock(&self.state);
        let resting = mailbox.and_then(|mailbox| state.mailboxes.get(&mailbox)).and_then(|rest| rest.closed(now));
        let account = state.accounts.get(route).copied();
        let server = state.server(&route.server, self.ceiling);
        if let Permission::Denied(report) = server.breaker.permission() {
            return Permit::Down(report);
        }
        let closed = account.and_then(|budget| budget.closed(now));
        if let Some(until) = resting.max(closed).max(server.budget.closed(now)) {
            return Permit::Rest(until.saturating_sub(now));
        }
        let later = account.and_then(|budget| budget.wait(now)).max(server.budget.wait(now));
        later.map_or(Permit::Now, |until| Permit::Later(until.saturating_sub(now)))
    }

    /// A request is sent.
    pub fn sent(&self, route: &Route) {
        let now = self.now();
        let mut state = lock(&self.state);
        state.server(&route.server, self.ceiling).budget.send(now);
        if let Some(account) = state.accounts.get_mut(route) {
            account.send(now);
        }
    }

    /// A request of a mailbox was answered.
    pub fn answered(&self, route: &Route, mailbox: Uuid) {
        let now = self.now();
        let mut state = lock(&self.state);
        if !state.mailboxes.is_empty() && state.mailboxes.get(&mailbox).is_some_and(|rest| rest.is_over(now)) {
            state.mailboxes.remove(&mailbox);
        }
        if let Some(account) = state.accounts.get_mut(route) {
            account.end(Outcome::Answered, 0.0, now);
        }
        let server = state.server(&route.server, self.ceiling);
        server.budget.end(Outcome::Answered, 0.0, now);
        // What was under way when the breaker opened may still be answered.
        let is_back = server.breaker.answered();
        drop(state);
        if is_back {
            self.returned(&route.server);
        }
    }

    /// The server asked a mailbox to wait; gives for how long.
    pub fn refused(&self, route: &Route, mailbox: Uuid, hint: Option<Duration>, report: &Report) -> Duration {
        let (now, chance) = (self.now(), rand::random::<f64>());
        let mut state = lock(&self.state);
        let outcome =
            if report.code == Code::ConnectionsExceeded { Outcome::TooMany } else { Outcome::Throttled(hint) };
        let until = state.mailboxes.entry(mailbox).or_default().begin(hint, chance, now);
        let before = state.refused.insert(route.clone(), (mailbox, now));
        let is_shared = before.is_some_and(|(other, at)| other != mailbox && now < at.saturating_add(TOGETHER));
        let is_whole_server = matches!(report.code, Code::HttpUnavailable);
        if let Some(account) = state.accounts.get_mut(route)
            && (is_shared || is_whole_server || outcome == Outcome::TooMany)
        {
            let was_open = account.closed(now).is_none();
            account.end(outcome, chance, now);
            if let Some(until) = account.closed(now).filter(|_| was_open) {
                lock(&self.to_tell).push(Rest { route: route.clone(), left: until.saturating_sub(now) });
                self.telling.notify_one();
            }
        }
        if is_whole_server {
            state.server(&route.server, self.ceiling).budget.end(outcome, chance, now);
        }
        until.saturating_sub(now)
    }

    /// Another worker was asked to leave an account alone.
    pub fn rest(&self, told: &Rest) {
        let now = self.now();
        if let Some(account) = lock(&self.state).accounts.get_mut(&told.route)
            && account.closed(now).is_none()
        {
            account.end(Outcome::Throttled(Some(told.left)), 0.0, now);
        }
    }

    /// The next account that the other workers are to leave alone.
    pub async fn to_tell(&self) -> Rest {
        loop {
            if let Some(rest) = lock(&self.to_tell).pop() {
                return rest;
            }
            self.telling.notified().await;
        }
    }

    /// A mailbox could not be served; whether its server is down is found out.
    pub fn failed(&self, route: &Route, mailbox: Uuid, report: &Report, place: &Place) {
        if !is_unreachable(report.code) {
            return;
        }
        let now = self.now();
        let mut state = lock(&self.state);
        let server = state.server(&route.server, self.ceiling);
        server.place = Some(place.clone());
        if server.breaker.failed(mailbox, report, now) {
            tracing::warn!(
                server = %route.server, fault = report.code.name(), detail = report.detail,
                "the server answers nobody: it is probed by one request, and its mailboxes wait for it"
            );
            self.probing.notify_one();
        }
    }

    /// What mailboxes of a server meet while it is down, without asking it.
    pub fn outage(&self, server: &Arc<str>) -> Option<Report> {
        let mut state = lock(&self.state);
        match state.server(server, self.ceiling).breaker.permission() {
            Permission::Granted => None,
            Permission::Denied(report) => Some(report),
        }
    }

    /// When a back-off that keeps a route closed ends; `None` where it is open.
    pub fn opens(&self, route: &Route) -> Option<Duration> {
        let now = self.now();
        let state = lock(&self.state);
        let account = state.accounts.get(route).and_then(|budget| budget.closed(now));
        let server = state.servers.get(&route.server).and_then(|server| server.budget.closed(now));
        account.max(server).map(|until| until.saturating_sub(now))
    }
}

impl State {
    fn server(&mut self, name: &Arc<str>, ceiling: u32) -> &mut Server {
        self.servers.entry(Arc::clone(name)).or_insert_with(|| {
            let ceiling = if name.is_empty() { UNKNOWN } else { ceiling };
            Server { budget: Budget::new(ceiling, ceiling), breaker: Breaker::default(), place: None, is_probed: false }
        })
    }

    fn account(&mut self, route: &Route, most: u32) -> &mut Budget {
        // Found first, so that the key is not copied for every look.
        if !self.accounts.contains_key(route) {
            self.accounts.insert(route.clone(), Budget::new(most, most));
        }
        self.accounts.entry(route.clone()).or_insert_with(|| Budget::new(most, most))
    }
}

/// A connection in use.
pub struct Connection {
    pace: Arc<Pace>,
    route: Route,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = lock(&self.pace.state);
        if let Some(server) = state.servers.get_mut(&self.route.server) {
            server.budget.give_back();
        }
        if let Some(account) = state.accounts.get_mut(&self.route) {
            account.give_back();
        }
    }
}

/// Host and port of a location.
pub fn server_of(url: &str) -> Arc<str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    authority.strip_suffix(":443").unwrap_or(&authority).into()
}

#[cfg(test)]
mod tests;
