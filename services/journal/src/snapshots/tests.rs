use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, stream};
use postroad_core::record::{Command, Kind as RecordKind, Record, Rules};
use uuid::Uuid;

use super::*;
use crate::{Actor, Followed, Kind, Part};

const NAME: &str = "people";

fn batches() -> Vec<Vec<(u64, String)>> {
    (0..3).map(|batch| (0..5).map(|at| (batch * 5 + at, format!("record {at}"))).collect()).collect()
}

async fn grown(journal: &Journal, commits: u32) {
    for number in 0..commits {
        let id = Uuid::from_u128(7);
        let name = format!("Ada {number} {}", Uuid::now_v7());
        let addresses = Vec::new();
        let record = Record { id, kind: RecordKind::User, name, addresses, active: true, owner_id: None };
        journal.execute::<Rules>(id, &Actor::new("ada"), &Command::Save(record), |_| ()).await.unwrap();
    }
}

async fn read(journal: &Journal, version: u32) -> Option<(u64, Vec<Vec<(u64, String)>>)> {
    let mut read = Vec::new();
    let sequence = journal.kept(Part::Crm, (NAME, version), |batch| read.push(batch)).await;
    sequence.map(|sequence| (sequence, read))
}

/// The bytes of a snapshot at sequence 2 of a journal of three commits.
async fn written(journal: &Journal) -> Vec<u8> {
    grown(journal, 3).await;
    let size = journal.keep(Part::Crm, (NAME, 1), 2, stream::iter(batches())).await.unwrap();
    let mut bytes = Vec::new();
    journal.shelf.open(NAME).await.unwrap().unwrap().read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

#[tokio::test]
async fn what_was_kept_is_read_and_followed_on_from() {
    let journal = Journal::memory();
    assert_eq!(read(&journal, 1).await, None);
    written(&journal).await;
    assert_eq!(read(&journal, 1).await, Some((2, batches())));
    let followed: Vec<_> =
        journal.follow_after(&[Kind::Record], Part::Crm, 2).take(2).collect().now_or_never().unwrap();
    assert!(matches!(&followed[..], [Followed::Record(_, commit), Followed::CaughtUp] if commit.sequence == 3));
}

#[tokio::test]
async fn a_snapshot_of_another_version_or_journal_is_discarded() {
    let journal = Journal::memory();
    let bytes = written(&journal).await;
    assert_eq!(read(&journal, 2).await, None, "of an older version");
    let other = Journal { shelf: Arc::clone(&journal.shelf), ..Journal::memory() };
    assert_eq!(read(&other, 1).await, None, "of a journal that is shorter");
    grown(&other, 3).await;
    assert!(read(&other, 1).await.is_some());
    assert!(!bytes.is_empty());
}

#[tokio::test]
async fn a_torn_snapshot_is_discarded_wherever_it_ends() {
    let journal = Journal::memory();
    let bytes = written(&journal).await;
    for end in 0..bytes.len() {
        journal.shelf.put(NAME, &mut &bytes[..end]).await.unwrap();
        assert_eq!(read(&journal, 1).await, None, "{end}");
    }
    journal.shelf.put(NAME, &mut [&bytes[..], &[0]].concat().as_slice()).await.unwrap();
    assert_eq!(read(&journal, 1).await, None, "something follows");
    journal.shelf.put(NAME, &mut bytes.as_slice()).await.unwrap();
    assert!(read(&journal, 1).await.is_some());
}

#[tokio::test]
async fn a_damaged_length_costs_no_memory() {
    let journal = Journal::memory();
    for length in [u32::MAX, LONGEST as u32] {
        let bytes = [&length.to_le_bytes()[..], b"few"].concat();
        journal.shelf.put(NAME, &mut bytes.as_slice()).await.unwrap();
        assert_eq!(read(&journal, 1).await, None);
    }
}
