//! Which mailboxes a request means.

use postroad_core::{Refusal, fault::Code, mailbox::Mailbox};
use postroad_proto::mailbox::v1::MailboxSelection;
use postroad_rig::status;
use tonic::Status;

use crate::{directory::Directory, registry::not_found};

/// The selected mailboxes by the name they were selected with; `None` where there is none of this name.
pub fn select(
    directory: &Directory,
    selection: Option<MailboxSelection>,
) -> Result<Vec<(String, Option<Mailbox>)>, Status> {
    let selection = selection.unwrap_or_default();
    let of = |mailboxes: Vec<Mailbox>| {
        mailboxes.into_iter().map(|mailbox| (mailbox.settings.address.to_string(), Some(mailbox))).collect()
    };
    let ways = usize::from(!selection.mailboxes.is_empty())
        + usize::from(!selection.profile.trim().is_empty())
        + usize::from(selection.all);
    if ways != 1 {
        let rule = "name mailboxes, or a profile, or all: exactly one of the three";
        return Err(status::refused(&Refusal::new(Code::FieldRequired, "selection", rule)));
    }
    if selection.all {
        return Ok(of(directory.mailboxes(None)));
    }
    if !selection.mailboxes.is_empty() {
        return Ok(selection.mailboxes.into_iter().map(|name| (name.clone(), directory.mailbox(&name))).collect());
    }
    let name = selection.profile;
    let profile = directory.profile(&name).ok_or_else(|| not_found("selection.profile", "profile", &name))?;
    Ok(of(directory.mailboxes(Some(profile.id))))
}
