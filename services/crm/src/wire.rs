//! Between `crm.proto` and the core. What comes in is checked here: sizes, counts, forms.

use postroad_core::{
    Refusal,
    email::{self, Activity, Attachment, Content, Direction, Email, Party, Promote, Role, Source},
    fault::Code,
    record::{self, Record},
    refusal::{required, within},
};
use postroad_proto::crm::v1 as wire;
use postroad_rig::wire::{id, time, timestamp};
use prost::Message as _;
use uuid::Uuid;

use crate::{content::is_digest, store::View};

/// A header's bytes. With its parties' records it must fit into one message of NATS, which is 1 MiB by default.
const HEADER: u64 = 512 * 1024;
const PARTIES: u64 = 5000;
const ATTACHMENTS: u64 = 1000;
const ADDRESSES: u64 = 100;
/// The most message ids in a header.
pub const REFERENCES: u64 = 1000;
/// The longest conversation index, in bytes (spec §3.4).
pub const CONVERSATION_INDEX: u64 = 2048;

/// The kind of a record; `None` where it is not said.
pub fn kind(field: &str, kind: i32) -> Result<Option<record::Kind>, Refusal> {
    Ok(match known::<wire::RecordKind>(field, kind)? {
        wire::RecordKind::Unspecified => None,
        wire::RecordKind::User => Some(record::Kind::User),
        wire::RecordKind::Queue => Some(record::Kind::Queue),
        wire::RecordKind::Contact => Some(record::Kind::Contact),
        wire::RecordKind::Account => Some(record::Kind::Account),
        wire::RecordKind::Lead => Some(record::Kind::Lead),
    })
}

/// A record to save.
pub fn draft(record: Option<wire::Record>) -> Result<record::Draft, Refusal> {
    let record = record.ok_or_else(|| Refusal::new(Code::FieldRequired, "record", "is required"))?;
    within("addresses", record.addresses.len() as u64, 0, ADDRESSES)?;
    Ok(record::Draft {
        id: if record.id.is_empty() { None } else { Some(id("id", &record.id)?) },
        kind: kind("kind", record.kind)?,
        name: record.name,
        addresses: record.addresses,
        active: !record.inactive,
        owner_id: maybe_id("owner_id", &record.owner_id)?,
    })
}

/// An id that may be empty.
pub fn maybe_id(field: &str, text: &str) -> Result<Option<Uuid>, Refusal> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// A record for the wire.
pub fn record(record: &Record) -> wire::Record {
    wire::Record {
        id: record.id.to_string(),
        kind: match record.kind {
            record::Kind::User => wire::RecordKind::User,
            record::Kind::Queue => wire::RecordKind::Queue,
            record::Kind::Contact => wire::RecordKind::Contact,
            record::Kind::Account => wire::RecordKind::Account,
            record::Kind::Lead => wire::RecordKind::Lead,
        }
        .into(),
        name: record.name.clone(),
        addresses: record.addresses.iter().map(ToString::to_string).collect(),
        inactive: !record.active,
        owner_id: text_of(record.owner_id),
    }
}

/// What a header promotes, and the record to create for its sender; `most` is the limit of all contents together, in bytes.
pub fn promotion(header: wire::PromoteHeader, most: u64) -> Result<(Promote, Option<Record>), Refusal> {
    within("header", header.encoded_len() as u64, 0, HEADER)?;
    let missing = |field| Refusal::new(Code::FieldRequired, field, "is required");
    let source = header.source.ok_or_else(|| missing("source"))?;
    let email = email(header.email.ok_or_else(|| missing("email"))?).map_err(|refusal| refusal.within("email"))?;
    fits(&email, most)?;
    required("source.email_address", &source.email_address, 320)?;
    let source = Source {
        mailbox_id: id("source.mailbox_id", &source.mailbox_id)?,
        mailbox_address: source.email_address.trim().to_owned(),
        folder_id: source.folder_id,
        is_untracked: false,
    };
    let queues = header.queue_ids.iter().map(|queue| id("queue_ids", queue)).collect::<Result<_, _>>()?;
    let sender = match header.create_sender {
        None => None,
        Some(sender) => {
            let draft = draft(Some(sender)).map_err(|refusal| refusal.within("create_sender"))?;
            Some(draft.record().map_err(|refusal| refusal.within("create_sender"))?)
        }
    };
    Ok((Promote { email, source, queues, adds_queue_items: header.adds_queue_items }, sender))
}

