//! Emails that the CRM sends: queued by people, claimed and reported by synchronization (spec §4).

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use jiff::Timestamp;
use postroad_core::{
    EmailAddress, Refusal,
    email::{self, Command, Delivery, Email, Party, Role, Status},
    fault::Code,
    name,
    record::{Kind, Record},
};
use postroad_journal::{Actor, ExecuteError, Journal};
use postroad_proto::crm::v1::{PromoteEmailRequest, SendHeader, WatchOutboxResponse};
use postroad_rig::{clock, wire::time};
use uuid::Uuid;

use crate::{
    content::Contents,
    pieces::{Broken, Pieces},
    promote::{self, Error, Limits},
    store::{Store, View, sender_of},
    wire,
};

/// Tokens that are tried before an email goes without one.
const TOKENS: u64 = 10_000;

/// Whoever listens hears of emails whose time has come within so long.
const LOOKED: Duration = Duration::from_secs(1);

/// Says through which mailboxes something is to be sent: what waits first, then each as it comes.
pub fn watch(store: Arc<Store>) -> impl Stream<Item = Result<WatchOutboxResponse, tonic::Status>> + Send {
    // Listening begins before the look, so that nothing falls between.
    let queued = store.queued();
    stream::unfold((store, queued, None), |(store, mut queued, since)| async move {
        let mut looked = since;
        let mut pause = tokio::time::interval(LOOKED);
        // The first tick is at once.
        pause.tick().await;
        loop {
            let now = clock::now();
            let mailbox_addresses = store.read(|view| view.due_outboxes(looked, now));
            let is_first = looked.replace(now).is_none();
            if is_first || !mailbox_addresses.is_empty() {
                return Some((Ok(WatchOutboxResponse { mailbox_addresses }), (store, queued, looked)));
            }
            tokio::select! {
                _ = pause.tick() => {}
                address = queued.recv() => {
                    // More came at once than is kept: to be begun anew, with all that waits.
                    let address = address.ok()?;
                    let answer = WatchOutboxResponse { mailbox_addresses: vec![address] };
                    return Some((Ok(answer), (store, queued, looked)));
                }
            }
        }
    })
}

/// Queues an email to be sent; gives its id.
pub async fn send<S>(
    journal: &Journal,
    store: &Store,
    contents: &Contents,
    (actor, now): (&Actor, Timestamp),
    (header, pieces, limits): (SendHeader, S, &Limits),
) -> Result<Uuid, Error>
where
    S: Stream<Item = Result<PromoteEmailRequest, tonic::Status>> + Send + Unpin,
{
    let email = store.read(|view| checked(header, view, limits, now)).map_err(Broken::from)?;
    let id = email.id;
    let chest = contents.chest(id).await?;
    promote::keep(contents, Some(&chest), &email, Pieces::after_header(pieces)).await?;
    promote::decide(journal, store, actor, id, &Command::Queue(Box::new(email)), now).await?;
    Ok(id)
}

/// The email that a header asks to send.
fn checked(header: SendHeader, view: &View, limits: &Limits, now: Timestamp) -> Result<Email, Refusal> {
    let missing = |field: &str, rule: &str| Refusal::new(Code::FieldRequired, field, rule);
    let id = match wire::maybe_id("request_id", &header.request_id)? {
        Some(id) => id,
        None => Uuid::now_v7(),
    };
    let wanted = header.email.ok_or_else(|| missing("email", "is required"))?;
    let send_after = time("email.send_after", wanted.send_after.as_ref())?;
    let mut email = wire::sending(wanted, id, limits.message).map_err(|refusal| refusal.within("email"))?;
    for attachment in &mut email.attachments {
        if limits.attachments.omission(&attachment.name, attachment.content.size).is_some() {
            let rule = format!("`{}` is blocked or too large for this CRM", attachment.name);
            return Err(Refusal::new(Code::ValueOutOfRange, "email.attachments", rule));
        }
    }
    for (at, party) in email.parties.iter().enumerate() {
        EmailAddress::parse(&format!("email.parties[{at}].address"), &party.address)?;
    }
    let from = email.parties.iter().position(|party| party.role == Role::From);
    let from = from.ok_or_else(|| missing("email.parties", "needs a From"))?;
    if !email.parties.iter().any(|party| matches!(party.role, Role::To | Role::Cc | Role::Bcc)) {
        return Err(missing("email.parties", "needs at least one of To, Cc and Bcc"));
    }
    resolve(&mut email.parties, view);
    let sender = email.parties.get(from).cloned().ok_or_else(|| missing("email.parties", "needs a From"))?;
    let sender_record = user_or_queue(&sender.address, view).ok_or_else(|| {
        Refusal::new(
            Code::RegardingUnknown,
            "email.parties",
            format!("the From address {} is of no active user or queue of the CRM", sender.address),
        )
    })?;
    let owner = if sender_record.kind == Kind::User { Some(sender_record.id) } else { sender_record.owner_id };
    if let Some(party) = email.parties.get_mut(from) {
        party.record_id = Some(sender_record.id);
    }
    let sending_mailbox = if view.settings().send_through_submitter && !header.submitter.trim().is_empty() {
        submitter(&header.submitter, view)?
    } else {
        sender.address.trim().to_lowercase()
    };
    if email.regarding_id.is_some_and(|id| view.by_id(id).is_none()) {
        return Err(Refusal::new(Code::NotFound, "email.regarding_id", "does not exist"));
    }
    if let Some(answered) = wire::maybe_id("answers_email_id", &header.answers_email_id)? {
        let row = view.activity(answered);
        let answered = row.ok_or_else(|| Refusal::new(Code::NotFound, "answers_email_id", "does not exist"))?;
        let answered = &answered.activity.email;
        email.in_reply_to.clone_from(&answered.message_id);
        email.references.clone_from(&answered.references);
        email.references.extend(answered.message_id.clone());
        email.regarding_id = email.regarding_id.or(answered.regarding_id);
    }
    let status = Status::PendingSend;
    let (failure, failure_code) = (String::new(), String::new());
    email.delivery =
        Some(Delivery { status, attempt: 1, send_after, queued_at: now, sending_mailbox, failure, failure_code });
    email.owner_id = owner;
    Ok(email)
}

