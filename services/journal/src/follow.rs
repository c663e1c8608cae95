//! Following the journal: what views are folded from.

use std::collections::HashSet;

use futures::{Stream, StreamExt as _, future, stream};
use jiff::Timestamp;
use postroad_core::{email, erasure, mailbox, name, notification, organization, profile, record};
use postroad_metric::journal::JOURNAL;
use uuid::Uuid;

use crate::{
    Commit, Journal, Kind, Part,
    backend::{Stored, Update, Wanted},
    execute::{commit, decided_at},
    trace,
};

/// What following gives.
#[derive(Clone, Debug)]
pub enum Followed {
    /// All that existed when following began was given, of all parts.
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
        /// Where it is in its part.
        sequence: u64,
    },
}

impl Journal {
    /// Every commit of these kinds from the beginning, then as they come. They are in order within each part of the journal, and in none
    /// between parts: what is folded from kinds of several parts must not depend on it. Survives absences of the server.
    pub fn follow(&self, kinds: &[Kind]) -> impl Stream<Item = Followed> + Send + Unpin + 'static + use<> {
        self.merged(kinds, None)
    }

    /// The same without the commits of a part up to a sequence: those that a snapshot holds.
    pub fn follow_after(
        &self,
        kinds: &[Kind],
        known: Part,
        sequence: u64,
    ) -> impl Stream<Item = Followed> + Send + Unpin + 'static + use<> {
        self.merged(kinds, Some((known, sequence)))
    }

    fn merged(
        &self,
        kinds: &[Kind],
        known: Option<(Part, u64)>,
    ) -> impl Stream<Item = Followed> + Send + Unpin + 'static + use<> {
        let follower = kinds.iter().map(|kind| kind.token()).collect::<Vec<_>>().join("+");
        let mut updates = Vec::new();
        for part in Part::ALL {
            let kinds: Vec<_> = kinds.iter().copied().filter(|kind| kind.part() == part).collect();
            if !kinds.is_empty() {
                let after = known.filter(|(known, _)| *known == part).map_or(0, |(_, sequence)| sequence);
                let wanted = Wanted { part, kinds, after, follower: follower.clone() };
                // An end is told, so that the others do not go on without a part.
                updates.push(self.backend.follow(wanted).map(Some).chain(stream::iter([None])).boxed());
            }
        }
        let mut behind = updates.len();
        let mut withheld = HashSet::new();
        let followed = stream::select_all(updates).take_while(|update| future::ready(update.is_some()));
        followed.filter_map(move |update| {
            future::ready(match update {
                Some(Update::CaughtUp) => {
                    behind = behind.saturating_sub(1);
                    (behind == 0).then_some(Followed::CaughtUp)
                }
                Some(Update::Stored(stored)) => {
                    if behind == 0 {
                        see(&stored);
                    }
                    Some(read(&stored, &mut withheld))
                }
                None => None,
            })
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
