//! Email activities' events.

use postroad_core::email::{Attachment, Content, Direction, Email, Event, Party, Role, Source};
use postroad_proto::journal::v1::{self as wire, event::Event as Wire};
use uuid::Uuid;

use super::{Malformed, Persisted, foreign, value};

impl Persisted for Event {
    fn to_wire(&self) -> Wire {
        match self {
            Self::Promoted { email, source: found, at } => {
                let mut stored = promoted(email);
                stored.source = Some(source(found));
                stored.at = Some(value::time(*at));
                Wire::EmailPromoted(stored)
            }
            Self::FoundAgain { source: found, at } => Wire::EmailFoundAgain(wire::EmailFoundAgain {
                source: Some(source(found)),
                at: Some(value::time(*at)),
            }),
        }
    }

    fn from_wire(id: Uuid, event: Wire) -> Result<Self, Malformed> {
        Ok(match event {
            Wire::EmailPromoted(mut stored) => Self::Promoted {
                source: read_source(stored.source.take())?,
                at: value::read_time("at", stored.at.take())?,
                email: Box::new(read_promoted(id, stored)?),
            },
            Wire::EmailFoundAgain(wire::EmailFoundAgain { source, at }) => {
                Self::FoundAgain { source: read_source(source)?, at: value::read_time("at", at)? }
            }
            other => return foreign(&other),
        })
    }
}

/// Without source and time of promotion.
fn promoted(email: &Email) -> wire::EmailPromoted {
    // The id is the subject's.
    let Email {
        id: _,
        direction,
        message_id,
        in_reply_to,
        subject,
        sent_at,
        received_at,
        parties,
        text,
        html,
        mime,
        attachments,
    } = email;
    wire::EmailPromoted {
        direction: match direction {
            Direction::Incoming => 1,
            Direction::Outgoing => 2,
        },
        message_id: message_id.clone().unwrap_or_default(),
        in_reply_to: in_reply_to.clone().unwrap_or_default(),
        subject: subject.clone(),
        sent_at: sent_at.map(value::time),
        received_at: received_at.map(value::time),
        parties: parties.iter().map(party).collect(),
        text: text.as_ref().map(content),
        html: html.as_ref().map(content),
        mime: mime.as_ref().map(content),
        attachments: attachments.iter().map(attachment).collect(),
        source: None,
        at: None,
    }
}

fn read_promoted(id: Uuid, stored: wire::EmailPromoted) -> Result<Email, Malformed> {
    Ok(Email {
        id,
        direction: match stored.direction {
            1 => Direction::Incoming,
            2 => Direction::Outgoing,
            other => return value::unknown("direction", other),
        },
        message_id: value::some_text(stored.message_id),
        in_reply_to: value::some_text(stored.in_reply_to),
        subject: stored.subject,
        sent_at: value::read_some_time("sent_at", stored.sent_at)?,
        received_at: value::read_some_time("received_at", stored.received_at)?,
        parties: stored.parties.into_iter().map(read_party).collect::<Result<_, _>>()?,
        text: stored.text.map(read_content),
        html: stored.html.map(read_content),
        mime: stored.mime.map(read_content),
        attachments: stored.attachments.into_iter().map(read_attachment).collect::<Result<_, _>>()?,
    })
}

fn party(party: &Party) -> wire::Party {
    let Party { role: part, name, address, record_id } = party;
    wire::Party {
        role: role(*part),
        name: name.clone(),
        address: address.clone(),
        record_id: record_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn read_party(party: wire::Party) -> Result<Party, Malformed> {
    let wire::Party { role: number, name, address, record_id } = party;
    const ROLES: [Role; 6] = [Role::From, Role::Sender, Role::To, Role::Cc, Role::Bcc, Role::ReplyTo];
    let Some(part) = ROLES.into_iter().find(|known| role(*known) == number) else {
        return value::unknown("role", number);
    };
    let record_id = value::some_text(record_id).map(|id| value::read_id("record_id", &id)).transpose()?;
    Ok(Party { role: part, name, address, record_id })
}

const fn role(role: Role) -> u32 {
    match role {
        Role::From => 1,
        Role::Sender => 2,
        Role::To => 3,
        Role::Cc => 4,
        Role::Bcc => 5,
        Role::ReplyTo => 6,
    }
}

fn content(content: &Content) -> wire::Content {
    wire::Content { digest: content.digest.clone(), size: content.size }
}

fn read_content(content: wire::Content) -> Content {
    let wire::Content { digest, size } = content;
    Content { digest, size }
}

fn attachment(attachment: &Attachment) -> wire::Attachment {
    let Attachment { name, content_type, content_id, inline, content: kept } = attachment;
    wire::Attachment {
        name: name.clone(),
        content_type: content_type.clone(),
        content_id: content_id.clone().unwrap_or_default(),
        inline: *inline,
        content: Some(content(kept)),
    }
}

fn read_attachment(attachment: wire::Attachment) -> Result<Attachment, Malformed> {
    let wire::Attachment { name, content_type, content_id, inline, content } = attachment;
    let content = read_content(value::required("content", content)?);
    Ok(Attachment { name, content_type, content_id: value::some_text(content_id), inline, content })
}

fn source(source: &Source) -> wire::Source {
    wire::Source { mailbox_id: source.mailbox_id.to_string(), mailbox_address: source.mailbox_address.clone() }
}

fn read_source(source: Option<wire::Source>) -> Result<Source, Malformed> {
    let wire::Source { mailbox_id, mailbox_address } = value::required("source", source)?;
    Ok(Source { mailbox_id: value::read_id("mailbox_id", &mailbox_id)?, mailbox_address })
}
