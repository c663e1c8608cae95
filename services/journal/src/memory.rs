//! A journal in memory, with the same rules.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::watch;

use crate::{
    Error, Extent, Part,
    backend::{AppendError, Backend, Entry, Stored, Update, Wanted},
};

/// The log: one for each part.
#[derive(Clone, Default)]
pub struct Memory {
    mailboxes: Log,
    crm: Log,
    names: Log,
    notifications: Log,
}

/// The log of a part.
#[derive(Clone, Default)]
struct Log {
    commits: Arc<Mutex<Vec<Stored>>>,
    length: Arc<watch::Sender<usize>>,
}

impl Memory {
    const fn log(&self, part: Part) -> &Log {
        match part {
            Part::Mailboxes => &self.mailboxes,
            Part::Crm => &self.crm,
            Part::Names => &self.names,
            Part::Notifications => &self.notifications,
        }
    }

    fn look<T>(&self, part: Part, look: impl FnOnce(&mut Vec<Stored>) -> T) -> T {
        self.log(part).look(look)
    }
}

impl Log {
    fn look<T>(&self, look: impl FnOnce(&mut Vec<Stored>) -> T) -> T {
        look(&mut self.commits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Backend for Memory {
    async fn append(&self, part: Part, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        let (sequence, length) = self.look(part, |log| {
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
        self.log(part).length.send_replace(length);
        Ok(sequence)
    }

    async fn read(&self, part: Part, subject: &str, after: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let wanted = |stored: &&Stored| stored.subject == subject && stored.sequence > after;
        Ok(self.look(part, |log| log.iter().filter(wanted).take(limit).cloned().collect()))
    }

    async fn erase(&self, part: Part, sequence: u64) -> Result<(), Error> {
        if !part.is_erasable() {
            return match self.at(part, sequence).await? {
                None => Ok(()),
                Some(_) => Err(Error::Undeletable { sequence, why: "deletion is not allowed here".to_owned() }),
            };
        }
        self.look(part, |log| {
            // Its place stays, so that the others keep theirs.
            for stored in log.iter_mut().filter(|stored| stored.sequence == sequence) {
                stored.subject.clear();
                stored.payload.clear();
                stored.actor.clear();
            }
        });
        Ok(())
    }

    async fn at(&self, part: Part, sequence: u64) -> Result<Option<Stored>, Error> {
        let is_there = |stored: &&Stored| stored.sequence == sequence && !stored.subject.is_empty();
        Ok(self.look(part, |log| log.iter().find(is_there).cloned()))
    }

    async fn extent(&self, part: Part) -> Result<Extent, Error> {
        Ok(Extent { created: 0, last: self.look(part, |log| log.len() as u64) })
    }

    fn follow(&self, wanted: Wanted) -> BoxStream<'static, Update> {
        let log = self.log(wanted.part).clone();
        let existing = log.look(|log| log.len());
        // Sequences begin at 1, places at 0.
        let next = usize::try_from(wanted.after).unwrap_or(usize::MAX);
        let length = log.length.subscribe();
        let follower = Follower { log, length, wanted, existing, next, told: false };
        futures::stream::unfold(follower, async |mut follower| follower.next().await.map(|update| (update, follower)))
            .boxed()
    }
}

struct Follower {
    log: Log,
    length: watch::Receiver<usize>,
    wanted: Wanted,
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
                    if self.wanted.has(&stored.subject) {
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
