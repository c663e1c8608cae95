//! Erasing a person: first that it is to be, then a tombstone for each email, then what the tombstone stands for is destroyed.
//!
//! Each step is in the journal before the next one, so that whatever a crash left is found by the sweep, which ends it: at the start, and each
//! minute for what was being sent or could not be deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use postroad_core::{
    Refusal,
    email::{self, Activity},
    erasure,
    fault::{Code, Report},
    record,
};
use postroad_journal::{Actor, ExecuteError, Journal, Kind, Snapshot};
use postroad_rig::clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    content::Contents,
    promote::{self, Error},
    store::{Person, Store},
};

/// How often what is left is looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How often keys of contents are looked for whose email never came to be: all keys are listed for it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Commits that are read at once.
const PAGE: usize = 100;

/// Erases.
#[derive(Clone)]
pub struct Eraser {
    journal: Journal,
    store: Arc<Store>,
    contents: Contents,
}

/// What became of an email.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of it is left.
    Erased,
    /// It is being sent, or waits for it.
    Waiting,
}

impl Eraser {
    /// Erases what a store shows of a journal.
    pub const fn new(journal: Journal, store: Arc<Store>, contents: Contents) -> Self {
        Self { journal, store, contents }
    }

    /// Commits that a person is erased: from then on nothing of before comes in. Deletes the person's records.
    ///
    /// # Errors
    /// The journal does not answer; what was committed stays, and the sweep goes on from there.
    pub async fn begin(&self, actor: &Actor, person: &Person, now: Timestamp) -> Result<(), Error> {
        for address in &person.addresses {
            let id = erasure::digest(address);
            let done = self.journal.execute::<erasure::Rules>(id, actor, &erasure::Erase, |_| now).await;
            self.store.reached(done.map_err(Error::Journal)?.sequence).await;
        }
        // Looked for again: a promotion may have created one just before.
        let new = |address: &String| self.store.read(|view| view.person(address)).unwrap_or_default().records;
        let records = person.addresses.iter().flat_map(new).chain(person.records.iter().cloned());
        let ids: BTreeSet<Uuid> = records.map(|record| record.id).collect();
        for id in ids {
            let deleted = self.journal.execute::<record::Rules>(id, actor, &record::Command::Delete, |_| ()).await;
            match deleted {
                Ok(done) => self.store.reached(done.sequence).await,
                Err(ExecuteError::Refused(_)) => {}
                Err(error) => return Err(Error::Journal(error)),
            }
        }
        for (sequence, id) in self.store.read(|view| view.unfinished_records()) {
            self.finish_record(sequence, id).await?;
        }
        Ok(())
    }

    /// Erases an email.
    ///
    /// # Errors
    /// The journal or the object store does not answer; the sweep tries again.
    pub async fn email(&self, actor: &Actor, id: Uuid, now: Timestamp) -> Result<Outcome, Error> {
        let row = self.store.read(|view| view.activity(id));
        let status = row.and_then(|row| row.activity.email.delivery.as_ref().map(|delivery| delivery.status));
        if status.is_some_and(|status| !status.is_waiting()) {
            for copy in self.copies(id).await? {
                self.activity(actor, copy, now).await?;
            }
        }
        self.activity(actor, id, now).await
    }