fn resolve(parties: &mut [Party], view: &View) {
    for party in parties {
        let candidates: Vec<Record> = view.candidates(&party.address).into_iter().cloned().collect();
        party.is_ambiguous = false;
        party.record_id = match email::sender(&candidates, None, view.settings()) {
            email::Resolution::Record(id) => Some(id),
            email::Resolution::Unknown | email::Resolution::Ambiguous => None,
        };
    }
}

fn user_or_queue<'a>(address: &str, view: &'a View) -> Option<&'a Record> {
    let candidates = view.candidates(address).into_iter();
    let mut senders: Vec<&Record> =
        candidates.filter(|record| record.active && matches!(record.kind, Kind::User | Kind::Queue)).collect();
    senders.sort_by_key(|record| (record.kind, record.id));
    senders.into_iter().next()
}

fn submitter(text: &str, view: &View) -> Result<String, Refusal> {
    let by_id = Uuid::parse_str(text.trim()).ok().and_then(|id| view.by_id(id));
    let record = by_id.or_else(|| view.by_address(text, Some(Kind::User)));
    let address =
        record.filter(|record| record.kind == Kind::User && record.active).and_then(|record| record.addresses.first());
    let rule = || format!("`{}` is no active user with an address", text.trim());
    address.map(EmailAddress::key).ok_or_else(|| Refusal::new(Code::NotFound, "submitter", rule()))
}

/// Claims an email: it gets its message id and, once, its token.
pub async fn claim(
    journal: &Journal,
    store: &Store,
    (actor, now): (&Actor, Timestamp),
    (id, attempt, message_id): (Uuid, u32, &str),
) -> Result<(), Error> {
    let activity = store.read(|view| view.activity(id));
    let needs_token = activity.as_ref().is_some_and(|row| {
        let delivery = row.activity.email.delivery.as_ref();
        let is_waiting = delivery.is_some_and(|one| one.status == Status::PendingSend && one.attempt == attempt);
        is_waiting && row.activity.email.tracking_token.is_empty()
    });
    let settings = store.read(|view| view.settings().token.clone());
    let sender = activity.as_ref().and_then(|row| sender_of(&row.activity));
    let token = match sender.filter(|_| needs_token && settings.enabled) {
        Some(sender) => token(journal, store, actor, (id, sender), &settings).await?,
        None => String::new(),
    };
    let command = Command::Claim { attempt, message_id: message_id.to_owned(), token };
    promote::decide(journal, store, actor, id, &command, now).await.map(drop)
}

/// A token that no email bears: the sender's next counter, and the ones after it where that is taken (spec §3.4: counters wrap). It is
/// claimed as a unique name, so that two emails at a time never get the same one. Empty where none is free.
async fn token(
    journal: &Journal,
    store: &Store,
    actor: &Actor,
    (holder, sender): (Uuid, Uuid),
    settings: &postroad_core::organization::TokenSettings,
) -> Result<String, Error> {
    let (number, first) = store.read(|view| view.next_token(sender));
    for step in 0..email::counters(settings).min(TOKENS) {
        let token = email::token(number, first + step, settings);
        if store.read(|view| view.by_token(&token)).is_some_and(|bearer| bearer != holder) {
            continue;
        }
        let id = name::claim_id(name::Kind::TrackingToken, &token);
        let command = name::Command::Claim { holder };
        let claimed = journal.execute::<name::Rules>(id, actor, &command, |_| name::Facts { holder_lives: true }).await;
        match claimed {
            Ok(_) => return Ok(token),
            Err(ExecuteError::Refused(_)) => {}
            Err(error) => return Err(Error::Journal(error)),
        }
    }
    tracing::warn!(%holder, "no tracking token is free: raise tracking-token-counter-digits");
    Ok(String::new())
}
