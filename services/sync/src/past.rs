//! What was decided before: explained, tried with other settings, and compared with what lies in the folders. Writes nothing.

use std::{collections::HashMap, sync::Arc};

use postroad_core::{
    fault::Report,
    mailbox::{Cycles, Event, Mailbox, Verdict},
    profile::Profile,
};
use postroad_journal::Error;
use uuid::Uuid;

use crate::{exchange::Exchange, place, worker::Worker};

pub mod audit;
pub mod trial;

/// Commits that are read at a time.
const COMMITS: usize = 500;

/// Every event of a mailbox, in order, with its position.
pub async fn each(worker: &Worker, id: Uuid, mut look: impl FnMut(u64, &Event) + Send) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let history = worker.journal.history::<Cycles>(id, after, COMMITS).await?;
        let Some(last) = history.last() else { return Ok(()) };
        after = last.sequence;
        for commit in &history {
            commit.events.iter().for_each(|event| look(commit.sequence, event));
        }
    }
}

/// The last verdict about each message, by item id.
pub async fn last_verdicts(worker: &Worker, id: Uuid) -> Result<HashMap<String, Verdict>, Error> {
    let mut verdicts = HashMap::new();
    each(worker, id, |_, event| {
        if let Event::AttemptFinished { verdicts: decided, .. } = event {
            verdicts.extend(decided.iter().map(|verdict| (verdict.item.id.clone(), verdict.clone())));
        }
    })
    .await?;
    Ok(verdicts)
}

/// A live mailbox with its profile.
pub fn mailbox(worker: &Worker, id: Uuid) -> Option<(Mailbox, Profile)> {
    let found = worker.directory.with_mailbox(id, |mailbox, profile| Some((mailbox.clone(), profile?.clone())));
    found.flatten()
}

/// Opens a mailbox of the mail server, as a cycle does.
pub async fn open(worker: &Worker, mailbox: &Mailbox, profile: &Profile) -> Result<Arc<dyn Exchange>, Report> {
    let mut locator = worker.locator.clone();
    let domains = || worker.directory.domains_of(profile.id);
    let place = place::find(&worker.places, &mut locator, &worker.keyring, mailbox, profile, domains, None).await?;
    worker.open(mailbox.id, mailbox, profile, &place, false)
}
