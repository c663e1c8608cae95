//! Promotion: a message becomes an email activity, once, however often and from wherever it is sent (INV-2).
//!
//! Contents are stored first, the commit comes last: an activity never names content that is not there. A crash in between
//! leaves content that the next attempt finds again by its email and digest. What concerns an erased person is neither stored nor committed; where
//! the erasure comes in between, the commit meets the tombstone, and what was stored is destroyed.

use std::collections::HashSet;

use futures::Stream;
use jiff::Timestamp;
use postroad_core::{
    Aggregate as _, EmailAddress, Refusal,
    email::{self, Command, Direction, Email, Event, Promote, Role, Rules},
    erasure,
    fault::{Code, Report},
    record,
};
use postroad_journal::{Actor, ExecuteError, Journal, Snapshot};
use postroad_metric::crm::CRM;
use postroad_proto::crm::v1::PromoteEmailRequest;
use postroad_rig::status;
use uuid::Uuid;

use crate::{
    content::{self, Chest, Contents},
    pieces::{Broken, Pieces},
    store::Store,
    wire,
};

/// Why a message was not promoted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is wrong or broke off.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Content could not be stored.
    #[error(transparent)]
    Contents(#[from] content::Error),
    /// The commit failed.
    #[error("the activity was not recorded")]
    Journal(#[source] ExecuteError<Refusal>),
    /// It concerns a person who was erased.
    #[error("the message concerns a person who was erased")]
    Erased,
}

impl Error {
    /// The row of the fault table, and what was seen.
    pub fn report(&self) -> Report {
        match self {
            Self::Broken(Broken::Refused(refusal)) | Self::Journal(ExecuteError::Refused(refusal)) => {
                Report::new(refusal.code, refusal.to_string())
            }
            Self::Broken(Broken::Lost(status)) => status::report_of(status, Code::CrmUnavailable),
            Self::Contents(error) => error.report(),
            Self::Journal(ExecuteError::Contended) => {
                Report::new(Code::JournalUnavailable, "too many changes at the same time")
            }
            Self::Journal(ExecuteError::Journal(error)) => error.report(),
            Self::Erased => Report::new(Code::EmailErased, ""),
        }
    }
}

/// A promoted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The activity.
    pub id: Uuid,
    /// Whether this promotion created it.
    pub created: bool,
}

/// What is taken of a message.
#[derive(Clone, Debug)]
pub struct Limits {
    /// All contents together, in bytes; a larger message is refused.
    pub message: u64,
    /// What is kept of attachments; the email is kept without the others.
    pub attachments: email::Limits,
}

/// Promotes the message that a stream carries.
pub async fn promote<S>(
    journal: &Journal,
    store: &Store,
    contents: &Contents,
    (actor, now): (&Actor, Timestamp),
    (requests, limits): (S, &Limits),
) -> Result<Promoted, Error>
where
    S: Stream<Item = Result<PromoteEmailRequest, tonic::Status>> + Send + Unpin,
{
    let (header, mut pieces) = Pieces::begin(requests).await?;
    let (mut wanted, new_sender) = wire::promotion(header, limits.message).map_err(Broken::from)?;
    for attachment in &mut wanted.email.attachments {
        attachment.omission = limits.attachments.omission(&attachment.name, attachment.content.size);
    }
    identify(&mut wanted.email, store);
    let id = wanted.email.id;
    // An activity that is there has its contents.
    let is_known = store.read(|view| view.activity(id).is_some());
    if is_gone(store, &wanted.email, now) {
        pieces.drain().await?;
        if !is_known {
            // What an attempt before the erasure left when it broke off.
            discard(contents, store, id, &wanted.email).await?;
        }
        return Err(Error::Erased);
    }
    let chest = if is_known { None } else { Some(contents.chest(id).await?) };
    keep(contents, chest.as_ref(), &wanted.email, pieces).await?;
    // Contents take their time to come, and the person may have been erased meanwhile.
    let mut is_erased = is_gone(store, &wanted.email, now);
    if let Some(sender) = new_sender.filter(|_| !is_erased) {
        is_erased = !create_sender(journal, store, (actor, now), &sender, &mut wanted.email).await?;
    }
    if is_erased {
        if chest.is_some() {
            discard(contents, store, id, &wanted.email).await?;
        }
        return Err(Error::Erased);
    }
    identify(&mut wanted.email, store);
    let email = wanted.email.clone();
    let promoted = commit(journal, store, actor, wanted, now).await;
    let is_refused = |error: &Error| matches!(error, Error::Journal(ExecuteError::Refused(refusal)) if refusal.code == Code::EmailErased);
    let is_unused = promoted.as_ref().is_err_and(is_refused) || email.id != id;
    if chest.is_some() && is_unused {
        discard(contents, store, id, &email).await?;
    }
    promoted.map_err(|error| if is_refused(&error) { Error::Erased } else { error })
}

/// Whether an email was erased, or is to be.
fn is_gone(store: &Store, email: &Email, now: Timestamp) -> bool {
    store.read(|view| view.was_erased(email.id) || view.concerns_erased(email, now))
}

