//! How soon the mailboxes of a killed worker go on elsewhere.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use mockex::Delivery;
use postroad_core::email::Event;
use postroad_journal::{Followed, Kind, Part};
use postroad_proto::sync::v1::ListWorkersRequest;
use stage::eventually;
use system::{Options, letter, message_id};

use crate::{
    Error,
    figure::{Figure, Target},
    fleet::Fleet,
    progress, seed,
};

const MAILBOXES: usize = 60;
const WORKERS: usize = 3;
const LEASE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(120);

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(error.to_string())
}

/// Kills one of three workers so many times; each time a message for each mailbox arrives at that moment.
pub async fn measure(kills: usize) -> Result<Vec<Figure>, Error> {
    let options = Options { lease: LEASE, poll: Duration::from_secs(15), ..Options::default() };
    let mut fleet = Box::pin(Fleet::open(MAILBOXES, options)).await?;
    for _ in 1..WORKERS {
        fleet.deployment.add_worker().map_err(|error| failed(&error))?;
    }
    fleet.grow(MAILBOXES).await?;
    let mut times = Vec::new();
    for kill in 0..kills {
        balanced(&fleet).await?;
        progress(&format!("kill {} of {kills}", kill + 1));
        // The first worker is the one that answers here; the others are killed in turn.
        let victim = kill % (WORKERS - 1);
        let last = fleet.journal.extent(Part::Crm).await.map_err(|error| failed(&error))?.last;
        fleet.deployment.kill_worker(victim).await.map_err(|error| failed(&error))?;
        let began = postroad_rig::clock::instant();
        let play = format!("kill{kill}");
        for number in 0..MAILBOXES {
            let mailbox = seed::address(number);
            let mime = letter(&play, number, &mailbox).into();
            let delivery = Delivery { mailbox, mime, ..Delivery::default() };
            fleet.deployment.exchange.deliver(delivery).map_err(|error| failed(&error))?;
        }
        times.push(arrived(&fleet, &play, last, began).await?);
        fleet.deployment.restart_worker(victim).await.map_err(|error| failed(&error))?;
    }
    times.sort();
    let at = |share: f64| {
        times.get((share * (times.len() - 1) as f64).round() as usize).map_or(f64::NAN, Duration::as_secs_f64)
    };
    let figure = |what: &str, value: f64| {
        Figure::new(format!("fail-over of {kills} kills, {what}"), "seconds", value)
            .beside("a lease", LEASE.as_secs_f64())
    };
    Ok(vec![figure("p50", at(0.5)), figure("max", at(1.0)).aimed(Target::RatioAtMost(2.0))])
}

/// Waits until each worker has its share and all mailboxes are notified.
async fn balanced(fleet: &Fleet) -> Result<(), Error> {
    let is_balanced = || async {
        let mut sync = fleet.deployment.sync();
        let workers = sync.list_workers(ListWorkersRequest::default()).await.ok()?.into_inner().workers;
        let living: Vec<_> = workers.iter().filter(|worker| worker.answers).collect();
        let partitions: u32 = living.iter().map(|worker| worker.partitions).sum();
        let notified: u32 = living.iter().map(|worker| worker.notified).sum();
        let share = 256 / WORKERS as u32 / 2;
        let is_so = living.len() == WORKERS
            && workers.len() == WORKERS
            && partitions == 256
            && notified as usize == MAILBOXES
            && living.iter().all(|worker| worker.partitions > share);
        is_so.then_some(())
    };
    eventually(PATIENCE, is_balanced).await.ok_or_else(|| failed(&"the workers do not share the mailboxes"))
}

async fn arrived(fleet: &Fleet, play: &str, last: u64, began: Instant) -> Result<Duration, Error> {
    let mut commits = fleet.journal.follow_after(&[Kind::Email], Part::Crm, last);
    let mut missing: BTreeSet<String> = (0..MAILBOXES).map(|number| message_id(play, number)).collect();
    while !missing.is_empty() {
        let left = PATIENCE.saturating_sub(began.elapsed());
        let followed = tokio::time::timeout(left, commits.next()).await;
        let followed = followed.map_err(|_| failed(&format!("{} messages did not arrive", missing.len())))?;
        let Some(Followed::Email(_, commit)) = followed else { continue };
        for event in commit.events {
            if let Event::Promoted { email, .. } = event {
                missing.remove(email.message_id.as_deref().unwrap_or_default().trim_matches(['<', '>']));
            }
        }
    }
    Ok(began.elapsed())
}
