//! Promotion: a message becomes an email activity, once, however often and from wherever it is sent (INV-2).
//!
//! Contents are stored first, the commit comes last: an activity never names content that is not there. A crash in between
//! leaves content that the next attempt finds again by its digest.

use std::collections::HashSet;

use futures::Stream;
use jiff::Timestamp;
use postroad_core::{
    Aggregate as _, Refusal,
    email::{self, Answering, Email, Event, Promote, Rules},
};
use postroad_journal::{Actor, ExecuteError, Journal, Snapshot};
use postroad_proto::crm::v1::PromoteEmailRequest;
use uuid::Uuid;

use crate::{
    content::{self, Contents},
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
    let mut wanted = wire::promotion(header, limits.message).map_err(Broken::from)?;
    for attachment in &mut wanted.email.attachments {
        attachment.omission = limits.attachments.omission(&attachment.name, attachment.content.size);
    }
    // An attachment may have the same content as one that is kept, under another name.
    let omitted = omitted(&wanted.email);
    for (field, content) in wire::contents(&wanted.email) {
        let mut part = pieces.next(&field, content);
        let stored = if omitted.contains(&field) {
            tokio::io::copy(&mut part, &mut tokio::io::sink()).await.map(drop).map_err(content::Error::Read)
        } else {
            contents.store(content, &mut part).await
        };
        if let Some(broken) = part.broken() {
            return Err(broken.into());
        }
        stored?;
    }
    pieces.end().await?;
    store.read(|view| {
        for party in &mut wanted.email.parties {
            party.record_id = view.party(&party.address);
        }
        let email = &wanted.email;
        let answering = Answering {
            in_reply_to: email.in_reply_to.as_slice(),
            references: &email.references,
            conversation_index: &email.conversation_index,
        };
        wanted.email.correlation = view.answered(answering, Some(email.id));
    });
    commit(journal, store, actor, &wanted, now).await
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
    wanted: &Promote,
    now: Timestamp,
) -> Result<Promoted, Error> {
    let id = wanted.email.id;
    // What the view knows saves a read of the journal; if it is behind, the append conflicts and decides on the truth.
    let mut known = store.read(|view| view.activity(id)).map_or_else(
        || Snapshot { state: None, sequence: 0 },
        |row| Snapshot { state: Some(row.activity.clone()), sequence: row.sequence },
    );
    let done = journal
        .execute_on::<Rules>(id, actor, &mut known, |state| Rules::decide(state, wanted, &now))
        .await
        .map_err(Error::Journal)?;
    store.reached(done.sequence).await;
    let created = done.events.iter().any(|event| matches!(event, Event::Promoted { .. }));
    Ok(Promoted { id, created })
}