/// An email to be sent, before its parties are resolved; `most` as above.
pub fn sending(email: wire::Email, id: Uuid, most: u64) -> Result<Email, Refusal> {
    let email = wire::Email {
        direction: wire::EmailDirection::Outgoing.into(),
        message_id: String::new(),
        mime: None,
        ..email
    };
    let email = Email { id, ..parsed(email)? };
    fits(&email, most)?;
    Ok(email)
}

fn fits(email: &Email, most: u64) -> Result<(), Refusal> {
    let total = contents(email).fold(0_u64, |total, (_, content)| total.saturating_add(content.size));
    if total > most {
        let rule = format!("has {total} bytes in all; this CRM takes at most {most} (crm.max_message_bytes)");
        return Err(Refusal::new(Code::ValueOutOfRange, "email", rule));
    }
    Ok(())
}

/// The contents of an activity in the order in which they are sent, each with its field.
pub fn contents(email: &Email) -> impl Iterator<Item = (String, &Content)> {
    let parts =
        [("text", &email.text), ("html", &email.html), ("display_html", &email.display_html), ("mime", &email.mime)];
    let parts = parts.into_iter().filter_map(|(name, content)| Some((format!("email.{name}"), content.as_ref()?)));
    let attachments = email.attachments.iter().enumerate();
    parts.chain(attachments.map(|(at, attachment)| (format!("email.attachments[{at}].content"), &attachment.content)))
}

fn email(email: wire::Email) -> Result<Email, Refusal> {
    let email = parsed(email)?;
    if email.message_id.is_none() && email.mime.is_none() {
        return Err(Refusal::new(
            Code::FieldRequired,
            "mime",
            "is required where there is no message_id: it is the identity",
        ));
    }
    let digest = email.mime.as_ref().map_or("", |mime| mime.digest.as_str());
    let id = match email.direction {
        Direction::Incoming => email::activity_id(email.message_id.as_deref(), digest),
        Direction::Outgoing => email::sent_activity_id(email.message_id.as_deref(), digest),
    };
    Ok(Email { id, ..email })
}

/// The fields of an email, without its identity.
fn parsed(email: wire::Email) -> Result<Email, Refusal> {
    within("parties", email.parties.len() as u64, 0, PARTIES)?;
    within("attachments", email.attachments.len() as u64, 0, ATTACHMENTS)?;
    within("references", email.references.len() as u64, 0, REFERENCES)?;
    within("conversation_index", email.conversation_index.len() as u64, 0, CONVERSATION_INDEX)?;
    let correlation = correlation(&email)?;
    Ok(Email {
        id: Uuid::nil(),
        direction: match known::<wire::EmailDirection>("direction", email.direction)? {
            wire::EmailDirection::Unspecified => {
                return Err(Refusal::new(Code::FieldRequired, "direction", "is required"));
            }
            wire::EmailDirection::Incoming => Direction::Incoming,
            wire::EmailDirection::Outgoing => Direction::Outgoing,
        },
        in_reply_to: some(email.in_reply_to),
        references: email.references,
        conversation_index: email.conversation_index,
        correlation,
        is_subject_changed: email.has_correlated_subject_changed,
        subject: email.subject,
        sent_at: time("sent_at", email.sent_at.as_ref())?,
        received_at: time("received_at", email.received_at.as_ref())?,
        parties: email.parties.into_iter().enumerate().map(party).collect::<Result<_, _>>()?,
        text: email.text.map(|text| content("text", text)).transpose()?,
        html: email.html.map(|html| content("html", html)).transpose()?,
        display_html: email.display_html.map(|html| content("display_html", html)).transpose()?,
        attachments: email.attachments.into_iter().enumerate().map(attachment).collect::<Result<_, _>>()?,
        message_id: some(email.message_id).filter(|id| !email::normalized(id).is_empty()),
        mime: email.mime.map(|mime| content("mime", mime)).transpose()?,
        regarding_id: maybe_id("regarding_id", &email.regarding_id)?,
        owner_id: maybe_id("owner_id", &email.owner_id)?,
        accepted_by: email.accepted_by,
        tracking_token: email.tracking_token,
        delivery: None,
    })
}

