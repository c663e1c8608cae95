//! A journal in memory, with the same rules.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::watch;

use crate::{
    Error, Extent,
    backend::{AppendError, Backend, Entry, Stored, Update},
};

/// The log.
#[derive(Clone, Default)]
pub struct Memory {
    log: Arc<Mutex<Vec<Stored>>>,
    length: Arc<watch::Sender<usize>>,
}

impl Memory {
    fn look<T>(&self, look: impl FnOnce(&mut Vec<Stored>) -> T) -> T {
        look(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Backend for Memory {
    async fn append(&self, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        let (sequence, length) = self.look(|log| {
            let last = log.iter().rev().find(|stored| stored.subject == subject);
            if let Some(last) = last.filter(|last| last.id == entry.id) {
                return Ok((last.sequence, log.len()));
            }
            if last.map_or(0, |last| last.sequence) != expected {
                return Err(AppendError::Conflict);
            }
            let sequence = log.len() as u64 + 1;
            let Entry { id, actor, payload } = entry;
            log.push(Stored { subject: subject.to_owned(), sequence, id, actor, payload, trace: None });
            Ok((sequence, log.len()))
        })?;
        self.length.send_replace(length);
        Ok(sequence)
    }

    async fn read(&self, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let wanted = |stored: &&Stored| stored.subject == subject && stored.sequence > after;
        Ok(self.look(|log| log.iter().filter(wanted).take(limit).cloned().collect()))
    }

    async fn erase(&self, sequence: u64) -> Result<(), Error> {
        self.look(|log| {
            // Its place stays, so that the others keep theirs.
            for stored in log.iter_mut().filter(|stored| stored.sequence == sequence) {
                stored.subject.clear();
                stored.payload.clear();
                stored.actor.clear();
            }
        });
        Ok(())
    }

    async fn at(&self, sequence: u64) -> Result<Option<Stored>, Error> {
        Ok(self
            .look(|log| log.iter().find(|stored| stored.sequence == sequence && !stored.subject.is_empty()).cloned()))
    }

    async fn extent(&self) -> Result<Extent, Error> {
        Ok(Extent { created: 0, last: self.look(|log| log.len() as u64) })
    }

    fn follow(&self, subjects: Vec<String>, after: u64) -> BoxStream<'static, Update> {
        let prefixes = subjects.iter().map(|subject| subject.trim_end_matches('*').to_owned()).collect();
        let existing = self.look(|log| log.len());
        // Sequences begin at 1, places at 0.
        let next = usize::try_from(after).unwrap_or(usize::MAX);
        let follower =
            Follower { log: self.clone(), length: self.length.subscribe(), prefixes, existing, next, told: false };
        futures::stream::unfold(follower, async |mut follower| follower.next().await.map(|update| (update, follower)))
            .boxed()
    }
}

struct Follower {
    log: Memory,
    length: watch::Receiver<usize>,
    prefixes: Vec<String>,
    existing: usize,
    next: usize,
    told: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Update> {
        loop {
            if !self.told && self.next >= self.existing {
                self.told = true;
                return Some(Update::CaughtUp);
            }
            let next = self.next;
            match self.log.look(|log| log.get(next).cloned()) {
                Some(stored) => {
                    self.next += 1;
                    if self.prefixes.iter().any(|prefix| stored.subject.starts_with(prefix)) {
                        return Some(Update::Stored(stored));
                    }
                }
                None => {
                    self.length.wait_for(|length| *length > next).await.ok()?;
                }
            }
        }
    }
}
