//! Which mailboxes a request means.

use postroad_core::{Refusal, fault::Code, mailbox::Mailbox};
use postroad_proto::mailbox::v1::MailboxSelection;
use postroad_rig::{Caller, status};
use tonic::Status;

use crate::registry::Registry;

/// A mailbox, or why there is none, by the name that it was selected with.
pub type Selected = (String, Result<Mailbox, Status>);

/// The selected mailboxes by the name they were selected with; an error where there is none of this name, or it is not the caller's.
/// All mailboxes are the caller's among them.
pub fn select(
    registry: &Registry,
    caller: &Caller,
    selection: Option<MailboxSelection>,
) -> Result<Vec<Selected>, Status> {
    let selection = selection.unwrap_or_default();
    let of = |mut mailboxes: Vec<Mailbox>| {
        if !caller.reaches_all() {
            mailboxes.retain(|mailbox| registry.reaches(caller, mailbox));
        }
        mailboxes.into_iter().map(|mailbox| (mailbox.settings.address.to_string(), Ok(mailbox))).collect()
    };
    let ways = usize::from(!selection.mailboxes.is_empty())
        + usize::from(!selection.profile.trim().is_empty())
        + usize::from(selection.all);
    if ways != 1 {
        let rule = "name mailboxes, or a profile, or all: exactly one of the three";
        return Err(status::refused(&Refusal::new(Code::FieldRequired, "selection", rule)));
    }
    if selection.all {
        return Ok(of(registry.directory.mailboxes(None)));
    }
    if !selection.mailboxes.is_empty() {
        let find = |name: String| match registry.mailbox(caller, "selection.mailboxes", &name) {
            // Whoever names what is not his is denied the whole call.
            Err(denied) if denied.code() == tonic::Code::PermissionDenied => Err(denied),
            found => Ok((name, found)),
        };
        return selection.mailboxes.into_iter().map(find).collect();
    }
    let profile = registry.profile(caller, "selection.profile", &selection.profile)?;
    Ok(of(registry.directory.mailboxes(Some(profile.id))))
}
