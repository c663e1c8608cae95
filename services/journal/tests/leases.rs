//! Leases over a real NATS server.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use futures::StreamExt as _;
use postroad_journal::leases::{Leases, holdings::Holdings};
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
    other.release("p001", "other").await.unwrap();
    assert!(one.is_held("p001").await.unwrap(), "it is not its own");
    one.release("p001", "one").await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_renewed_without_an_answer_is_not_lost() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let (one, other) = (open(&nats).await, open(&nats).await);
    let known = one.acquire("p001", "one").await.unwrap().unwrap();
    // The answer to this did not arrive.
    let unknown = one.renew(known.clone()).await.unwrap().unwrap();
    let renewed = one.renew(known).await.unwrap().expect("it is still held");
    assert!(renewed.deadline > unknown.deadline);
    assert!(one.acquire("p001", "one").await.unwrap().is_some(), "what is held already is acquired");
    assert!(other.acquire("p001", "other").await.unwrap().is_none());
    assert!(other.is_held("p001").await.unwrap());
    one.release("p001", "one").await.unwrap();
    assert!(!other.is_held("p001").await.unwrap());
    assert!(!other.is_held("p002").await.unwrap(), "what never was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_taken_only_as_it_was_found() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let holdings = Holdings::open(&client, "partitions", 1).await.unwrap();
    assert_eq!(holdings.last().await.unwrap(), 0);
    let held = holdings.take("p001", "one", 0).await.unwrap().unwrap();
    assert_eq!(holdings.take("p001", "other", 0).await.unwrap(), None, "it is held");

    // Its holder comes back, and takes it anew, before the other one has decided.
    let again = holdings.take("p001", "one", held).await.unwrap().unwrap();
    assert_eq!(holdings.take("p001", "other", held).await.unwrap(), None, "what was found is no longer so");
    holdings.give_back("p001", held).await.unwrap();
    let taken = holdings.take("p001", "other", again).await.unwrap().expect("an old return did nothing");
    holdings.give_back("p001", again).await.unwrap();
    let second = holdings.take("p002", "one", 0).await.unwrap().unwrap();
    assert_eq!(holdings.last().await.unwrap(), second);

    let mut told = holdings.follow().await.unwrap();
    let mut next = async || told.next().await.map(|one| (one.key, one.holder, one.revision, one.is_last)).unwrap();
    assert_eq!(next().await, ("p001".to_owned(), Some("other".to_owned()), taken, false), "it is another's");
    let (key, holder, _, is_last) = next().await;
    assert_eq!((key.as_str(), holder.as_deref(), is_last), ("p002", Some("one"), true));
    holdings.give_back("p001", taken).await.unwrap();
    let (key, holder, revision, _) = next().await;
    assert_eq!((key.as_str(), holder), ("p001", None));
    assert!(holdings.take("p001", "one", revision).await.unwrap().is_some(), "what was given back can be taken");
}
