//! What every journal promises, over memory and over a real NATS server.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{collections::BTreeSet, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use postroad_core::{
    Aggregate as _,
    record::{Command, Kind as RecordKind, Record, Rules},
};
use postroad_journal::{Actor, ExecuteError, Followed, Journal, Kind, Options, Snapshot};
use stage::{Nats, eventually};
use uuid::Uuid;

const ADA: Uuid = Uuid::from_u128(1);
const BEN: Uuid = Uuid::from_u128(2);
const PATIENCE: Duration = Duration::from_secs(30);

fn record(id: Uuid, name: &str) -> Record {
    Record { id, kind: RecordKind::User, name: name.to_owned(), addresses: Vec::new(), active: true, owner_id: None }
}

fn actor() -> Actor {
    Actor::new("admin ada")
}

async fn save(journal: &Journal, id: Uuid, name: &str) -> u64 {
    let command = Command::Save(record(id, name));
    journal.execute::<Rules>(id, &actor(), &command, |_| ()).await.unwrap().sequence
}

/// Runs a test over both kinds of journal.
macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $( #[tokio::test] async fn $name() { super::$name(postroad_journal::Journal::memory()).await; } )*
        }
        mod jetstream {
            $( #[tokio::test(flavor = "multi_thread")] async fn $name() {
                let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
                super::$name(super::connect(&nats).await).await;
            } )*
        }
    };
}

contract! {
    what_is_executed_is_read_back
    what_is_refused_or_holds_already_is_not_stored
    two_writers_lose_nothing
    a_decision_on_an_old_state_is_made_again
    history_comes_in_pages
    followers_get_everything_in_order
    a_snapshot_is_replaced_and_followed_on_from
    what_is_erased_is_gone_and_the_rest_is_as_it_was
}

async fn connect(nats: &Nats) -> Journal {
    let client = async_nats::connect(nats.url()).await.unwrap();
    Journal::connect(&client, Options::default()).await.unwrap()
}

async fn a_snapshot_is_replaced_and_followed_on_from(journal: Journal) {
    let none = journal.kept("people", 1, |_: Vec<u64>| ()).await;
    assert_eq!(none, None);
    let mut last = 0;
    for round in 1..=3_u64 {
        last = save(&journal, ADA, &format!("Ada {round}")).await;
        // Larger than a chunk of an object store.
        let batches =
            futures::stream::iter((0..40).map(|batch| (0..1000).map(|at| round << 40 | batch << 20 | at).collect()));
        let bytes = journal.keep::<u64, _>("people", 1, last, batches).await.unwrap();
        assert!(bytes > 200_000, "{bytes}");
        let mut read = Vec::new();
        assert_eq!(journal.kept("people", 1, |batch: Vec<u64>| read.extend(batch)).await, Some(last));
        assert_eq!((read.len(), read[0] >> 40, read[39_999]), (40_000, round, round << 40 | 39 << 20 | 999));
        assert_eq!(journal.kept("people", 2, |_: Vec<u64>| ()).await, None, "of another version");
    }
    let after = save(&journal, BEN, "Ben").await;
    let mut followed = journal.follow_after(&[Kind::Record], last);
    let first = followed.next().await.unwrap();
    assert!(matches!(first, Followed::Record(BEN, commit) if commit.sequence == after));
    assert!(matches!(followed.next().await.unwrap(), Followed::CaughtUp));
    let mut nothing = journal.follow_after(&[Kind::Record], after);
    assert!(matches!(nothing.next().await.unwrap(), Followed::CaughtUp));
    let later = save(&journal, ADA, "Ada").await;
    let next = nothing.next().await.unwrap();
    assert!(matches!(next, Followed::Record(ADA, commit) if commit.sequence == later));
}

async fn what_is_executed_is_read_back(journal: Journal) {
    let sequence = save(&journal, ADA, "Ada").await;
    save(&journal, BEN, "Ben").await;
    let loaded = journal.load::<Rules>(ADA).await.unwrap();
    assert_eq!((loaded.state.as_ref().map(|record| record.name.as_str()), loaded.sequence), (Some("Ada"), sequence));
    let history = journal.history::<Rules>(ADA, 0, 10).await.unwrap();
    assert_eq!((history.len(), history[0].actor.as_str(), history[0].sequence), (1, "admin ada", sequence));
    let (id, commit) = journal.at::<Rules>(sequence).await.unwrap().unwrap();
    assert_eq!((id, &commit), (ADA, &history[0]));
    assert!(journal.at::<postroad_core::profile::Rules>(sequence).await.unwrap().is_none(), "it is of another kind");
    assert!(journal.at::<Rules>(1_000_000).await.unwrap().is_none());
    assert_eq!(journal.load::<Rules>(Uuid::from_u128(9)).await.unwrap().sequence, 0);
}

async fn what_is_refused_or_holds_already_is_not_stored(journal: Journal) {
    save(&journal, ADA, "Ada").await;
    let again = journal.execute::<Rules>(ADA, &actor(), &Command::Save(record(ADA, "Ada")), |_| ()).await.unwrap();
    assert!(again.events.is_empty());
    let absent = journal.execute::<Rules>(BEN, &actor(), &Command::Delete, |_| ()).await;
    assert!(matches!(absent, Err(ExecuteError::Refused(_))));
    assert_eq!(journal.history::<Rules>(ADA, 0, 10).await.unwrap().len(), 1);
    assert!(journal.history::<Rules>(BEN, 0, 10).await.unwrap().is_empty());
}

