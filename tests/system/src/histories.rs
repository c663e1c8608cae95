//! What the journal holds, read past every role, and whether it keeps its invariants.

use std::collections::BTreeMap;

use postroad_core::{
    invariant::{
        Broken, disabled_has_a_way_back, no_attempt_within_back_off, one_verdict_per_item, sent_at_most_once,
        stale_owner_cannot_append,
    },
    mailbox::{Cycles, Decision, Event},
};
use postroad_journal::{Journal, Options, Part};
use postroad_proto::mailbox::v1::ListMailboxesRequest;
use uuid::Uuid;

use crate::{Deployment, Error};

/// The events of every mailbox, by address.
pub struct Histories(pub BTreeMap<String, Vec<Event>>);

impl Histories {
    /// Reads them from the journal itself.
    pub async fn read(deployment: &Deployment) -> Result<Self, Error> {
        let other = |error: &dyn std::fmt::Display| Error::Other(error.to_string());
        let nats = deployment.nats.client().await.map_err(|error| other(&error))?;
        let options = Options { parts: vec![Part::Mailboxes], ..Options::default() };
        let journal = Journal::connect(&nats, options).await.map_err(|error| other(&error))?;
        let request = ListMailboxesRequest { page_size: 1000, ..ListMailboxesRequest::default() };
        let mailboxes = deployment.mailboxes().list_mailboxes(request).await?.into_inner().mailboxes;
        let mut histories = BTreeMap::new();
        for mailbox in mailboxes {
            let id = Uuid::parse_str(&mailbox.id).map_err(|error| other(&error))?;
            let state = journal.load::<Cycles>(id).await.map_err(|error| other(&error))?.state;
            if let Some(live) = state.live() {
                disabled_has_a_way_back(live).map_err(|broken| other(&broken))?;
            }
            let mut events = Vec::new();
            let mut after = 0;
            loop {
                let commits = journal.history::<Cycles>(id, after, 500).await.map_err(|error| other(&error))?;
                let Some(last) = commits.last() else { break };
                after = last.sequence;
                events.extend(commits.into_iter().flat_map(|commit| commit.events));
            }
            histories.insert(mailbox.settings.unwrap_or_default().email_address, events);
        }
        Ok(Self(histories))
    }

    /// The invariants over each mailbox's history.
    pub fn check(&self) -> Result<(), Broken> {
        for events in self.0.values() {
            one_verdict_per_item(events)?;
            no_attempt_within_back_off(events)?;
            stale_owner_cannot_append(events)?;
            sent_at_most_once(events)?;
        }
        Ok(())
    }

    /// How many messages have a verdict that tracks them.
    pub fn tracked(&self) -> usize {
        let verdicts = self.0.values().flatten().filter_map(|event| match event {
            Event::AttemptFinished { verdicts, .. } => Some(verdicts),
            _ => None,
        });
        verdicts.flatten().filter(|verdict| matches!(verdict.decision, Decision::Tracked { .. })).count()
    }
}
