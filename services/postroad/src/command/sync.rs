//! `postroad sync`: the workers; and the role.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use postroad_proto::sync::v1::{DrainWorkerRequest, ListWorkersRequest, WorkerStatus};
use postroad_rig::Role;

use crate::{
    failure::{Exit, Failure},
    output::{
        paint::{Tone, cell, faint, good, toned_cell, wary},
        time,
    },
    session::Session,
};

/// The workers; with --config FILE and no subcommand, run the sync role
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the workers: partitions, mailboxes, load, and for how long mailboxes wait
    #[command(after_help = "\
Each worker holds some of 256 partitions of the mailboxes. LAG is for how long the mailbox waits that waits longest; NOTIFIED are the \
mailboxes that Exchange tells about by itself, the others are polled.

Examples:
  postroad sync status
  postroad sync status --json | jq '.workers[].lagMs'")]
    Status,
    /// Have a worker hand over its mailboxes to the others and take no more
    #[command(after_help = "\
Nothing pauses: what runs comes to its end, and each partition goes on elsewhere at once. SIGTERM does the same and ends the process.

Examples:
  postroad sync drain
  postroad sync drain sync-0198c1")]
    Drain {
        /// The worker's name or its beginning; without it the one that answers
        #[arg(default_value = "", hide_default_value = true)]
        worker: String,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Status => status(session).await,
            Self::Drain { worker } => drain(session, worker).await,
        }
    }
}

async fn status(session: &mut Session) -> Result<Exit, Failure> {
    let mut client = session.connection.sync()?;
    let answer = client.list_workers(ListWorkersRequest {}).await.map_err(session.connection.failed(Role::Sync))?;
    let fleet = answer.into_inner();
    if session.output.is_json() {
        session.output.message(&fleet)?;
        return Ok(Exit::Success);
    }
    let header = ["WORKER", "STATE", "UP", "PARTITIONS", "MAILBOXES", "NOTIFIED", "LOAD", "WAITING", "LAG"];
    session.output.table(&header, fleet.workers.iter().map(row).collect())?;
    for worker in &fleet.workers {
        for remark in remarks(worker) {
            session.output.line(format!("{} {remark}", faint(short(&worker.worker))))?;
        }
    }
    if fleet.free_partitions > 0 {
        let free = fleet.free_partitions;
        session.output.line(wary(format!("{free} of 256 partitions are held by nobody; their mailboxes wait")))?;
    }
    Ok(Exit::Success)
}

/// How a worker does, in a word.
pub fn state(worker: &WorkerStatus) -> (Tone, &'static str) {
    match worker {
        worker if !worker.answers => (Tone::Bad, "no answer"),
        worker if worker.interruption.as_ref().is_some_and(|one| one.until.is_none()) => (Tone::Bad, "no NATS"),
        worker if worker.is_draining && worker.partitions == 0 => (Tone::Plain, "drained"),
        worker if worker.is_draining => (Tone::Wary, "draining"),
        _ => (Tone::Good, "works"),
    }
}

fn row(worker: &WorkerStatus) -> Vec<Cell> {
    let (tone, state) = state(worker);
    let mut cells = vec![cell(short(&worker.worker)), toned_cell(tone, state)];
    if worker.answers {
        let load = format!("{}/{}", worker.running, worker.concurrency);
        cells.extend([
            cell(time::short(worker.started_at.as_ref()).trim_end_matches(" ago")),
            cell(worker.partitions),
            cell(worker.mailboxes),
            cell(worker.notified),
            cell(load),
            cell(worker.waiting),
            cell(lag(worker.lag_ms)),
        ]);
    }
    cells
}

/// The end of a worker's name is its random part; the whole is in the JSON.
pub fn short(worker: &str) -> String {
    let tail: String = worker.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
    if worker.chars().count() > 12 { format!("…{tail}") } else { worker.to_owned() }
}

/// A time that something took or takes, at three digits or so.
pub fn lag(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{milliseconds} ms"),
        10_000..120_000 => format!("{} s", milliseconds / 1000),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

pub fn remarks(worker: &WorkerStatus) -> Vec<String> {
    let interruption = worker.interruption.as_ref().map(|interruption| {
        let since = time::full(interruption.since.as_ref());
        let lost = match interruption.partitions {
            0 => "no mailbox was let go".to_owned(),
            lost => format!("{lost} partitions were let go"),
        };
        match time::of(interruption.until.as_ref()) {
            None => wary(format!("NATS does not answer since {since}; {lost}")),
            Some(until) => format!("NATS did not answer from {since} to {}; {lost}", time::stamp(until)),
        }
    });
    interruption.into_iter().chain(worker.remarks.iter().cloned()).collect()
}

async fn drain(session: &mut Session, worker: String) -> Result<Exit, Failure> {
    let mut client = session.connection.sync()?;
    let answer = client.drain_worker(DrainWorkerRequest { worker }).await;
    let drained = answer.map_err(session.connection.failed(Role::Sync))?.into_inner();
    if session.output.is_json() {
        session.output.message(&drained)?;
    } else {
        let name = &drained.worker;
        session.output.line(format!("{} {name} hands over its mailboxes and takes no more", good("✓")))?;
        session.output.line(faint("end its process when `postroad sync status` shows it as drained"))?;
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_does_not_answer_is_told_by_its_name_only() {
        let worker = WorkerStatus { worker: "sync-0198c1aa".into(), ..WorkerStatus::default() };
        let texts: Vec<String> = row(&worker).iter().map(Cell::content).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[1].contains("no answer"), "{texts:?}");
    }

    #[test]
    fn lags_are_told_in_the_unit_that_fits() {
        assert_eq!([0, 950, 61_000, 600_000].map(lag), ["0 ms", "950 ms", "61 s", "10 min"]);
    }
}
