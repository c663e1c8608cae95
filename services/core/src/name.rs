//! Unique names: a mailbox's address, its user or queue, a profile's name. Each is an aggregate of its own, so that two
//! administrators at different replicas cannot take the same one.

use uuid::Uuid;

use crate::{Aggregate, Refusal, fault::Code};

/// The namespace of claim ids; pinned.
const NAMESPACE: Uuid = Uuid::from_u128(0x91f4_0d5b_3f1e_4a41_9be8_5c0a_61c3_aa27);

/// What kind of name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A profile's name, compared without case.
    ProfileName,
    /// A mailbox's address, compared without case.
    MailboxAddress,
    /// The user or queue of a mailbox, by its id.
    MailboxRegarding,
    /// A tracking token, by the email that bears it.
    TrackingToken,
}

/// The id of the claim on a name.
pub fn claim_id(kind: Kind, name: &str) -> Uuid {
    let prefix = match kind {
        Kind::ProfileName => "profile-name",
        Kind::MailboxAddress => "mailbox-address",
        Kind::MailboxRegarding => "mailbox-regarding",
        Kind::TrackingToken => "tracking-token",
    };
    Uuid::new_v5(&NAMESPACE, format!("{prefix}:{}", name.trim().to_lowercase()).as_bytes())
}

/// What happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is borne by this aggregate now.
    Claimed { holder: Uuid },
    /// It is free.
    Released,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Bear it.
    Claim { holder: Uuid },
    /// Give it back; nothing happens if another bears it.
    Release { holder: Uuid },
}

/// Whether the present bearer really bears it: a crash between claim and creation leaves a claim of nobody.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The bearer exists and has this name.
    pub holder_lives: bool,
}

/// The aggregate; its state is the bearer.
pub struct Rules;

impl Aggregate for Rules {
    type State = Option<Uuid>;
    type Command = Command;
    type Event = Event;
    type Facts = Facts;
    type Refusal = Refusal;

    fn decide(state: &Option<Uuid>, command: &Command, facts: &Facts) -> Result<Vec<Event>, Refusal> {
        Ok(match (state, command) {
            (Some(bearer), Command::Claim { holder }) if bearer == holder => Vec::new(),
            (Some(bearer), Command::Claim { .. }) if facts.holder_lives => {
                return Err(Refusal::new(Code::NameTaken, "name", format!("is borne by {bearer}")));
            }
            (_, Command::Claim { holder }) => vec![Event::Claimed { holder: *holder }],
            (Some(bearer), Command::Release { holder }) if bearer == holder => vec![Event::Released],
            (_, Command::Release { .. }) => Vec::new(),
        })
    }

    fn evolve(_state: Option<Uuid>, event: &Event) -> Option<Uuid> {
        match event {
            Event::Claimed { holder } => Some(*holder),
            Event::Released => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_borne_name_is_taken_and_an_abandoned_one_is_free() {
        let claim =
            |state, holder_lives| Rules::decide(&state, &Command::Claim { holder: BOB }, &Facts { holder_lives });
        assert_eq!(claim(Some(ADA), true).unwrap_err().code, Code::NameTaken);
        assert_eq!(claim(Some(ADA), false).unwrap(), [Event::Claimed { holder: BOB }]);
        assert!(claim(Some(BOB), true).unwrap().is_empty());
    }

    #[test]
    fn only_the_bearer_gives_it_back() {
        let release =
            |holder| Rules::decide(&Some(ADA), &Command::Release { holder }, &Facts { holder_lives: true }).unwrap();
        assert_eq!((release(BOB).len(), release(ADA).len()), (0, 1));
    }

    #[test]
    fn names_compare_without_case() {
        assert_eq!(claim_id(Kind::ProfileName, "Contoso "), claim_id(Kind::ProfileName, "contoso"));
        assert_ne!(claim_id(Kind::ProfileName, "a"), claim_id(Kind::MailboxAddress, "a"));
    }
}
