//! To whom profiles and mailboxes belong: whoever has one of these addresses may look at them and operate them.

use crate::{
    EmailAddress,
    mailbox::{Kind, Mailbox},
    profile::Profile,
};

/// A profile belongs to its owner, who gets its alert mail.
pub fn of_profile(profile: &Profile) -> Option<&EmailAddress> {
    Some(&profile.settings.owner.address)
}

/// A mailbox belongs to the owner of its profile, and a user's to that user; those of queues and forward mailboxes are nobody's own.
pub fn of_mailbox<'a>(mailbox: &'a Mailbox, profile: Option<&'a Profile>) -> impl Iterator<Item = &'a EmailAddress> {
    let own = matches!(mailbox.settings.kind, Kind::User(_)).then_some(&mailbox.settings.address);
    own.into_iter().chain(profile.and_then(of_profile))
}
