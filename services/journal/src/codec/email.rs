//! Email activity events.

use postroad_core::email::{Attachment, Content, Direction, Email, Event, Omission, Party, Role, Source};
use uuid::Uuid;

use super::{
    Stored, at, maybe_at, some, stored, time,
    verdict::{correlation_number, read_correlation},
};

pub fn encode(event: &Event) -> Stored {
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
        _ => return None,
    })
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
    })
}

fn write_party(party: Party) -> stored::Party {
    let Party { role, name, address, record_id } = party;
    let role = match role {
        Role::From => 1,
        Role::Sender => 2,
        Role::To => 3,
        Role::Cc => 4,
        Role::Bcc => 5,
        Role::ReplyTo => 6,
    };
    stored::Party { role, name, address, record_id: record_id.map(|id| id.to_string()).unwrap_or_default() }
}

fn read_party(party: stored::Party) -> Option<Party> {
    let stored::Party { role, name, address, record_id } = party;
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
    Some(Party { role, name, address, record_id })
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
    let Source { mailbox_id, mailbox_address } = source.clone();
    stored::Source { mailbox_id: mailbox_id.to_string(), mailbox_address }
}

fn read_source(source: stored::Source) -> Option<Source> {
    let stored::Source { mailbox_id, mailbox_address } = source;
    Some(Source { mailbox_id: Uuid::parse_str(&mailbox_id).ok()?, mailbox_address })
}