    /// The activities that the copies in Sent Items of an email that the CRM sent would be, once nothing knows its message ids any more. They get
    /// tombstones first: such a copy may be dated after the erasure.
    async fn copies(&self, id: Uuid) -> Result<BTreeSet<Uuid>, Error> {
        let (mut copies, mut after) = (BTreeSet::new(), 0);
        loop {
            let page = self.journal.history::<email::Rules>(id, after, PAGE).await;
            let page = page.map_err(|error| Error::Journal(ExecuteError::Journal(error)))?;
            // Each attempt had a message id of its own.
            copies.extend(page.iter().flat_map(|commit| &commit.events).filter_map(|event| match event {
                email::Event::Claimed { message_id, .. } => Some(email::sent_activity_id(Some(message_id), "")),
                _ => None,
            }));
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.sequence,
                _ => return Ok(copies),
            }
        }
    }

    async fn activity(&self, actor: &Actor, id: Uuid, now: Timestamp) -> Result<Outcome, Error> {
        let done = promote::decide(&self.journal, &self.store, actor, id, &email::Command::Erase, now).await;
        match done {
            Ok(_) => {}
            Err(Error::Journal(ExecuteError::Refused(Refusal { code: Code::StateConflict, .. }))) => {
                return Ok(Outcome::Waiting);
            }
            Err(error) => return Err(error),
        }
        for (sequence, activity) in self.store.read(|view| view.unfinished()) {
            if activity.email.id == id {
                self.finish(sequence, &activity).await?;
            }
        }
        Ok(Outcome::Erased)
    }

    /// Destroys what a tombstone stands for: contents and their key, then the commits before it, the first one last.
    async fn finish(&self, sequence: u64, activity: &Activity) -> Result<(), Error> {
        let email = &activity.email;
        let digests = email.contents().map(|content| content.digest.as_str());
        let is_shared = |digest: &str| self.store.holder(digest).is_some();
        self.contents.destroy(email.id, digests, is_shared).await?;
        self.forget(Kind::Email, email.id, sequence).await?;
        self.store.finished(email.id);
        Ok(())
    }

    async fn finish_record(&self, sequence: u64, id: Uuid) -> Result<(), Error> {
        self.forget(Kind::Record, id, sequence).await?;
        self.store.record_finished(id);
        Ok(())
    }

    async fn forget(&self, kind: Kind, id: Uuid, sequence: u64) -> Result<(), Error> {
        let erased = self.journal.erase_before(kind, id, sequence).await;
        erased.map(drop).map_err(|error| Error::Journal(ExecuteError::Journal(error)))
    }

    /// Ends what is left, again and again until shutdown.
    pub async fn sweep(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut looks = tokio::time::interval(SWEEP);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut days = tokio::time::interval(DAY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = looks.tick() => {}
                _ = days.tick() => {
                    match self.abandoned(clock::now()).await {
                        Ok(0) => {}
                        Ok(keys) => tracing::info!(keys, "keys of contents whose email never came to be were destroyed"),
                        Err(error) => {
                            let report = error.report();
                            let (sentence, remedy) = (report.sentence(), report.code.row().remedy);
                            tracing::warn!(
                                fault = %report.code,
                                "keys of contents whose email never came to be are looked for again tomorrow: {sentence}. {remedy}."
                            );
                        }
                    }
                    continue;
                }
            }
            // Each fault once, with how much it holds up.
            let mut faults = BTreeMap::<Code, (usize, Report)>::new();
            for report in self.end().await {
                faults.entry(report.code).or_insert((0, report)).0 += 1;
            }
            for (code, (left, report)) in faults {
                let (sentence, remedy) = (report.sentence(), code.row().remedy);
                tracing::warn!(
                    fault = %code,
                    left,
                    "what is left of erased persons could not be erased, and is tried again: {sentence}. {remedy}."
                );
            }
        }
    }

    /// Destroys the keys of contents whose email never came to be: their promotion broke off and was not repeated, perhaps because a person
    /// was erased meanwhile. Gives how many.
    ///
    /// # Errors
    /// As [`Eraser::email`].
    pub async fn abandoned(&self, now: Timestamp) -> Result<u64, Error> {
        let (mut emails, mut destroyed) = (self.contents.emails().await?, 0);
        while let Some(email) = emails.next().await {
            let id = email?;
            if !self.store.read(|view| view.is_unknown(id)) {
                continue;
            }
            let Some(revision) = self.contents.abandoned(id, now).await? else { continue };
            // The view may be behind, or unable to read what a newer version wrote: the journal decides.
            let known = self.journal.load::<email::Rules>(id).await;
            match known {
                Ok(Snapshot { state: email::State::Absent | email::State::Erased, .. }) => {}
                Ok(_) | Err(postroad_journal::Error::Unreadable { .. }) => continue,
                Err(error) => return Err(Error::Journal(ExecuteError::Journal(error))),
            }
            self.contents.destroy_abandoned(id, revision).await?;
            destroyed += 1;
        }
        Ok(destroyed)
    }

    /// Ends what a crash left of erasures, and what was being sent when they were asked for. Gives why something is left: what fails does not
    /// hold up the rest.
    pub async fn end(&self) -> Vec<Report> {
        let actor = Actor::new("role crm");
        let mut left = Vec::new();
        for (sequence, id) in self.store.read(|view| view.unfinished_records()) {
            left.extend(self.finish_record(sequence, id).await.err());
        }
        for (sequence, activity) in self.store.read(|view| view.unfinished()) {
            left.extend(self.finish(sequence, &activity).await.err());
        }
        for id in self.store.read(|view| view.to_erase()) {
            left.extend(self.email(&actor, id, clock::now()).await.err());
        }
        left.iter().map(Error::report).collect()
    }
}
