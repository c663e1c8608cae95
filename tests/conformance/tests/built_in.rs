//! The built-in store keeps every guarantee, and one that breaks some is found out.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{convert::Infallible, sync::Arc};

use conformance::Outcome;
use postroad_crm::{Limits, Service, content::Contents, store::Store};
use postroad_journal::Journal;
use postroad_proto::crm::v1::crm_service_server::CrmServiceServer;
use postroad_rig::{Tasks, caller::Introduction};
use tokio_util::sync::CancellationToken;

/// Serves the built-in store over memory; gives its endpoint. The services over NATS are tested with it in the system's scenarios.
async fn serve(most: u64, shutdown: &CancellationToken) -> String {
    let journal = Journal::memory();
    let tasks = Tasks::new(shutdown.clone());
    let store = Arc::new(Store::default());
    tasks.spawn("view", Arc::clone(&store).follow(journal.clone(), shutdown.clone()));
    store.caught_up().await;
    let limits =
        Limits { message: most, attachments: postroad_core::email::Limits { bytes: most, blocked: Vec::new() } };
    let service = Service::new(journal, store, Contents::memory().unwrap(), limits, shutdown.clone());
    let server = CrmServiceServer::new(service).max_decoding_message_size(4 * 1024 * 1024);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tonic::transport::Server::builder()
        .add_service(server)
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    tasks.spawn("server", async move {
        drop(serving.await);
        Ok::<_, Infallible>(())
    });
    endpoint
}

#[tokio::test]
async fn the_built_in_store_keeps_every_guarantee() {
    let shutdown = CancellationToken::new();
    let endpoint = serve(64 << 20, &shutdown).await;
    for check in conformance::run(&endpoint, Introduction::default()).await.unwrap() {
        assert_eq!(check.outcome, Outcome::Passed, "{}", check.name);
    }
    shutdown.cancel();
}

#[tokio::test]
async fn what_is_not_kept_is_found_out() {
    let shutdown = CancellationToken::new();
    // A store that takes nothing larger than a megabyte cannot give back what is larger.
    let endpoint = serve(1 << 20, &shutdown).await;
    let checks = conformance::run(&endpoint, Introduction::default()).await.unwrap();
    let contents = checks.iter().find(|check| check.name.starts_with("contents come back")).unwrap();
    assert!(matches!(contents.outcome, Outcome::Failed(_)), "{contents:?}");
    let nobody = conformance::run("http://127.0.0.1:1", Introduction::default()).await.unwrap();
    assert!(nobody.iter().all(|check| matches!(check.outcome, Outcome::Failed(_))));
    shutdown.cancel();
}
