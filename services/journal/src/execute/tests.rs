//! A commit whose acknowledgement is lost, and that another one follows before it is sent again.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use postroad_core::{
    Aggregate as _,
    record::{Command, Kind as RecordKind, Record, Rules},
};

use super::*;
use crate::{
    backend::{Backend, Update, Wanted},
    memory::Memory,
};

const ADA: Uuid = Uuid::from_u128(1);

/// Loses the acknowledgement of the first commit, after which somebody else commits.
struct Lossy {
    log: Memory,
    rival: Mutex<Option<Record>>,
}

#[async_trait]
impl Backend for Lossy {
    async fn append(&self, part: Part, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        let sequence = self.log.append(part, subject, expected, entry).await?;
        let rival = self.rival.lock().unwrap().take();
        let Some(rival) = rival else { return Ok(sequence) };
        save(&Journal { backend: Arc::new(self.log.clone()), ..Journal::memory() }, rival).await;
        Err(AppendError::Journal(Error::Unreachable("the acknowledgement is lost".to_owned())))
    }

    async fn read(&self, part: Part, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        self.log.read(part, subject, after, limit).await
    }

    async fn erase(&self, part: Part, sequence: u64) -> Result<(), Error> {
        self.log.erase(part, sequence).await
    }

    async fn at(&self, part: Part, sequence: u64) -> Result<Option<Stored>, Error> {
        self.log.at(part, sequence).await
    }

    async fn extent(&self, part: Part) -> Result<crate::Extent, Error> {
        self.log.extent(part).await
    }

    fn follow(&self, wanted: Wanted) -> BoxStream<'static, Update> {
        self.log.follow(wanted)
    }
}

fn record(name: &str) -> Record {
    let (kind, addresses) = (RecordKind::User, Vec::new());
    Record { id: ADA, kind, name: name.to_owned(), addresses, active: true, owner_id: None }
}

async fn save(journal: &Journal, record: Record) -> Executed<Rules> {
    let command = Command::Save(record);
    journal.execute::<Rules>(ADA, &Actor::new("ada"), &command, |_| ()).await.unwrap()
}

#[tokio::test]
async fn it_is_not_made_twice_and_not_taken_for_refused() {
    let lossy = Lossy { log: Memory::default(), rival: Mutex::new(Some(record("Ada King"))) };
    let journal = Journal { backend: Arc::new(lossy), ..Journal::memory() };
    let command = Command::Save(record("Ada"));
    let mut known = Snapshot::<Rules>::default();
    let decide = |state: &_| Rules::decide(state, &command, &());
    let executed = journal.execute_on(ADA, &Actor::new("ben"), &mut known, decide).await.unwrap();
    let name = |state: &Option<Record>| state.as_ref().map(|record| record.name.clone());
    assert_eq!((name(&executed.state).as_deref(), executed.sequence), (Some("Ada"), 1), "as it was with that commit");
    assert_eq!((name(&known.state).as_deref(), known.sequence), (Some("Ada King"), 2), "and what followed is known");
    assert_eq!(journal.history::<Rules>(ADA, 0, 10).await.unwrap().len(), 2);
}
