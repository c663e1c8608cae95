//! The crm role: the built-in record store behind `crm.proto`.
//!
//! Records and email activities are aggregates of the journal; what is served is a view folded from it ([`store`]).
//! Bodies, originals and attachments are kept in the object store, encrypted under a key of each email ([`content`]), so that a person can be
//! erased (`erase`). A connector for another
//! CRM implements the same gRPC service and takes this role's place.

use std::sync::Arc;

use postroad_core::email;
use postroad_metric::crm::CRM;
use postroad_proto::crm::v1::crm_service_server::{CrmServiceServer, SERVICE_NAME};
use postroad_rig::{Context, Error};

pub mod content;
mod erase;
mod matching;
mod outbox;
mod page;
pub mod people;
mod pieces;
mod promote;
mod service;
pub mod store;
mod wire;

pub use erase::Eraser;
pub use promote::Limits;
pub use service::Service;

/// The largest message that a call may carry: a header at its limit, or a piece of content, with room to spare.
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// Runs the role until shutdown. It serves once its view holds everything that the journal held at the start.
pub async fn run(context: Context) -> Result<(), Error> {
    let store = Arc::new(store::Store::default());
    context.tasks.spawn("view", Arc::clone(&store).follow(context.journal.clone(), context.shutdown.clone()));
    let objects = content::Bucket::open(&context.nats, context.config.nats.replicas)
        .await
        .map_err(|error| Error::Fault(error.report()))?;
    tokio::select! {
        () = store.caught_up() => {}
        () = context.shutdown.cancelled() => return Ok(()),
    }
    let told = Arc::downgrade(&store);
    postroad_metric::before_scrape(move || {
        if let Some(store) = told.upgrade() {
            let waiting = store.read(store::View::outbox_size);
            CRM.outbox_emails.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
    });
    let keys = content::KeyBucket::open(&context.nats, context.config.nats.replicas)
        .await
        .map_err(|error| Error::Fault(error.report()))?;
    let contents = content::Contents::new(Arc::new(objects), Arc::new(keys), Arc::clone(&context.keyring));
    let eraser = Eraser::new(context.journal.clone(), Arc::clone(&store), contents.clone());
    context.tasks.spawn("erasures", eraser.sweep(context.shutdown.clone()));
    let config = &context.config.crm;
    let limits = Limits {
        message: config.max_message_bytes,
        attachments: email::Limits {
            bytes: config.max_attachment_bytes,
            blocked: config
                .blocked_attachments
                .iter()
                .map(|name| name.trim_start_matches('.').to_lowercase())
                .collect(),
        },
    };
    let service = Service::new(context.journal.clone(), store, contents, limits, context.shutdown.clone());
    let server = CrmServiceServer::new(service).max_decoding_message_size(MAX_CALL_BYTES);
    let routes = tonic::service::Routes::new(server);
    postroad_rig::serve(&context, context.config.crm.listen, routes, &[SERVICE_NAME]).await
}
