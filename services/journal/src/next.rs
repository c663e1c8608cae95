//! This version as if it were the next one, for the test of upgrades: it writes an event that this version does not know. Only
//! with the feature `next-version`, which no release has.

use postroad_proto::journal::v1 as stored;

use crate::Kind;

/// A commit as the next version writes it.
pub fn written(kind: Kind, mut payload: Vec<u8>) -> Vec<u8> {
    if cfg!(feature = "next-version") && kind == Kind::Mailbox {
        // One more of Commit.events: an event whose field 2047 is set.
        payload.extend([0x12, 0x03, 0xfa, 0x7f, 0x00]);
    }
    payload
}

/// Whether an event is the one that only the next version knows, to which it means nothing.
pub fn is_of_next(event: &stored::Event) -> bool {
    cfg!(feature = "next-version") && event.event.is_none()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_next_version_adds_an_event_that_this_one_does_not_know() {
        let payload = stored::Commit { at: None, events: Vec::new() }.encode_to_vec();
        let commit = stored::Commit::decode(written(Kind::Mailbox, payload).as_slice()).unwrap();
        assert_eq!(
            commit.events.iter().filter(|event| event.event.is_none()).count(),
            usize::from(cfg!(feature = "next-version"))
        );
    }
}