/// Destroys what is stored of an email that does not come to be.
async fn discard(contents: &Contents, store: &Store, id: Uuid, email: &Email) -> Result<(), content::Error> {
    let digests = email.contents().map(|content| content.digest.as_str());
    contents.destroy(id, digests, |digest| store.holder(digest).is_some()).await
}

/// An email that the CRM sent itself is found again in Sent Items; it keeps its id.
fn identify(email: &mut Email, store: &Store) {
    let message_id = email.message_id.as_deref().unwrap_or_default();
    if email.direction == Direction::Outgoing
        && let Some(known) = store.read(|view| view.by_message_id(Direction::Outgoing, message_id))
    {
        email.id = known;
    }
}

/// Creates the contact or lead of a sender whom nobody knows, unless a record has the address by now. Its id is derived from the address,
/// so two promotions at a time make one record. Gives false where the sender was erased in this very moment: then there is no record.
async fn create_sender(
    journal: &Journal,
    store: &Store,
    (actor, now): (&Actor, Timestamp),
    sender: &record::Record,
    email: &mut Email,
) -> Result<bool, Error> {
    let address = sender.addresses.first().map(EmailAddress::key).unwrap_or_default();
    let known = store.read(|view| view.candidates(&address).first().map(|record| record.id));
    let id = match known {
        Some(id) => id,
        None => {
            let command = record::Command::Save(sender.clone());
            let saved = journal.execute::<record::Rules>(sender.id, actor, &command, |_| ()).await;
            store.reached(saved.map_err(Error::Journal)?.sequence).await;
            // The journal decides: an erasure that comes after this look sees the record.
            if is_sender_erased(journal, &address, email, now).await? {
                let deleted =
                    journal.execute::<record::Rules>(sender.id, actor, &record::Command::Delete, |_| ()).await;
                return match deleted {
                    Ok(_) | Err(ExecuteError::Refused(_)) => Ok(false),
                    Err(error) => Err(Error::Journal(error)),
                };
            }
            sender.id
        }
    };
    for party in email.parties.iter_mut().filter(|party| party.role == Role::From && party.record_id.is_none()) {
        party.record_id = Some(id);
    }
    Ok(true)
}

async fn is_sender_erased(journal: &Journal, address: &str, email: &Email, now: Timestamp) -> Result<bool, Error> {
    let sender = erasure::digest(address);
    let loaded = journal.load::<erasure::Rules>(sender).await;
    let until = loaded.map_err(|error| Error::Journal(ExecuteError::Journal(error)))?.state;
    Ok(erasure::is_erased(email, now, |digest| until.filter(|_| digest == sender)))
}

/// Stores the contents of an email, in the order in which they come; without a chest they are only checked.
pub async fn keep<S>(
    contents: &Contents,
    chest: Option<&Chest>,
    email: &Email,
    mut pieces: Pieces<S>,
) -> Result<(), Error>
where
    S: Stream<Item = Result<PromoteEmailRequest, tonic::Status>> + Send + Unpin,
{
    // An attachment may have the same content as one that is kept, under another name.
    let omitted = omitted(email);
    for (field, content) in wire::contents(email) {
        let mut part = pieces.next(&field, content);
        let stored = match chest.filter(|_| !omitted.contains(&field)) {
            Some(chest) => contents.store(chest, content, &mut part).await,
            None => tokio::io::copy(&mut part, &mut tokio::io::sink()).await.map(drop).map_err(content::Error::Read),
        };
        if let Some(broken) = part.broken() {
            return Err(broken.into());
        }
        stored?;
        if !omitted.contains(&field) {
            CRM.content.inc_by(content.size);
        }
    }
    Ok(pieces.end().await?)
}

/// The fields of the contents that are read and not kept.
fn omitted(email: &Email) -> HashSet<String> {
    let attachments = email.attachments.iter().enumerate();
    let omitted = attachments.filter(|(_, attachment)| attachment.omission.is_some());
    omitted.map(|(index, _)| format!("email.attachments[{index}].content")).collect()
}

async fn commit(
    journal: &Journal,
    store: &Store,
    actor: &Actor,
    wanted: Promote,
    now: Timestamp,
) -> Result<Promoted, Error> {
    let id = wanted.email.id;
    let done = decide(journal, store, actor, id, &Command::Promote(Box::new(wanted)), now).await?;
    Ok(Promoted { id, created: done.iter().any(|event| matches!(event, Event::Promoted { .. })) })
}

/// Decides about an activity and commits. What the view knows saves a read of the journal; if it is behind, the append conflicts and
/// decides on the truth.
pub async fn decide(
    journal: &Journal,
    store: &Store,
    actor: &Actor,
    id: Uuid,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Error> {
    let mut known = store.read(|view| view.activity(id)).map_or_else(
        || Snapshot { state: email::State::Absent, sequence: 0 },
        |row| Snapshot { state: email::State::Live(Box::new(row.activity.clone())), sequence: row.sequence },
    );
    let done = journal
        .execute_on::<Rules>(id, actor, &mut known, |state| Rules::decide(state, command, &now))
        .await
        .map_err(Error::Journal)?;
    store.reached(done.sequence).await;
    Ok(done.events)
}

#[cfg(test)]
mod tests;
