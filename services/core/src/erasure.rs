//! The erasure of a person: what concerned one of their addresses up to a moment is not kept, and does not come back.
//!
//! Only a digest of the address is remembered, as the aggregate's id. Mail that comes later is new: it is judged like any other.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Aggregate, Refusal, email::Email};

/// The namespace of digests of addresses; pinned, or what was erased would come back.
const NAMESPACE: Uuid = Uuid::from_u128(0x3b1d_6f7c_40a2_4f5e_9d5a_7c31_52e8_a906);

/// The digest under which an erased address is remembered.
pub fn digest(address: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, address.trim().to_lowercase().as_bytes())
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What concerned the address up to then is erased.
    PersonErased { at: Timestamp },
}

/// Erase, up to now.
#[derive(Clone, Copy, Debug)]
pub struct Erase;

/// The aggregate: until when the address is erased; `None` where it is not.
pub struct Rules;

impl Aggregate for Rules {
    type State = Option<Timestamp>;
    type Command = Erase;
    type Event = Event;
    type Facts = Timestamp;
    type Refusal = Refusal;

    fn decide(state: &Option<Timestamp>, _: &Erase, now: &Timestamp) -> Result<Vec<Event>, Refusal> {
        let is_later = state.is_none_or(|until| until < *now);
        Ok(is_later.then_some(Event::PersonErased { at: *now }).into_iter().collect())
    }

    fn evolve(state: Option<Timestamp>, event: &Event) -> Option<Timestamp> {
        let Event::PersonErased { at } = event;
        state.max(Some(*at))
    }
}

/// Whether an email concerns an erased person and is of before the erasure. `until` tells of a digest until when it is erased; `known` is when
/// the CRM first had the email: what it had before the erasure is of before, also where it was sent only after it.
pub fn is_erased(email: &Email, known: Timestamp, until: impl Fn(Uuid) -> Option<Timestamp>) -> bool {
    let at = email.received_at.or(email.sent_at).map_or(known, |at| at.min(known));
    email.parties.iter().any(|party| until(digest(&party.address)).is_some_and(|until| at <= until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email::{Party, Role, example};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn from(address: &str, received: Option<i64>) -> Email {
        let party = Party {
            role: Role::From,
            name: String::new(),
            address: address.into(),
            record_id: None,
            is_ambiguous: false,
        };
        Email { parties: vec![party], received_at: received.map(at), ..example() }
    }

    #[test]
    fn mail_up_to_the_erasure_is_erased_and_later_mail_is_new() {
        let until = |id| (id == digest("Eve@Fabrikam.example ")).then(|| at(100));
        let is = |address, received, known| is_erased(&from(address, received), at(known), until);
        assert!(is("eve@fabrikam.example", Some(100), 150) && is("EVE@fabrikam.example", None, 50));
        assert!(!is("eve@fabrikam.example", Some(101), 150) && !is("EVE@fabrikam.example", None, 150));
        assert!(!is("adam@fabrikam.example", Some(1), 150));
    }

    #[test]
    fn what_the_crm_had_before_is_of_before_also_where_it_was_sent_later() {
        // Given an email that names the person and was sent after the erasure.
        let until = |id| (id == digest("eve@fabrikam.example")).then(|| at(100));
        let sent = Email { sent_at: Some(at(150)), ..from("eve@fabrikam.example", None) };
        // When it was queued before the erasure, then it is erased; when it was queued later, it is not.
        assert!(is_erased(&sent, at(50), until) && !is_erased(&sent, at(120), until));
    }

    #[test]
    fn erasing_again_moves_the_moment_and_never_back() {
        let state = Rules::fold(None, &Rules::decide(&None, &Erase, &at(1)).unwrap());
        assert_eq!(Rules::decide(&state, &Erase, &at(1)).unwrap(), []);
        assert_eq!(Rules::fold(state, &Rules::decide(&state, &Erase, &at(2)).unwrap()), Some(at(2)));
        assert_eq!(Rules::evolve(Some(at(9)), &Event::PersonErased { at: at(2) }), Some(at(9)));
    }

    #[test]
    fn the_digest_is_pinned() {
        assert_eq!(digest("eve@fabrikam.example"), Uuid::new_v5(&NAMESPACE, b"eve@fabrikam.example"));
    }
}
