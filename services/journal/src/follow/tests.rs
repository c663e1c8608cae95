//! Old processes beside new ones: what a newer version wrote is neither guessed nor passed over.

use std::sync::Arc;

use bytes::Bytes;
use postroad_core::record::{Command, Kind as RecordKind, Record, Rules};
use postroad_proto::journal::v1 as stored;
use prost::Message as _;

use super::*;
use crate::{Actor, Error, ExecuteError, backend::Backend as _, backend::Entry, memory::Memory};

const ADA: Uuid = Uuid::from_u128(1);
const BEN: Uuid = Uuid::from_u128(2);

/// A commit whose only event is of a variant that this version does not know.
async fn newer(log: &Memory, id: Uuid, expected: u64) {
    let mut event = Vec::new();
    prost::encoding::string::encode(30_000, &"from a newer version".to_owned(), &mut event);
    let mut payload =
        stored::Commit { at: Some(prost_types::Timestamp::default()), events: Vec::new() }.encode_to_vec();
    prost::encoding::bytes::encode(2, &event, &mut payload);
    let entry = Entry { id: Uuid::now_v7(), actor: "newer".to_owned(), payload: Bytes::from(payload) };
    log.append(Part::Crm, &Kind::Record.subject(id), expected, entry).await.unwrap();
}

fn save(id: Uuid, name: &str) -> Command {
    Command::Save(Record {
        id,
        kind: RecordKind::User,
        name: name.to_owned(),
        addresses: Vec::new(),
        active: true,
        owner_id: None,
    })
}

async fn saved(journal: &Journal, id: Uuid, name: &str) -> u64 {
    journal.execute::<Rules>(id, &Actor::new("ada"), &save(id, name), |_| ()).await.unwrap().sequence
}

#[tokio::test]
async fn nothing_is_decided_on_a_state_that_lacks_what_a_newer_version_did() {
    let log = Memory::default();
    let journal = Journal { backend: Arc::new(log.clone()), ..Journal::memory() };
    let known = saved(&journal, ADA, "Ada").await;
    let mut before = journal.load::<Rules>(ADA).await.unwrap();
    newer(&log, ADA, known).await;
    let is_newer = |error: &Error| matches!(error, Error::Unreadable { sequence: 2, .. });
    assert!(journal.load::<Rules>(ADA).await.is_err_and(|error| is_newer(&error)));
    // Neither who loads it nor who has it in memory gets a commit through.
    let command = save(ADA, "Augusta");
    let refused = journal.execute::<Rules>(ADA, &Actor::new("ada"), &command, |_| ()).await.err().unwrap();
    assert!(matches!(&refused, ExecuteError::Journal(error) if is_newer(error)));
    let decide = |state: &_| <Rules as postroad_core::Aggregate>::decide(state, &command, &());
    let refused = journal.execute_on::<Rules>(ADA, &Actor::new("ada"), &mut before, decide).await.err().unwrap();
    assert!(matches!(&refused, ExecuteError::Journal(error) if is_newer(error)));
    let ExecuteError::Journal(error) = refused else { unreachable!() };
    assert_eq!(error.report().code.name(), "JOURNAL_NEWER");
    // Others go on.
    saved(&journal, BEN, "Ben").await;
}

#[tokio::test]
async fn after_an_unreadable_commit_the_whole_aggregate_is_let_alone_and_others_are_followed() {
    let log = Memory::default();
    let journal = Journal { backend: Arc::new(log.clone()), ..Journal::memory() };
    let known = saved(&journal, ADA, "Ada").await;
    newer(&log, ADA, known).await;
    saved(&journal, BEN, "Ben").await;
    // As the newer version would: what it writes next can be read, and would be folded onto a state that is not the present one.
    let readable = log.at(Part::Crm, known).await.unwrap().unwrap();
    let entry = Entry { id: Uuid::now_v7(), actor: "newer".to_owned(), payload: readable.payload };
    log.append(Part::Crm, &Kind::Record.subject(ADA), 2, entry).await.unwrap();
    let followed: Vec<_> = journal.follow(&[Kind::Record]).take(5).collect().await;
    let ada = Some((Kind::Record, ADA));
    assert!(
        matches!(
            &followed[..],
            [
                Followed::Record(ADA, _),
                Followed::Unreadable { of: first, sequence: 2 },
                Followed::Record(BEN, _),
                Followed::Unreadable { of: second, sequence: 4 },
                Followed::CaughtUp,
            ] if *first == ada && *second == ada
        ),
        "{followed:?}"
    );
}
