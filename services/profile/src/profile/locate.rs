//! Where a mailbox is served, and how that was found: as the locator explains it.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use postroad_core::{EmailAddress, Refusal, fault::Code};
use postroad_proto::{
    locator::v1::{ExplainRequest, explain_response},
    profile::v1::{LocateMailboxRequest, LocateMailboxResponse, locate_mailbox_response},
};
use postroad_rig::{Caller, status};
use tonic::Status;

use crate::registry::Registry;

/// Asks the locator about a mailbox of a profile, attached to it or not.
pub async fn run(
    registry: &Arc<Registry>,
    caller: &Caller,
    request: LocateMailboxRequest,
) -> Result<impl Stream<Item = Result<LocateMailboxResponse, Status>> + use<>, Status> {
    let address =
        EmailAddress::parse("email_address", &request.email_address).map_err(|refusal| status::refused(&refusal))?;
    let mailbox = registry.directory.mailbox(address.as_str());
    let profile = match request.profile.trim() {
        "" => {
            if mailbox.as_ref().map_or_else(|| !caller.reaches_all(), |mailbox| !registry.reaches(caller, mailbox)) {
                return Err(caller.denied("mailbox", address.as_str()));
            }
            let attached = mailbox.as_ref().and_then(|mailbox| mailbox.settings.profile_id);
            attached.and_then(|id| registry.directory.profile_by_id(id)).ok_or_else(|| {
                let rule = format!("{address} is attached to no profile; name the profile to locate it with");
                status::refused(&Refusal::new(Code::FieldRequired, "profile", rule))
            })?
        }
        // Its account asks, for whatever mailbox.
        name => registry.profile(caller, "profile", name)?,
    };
    let mailbox = mailbox.filter(|mailbox| mailbox.settings.profile_id == Some(profile.id));
    let access = postroad_rig::access(&profile, mailbox.as_ref(), registry.directory.domains_of(profile.id));
    let request =
        ExplainRequest { email_address: address.as_str().to_owned(), access: Some(access), anew: request.anew };
    let explained = registry.prober.explain(request).await?;
    Ok(explained.filter_map(|message| async move {
        let report = match message {
            Err(error) => return Some(Err(error)),
            Ok(message) => match message.report? {
                explain_response::Report::Entry(entry) => locate_mailbox_response::Report::Entry(entry),
                explain_response::Report::Conclusion(end) => locate_mailbox_response::Report::Conclusion(end),
            },
        };
        Some(Ok(LocateMailboxResponse { report: Some(report) }))
    }))
}
