//! The sync role: the cycles of mailboxes, from Exchange to the CRM.
//!
//! - `directory`: profiles and mailboxes as the journal has them
//! - `ownership`: which mailboxes this worker may process, and until when
//! - `scheduler`: when each is processed
//! - `desk`: who waits for a turn
//! - `pace`, `connections`: how fast servers and accounts are asked
//! - `streaming`: which mailboxes are to be looked at since Exchange says so
//! - `gate`: profiles whose credentials were rejected
//! - `cycle`: what is done then
//! - `message`, `tracking`: from a message to an activity: its parts, and what decides about it
//! - `queued`: which mailboxes are to be looked at since the CRM says so
//! - `outbox`: sending, exactly once
//! - `exchange`, `crm`, `place`: the mail server, the CRM and the locator, as the cycle needs them
//! - `traffic`: what it did with messages, and how long they took
//! - `fleet`: all workers together
//! - `explain`, `past`: what was decided about messages, tried with other settings, and compared with the folders
//! - `figures`: what Prometheus is told
//! - `service`: gRPC

mod connections;
mod crm;
mod cycle;
mod desk;
mod directory;
mod exchange;
mod explain;
mod figures;
mod fleet;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod lock;
mod message;
mod outbox;
mod ownership;
mod pace;
mod past;
mod place;
mod queued;
mod scheduler;
mod service;
mod streaming;
mod tracking;
mod traffic;
mod worker;

use std::sync::Arc;

use postroad_proto::sync::v1::sync_service_server::SyncServiceServer;
use postroad_rig::{Context, Error, serve};

/// Runs the role until shutdown.
pub async fn run(context: Context) -> Result<(), Error> {
    let worker = Arc::new(worker::Worker::new(&context)?);
    figures::tell(&worker);
    directory::follow(&context, Arc::clone(&worker.directory)).await?;
    let ownership = Arc::clone(&worker.ownership);
    context.tasks.spawn("ownership", ownership.run(context.shutdown.clone()));
    let (directory, ownership) = (Arc::clone(&worker.directory), Arc::clone(&worker.ownership));
    let commits = context.config.sync.snapshot_commits;
    let keeping = directory::keep(directory, ownership, context.journal.clone(), commits, context.shutdown.clone());
    context.tasks.spawn("snapshots", keeping);
    context.tasks.spawn("scheduler", scheduler::run(Arc::clone(&worker), context.shutdown.clone()));
    context.tasks.spawn("outages", pace::watch_outages(Arc::clone(&worker), context.shutdown.clone()));
    context.tasks.spawn("notifications", streaming::run(Arc::clone(&worker), context.shutdown.clone()));
    context.tasks.spawn("queued", queued::run(Arc::clone(&worker), context.shutdown.clone()));
    context.tasks.spawn("fleet", fleet::answer(Arc::clone(&worker), context.nats.clone(), context.shutdown.clone()));
    context.tasks.spawn("wake", service::wake(Arc::clone(&worker), context.nats.clone(), context.shutdown.clone()));
    let routes =
        tonic::service::Routes::new(SyncServiceServer::new(service::Service::new(worker, context.nats.clone())));
    serve(&context, context.config.sync.listen, routes, &["postroad.sync.v1.SyncService"]).await
}
