//! The locator role: where mailboxes are served, and whether they can be reached.
//!
//! - `access`: credentials and connections of the mailbox that is asked about
//! - `locations`: what is known of a mailbox, what has to be asked, and when
//! - `discovery`: Autodiscover's questions carried to the network
//! - `pace`: a handful of discoveries a second and domain
//! - `cache`: what was found, per mailbox and per domain, in KV buckets
//! - `connection`: the test of everything between Postroad and a mailbox
//! - `service`: gRPC

mod access;
mod cache;
pub mod connection;
pub mod discovery;
mod locations;
mod pace;
mod service;

pub use access::{Access, Failure, Opener};
pub use cache::Domain;
use postroad_proto::locator::v1::locator_service_server::LocatorServiceServer;
use postroad_rig::{Context, Error, serve};

/// Runs the role until shutdown.
pub async fn run(context: Context) -> Result<(), Error> {
    let cache = cache::Cache::open(&context.nats, context.config.nats.replicas)
        .await
        .map_err(|error| Error::Fault(error.report()))?;
    let service = service::Service::new(&context, cache)?;
    let routes = tonic::service::Routes::new(LocatorServiceServer::new(service));
    serve(&context, context.config.locator.listen, routes, &["postroad.locator.v1.LocatorService"]).await
}
