//! Whose address it is: senders and recipients as records of the CRM (spec §3.5), and who owns the email (spec §3.6).

use uuid::Uuid;

use crate::{
    organization::Settings,
    record::{Kind, Record},
};

/// So many records with one address, and a sender resolves to none of them.
const TOO_MANY: usize = 100;

/// What an address resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A record.
    Record(Uuid),
    /// None has the address; it resolves as soon as one has.
    Unknown,
    /// Several have it.
    Ambiguous,
}

/// Senders resolve in this order (spec §3.5); queues belong to the other tables.
const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::User => 0,
        Kind::Contact => 1,
        Kind::Account => 2,
        Kind::Lead => 3,
        Kind::Queue => 4,
    }
}

/// A disabled user never resolves.
fn may_resolve(record: &Record) -> bool {
    record.active || record.kind != Kind::User
}

/// The record that a sender is: a single one whatever its state; of several, active ones first, those that the owner of the
/// mailbox owns before the order of kinds.
pub fn sender(candidates: &[Record], mailbox_owner: Option<Uuid>, settings: &Settings) -> Resolution {
    let candidates: Vec<&Record> = candidates.iter().filter(|record| may_resolve(record)).collect();
    match candidates.as_slice() {
        [] => Resolution::Unknown,
        [only] => Resolution::Record(only.id),
        several if several.len() >= TOO_MANY || settings.ambiguous_sender_unresolved => Resolution::Ambiguous,
        several => {
            let is_own = |record: &Record| mailbox_owner.is_some() && record.owner_id == mailbox_owner;
            let active = several.iter().filter(|record| record.active);
            active
                .min_by_key(|record| (!is_own(record), rank(record.kind), record.id))
                .map_or(Resolution::Ambiguous, |record| Resolution::Record(record.id))
        }
    }
}

/// The records that a recipient is: all that have the address, inactive ones only if the settings say so.
pub fn recipient(candidates: &[Record], settings: &Settings) -> Vec<Resolution> {
    let resolves = |record: &&Record| may_resolve(record) && (record.active || settings.resolve_inactive);
    let mut found: Vec<&Record> = candidates.iter().filter(resolves).collect();
    found.sort_by_key(|record| (rank(record.kind), record.id));
    match found.as_slice() {
        [] => vec![Resolution::Unknown],
        [_, _, ..] if settings.ambiguous_recipients_unresolved => vec![Resolution::Ambiguous],
        all => all.iter().map(|record| Resolution::Record(record.id)).collect(),
    }
}

/// Who of To, Cc and Bcc may own the email: users, and the owners of queues, in the message's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of To.
    pub to: Vec<Uuid>,
    /// Of Cc.
    pub cc: Vec<Uuid>,
    /// Of Bcc, or of the mailbox where no header names it.
    pub bcc: Vec<Uuid>,
}

/// The user who may own an email because of a recipient.
pub fn eligible(recipient: &Record) -> Option<Uuid> {
    match recipient.kind {
        Kind::User => recipient.active.then_some(recipient.id),
        Kind::Queue => recipient.owner_id,
        Kind::Contact | Kind::Account | Kind::Lead => None,
    }
}

