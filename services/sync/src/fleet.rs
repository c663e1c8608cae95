//! All workers together: each answers for itself over NATS, so whoever is asked can tell of everybody; and what concerns all of them is
//! told to all of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use postroad_core::{mailbox::Due, placement::PARTITIONS};
use postroad_proto::sync::v1::{
    AccountStatus, Budget, Interruption, LatencyCount, ListServersResponse, ListWorkersResponse, Outage, ServerStatus,
    Traffic, WorkerStatus,
};
use postroad_rig::{clock, status, wire};
use prost::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    lock::lock,
    pace::{Account, AccountView, BudgetView, Rest, ServerView},
    traffic::Figures,
    worker::Worker,
};

/// Asks every worker what it is doing.
const WORKERS: &str = "postroad.sync.workers";
/// Asks every worker what it knows of servers.
const SERVERS: &str = "postroad.sync.servers";
/// Has a worker drain; its name follows.
const DRAIN: &str = "postroad.sync.drain";
/// Tells every worker of an account that is to be left alone.
const REST: &str = "postroad.sync.rest";

/// For so long answers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// After everybody who is known has answered, those who drain may answer for so long.
const LINGER: Duration = Duration::from_millis(100);

/// Answers what is asked of every worker, until shutdown.
pub async fn answer(worker: Arc<Worker>, nats: async_nats::Client, shutdown: CancellationToken) -> Result<(), String> {
    let subscribe = async |subject: String| nats.subscribe(subject).await.map_err(|error| error.to_string());
    let mut workers = subscribe(WORKERS.to_owned()).await?;
    let mut servers = subscribe(SERVERS.to_owned()).await?;
    let mut drain = subscribe(format!("{DRAIN}.{}", worker.name)).await?;
    let mut rest = subscribe(REST.to_owned()).await?;
    let closed = || "NATS closed a subscription".to_owned();
    loop {
        let (reply, answer) = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            asked = workers.next() => (asked.ok_or_else(closed)?.reply, worker_status(&worker).encode_to_vec()),
            asked = servers.next() => (asked.ok_or_else(closed)?.reply, server_status(&worker).encode_to_vec()),
            asked = drain.next() => {
                let reply = asked.ok_or_else(closed)?.reply;
                worker.ownership.drain();
                (reply, Vec::new())
            }
            told = rest.next() => {
                if let Some(told) = Rest::read(&told.ok_or_else(closed)?.payload) {
                    worker.pace.rest(&told);
                }
                continue;
            }
            told = worker.pace.to_tell() => {
                // Who does not hear of it learns it from the server.
                let _ = nats.publish(REST, told.write().into()).await;
                continue;
            }
        };
        if let Some(reply) = reply {
            let _ = nats.publish(reply, answer.into()).await;
        }
    }
}

/// Everybody's answers to a question.
async fn gather<M: Message + Default>(
    nats: &async_nats::Client,
    subject: &'static str,
    expected: usize,
) -> Result<Vec<M>, String> {
    let inbox = nats.new_inbox();
    let mut answers = nats.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    nats.publish_with_reply(subject, inbox, Vec::new().into()).await.map_err(|error| error.to_string())?;
    let mut gathered = Vec::new();
    let deadline = clock::instant() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(clock::instant());
        let patience = if gathered.len() >= expected { left.min(LINGER) } else { left };
        match tokio::time::timeout(patience, answers.next()).await {
            Ok(Some(answer)) => gathered.extend(M::decode(answer.payload).ok()),
            Ok(None) | Err(_) => return Ok(gathered),
        }
    }
}

/// All workers; those that do not answer by name only.
pub async fn workers(worker: &Worker, nats: &async_nats::Client) -> Result<ListWorkersResponse, String> {
    let members = worker.ownership.members();
    let answers: Vec<WorkerStatus> = gather(nats, WORKERS, members.len()).await?;
    let mut by_name: BTreeMap<String, WorkerStatus> = members
        .into_iter()
        .map(|name| (name.clone(), WorkerStatus { worker: name, ..WorkerStatus::default() }))
        .collect();
    by_name.extend(answers.into_iter().map(|answer| (answer.worker.clone(), answer)));
    let held: u32 = by_name.values().map(|worker| worker.partitions).sum();
    let free_partitions = u32::from(PARTITIONS).saturating_sub(held);
    Ok(ListWorkersResponse { workers: by_name.into_values().collect(), free_partitions })
}

