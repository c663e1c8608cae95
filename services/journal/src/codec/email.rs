//! Email activity events.

use postroad_core::email::{
    Attachment, Content, Delivery, Direction, Email, Event, Omission, Party, Role, Source, Status,
};
use postroad_proto::journal::v1::email_amended::Amendment;
use uuid::Uuid;

use super::{
    Stored, at, maybe_at, some, stored, time,
    verdict::{correlation_number, read_correlation},
};

pub fn encode(event: &Event) -> Stored {
    let amended =
        |at, amendment| Stored::EmailAmended(stored::EmailAmended { at: Some(time(at)), amendment: Some(amendment) });
    match event {
        Event::Promoted { email, source, at } => {
            let mut promoted = write(email);
            promoted.source = Some(write_source(source));
            promoted.at = Some(time(*at));
            Stored::EmailPromoted(promoted)
        }
        Event::FoundAgain { source, at } => {
            Stored::EmailFoundAgain(stored::EmailFoundAgain { source: Some(write_source(source)), at: Some(time(*at)) })
        }
        Event::QueueItemsAdded { queues, at } => {
            let queue_ids = queues.iter().map(Uuid::to_string).collect();
            amended(*at, Amendment::QueueItems(stored::QueueItems { queue_ids }))
        }
        Event::Untracked { mailbox_id, at } => amended(*at, Amendment::UntrackedMailboxId(mailbox_id.to_string())),
        Event::RegardingSet { regarding_id, at } => amended(*at, Amendment::RegardingId(write_id(*regarding_id))),
        Event::Queued { email, at } => {
            let delivery = email.delivery.as_ref();
            Stored::EmailQueued(stored::EmailQueued {
                email: Some(write(email)),
                at: Some(time(*at)),
                send_after: delivery.and_then(|delivery| delivery.send_after).map(time),
                sending_mailbox: delivery.map(|delivery| delivery.sending_mailbox.clone()).unwrap_or_default(),
            })
        }
        Event::Claimed { attempt, message_id, token, at } => Stored::EmailClaimed(stored::EmailClaimed {
            at: Some(time(*at)),
            attempt: *attempt,
            message_id: message_id.clone(),
            token: token.clone(),
        }),
        Event::Reported { attempt, status, failure, failure_code, at } => {
            Stored::EmailReported(stored::EmailReported {
                at: Some(time(*at)),
                attempt: *attempt,
                status: write_status(*status),
                failure: failure.clone(),
                failure_code: failure_code.clone(),
            })
        }
        Event::Erased { at } => Stored::EmailErased(stored::EmailErased { at: Some(time(*at)) }),
        Event::Resent { attempt, at } => {
            Stored::EmailResent(stored::EmailResent { at: Some(time(*at)), attempt: *attempt })
        }
    }
}

pub fn decode(id: Uuid, event: Stored) -> Option<Event> {
    Some(match event {
        Stored::EmailPromoted(event) => {
            let source = read_source(event.source.clone()?)?;
            let promoted_at = at(event.at)?;
            Event::Promoted { email: Box::new(read(id, event)?), source, at: promoted_at }
        }
        Stored::EmailFoundAgain(event) => Event::FoundAgain { source: read_source(event.source?)?, at: at(event.at)? },
        Stored::EmailAmended(event) => {
            let at = at(event.at)?;
            match event.amendment? {
                Amendment::QueueItems(items) => {
                    let ids = items.queue_ids.iter().map(|id| Uuid::parse_str(id).ok());
                    Event::QueueItemsAdded { queues: ids.collect::<Option<_>>()?, at }
                }
                Amendment::UntrackedMailboxId(id) => Event::Untracked { mailbox_id: Uuid::parse_str(&id).ok()?, at },
                Amendment::RegardingId(id) => Event::RegardingSet { regarding_id: read_id(&id)?, at },
            }
        }
        Stored::EmailQueued(event) => {
            let queued_at = at(event.at)?;
            let mut email = read(id, event.email?)?;
            email.delivery = Some(Delivery {
                status: Status::PendingSend,
                attempt: 1,
                send_after: maybe_at(event.send_after)?,
                queued_at,
                sending_mailbox: event.sending_mailbox,
                failure: String::new(),
                failure_code: String::new(),
            });
            Event::Queued { email: Box::new(email), at: queued_at }
        }
        Stored::EmailClaimed(event) => Event::Claimed {
            attempt: event.attempt,
            message_id: event.message_id,
            token: event.token,
            at: at(event.at)?,
        },
        Stored::EmailReported(event) => Event::Reported {
            attempt: event.attempt,
            status: read_status(event.status)?,
            failure: event.failure,
            failure_code: event.failure_code,
            at: at(event.at)?,
        },
        Stored::EmailErased(event) => Event::Erased { at: at(event.at)? },
        Stored::EmailResent(event) => Event::Resent { attempt: event.attempt, at: at(event.at)? },
        _ => return None,
    })
}

const fn write_status(status: Status) -> u32 {
    match status {
        Status::PendingSend => 1,
        Status::Sending => 2,
        Status::Sent => 3,
        Status::Failed => 4,
    }
}

const fn read_status(status: u32) -> Option<Status> {
    match status {
        1 => Some(Status::PendingSend),
        2 => Some(Status::Sending),
        3 => Some(Status::Sent),
        4 => Some(Status::Failed),
        _ => None,
    }
}