/// Who owns the email. The first of To, Cc, Bcc that has anybody decides: a recipient who owns the email that it answers, else the
/// owner of the sender's record if he is in the list, else the first.
pub fn owner(owners: &Owners, answered_owner: Option<Uuid>, sender_owner: Option<Uuid>) -> Option<Uuid> {
    let list = [&owners.to, &owners.cc, &owners.bcc].into_iter().find(|list| !list.is_empty())?;
    let within = |wanted: Option<Uuid>| wanted.filter(|wanted| list.contains(wanted));
    within(answered_owner).or_else(|| within(sender_owner)).or_else(|| list.first().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EmailAddress;

    const OWNER: Uuid = Uuid::from_u128(900);

    fn record(id: u128, kind: Kind) -> Record {
        Record {
            id: Uuid::from_u128(id),
            kind,
            name: format!("{id}"),
            addresses: vec![EmailAddress::trusted("x@x.example")],
            active: true,
            owner_id: None,
        }
    }

    fn is(id: u128) -> Resolution {
        Resolution::Record(Uuid::from_u128(id))
    }

    /// Spec §12, check 10: 100 matches, owner precedence, inactive rows.
    #[test]
    fn check_10_senders_resolve_by_number_owner_order_and_state() {
        let settings = Settings::default();
        let resolve = |candidates: &[Record]| sender(candidates, Some(OWNER), &settings);
        assert_eq!(resolve(&[]), Resolution::Unknown);
        let (lead, contact, queue) = (record(1, Kind::Lead), record(2, Kind::Contact), record(3, Kind::Queue));
        assert_eq!(resolve(&[queue, lead.clone(), contact.clone()]), is(2));
        let owned = Record { owner_id: Some(OWNER), ..lead.clone() };
        assert_eq!(resolve(&[owned, contact.clone()]), is(1));
        let inactive = Record { active: false, ..contact.clone() };
        assert_eq!(resolve(std::slice::from_ref(&inactive)), is(2));
        assert_eq!(resolve(&[inactive, lead]), is(1));
        let many = |count: u128| (0..count).map(|id| record(id, Kind::Contact)).collect::<Vec<_>>();
        assert_eq!((resolve(&many(99)), resolve(&many(100))), (is(0), Resolution::Ambiguous));
        let disabled = Record { active: false, ..record(5, Kind::User) };
        assert_eq!(resolve(&[disabled]), Resolution::Unknown);
        let strict = Settings { ambiguous_sender_unresolved: true, ..Settings::default() };
        assert_eq!(sender(&many(2), None, &strict), Resolution::Ambiguous);
        assert_eq!(sender(&[contact], None, &strict), is(2));
    }

    #[test]
    fn recipients_are_all_that_have_the_address() {
        let settings = Settings::default();
        let (user, queue) = (record(1, Kind::User), record(2, Kind::Queue));
        let gone = Record { active: false, ..record(3, Kind::Contact) };
        let all = [queue, gone, user];
        assert_eq!(recipient(&all, &settings), [is(1), is(2)]);
        let inactive = Settings { resolve_inactive: true, ..Settings::default() };
        assert_eq!(recipient(&all, &inactive), [is(1), is(3), is(2)]);
        let strict = Settings { ambiguous_recipients_unresolved: true, ..Settings::default() };
        assert_eq!(recipient(&all, &strict), [Resolution::Ambiguous]);
        assert_eq!(recipient(&[], &strict), [Resolution::Unknown]);
    }

    /// Spec §12, check 11: all three branches, and the order of the lists.
    #[test]
    fn check_11_the_owner_is_found_in_the_first_list_that_has_anybody() {
        let id = Uuid::from_u128;
        let owners = Owners { to: vec![id(1), id(2)], cc: vec![id(3)], bcc: vec![id(4)] };
        assert_eq!(owner(&owners, Some(id(2)), Some(id(1))), Some(id(2)));
        assert_eq!(owner(&owners, Some(id(3)), Some(id(2))), Some(id(2)));
        assert_eq!(owner(&owners, None, Some(id(9))), Some(id(1)));
        let without = Owners { to: Vec::new(), ..owners };
        assert_eq!(owner(&without, Some(id(1)), None), Some(id(3)));
        assert_eq!(owner(&Owners { bcc: vec![id(4)], ..Owners::default() }, None, None), Some(id(4)));
        assert_eq!(owner(&Owners::default(), Some(id(1)), None), None);
    }

    #[test]
    fn a_queue_stands_for_its_owner() {
        let queue = Record { owner_id: Some(OWNER), ..record(1, Kind::Queue) };
        assert_eq!((eligible(&queue), eligible(&record(2, Kind::Queue))), (Some(OWNER), None));
        assert_eq!(eligible(&record(3, Kind::User)), Some(Uuid::from_u128(3)));
        assert_eq!(eligible(&record(4, Kind::Contact)), None);
    }

    proptest! {
        #[test]
        fn the_owner_is_always_one_of_the_eligible(
            to in prop::collection::vec(0_u128..6, 0..4), cc in prop::collection::vec(0_u128..6, 0..4),
            answered in prop::option::of(0_u128..6), from in prop::option::of(0_u128..6),
        ) {
            let ids = |list: &[u128]| list.iter().map(|id| Uuid::from_u128(*id)).collect::<Vec<_>>();
            let owners = Owners { to: ids(&to), cc: ids(&cc), bcc: Vec::new() };
            let found = owner(&owners, answered.map(Uuid::from_u128), from.map(Uuid::from_u128));
            let first = if to.is_empty() { &owners.cc } else { &owners.to };
            prop_assert_eq!(found.is_some(), !first.is_empty());
            prop_assert!(found.is_none_or(|found| first.contains(&found)));
        }
    }
}
