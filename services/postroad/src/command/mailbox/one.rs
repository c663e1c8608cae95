//! Commands about one mailbox, and the list.

use postroad_core::fault::Code;
use postroad_proto::mailbox::v1::{
    CreateMailboxRequest, DeleteMailboxRequest, GetMailboxRequest, ListMailboxesRequest, ListTimelineRequest, Mailbox,
    MailboxSettings, TimelineEntry, UpdateMailboxRequest, UpdateMailboxesRequest,
};
use postroad_rig::Role;
use prost_types::FieldMask;

use super::{selection::ChangeSelection, view};
use crate::{
    connection::pages,
    contract::{Extent, Written},
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

pub async fn create(session: &mut Session, settings: MailboxSettings) -> Result<Exit, Failure> {
    let request = CreateMailboxRequest { settings: Some(settings) };
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.mailboxes()?.create_mailbox(request).await.map_err(failed)?.into_inner();
    done(session, "created", &answer.mailbox.unwrap_or_default())
}

pub async fn get(session: &mut Session, mailbox: String, toml: bool) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let answer =
        session.connection.mailboxes()?.get_mailbox(GetMailboxRequest { mailbox }).await.map_err(failed)?.into_inner();
    let mailbox = answer.mailbox.unwrap_or_default();
    if toml {
        let text = toml::to_string_pretty(&Written::new(&mailbox.settings.unwrap_or_default(), Extent::Set)?);
        session.output.line(text.map_err(std::io::Error::other)?.trim_end())?;
    } else if session.output.is_json() {
        session.output.message(&mailbox)?;
    } else {
        view::facts(&mut session.output, &mailbox)?;
    }
    Ok(Exit::Success)
}

pub async fn list(session: &mut Session, wanted: &ListMailboxesRequest) -> Result<Exit, Failure> {
    let mailboxes = listed(session, wanted).await?;
    let is_all = *wanted == ListMailboxesRequest::default();
    if session.output.is_json() {
        session.output.messages(&mailboxes)?
    } else if mailboxes.is_empty() && !is_all {
        session.output.line("no such mailboxes")?
    } else {
        view::table(&mut session.output, &mailboxes)?
    }
    Ok(Exit::Success)
}

/// All mailboxes of a profile; of every profile where it is empty.
pub async fn all(session: &Session, profile: &str) -> Result<Vec<Mailbox>, Failure> {
    listed(session, &ListMailboxesRequest { profile: profile.to_owned(), ..Default::default() }).await
}

async fn listed(session: &Session, wanted: &ListMailboxesRequest) -> Result<Vec<Mailbox>, Failure> {
    let mut client = session.connection.mailboxes()?;
    pages(None, async |page_size, page_token| {
        let request = ListMailboxesRequest { page_size, page_token, ..wanted.clone() };
        let answer =
            client.list_mailboxes(request).await.map_err(session.connection.failed(Role::Profile))?.into_inner();
        Ok((answer.mailboxes, answer.next_page_token))
    })
    .await
}

pub async fn update(
    session: &mut Session,
    selection: ChangeSelection,
    (settings, mask): (MailboxSettings, FieldMask),
    etag: Option<String>,
) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let mut client = session.connection.mailboxes()?;
    let (settings, update_mask) = (Some(settings), Some(mask));
    if let Some(mailbox) = selection.single() {
        let request = UpdateMailboxRequest { mailbox, settings, update_mask, etag: etag.unwrap_or_default() };
        let answer = client.update_mailbox(request).await.map_err(failed)?.into_inner();
        return done(session, "changed", &answer.mailbox.unwrap_or_default());
    }
    if etag.is_some() {
        return Err(Failure::refused(Code::FieldNotApplicable, "--etag", "belongs to one mailbox; name that one only"));
    }
    let request = UpdateMailboxesRequest { selection: Some(selection.into()), settings, update_mask };
    let answer = client.update_mailboxes(request).await.map_err(failed)?.into_inner();
    view::results(&mut session.output, "changed", &answer.results)
}

pub async fn delete(session: &mut Session, mailbox: String, etag: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = DeleteMailboxRequest { mailbox: mailbox.clone(), etag };
    session.connection.mailboxes()?.delete_mailbox(request).await.map_err(failed)?;
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "deleted": mailbox }))?;
    } else {
        session.output.line(format!("{} deleted {mailbox}", good("✓")))?;
    }
    Ok(Exit::Success)
}

pub async fn timeline(session: &mut Session, mailbox: String, last: Option<usize>) -> Result<Exit, Failure> {
    let mut client = session.connection.mailboxes()?;
    let mut entries: Vec<TimelineEntry> = pages(None, async |page_size, page_token| {
        let request = ListTimelineRequest { mailbox: mailbox.clone(), page_size, page_token, ..Default::default() };
        let answer =
            client.list_timeline(request).await.map_err(session.connection.failed(Role::Profile))?.into_inner();
        Ok((answer.entries, answer.next_page_token))
    })
    .await?;
    if let Some(last) = last {
        entries.drain(..entries.len().saturating_sub(last));
    }
    if session.output.is_json() {
        session.output.messages(&entries)?
    } else {
        view::timeline(&mut session.output, &entries)?
    }
    Ok(Exit::Success)
}

fn done(session: &mut Session, what: &str, mailbox: &Mailbox) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.message(mailbox)?;
    } else {
        let address = mailbox.settings.as_ref().map_or("", |settings| settings.email_address.as_str());
        session.output.line(format!("{} {what} {address} (id {}, etag {})", good("✓"), mailbox.id, mailbox.etag))?;
    }
    Ok(Exit::Success)
}
