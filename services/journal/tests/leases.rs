//! Leases over a real NATS server.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use postroad_journal::leases::Leases;
use stage::{Nats, eventually};

const TIME: Duration = Duration::from_millis(1500);

async fn open(nats: &Nats) -> Leases {
    let client = async_nats::connect(nats.url()).await.unwrap();
    Leases::open(&client, "leases", TIME, 1).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_holds_it_until_it_is_given_back() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let (one, other) = (open(&nats).await, open(&nats).await);
    let lease = one.acquire("p001", "one").await.unwrap().unwrap();
    assert!(other.acquire("p001", "other").await.unwrap().is_none());
    assert!(other.acquire("p002", "other").await.unwrap().is_some());
    let mut keys = one.keys().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["p001", "p002"]);
    one.release(&lease).await.unwrap();
    assert!(other.acquire("p001", "other").await.unwrap().is_some(), "it is free at once");
    assert!(one.renew(lease).await.unwrap().is_none(), "what was given back cannot be renewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_renewed_expires_and_what_is_does_not() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let (one, other) = (open(&nats).await, open(&nats).await);
    let lost = one.acquire("lost", "one").await.unwrap().unwrap();
    let mut kept = one.acquire("kept", "one").await.unwrap().unwrap();
    let deadline = lost.deadline;
    let taken = loop {
        kept = one.renew(kept).await.unwrap().unwrap();
        let taken = eventually(Duration::from_millis(200), || async { other.acquire("lost", "other").await.unwrap() });
        if let Some(taken) = taken.await {
            break taken;
        }
    };
    assert!(deadline <= taken.deadline - TIME, "the holder stops before another one can begin");
    assert!(one.renew(lost).await.unwrap().is_none(), "it is another's now");
    assert!(other.acquire("kept", "other").await.unwrap().is_none());
}
