//! Following the journal: what views are folded from.

use std::collections::HashSet;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use postroad_core::{email, erasure, mailbox, name, notification, organization, profile, record};
use postroad_metric::journal::JOURNAL;
use uuid::Uuid;

use crate::{
    Commit, Journal, Kind,
    backend::{Stored, Update},
    execute::{commit, decided_at},
    trace,
};

/// What following gives.
#[derive(Clone, Debug)]
pub enum Followed {
    /// All that existed when following began was given.
    CaughtUp,
    /// A profile changed.
    Profile(Uuid, Commit<profile::Event>),
    /// A mailbox changed.
    Mailbox(Uuid, Commit<mailbox::Event>),
    /// A record changed.
    Record(Uuid, Commit<record::Event>),
    /// An email activity changed.
    Email(Uuid, Commit<email::Event>),
    /// A profile's notifications changed.
    Notification(Uuid, Commit<notification::Event>),
    /// A claim on a name changed.
    Name(Uuid, Commit<name::Event>),
    /// The organization's settings changed.
    Organization(Commit<organization::Event>),
    /// A person was erased.
    Erasure(Uuid, Commit<erasure::Event>),
    /// A commit that this version cannot read, or a later one of the same aggregate: what it says would be folded onto a state that lacks
    /// what the unreadable one said. The aggregate is to be let alone until this process is of the newer version too.
    Unreadable {
        /// Whose; `None` if not even that can be read.
        of: Option<(Kind, Uuid)>,
        /// Where it is.
        sequence: u64,
    },
}

impl Journal {
    /// Every commit of these kinds from the beginning, then as they come, in order. Survives absences of the server.
    pub fn follow(&self, kinds: &[Kind]) -> impl Stream<Item = Followed> + Send + Unpin + 'static + use<> {
        self.follow_after(kinds, 0)
    }

    /// The same after a sequence: what a snapshot does not hold.
    pub fn follow_after(
        &self,
        kinds: &[Kind],
        after: u64,
    ) -> impl Stream<Item = Followed> + Send + Unpin + 'static + use<> {
        let subjects = kinds.iter().map(|kind| format!("journal.{}.*", kind.token())).collect();
        let mut is_live = false;
        let mut withheld = HashSet::new();
        self.backend.follow(subjects, after).map(move |update| match update {
            Update::CaughtUp => {
                is_live = true;
                Followed::CaughtUp
            }
            Update::Stored(stored) => {
                if is_live {
                    see(&stored);
                }
                read(&stored, &mut withheld)
            }
        })
    }
}

/// How long a commit took to come here; what existed before tells nothing about that.
#[expect(clippy::disallowed_methods, reason = "a measured delay decides nothing")]
fn see(stored: &Stored) {
    let delay = Timestamp::now().duration_since(decided_at(stored.id));
    JOURNAL.delivery_delay.observe(delay.as_secs_f64().max(0.0));
    trace::followed(stored.trace.as_deref(), &stored.subject, stored.sequence, stored.id);
}

fn read(stored: &Stored, withheld: &mut HashSet<(Kind, Uuid)>) -> Followed {
    let of = Kind::of_subject(&stored.subject);
    if of.is_some_and(|of| withheld.contains(&of)) {
        return Followed::Unreadable { of, sequence: stored.sequence };
    }
    let Some(followed) = of.and_then(|(kind, id)| known(kind, id, stored)) else {
        let (subject, sequence) = (&stored.subject, stored.sequence);
        tracing::error!(subject, sequence, "a commit cannot be read by this version; what it belongs to is let alone");
        withheld.extend(of);
        return Followed::Unreadable { of, sequence };
    };
    followed
}

fn known(kind: Kind, id: Uuid, stored: &Stored) -> Option<Followed> {
    let followed = match kind {
        Kind::Profile => commit::<profile::Rules>(stored).map(|commit| Followed::Profile(id, commit)),
        Kind::Mailbox => commit::<mailbox::Cycles>(stored).map(|commit| Followed::Mailbox(id, commit)),
        Kind::Record => commit::<record::Rules>(stored).map(|commit| Followed::Record(id, commit)),
        Kind::Email => commit::<email::Rules>(stored).map(|commit| Followed::Email(id, commit)),
        Kind::Notification => commit::<notification::Rules>(stored).map(|commit| Followed::Notification(id, commit)),
        Kind::Organization => commit::<organization::Rules>(stored).map(Followed::Organization),
        Kind::Erasure => commit::<erasure::Rules>(stored).map(|commit| Followed::Erasure(id, commit)),
        Kind::Name => commit::<name::Rules>(stored).map(|commit| Followed::Name(id, commit)),
    };
    followed.ok()
}

#[cfg(test)]
mod tests;