/// What all workers know of the mail servers.
pub async fn servers(worker: &Worker, nats: &async_nats::Client) -> Result<ListServersResponse, String> {
    let answers: Vec<ListServersResponse> = gather(nats, SERVERS, worker.ownership.member_count()).await?;
    let mut servers: Vec<_> = answers.into_iter().flat_map(|answer| answer.servers).collect();
    servers.sort_by(|one, other| (&one.server, &one.worker).cmp(&(&other.server, &other.worker)));
    Ok(ListServersResponse { servers })
}

/// Has a worker drain; whether it heard.
pub async fn drain(nats: &async_nats::Client, name: &str) -> bool {
    let asked = nats.request(format!("{DRAIN}.{name}"), Vec::new().into());
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}

fn worker_status(worker: &Worker) -> WorkerStatus {
    let now = clock::now();
    let own = worker.directory.mailboxes().into_iter().filter(|id| worker.ownership.holds(*id));
    let mailboxes = own.filter(|id| worker.due(*id, now) != Due::Never).count();
    let (waiting, oldest) = {
        let desk = lock(&worker.desk);
        (desk.len(), desk.oldest())
    };
    let lag = oldest.map_or(Duration::ZERO, |since| worker.pace.now().saturating_sub(since));
    let interruption = worker.ownership.interruption().map(|interruption| Interruption {
        since: Some(wire::timestamp(interruption.since)),
        until: interruption.until.map(wire::timestamp),
        partitions: count(interruption.lost),
    });
    WorkerStatus {
        worker: worker.name.clone(),
        answers: true,
        started_at: Some(wire::timestamp(worker.started_at)),
        is_draining: worker.ownership.is_draining(),
        partitions: count(worker.ownership.partitions()),
        mailboxes: count(mailboxes),
        running: count(lock(&worker.running).len()),
        concurrency: count(worker.concurrency),
        waiting: count(waiting),
        lag_ms: millis(lag),
        notified: count(worker.streams.notified()),
        streams: count(worker.streams.open()),
        interruption,
        remarks: worker.streams.remarks(),
        traffic: Some(traffic(worker.traffic.figures(worker.pace.now()))),
    }
}

fn traffic(figures: Figures) -> Traffic {
    let arrivals = figures.arrivals.counts().map(|(most_ms, count)| LatencyCount { most_ms, count });
    Traffic {
        decided: figures.decided,
        tracked: figures.tracked,
        sent: figures.sent,
        decided_rate: figures.decided_rate,
        sent_rate: figures.sent_rate,
        arrivals: arrivals.collect(),
    }
}

fn server_status(worker: &Worker) -> ListServersResponse {
    let servers = worker.pace.servers().into_iter().map(|server| server_of(worker, server)).collect();
    ListServersResponse { servers }
}

fn server_of(worker: &Worker, server: ServerView) -> ServerStatus {
    let outage = server.outage.map(|(report, lasts, probes)| Outage {
        lasts_ms: millis(lasts),
        probes,
        fault: Some(status::to_wire(&report)),
    });
    let account = |account: AccountView| AccountStatus {
        name: match account.account {
            Account::Mailbox(id) => worker.directory.address(id),
            Account::Profile(id) => profile_name(worker, id),
        },
        budget: Some(budget(&account.budget)),
    };
    ServerStatus {
        server: server.server,
        worker: worker.name.clone(),
        budget: Some(budget(&server.budget)),
        outage,
        accounts: server.accounts.into_iter().map(account).collect(),
        rate: server.rate,
    }
}

fn profile_name(worker: &Worker, id: Uuid) -> String {
    worker.directory.with_profile(id, |profile| profile.settings.name.clone()).unwrap_or_else(|| id.to_string())
}

fn budget(view: &BudgetView) -> Budget {
    Budget {
        used: view.used,
        allowed: view.allowed,
        ceiling: view.ceiling,
        rate_limit: view.rate_limit.unwrap_or_default(),
        back_off_ms: view.back_off.map_or(0, millis),
        requests: view.learned.requests,
        throttled: view.learned.throttled,
        too_many: view.learned.too_many,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