fn correlation(email: &wire::Email) -> Result<Option<email::Correlation>, Refusal> {
    let method = match known::<wire::CorrelationMethod>("correlation_method", email.correlation_method)? {
        wire::CorrelationMethod::Unspecified => return Ok(None),
        wire::CorrelationMethod::InReplyTo => email::CorrelationMethod::InReplyTo,
        wire::CorrelationMethod::References => email::CorrelationMethod::References,
        wire::CorrelationMethod::TrackingToken => email::CorrelationMethod::TrackingToken,
        wire::CorrelationMethod::ConversationIndex => email::CorrelationMethod::ConversationIndex,
        wire::CorrelationMethod::SmartMatching => email::CorrelationMethod::SmartMatching,
    };
    Ok(Some(email::Correlation { method, email_id: id("correlated_email_id", &email.correlated_email_id)? }))
}

fn party((at, party): (usize, wire::Party)) -> Result<Party, Refusal> {
    let field = format!("parties[{at}].role");
    let role = match known::<wire::PartyRole>(&field, party.role)? {
        wire::PartyRole::Unspecified => return Err(Refusal::new(Code::FieldRequired, field, "is required")),
        wire::PartyRole::From => Role::From,
        wire::PartyRole::Sender => Role::Sender,
        wire::PartyRole::To => Role::To,
        wire::PartyRole::Cc => Role::Cc,
        wire::PartyRole::Bcc => Role::Bcc,
        wire::PartyRole::ReplyTo => Role::ReplyTo,
    };
    let record_id = maybe_id(&format!("parties[{at}].record_id"), &party.record_id)?;
    Ok(Party { role, name: party.name, address: party.address, record_id, is_ambiguous: party.is_ambiguous })
}

fn attachment((at, attachment): (usize, wire::Attachment)) -> Result<Attachment, Refusal> {
    let field = format!("attachments[{at}].content");
    let sent = attachment.content.ok_or_else(|| Refusal::new(Code::FieldRequired, field.as_str(), "is required"))?;
    Ok(Attachment {
        name: attachment.name,
        content_type: attachment.content_type,
        content_id: some(attachment.content_id),
        inline: attachment.inline,
        content: content(&field, sent)?,
        omission: None,
    })
}

fn content(field: &str, content: wire::Content) -> Result<Content, Refusal> {
    if !is_digest(&content.digest) {
        let rule = "is not a SHA-256 in lower-case hexadecimal";
        return Err(Refusal::new(Code::ValueOutOfRange, format!("{field}.digest"), rule));
    }
    Ok(Content { digest: content.digest, size: content.size })
}

/// An activity for the wire; parties that were unresolved are what they are by now.
pub fn activity(activity: &Activity, view: &View) -> wire::Email {
    let email = &activity.email;
    let delivery = email.delivery.as_ref();
    wire::Email {
        id: email.id.to_string(),
        direction: match email.direction {
            Direction::Incoming => wire::EmailDirection::Incoming,
            Direction::Outgoing => wire::EmailDirection::Outgoing,
        }
        .into(),
        message_id: email.message_id.clone().unwrap_or_default(),
        in_reply_to: email.in_reply_to.clone().unwrap_or_default(),
        subject: email.subject.clone(),
        sent_at: email.sent_at.map(timestamp),
        received_at: email.received_at.map(timestamp),
        parties: email.parties.iter().map(|party| party_out(party, view)).collect(),
        text: email.text.as_ref().map(content_out),
        html: email.html.as_ref().map(content_out),
        display_html: email.display_html.as_ref().map(content_out),
        mime: email.mime.as_ref().map(content_out),
        attachments: email.attachments.iter().map(attachment_out).collect(),
        sources: activity.sources.iter().map(source_out).collect(),
        promoted_at: Some(timestamp(activity.promoted_at)),
        references: email.references.clone(),
        conversation_index: email.conversation_index.clone(),
        correlated_email_id: email.correlation.map(|found| found.email_id.to_string()).unwrap_or_default(),
        correlation_method: email.correlation.map_or(wire::CorrelationMethod::Unspecified, correlation_method).into(),
        is_correlated_parent: email.correlation.is_some_and(|found| found.method.finds_parent()),
        has_correlated_subject_changed: email.is_subject_changed,
        regarding_id: text_of(email.regarding_id),
        owner_id: text_of(email.owner_id),
        accepted_by: email.accepted_by.clone(),
        tracking_token: email.tracking_token.clone(),
        status: status(email).into(),
        failure: delivery.map(|delivery| delivery.failure.clone()).unwrap_or_default(),
        failure_code: delivery.map(|delivery| delivery.failure_code.clone()).unwrap_or_default(),
        attempt: delivery.map_or(0, |delivery| delivery.attempt),
        send_after: delivery.and_then(|delivery| delivery.send_after).map(timestamp),
        queued_at: delivery.map(|delivery| timestamp(delivery.queued_at)),
        sending_mailbox: delivery.map(|delivery| delivery.sending_mailbox.clone()).unwrap_or_default(),
    }
}

