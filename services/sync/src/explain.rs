//! Where each message was decided, by its message id. Eight bytes a message and eight a place: the journal has the rest.

use std::collections::HashMap;

use postroad_core::{
    email::normalized,
    mailbox::{Amendment, Event},
};
use uuid::Uuid;

/// Positions in the journal by a digest of the message id.
#[derive(Default)]
pub struct Index {
    places: HashMap<u64, Vec<u64>>,
}

impl Index {
    /// Notes what a commit decided.
    pub fn note(&mut self, sequence: u64, events: &[Event]) {
        for event in events {
            let Event::AttemptFinished { verdicts, deferrals, amendments, .. } = event else { continue };
            let amended = amendments.iter().map(|amendment| match amendment {
                Amendment::Tracked { item, .. } | Amendment::Untracked { item, .. } => item,
            });
            let decided = verdicts.iter().map(|verdict| &verdict.item);
            let items = decided.chain(deferrals.iter().map(|deferral| &deferral.item)).chain(amended);
            for message_id in items.filter_map(|item| item.message_id.as_deref()) {
                let places = self.places.entry(digest(message_id)).or_default();
                if places.last() != Some(&sequence) {
                    places.push(sequence);
                }
            }
        }
    }

    /// The positions at which a message may have been decided; the commits there tell for sure.
    pub fn find(&self, message_id: &str) -> Vec<u64> {
        self.places.get(&digest(message_id)).cloned().unwrap_or_default()
    }
}

fn digest(message_id: &str) -> u64 {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, normalized(message_id).as_bytes()).as_u64_pair().0
}
