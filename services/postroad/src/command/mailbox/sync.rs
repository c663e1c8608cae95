//! `postroad mailbox sync`: process mailboxes now.

use postroad_proto::{mailbox::v1::MailboxSelection, sync::v1::SyncNowRequest};
use postroad_rig::Role;

use super::one;
use crate::{
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

/// Asks for each mailbox; the first that is refused ends the command.
pub async fn run(session: &mut Session, selection: MailboxSelection) -> Result<Exit, Failure> {
    let mailboxes = if selection.mailboxes.is_empty() {
        let found = one::all(session, &selection.profile).await?;
        found.into_iter().filter_map(|mailbox| mailbox.settings).map(|settings| settings.email_address).collect()
    } else {
        selection.mailboxes
    };
    let mut client = session.connection.sync()?;
    for mailbox in &mailboxes {
        let request = SyncNowRequest { mailbox: mailbox.clone() };
        client.sync_now(request).await.map_err(session.connection.failed(Role::Sync))?;
        if !session.output.is_json() {
            session.output.line(format!("{} asked to process {mailbox} now", good("✓")))?;
        }
    }
    if session.output.is_json() {
        session.output.json(&mailboxes)?;
    }
    Ok(Exit::Success)
}
