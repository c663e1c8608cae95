//! What is known of servers, for people; and what workers tell each other.

use std::{sync::Arc, time::Duration};

use postroad_core::{
    fault::Report,
    pace::{Budget, Learned, Moment},
};
use uuid::Uuid;

use super::{Account, Pace, Route};
use crate::lock::lock;

/// A server as one worker knows it.
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Host and port.
    pub server: String,
    /// For all accounts.
    pub budget: BudgetView,
    /// Requests a second of the last seconds.
    pub rate: f64,
    /// Why it counts as down, for how long, and how often it was probed in vain.
    pub outage: Option<(Report, Duration, u32)>,
    /// Its accounts.
    pub accounts: Vec<AccountView>,
}

/// An account at a server as one worker knows it.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// Which.
    pub account: Account,
    /// Its budget.
    pub budget: BudgetView,
}

/// A budget at a moment.
#[derive(Clone, Copy, Debug)]
pub struct BudgetView {
    /// Connections in use.
    pub used: u32,
    /// Connections allowed now.
    pub allowed: u32,
    /// Connections allowed if nothing lower was learned.
    pub ceiling: u32,
    /// Requests a second that were learned to be bearable; `None` where the server never complained.
    pub rate_limit: Option<f64>,
    /// What is left of the present back-off.
    pub back_off: Option<Duration>,
    /// What it was taught.
    pub learned: Learned,
}

impl BudgetView {
    fn of(budget: &Budget, now: Moment) -> Self {
        Self {
            used: budget.used(),
            allowed: budget.limit(),
            ceiling: budget.ceiling(),
            rate_limit: budget.rate().limit(),
            back_off: budget.closed(now).map(|until| until.saturating_sub(now)),
            learned: budget.learned(),
        }
    }
}

impl Pace {
    /// All servers, by name.
    pub fn servers(&self) -> Vec<ServerView> {
        let now = self.now();
        let state = lock(&self.state);
        let mut servers: Vec<_> = state
            .servers
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, server)| {
                let of = state.accounts.iter().filter(|(route, _)| route.server == *name);
                let mut accounts: Vec<_> = of
                    .map(|(route, budget)| AccountView { account: route.account, budget: BudgetView::of(budget, now) })
                    .collect();
                accounts.sort_by_key(|account| account.account);
                let outage = server.breaker.outage();
                ServerView {
                    server: name.to_string(),
                    budget: BudgetView::of(&server.budget, now),
                    rate: server.budget.rate().seen(now),
                    outage: outage.map(|one| (one.report.clone(), now.saturating_sub(one.since), one.probes)),
                    accounts,
                }
            })
            .collect();
        servers.sort_by(|one, other| one.server.cmp(&other.server));
        servers
    }
}

/// An account that is to be left alone for so long: what one worker was told, all obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The account at its server.
    pub route: Route,
    /// For how long.
    pub left: Duration,
}

impl Rest {
    /// As it is told: milliseconds, kind and id of the account, server.
    pub fn write(&self) -> String {
        let (kind, id) = match self.route.account {
            Account::Profile(id) => ("profile", id),
            Account::Mailbox(id) => ("mailbox", id),
        };
        format!("{} {kind} {id} {}", self.left.as_millis(), self.route.server)
    }

    /// What was told; `None` where it is something else.
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.splitn(4, ' ');
        let left = Duration::from_millis(words.next()?.parse().ok()?);
        let kind = words.next()?;
        let id = Uuid::parse_str(words.next()?).ok()?;
        let account = match kind {
            "profile" => Account::Profile(id),
            "mailbox" => Account::Mailbox(id),
            _ => return None,
        };
        Some(Self { route: Route { server: Arc::from(words.next()?), account }, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_tell_each_other_is_understood() {
        for account in [Account::Profile(Uuid::from_u128(1)), Account::Mailbox(Uuid::from_u128(2))] {
            let route = Route { server: Arc::from("mail.contoso.example:8443"), account };
            let rest = Rest { route, left: Duration::from_millis(297_749) };
            assert_eq!(Rest::read(rest.write().as_bytes()), Some(rest));
        }
        for wrong in ["", "x", "12", "12 profile x y", "12 queue 00000000-0000-0000-0000-000000000001 y"] {
            assert_eq!(Rest::read(wrong.as_bytes()), None);
        }
    }
}