fn status(email: &Email) -> wire::EmailStatus {
    match (&email.delivery, email.direction) {
        (Some(delivery), _) => match delivery.status {
            email::Status::PendingSend => wire::EmailStatus::PendingSend,
            email::Status::Sending => wire::EmailStatus::Sending,
            email::Status::Sent => wire::EmailStatus::Sent,
            email::Status::Failed => wire::EmailStatus::Failed,
        },
        (None, Direction::Incoming) => wire::EmailStatus::Received,
        (None, Direction::Outgoing) => wire::EmailStatus::Sent,
    }
}

/// What became of an email, as it is reported.
pub fn reported(status: i32) -> Result<email::Status, Refusal> {
    match known::<wire::EmailStatus>("status", status)? {
        wire::EmailStatus::PendingSend => Ok(email::Status::PendingSend),
        wire::EmailStatus::Sent => Ok(email::Status::Sent),
        wire::EmailStatus::Failed => Ok(email::Status::Failed),
        wire::EmailStatus::Unspecified | wire::EmailStatus::Received | wire::EmailStatus::Sending => {
            Err(Refusal::new(Code::ValueOutOfRange, "status", "is none of SENT, FAILED, PENDING_SEND"))
        }
    }
}

/// How a correlation was found, for the wire.
pub const fn correlation_method(correlation: email::Correlation) -> wire::CorrelationMethod {
    match correlation.method {
        email::CorrelationMethod::InReplyTo => wire::CorrelationMethod::InReplyTo,
        email::CorrelationMethod::References => wire::CorrelationMethod::References,
        email::CorrelationMethod::TrackingToken => wire::CorrelationMethod::TrackingToken,
        email::CorrelationMethod::ConversationIndex => wire::CorrelationMethod::ConversationIndex,
        email::CorrelationMethod::SmartMatching => wire::CorrelationMethod::SmartMatching,
    }
}

fn party_out(party: &Party, view: &View) -> wire::Party {
    wire::Party {
        role: match party.role {
            Role::From => wire::PartyRole::From,
            Role::Sender => wire::PartyRole::Sender,
            Role::To => wire::PartyRole::To,
            Role::Cc => wire::PartyRole::Cc,
            Role::Bcc => wire::PartyRole::Bcc,
            Role::ReplyTo => wire::PartyRole::ReplyTo,
        }
        .into(),
        name: party.name.clone(),
        address: party.address.clone(),
        record_id: text_of(view.resolved(party)),
        is_ambiguous: party.is_ambiguous,
    }
}

/// An id, or an empty text.
pub fn text_of(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn attachment_out(attachment: &Attachment) -> wire::Attachment {
    wire::Attachment {
        name: attachment.name.clone(),
        content_type: attachment.content_type.clone(),
        content_id: attachment.content_id.clone().unwrap_or_default(),
        inline: attachment.inline,
        content: Some(content_out(&attachment.content)),
        omission: attachment
            .omission
            .map_or(wire::Omission::Unspecified, |omission| match omission {
                email::Omission::Blocked => wire::Omission::Blocked,
                email::Omission::TooLarge => wire::Omission::TooLarge,
            })
            .into(),
    }
}

fn source_out(source: &Source) -> wire::EmailSource {
    wire::EmailSource {
        mailbox_id: source.mailbox_id.to_string(),
        email_address: source.mailbox_address.clone(),
        folder_id: source.folder_id.clone(),
        is_untracked: source.is_untracked,
    }
}

fn content_out(content: &Content) -> wire::Content {
    wire::Content { digest: content.digest.clone(), size: content.size }
}

fn some(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, Refusal> {
    E::try_from(value).map_err(|_| Refusal::new(Code::ValueOutOfRange, field, format!("{value} is not known")))
}

#[cfg(test)]
mod tests;
