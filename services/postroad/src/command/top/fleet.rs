//! What several workers know, as one: servers by their name, traffic in sum.

use std::{collections::BTreeMap, time::Duration};

use postroad_core::latency::Latencies;
use postroad_proto::{
    fault::v1::Fault,
    sync::v1::{Budget, ServerStatus, WorkerStatus},
};

/// A mail server as all workers together know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// Host and port.
    pub name: String,
    /// What each worker knows.
    pub seen: Vec<ServerStatus>,
    /// For all accounts and workers.
    pub budget: Budget,
    /// Requests a second.
    pub rate: f64,
    /// Workers for whom it is down.
    pub down: usize,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Accounts that ask it.
    pub accounts: usize,
}

/// Servers by name.
pub fn servers(seen: &[ServerStatus]) -> Vec<Server> {
    let mut by_name: BTreeMap<&str, Server> = BTreeMap::new();
    for one in seen {
        let server =
            by_name.entry(&one.server).or_insert_with(|| Server { name: one.server.clone(), ..Default::default() });
        server.budget = sum(server.budget, one.budget.unwrap_or_default());
        // An account that was told to wait waits for itself; on the line of the server the longest wait is told.
        for account in &one.accounts {
            let wait = account.budget.unwrap_or_default().back_off_ms;
            server.budget.back_off_ms = server.budget.back_off_ms.max(wait);
        }
        server.rate += one.rate;
        if let Some(outage) = &one.outage {
            server.down += 1;
            server.fault = server.fault.take().or_else(|| outage.fault.clone());
        }
        server.seen.push(one.clone());
    }
    for server in by_name.values_mut() {
        let names = server.seen.iter().flat_map(|one| &one.accounts).map(|account| account.name.as_str());
        server.accounts = names.collect::<std::collections::BTreeSet<_>>().len();
    }
    by_name.into_values().collect()
}

/// Workers may be of other versions, or wrong: no sum of what they say may fail.
fn sum(one: Budget, other: Budget) -> Budget {
    Budget {
        used: one.used.saturating_add(other.used),
        allowed: one.allowed.saturating_add(other.allowed),
        ceiling: one.ceiling.saturating_add(other.ceiling),
        rate_limit: one.rate_limit + other.rate_limit,
        back_off_ms: one.back_off_ms.max(other.back_off_ms),
        requests: one.requests.saturating_add(other.requests),
        throttled: one.throttled.saturating_add(other.throttled),
        too_many: one.too_many.saturating_add(other.too_many),
    }
}

/// What all workers did with messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Decided since the workers started.
    pub decided: u64,
    /// Of those, activities.
    pub tracked: u64,
    /// Sent since then.
    pub sent: u64,
    /// Decided a second.
    pub decided_rate: f64,
    /// Sent a second.
    pub sent_rate: f64,
    /// From arrival to CRM, of the last minute.
    pub arrivals: Latencies,
}

/// The sum of all workers.
pub fn traffic<'a>(workers: impl IntoIterator<Item = &'a WorkerStatus>) -> Traffic {
    let mut sum = Traffic::default();
    for traffic in workers.into_iter().filter_map(|worker| worker.traffic.as_ref()) {
        sum.decided = sum.decided.saturating_add(traffic.decided);
        sum.tracked = sum.tracked.saturating_add(traffic.tracked);
        sum.sent = sum.sent.saturating_add(traffic.sent);
        sum.decided_rate += traffic.decided_rate;
        sum.sent_rate += traffic.sent_rate;
        traffic.arrivals.iter().for_each(|one| sum.arrivals.add(one.most_ms, one.count));
    }
    sum
}

impl Traffic {
    /// What this share of the last minute's messages did not exceed.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        self.arrivals.quantile(share)
    }
}

#[cfg(test)]
mod tests {
    use postroad_proto::sync::v1::{LatencyCount, Outage};

    use super::*;

    fn seen(worker: &str, used: u32, outage: Option<Outage>) -> ServerStatus {
        let budget = Some(Budget { used, allowed: 4, ..Budget::default() });
        ServerStatus {
            server: "mail:443".into(),
            worker: worker.into(),
            budget,
            outage,
            rate: 1.5,
            ..Default::default()
        }
    }

    #[test]
    fn a_server_is_one_line_however_many_workers_ask_it() {
        let servers = servers(&[seen("a", 1, None), seen("b", 2, Some(Outage::default()))]);
        let [server] = servers.as_slice() else { panic!("{servers:?}") };
        assert_eq!((server.budget.used, server.budget.allowed, server.down), (3, 8, 1));
        assert!((server.rate - 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_workers_say_is_added_whatever_it_is() {
        let most = Budget {
            used: u32::MAX,
            allowed: u32::MAX,
            ceiling: u32::MAX,
            requests: u64::MAX,
            throttled: u64::MAX,
            too_many: u64::MAX,
            ..Budget::default()
        };
        let seen = |worker| ServerStatus { budget: Some(most), ..seen(worker, 0, None) };
        assert_eq!(servers(&[seen("a"), seen("b")])[0].budget, most);
        let arrivals = vec![LatencyCount { most_ms: 10, count: u64::MAX }];
        let said = (u64::MAX, u64::MAX, u64::MAX);
        let (decided, tracked, sent) = said;
        let traffic =
            Some(postroad_proto::sync::v1::Traffic { decided, tracked, sent, arrivals, ..Default::default() });
        let worker = WorkerStatus { traffic, ..WorkerStatus::default() };
        let all = super::traffic([&worker, &worker]);
        assert_eq!((all.decided, all.tracked, all.sent), said);
        assert_eq!((all.arrivals.total(), all.quantile(1.0)), (u64::MAX, Some(Duration::from_millis(10))));
    }

    #[test]
    fn latencies_of_workers_are_added_not_averaged() {
        let worker = |most_ms, count| WorkerStatus {
            traffic: Some(postroad_proto::sync::v1::Traffic {
                arrivals: vec![LatencyCount { most_ms, count }],
                ..Default::default()
            }),
            ..WorkerStatus::default()
        };
        let all = traffic(&[worker(10, 99), worker(5000, 1), WorkerStatus::default()]);
        assert_eq!(all.quantile(0.5), Some(Duration::from_millis(10)));
        assert_eq!(all.quantile(1.0), Some(Duration::from_secs(5)));
    }
}
