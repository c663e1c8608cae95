//! Stored commits as a function over bytes, for `tests/parsers` and cargo-fuzz. No part of the crate's interface.

use std::fmt::Debug;

use postroad_core::{email, erasure, mailbox, name, notification, organization, profile, record};
use postroad_proto::journal::v1 as stored;
use prost::Message as _;
use uuid::Uuid;

use crate::Recorded;

/// A broken promise of a reader.
fn promise(holds: bool, what: &str) {
    #[expect(clippy::panic, reason = "what a fuzzer looks for")]
    if !holds {
        panic!("{what}");
    }
}

/// A commit: what can be read is folded without harm, and the same when it is written and read again (INV-9).
pub fn commit(bytes: &[u8]) {
    let Ok(commit) = stored::Commit::decode(bytes) else { return };
    let again = stored::Commit::decode(commit.encode_to_vec().as_slice());
    promise(again.as_ref() == Ok(&commit), "a commit changes when it is written");
    let _ = crate::codec::at(commit.at);
    let events: Vec<_> = commit.events.into_iter().filter_map(|event| event.event).collect();
    read::<profile::Rules>(&events);
    read::<mailbox::Administration>(&events);
    read::<mailbox::Cycles>(&events);
    read::<record::Rules>(&events);
    read::<email::Rules>(&events);
    read::<notification::Rules>(&events);
    read::<name::Rules>(&events);
    read::<organization::Rules>(&events);
    read::<erasure::Rules>(&events);
}

fn read<A: Recorded>(events: &[stored::event::Event])
where
    A::Event: Debug + PartialEq,
    A::State: Debug + PartialEq,
{
    let id = Uuid::from_u128(1);
    let known: Vec<A::Event> = events.iter().filter_map(|event| A::decode(id, event.clone())).collect();
    for event in &known {
        let again = A::decode(id, A::encode(event));
        promise(again.as_ref() == Some(event), "an event changes when it is written");
    }
    let whole = A::fold(A::State::default(), &known);
    let (first, rest) = known.split_at(known.len() / 2);
    promise(A::fold(A::fold(A::State::default(), first), rest) == whole, "a view depends on where it was cut");
}