fn write_id(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// The outer `None` is one that cannot be read.
fn read_id(text: &str) -> Option<Option<Uuid>> {
    if text.is_empty() { Some(None) } else { Uuid::parse_str(text).ok().map(Some) }
}

fn write(email: &Email) -> stored::EmailPromoted {
    let Email {
        id: _,
        direction,
        message_id,
        in_reply_to,
        references,
        conversation_index,
        correlation,
        subject,
        sent_at,
        received_at,
        parties,
        text,
        html,
        mime,
        attachments,
        display_html,
        is_subject_changed,
        regarding_id,
        owner_id,
        accepted_by,
        tracking_token,
        delivery: _,
    } = email.clone();
    stored::EmailPromoted {
        direction: match direction {
            Direction::Incoming => 1,
            Direction::Outgoing => 2,
        },
        message_id: message_id.unwrap_or_default(),
        in_reply_to: in_reply_to.unwrap_or_default(),
        subject,
        sent_at: sent_at.map(time),
        received_at: received_at.map(time),
        parties: parties.into_iter().map(write_party).collect(),
        text: text.map(write_content),
        html: html.map(write_content),
        mime: mime.map(write_content),
        attachments: attachments.into_iter().map(write_attachment).collect(),
        source: None,
        at: None,
        references,
        conversation_index,
        correlation_method: correlation_number(correlation),
        correlated_email_id: correlation.map(|correlation| correlation.email_id.to_string()).unwrap_or_default(),
        display_html: display_html.map(write_content),
        is_subject_changed,
        regarding_id: write_id(regarding_id),
        owner_id: write_id(owner_id),
        accepted_by,
        tracking_token,
    }
}

fn read(id: Uuid, event: stored::EmailPromoted) -> Option<Email> {
    Some(Email {
        id,
        direction: match event.direction {
            1 => Direction::Incoming,
            2 => Direction::Outgoing,
            _ => return None,
        },
        message_id: some(event.message_id),
        in_reply_to: some(event.in_reply_to),
        references: event.references,
        conversation_index: event.conversation_index,
        correlation: read_correlation(event.correlation_method, &event.correlated_email_id)?,
        subject: event.subject,
        sent_at: maybe_at(event.sent_at)?,
        received_at: maybe_at(event.received_at)?,
        parties: event.parties.into_iter().map(read_party).collect::<Option<_>>()?,
        text: event.text.map(read_content),
        html: event.html.map(read_content),
        mime: event.mime.map(read_content),
        attachments: event.attachments.into_iter().map(read_attachment).collect::<Option<_>>()?,
        display_html: event.display_html.map(read_content),
        is_subject_changed: event.is_subject_changed,
        regarding_id: read_id(&event.regarding_id)?,
        owner_id: read_id(&event.owner_id)?,
        accepted_by: event.accepted_by,
        tracking_token: event.tracking_token,
        delivery: None,
    })
}

fn write_party(party: Party) -> stored::Party {
    let Party { role, name, address, record_id, is_ambiguous } = party;
    let role = match role {
        Role::From => 1,
        Role::Sender => 2,
        Role::To => 3,
        Role::Cc => 4,
        Role::Bcc => 5,
        Role::ReplyTo => 6,
    };
    stored::Party { role, name, address, record_id: write_id(record_id), is_ambiguous }
}

fn read_party(party: stored::Party) -> Option<Party> {
    let stored::Party { role, name, address, record_id, is_ambiguous } = party;
    let role = match role {
        1 => Role::From,
        2 => Role::Sender,
        3 => Role::To,
        4 => Role::Cc,
        5 => Role::Bcc,
        6 => Role::ReplyTo,
        _ => return None,
    };
    let record_id = if record_id.is_empty() { None } else { Some(Uuid::parse_str(&record_id).ok()?) };
    Some(Party { role, name, address, record_id, is_ambiguous })
}

fn write_content(content: Content) -> stored::Content {
    let Content { digest, size } = content;
    stored::Content { digest, size }
}

fn read_content(content: stored::Content) -> Content {
    let stored::Content { digest, size } = content;
    Content { digest, size }
}

fn write_attachment(attachment: Attachment) -> stored::Attachment {
    let Attachment { name, content_type, content_id, inline, content, omission } = attachment;
    let omission = omission.map_or(0, |omission| match omission {
        Omission::Blocked => 1,
        Omission::TooLarge => 2,
    });
    let content_id = content_id.unwrap_or_default();
    stored::Attachment { name, content_type, content_id, inline, content: Some(write_content(content)), omission }
}

fn read_attachment(attachment: stored::Attachment) -> Option<Attachment> {
    let stored::Attachment { name, content_type, content_id, inline, content, omission } = attachment;
    let omission = match omission {
        0 => None,
        1 => Some(Omission::Blocked),
        2 => Some(Omission::TooLarge),
        _ => return None,
    };
    let (content_id, content) = (some(content_id), read_content(content?));
    Some(Attachment { name, content_type, content_id, inline, content, omission })
}

fn write_source(source: &Source) -> stored::Source {
    let Source { mailbox_id, mailbox_address, folder_id, is_untracked: _ } = source.clone();
    stored::Source { mailbox_id: mailbox_id.to_string(), mailbox_address, folder_id }
}

fn read_source(source: stored::Source) -> Option<Source> {
    let stored::Source { mailbox_id, mailbox_address, folder_id } = source;
    let mailbox_id = Uuid::parse_str(&mailbox_id).ok()?;
    Some(Source { mailbox_id, mailbox_address, folder_id, is_untracked: false })
}
