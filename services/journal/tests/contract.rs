//! What every journal promises, over memory and over a real NATS server.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{collections::BTreeSet, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use postroad_core::{
    Aggregate as _, name,
    record::{Command, Kind as RecordKind, Record, Rules},
};
use postroad_journal::{Actor, Error, ExecuteError, Followed, Journal, Kind, Options, Part, Snapshot};
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
    each_part_counts_for_itself_and_who_follows_several_gets_all_of_each_in_order
    a_snapshot_is_replaced_and_followed_on_from
    what_is_erased_is_gone_and_the_rest_is_as_it_was
    what_is_not_of_persons_cannot_be_erased
}

async fn connect(nats: &Nats) -> Journal {
    let client = async_nats::connect(nats.url()).await.unwrap();
    Journal::connect(&client, Options::default()).await.unwrap()
}

async fn a_snapshot_is_replaced_and_followed_on_from(journal: Journal) {
    let none = journal.kept(Part::Crm, ("people", 1), |_: Vec<u64>| ()).await;
    assert_eq!(none, None);
    let mut last = 0;
    for round in 1..=3_u64 {
        last = save(&journal, ADA, &format!("Ada {round}")).await;
        // Larger than a chunk of an object store.
        let batches =
            futures::stream::iter((0..40).map(|batch| (0..1000).map(|at| round << 40 | batch << 20 | at).collect()));
        let bytes = journal.keep::<u64, _>(Part::Crm, ("people", 1), last, batches).await.unwrap();
        assert!(bytes > 200_000, "{bytes}");
        let mut read = Vec::new();
        assert_eq!(journal.kept(Part::Crm, ("people", 1), |batch: Vec<u64>| read.extend(batch)).await, Some(last));
        assert_eq!((read.len(), read[0] >> 40, read[39_999]), (40_000, round, round << 40 | 39 << 20 | 999));
        assert_eq!(journal.kept(Part::Crm, ("people", 2), |_: Vec<u64>| ()).await, None, "of another version");
    }
    let after = save(&journal, BEN, "Ben").await;
    let mut followed = journal.follow_after(&[Kind::Record], Part::Crm, last);
    let first = followed.next().await.unwrap();
    assert!(matches!(first, Followed::Record(BEN, commit) if commit.sequence == after));
    assert!(matches!(followed.next().await.unwrap(), Followed::CaughtUp));
    let mut nothing = journal.follow_after(&[Kind::Record], Part::Crm, after);
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

async fn claim(journal: &Journal, id: Uuid) -> u64 {
    let facts = name::Facts { holder_lives: true };
    journal
        .execute::<name::Rules>(id, &actor(), &name::Command::Claim { holder: BEN }, |_| facts)
        .await
        .unwrap()
        .sequence
}

async fn each_part_counts_for_itself_and_who_follows_several_gets_all_of_each_in_order(journal: Journal) {
    let mut follower = journal.follow(&[Kind::Name, Kind::Record]);
    assert!(matches!(next(&mut follower).await, Followed::CaughtUp));
    let names: Vec<_> = (1..=20).map(|number| Uuid::from_u128(100 + number)).collect();
    for (number, id) in (1..).zip(&names) {
        assert_eq!(claim(&journal, *id).await, number);
        assert_eq!(save(&journal, ADA, &format!("Ada {number}")).await, number);
    }
    assert_eq!(journal.extent(Part::Names).await.unwrap().last, 20);
    assert_eq!(journal.extent(Part::Crm).await.unwrap().last, 20);
    assert_eq!(journal.extent(Part::Mailboxes).await.unwrap().last, 0);
    let (at_record, at_name) = (journal.at::<Rules>(7).await.unwrap(), journal.at::<name::Rules>(7).await.unwrap());
    assert_eq!((at_record.unwrap().0, at_name.unwrap().0), (ADA, names[6]));
    // As it comes, and by whoever begins later: all of each part in its order, and only then that it is all.
    let (_, live) = sorted(&mut follower, 40).await;
    let mut late = journal.follow(&[Kind::Name, Kind::Record]);
    let (is_caught_up, replayed) = sorted(&mut late, 40).await;
    assert!(!is_caught_up && matches!(next(&mut late).await, Followed::CaughtUp));
    let wanted: Vec<_> = names.iter().copied().zip(1..).collect();
    let records: Vec<_> = (1..=20).map(|number| (ADA, number)).collect();
    assert_eq!(live, (wanted.clone(), records.clone()));
    assert_eq!(replayed, (wanted, records));
    // What is known of one part is left out, and nothing of the other.
    let mut rest = journal.follow_after(&[Kind::Record, Kind::Name], Part::Crm, 18);
    let (_, (claims, records)) = sorted(&mut rest, 22).await;
    assert_eq!((claims.len(), records), (20, vec![(ADA, 19), (ADA, 20)]));
    assert!(matches!(next(&mut rest).await, Followed::CaughtUp));
}

/// So many commits: names and records, each as they came; and whether it was told that it is all.
async fn sorted(
    follower: &mut (impl futures::Stream<Item = Followed> + Unpin),
    commits: usize,
) -> (bool, (Vec<(Uuid, u64)>, Vec<(Uuid, u64)>)) {
    let (mut names, mut records, mut is_caught_up) = (Vec::new(), Vec::new(), false);
    while names.len() + records.len() < commits {
        match next(follower).await {
            Followed::Name(id, commit) => names.push((id, commit.sequence)),
            Followed::Record(id, commit) => records.push((id, commit.sequence)),
            Followed::CaughtUp => is_caught_up = true,
            other => panic!("{other:?}"),
        }
    }
    (is_caught_up, (names, records))
}

async fn what_is_not_of_persons_cannot_be_erased(journal: Journal) {
    let first = claim(&journal, ADA).await;
    let release = name::Command::Release { holder: BEN };
    let facts = name::Facts { holder_lives: true };
    let second = journal.execute::<name::Rules>(ADA, &actor(), &release, |_| facts).await.unwrap().sequence;
    let refused = journal.erase_before(Kind::Name, ADA, second).await.unwrap_err();
    assert!(matches!(refused, Error::Undeletable { sequence, .. } if sequence == first), "{refused}");
    assert_eq!(journal.history::<name::Rules>(ADA, 0, 10).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_not_opened_is_neither_made_nor_used() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let options = Options { parts: vec![Part::Crm], ..Options::default() };
    let journal = Journal::connect(&client, options).await.unwrap();
    save(&journal, ADA, "Ada").await;
    let closed = journal.load::<name::Rules>(ADA).await.err().unwrap();
    assert!(matches!(&closed, Error::Closed { stream } if stream == "JOURNAL_NAMES"), "{closed}");
    // Who follows what is not there gets an end, and not the rest as if it were all.
    let followed: Vec<_> = journal.follow(&[Kind::Name, Kind::Record]).collect().await;
    assert!(!followed.iter().any(|followed| matches!(followed, Followed::CaughtUp)), "{followed:?}");
    let jetstream = async_nats::jetstream::new(client.clone());
    assert!(jetstream.get_stream("JOURNAL_CRM").await.is_ok());
    assert!(jetstream.get_stream("JOURNAL").await.is_err() && jetstream.get_stream("JOURNAL_NAMES").await.is_err());
    Journal::prepare(&client, Options { parts: Vec::new(), ..Options::default() }).await.unwrap();
    assert!(jetstream.get_stream("JOURNAL_NOTIFICATIONS").await.is_err(), "roles do not share it");
    for part in [Part::Mailboxes, Part::Crm, Part::Names] {
        let stream = jetstream.get_stream(part.stream("JOURNAL")).await.unwrap();
        let config = &stream.cached_info().config;
        assert_eq!((config.deny_delete, config.deny_purge), (part != Part::Crm, true), "{part:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_former_layout_is_refused_and_left_as_it_is_and_one_of_a_newer_version_is_used() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = |name: &str, subjects: &[&str]| async_nats::jetstream::stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        allow_direct: true,
        ..Default::default()
    };
    jetstream.create_stream(stream("JOURNAL", &["journal.>"])).await.unwrap();
    // Whichever part is opened, and also where the first stream has another name than it.
    for (base, part) in [("JOURNAL", Part::Mailboxes), ("JOURNAL", Part::Crm), ("OTHER", Part::Mailboxes)] {
        let options = Options { stream: base.to_owned(), parts: vec![part], ..Options::default() };
        let error = Journal::connect(&client, options).await.unwrap_err();
        assert!(matches!(error, Error::Layout { .. }), "{error:?}");
        let (report, name) = (error.report(), part.stream(base));
        assert!(report.code.name() == "JOURNAL_LAYOUT" && report.detail.contains(&name), "{report:?}");
    }
    assert!(matches!(Journal::prepare(&client, Options::default()).await, Err(Error::Layout { .. })));
    let found = jetstream.get_stream("JOURNAL").await.unwrap();
    assert_eq!(found.cached_info().config.subjects, ["journal.>"]);
    jetstream.delete_stream("JOURNAL").await.unwrap();

    let newer = ["journal.profile.*", "journal.new.*", "journal.mailbox.*"];
    jetstream.create_stream(stream("JOURNAL", &newer)).await.unwrap();
    jetstream.publish("journal.new.x", "".into()).await.unwrap().await.unwrap();
    let journal = Journal::connect(&client, Options::default()).await.unwrap();
    let followed = next(&mut journal.follow(&[Kind::Mailbox, Kind::Profile])).await;
    assert!(matches!(followed, Followed::CaughtUp), "{followed:?}");
    let found = jetstream.get_stream("JOURNAL").await.unwrap();
    let config = &found.cached_info().config;
    assert_eq!(config.subjects, newer);
    assert!(config.republish.is_some() && !config.deny_purge, "followers can listen, and all else is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_gets_what_nobody_told_it() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let journal = connect(&nats).await;
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let mut follower = journal.follow(&[Kind::Record]);
    assert!(matches!(next(&mut follower).await, Followed::CaughtUp));
    let stream = jetstream.get_stream("JOURNAL_CRM").await.unwrap();
    let told = stream.cached_info().config.clone();
    let untold = async_nats::jetstream::stream::Config { republish: None, ..told.clone() };
    jetstream.update_stream(untold).await.unwrap();
    let mut wanted = Vec::new();
    for number in 0..3 {
        wanted.push(save(&journal, ADA, &format!("Ada {number}")).await);
    }
    // By the look that is taken now and then.
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(sequence(next(&mut follower).await));
    }
    // By the next one that is told.
    wanted.push(save(&journal, ADA, "Ada 3").await);
    jetstream.update_stream(told).await.unwrap();
    for number in 4..7 {
        wanted.push(save(&journal, ADA, &format!("Ada {number}")).await);
    }
    while seen.len() < 7 {
        seen.push(sequence(next(&mut follower).await));
    }
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_deleted_at_the_end_is_not_waited_for() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let journal = connect(&nats).await;
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let stream = jetstream.get_stream("JOURNAL_CRM").await.unwrap();
    let first = save(&journal, ADA, "Ada").await;
    for name in ["Augusta", "Augusta Ada"] {
        let last = save(&journal, ADA, name).await;
        stream.delete_message(last).await.unwrap();
    }
    let mut follower = journal.follow(&[Kind::Record]);
    assert_eq!(sequence(next(&mut follower).await), first);
    assert!(matches!(next(&mut follower).await, Followed::CaughtUp));
    let last = save(&journal, BEN, "Ben").await;
    assert_eq!(sequence(next(&mut follower).await), last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_is_not_followed_as_if_it_were_the_same() {
    let nats = Nats::start(stage::nats::Options::default()).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let options = Options { stream: "ANEW".to_owned(), ..Options::default() };
    let journal = Journal::connect(&client, options).await.unwrap();
    let mut follower = journal.follow(&[Kind::Record]);
    for number in 0..3 {
        save(&journal, ADA, &format!("Ada {number}")).await;
    }
    let mut seen = 0;
    while seen < 3 {
        seen += u64::from(matches!(next(&mut follower).await, Followed::Record(..)));
    }
    let jetstream = async_nats::jetstream::new(client);
    let config = jetstream.get_stream("ANEW_CRM").await.unwrap().cached_info().config.clone();
    jetstream.delete_stream("ANEW_CRM").await.unwrap();
    jetstream.create_stream(config).await.unwrap();
    for number in 0..5 {
        save(&journal, BEN, &format!("Ben {number}")).await;
    }
    let interrupted = postroad_metric::journal::JOURNAL.interrupted.with_label_values(&["record", "ANEW_CRM"]);
    let told = eventually(PATIENCE, || async { (interrupted.get() == 1).then_some(()) });
    told.await.expect("nobody is told that the role has to be restarted");
}

fn sequence(followed: Followed) -> u64 {
    match followed {
        Followed::Record(_, commit) => commit.sequence,
        other => panic!("{other:?}"),
    }
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