async fn two_writers_lose_nothing(journal: Journal) {
    let writers = (0..4).map(|writer| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut stored = BTreeSet::new();
            for number in 0..10 {
                let command = Command::Save(record(ADA, &format!("Ada {writer}.{number}")));
                match journal.execute::<Rules>(ADA, &actor(), &command, |_| ()).await {
                    Ok(executed) => drop(stored.insert(executed.sequence)),
                    Err(ExecuteError::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stored
        })
    });
    let mut stored = BTreeSet::new();
    let mut count = 0;
    for writer in futures::future::join_all(writers).await {
        let own = writer.unwrap();
        count += own.len();
        stored.extend(own);
    }
    let history: BTreeSet<u64> =
        journal.history::<Rules>(ADA, 0, 100).await.unwrap().iter().map(|commit| commit.sequence).collect();
    assert_eq!((count, &stored), (history.len(), &history), "each success is a commit of its own");
}

async fn a_decision_on_an_old_state_is_made_again(journal: Journal) {
    save(&journal, ADA, "Ada").await;
    let mut old: Snapshot<Rules> = journal.load(ADA).await.unwrap();
    save(&journal, ADA, "Ada King").await;
    // By the old state it would change something; by the present one it holds.
    let command = Command::Save(record(ADA, "Ada King"));
    let executed =
        journal.execute_on(ADA, &actor(), &mut old, |state| Rules::decide(state, &command, &())).await.unwrap();
    assert!(executed.events.is_empty());
    assert_eq!(journal.history::<Rules>(ADA, 0, 10).await.unwrap().len(), 2);
    assert_eq!(old.state.as_ref().map(|record| record.name.as_str()), Some("Ada King"));
}

async fn history_comes_in_pages(journal: Journal) {
    for number in 0..7 {
        save(&journal, ADA, &format!("Ada {number}")).await;
        save(&journal, BEN, &format!("Ben {number}")).await;
    }
    let first = journal.history::<Rules>(ADA, 0, 3).await.unwrap();
    let rest = journal.history::<Rules>(ADA, first[2].sequence, 100).await.unwrap();
    assert_eq!((first.len(), rest.len()), (3, 4));
    assert!(first[2].sequence < rest[0].sequence);
    assert!(journal.history::<Rules>(ADA, rest[3].sequence, 100).await.unwrap().is_empty());
}

async fn followers_get_everything_in_order(journal: Journal) {
    let mut wanted = Vec::new();
    for number in 0..5 {
        wanted.push(save(&journal, ADA, &format!("Ada {number}")).await);
    }
    let mut follower = journal.follow(&[Kind::Record]);
    let mut others = journal.follow(&[Kind::Profile]);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        match next(&mut follower).await {
            Followed::Record(id, commit) => seen.push((id, commit.sequence)),
            other => panic!("{other:?} before everything was given"),
        }
    }
    assert!(matches!(next(&mut follower).await, Followed::CaughtUp));
    assert!(matches!(next(&mut others).await, Followed::CaughtUp));
    for number in 0..5 {
        wanted.push(save(&journal, ADA, &format!("Ada again {number}")).await);
        match next(&mut follower).await {
            Followed::Record(id, commit) => seen.push((id, commit.sequence)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, wanted.iter().map(|sequence| (ADA, *sequence)).collect::<Vec<_>>());
    assert!(others.next().now_or_never().is_none(), "what is of another kind does not come");
}

async fn next(follower: &mut (impl futures::Stream<Item = Followed> + Unpin)) -> Followed {
    tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_a_follower_nothing() {
    let mut nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let journal = connect(&nats).await;
    let mut follower = journal.follow(&[Kind::Record]);
    let mut wanted = Vec::new();
    for number in 0..20 {
        wanted.push(save(&journal, ADA, &format!("Ada {number}")).await);
    }
    nats.kill().await.unwrap();
    nats.restart().await.unwrap();
    for number in 0..20 {
        // The client finds the server again by itself; until then the journal is unreachable and says so.
        let command = Command::Save(record(ADA, &format!("Ada again {number}")));
        let stored = eventually(PATIENCE, || async {
            journal.execute::<Rules>(ADA, &actor(), &command, |_| ()).await.ok().map(|executed| executed.sequence)
        });
        wanted.push(stored.await.unwrap());
    }
    let mut seen = Vec::new();
    while seen.len() < 40 {
        if let Followed::Record(_, commit) = next(&mut follower).await {
            seen.push(commit.sequence);
        }
    }
    assert_eq!(seen, wanted, "no gap and no repeat");
    let history: Vec<u64> =
        journal.history::<Rules>(ADA, 0, 100).await.unwrap().iter().map(|commit| commit.sequence).collect();
    assert_eq!(history, wanted, "nothing is stored twice");
}

async fn what_is_erased_is_gone_and_the_rest_is_as_it_was(journal: Journal) {
    save(&journal, ADA, "Ada").await;
    let other = save(&journal, BEN, "Ben").await;
    save(&journal, ADA, "Augusta").await;
    let gone = journal.execute::<Rules>(ADA, &actor(), &Command::Delete, |_| ()).await.unwrap().sequence;
    assert_eq!(journal.erase_before(Kind::Record, ADA, gone).await.unwrap(), 2);
    assert_eq!(journal.erase_before(Kind::Record, ADA, gone).await.unwrap(), 0, "repeating does nothing");
    let left = journal.history::<Rules>(ADA, 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|commit| commit.sequence).collect::<Vec<_>>(), [gone]);
    assert!(journal.at::<Rules>(1).await.unwrap().is_none());
    let followed: Vec<_> = journal.follow(&[Kind::Record]).take(3).collect().await;
    assert!(
        matches!(
            &followed[..],
            [Followed::Record(BEN, first), Followed::Record(ADA, second), Followed::CaughtUp]
                if first.sequence == other && second.sequence == gone
        ),
        "{followed:?}"
    );
    // The tombstone is what the next commit follows.
    assert!(save(&journal, ADA, "Ada again").await > gone);
}
