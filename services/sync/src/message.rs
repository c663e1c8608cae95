//! From a message as Exchange gives it to an email activity. Pure; malformed mail is kept as far as it can be read.

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders as _, PartType};
use postroad_proto::crm::v1::{Attachment, Content, Email, EmailDirection, Party, PartyRole};
use postroad_rig::wire;
use sha2::{Digest as _, Sha256};

use crate::exchange::Message;

mod body;

pub use body::safe_html;

/// The most references (crm.proto).
const REFERENCES: usize = 1000;
/// The longest conversation index, in bytes (crm.proto).
const CONVERSATION_INDEX: usize = 2048;

/// An activity and its contents, in the order in which crm.proto wants them.
#[derive(Clone, Debug, Default)]
pub struct Composed {
    /// The activity.
    pub email: Email,
    /// Text, HTML, HTML for display, MIME, attachments: those that the activity names.
    pub contents: Vec<Bytes>,
    /// The message ids in In-Reply-To; an activity keeps the first.
    pub in_reply_to: Vec<String>,
    /// Whether it is protected (IRM): readable with a licence only.
    pub is_protected: bool,
}

/// The message that was forwarded as an attachment to a forward mailbox, as it was before (spec §2.6); nothing where none is
/// attached. The first one counts: rules of the mail server attach one.
pub fn forwarded(message: &Message) -> Option<Message> {
    let parsed = parse(&message.mime)?;
    let inner = parsed.attachments().find_map(|part| match &part.body {
        PartType::Message(inner) => Some(Bytes::copy_from_slice(inner.raw_message())),
        _ => None,
    })?;
    // What Exchange knows of the outer message does not hold for the inner one, but when it arrived.
    Some(Message {
        mime: inner,
        message_id: None,
        subject: String::new(),
        received: message.received,
        categories: message.categories.clone(),
    })
}

/// Reads a message; its headers only where the parser cannot cope with its body: mail is kept as far as it can be read.
fn parse(mime: &[u8]) -> Option<mail_parser::Message<'_>> {
    // A defect of the parser that one message can reach must not stop the mailbox at it.
    let whole = std::panic::catch_unwind(|| MessageParser::default().parse(mime));
    whole.unwrap_or_else(|_| std::panic::catch_unwind(|| MessageParser::default().parse_headers(mime)).ok().flatten())
}

/// Makes an activity of a message that was received or, in Sent Items, sent.
pub fn compose(message: &Message, direction: EmailDirection) -> Composed {
    let mut composed = Composed::default();
    let parsed = parse(&message.mime);
    let email = &mut composed.email;
    email.direction = direction.into();
    email.received_at = message.received.map(wire::timestamp);
    email.subject.clone_from(&message.subject);
    let digest = digest(&message.mime);
    let own_id = parsed.as_ref().and_then(|parsed| parsed.message_id()).map(|id| format!("<{id}>"));
    // Exchange's property first: it is what every mailbox of the organisation has for this message.
    email.message_id = message.message_id.clone().or(own_id).unwrap_or_default();
    let mut attachments = Vec::new();
    if let Some(parsed) = &parsed {
        headers(email, parsed);
        composed.in_reply_to = message_ids(parsed.in_reply_to());
        composed.email.references = message_ids(parsed.references());
        let length = composed.email.references.len();
        // The youngest ones say most, and a header can be made as long as one likes.
        composed.email.references.drain(..length.saturating_sub(REFERENCES));
        composed.email.conversation_index = conversation_index(parsed);
        composed.is_protected = is_protected(parsed);
        bodies(&mut composed, parsed);
        attachments = attached(parsed);
    }
    composed.email.mime = Some(Content { digest, size: message.mime.len() as u64 });
    composed.contents.push(message.mime.clone());
    for (attachment, content) in attachments {
        composed.email.attachments.push(attachment);
        composed.contents.push(content);
    }
    composed
}

fn headers(email: &mut Email, parsed: &mail_parser::Message<'_>) {
    if email.subject.is_empty() {
        email.subject = parsed.subject().unwrap_or_default().to_owned();
    }
    email.in_reply_to = parsed.in_reply_to().as_text().unwrap_or_default().to_owned();
    email.sent_at =
        parsed.date().and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()).map(wire::timestamp);
    let parts = [
        (PartyRole::From, parsed.from()),
        (PartyRole::Sender, parsed.sender()),
        (PartyRole::To, parsed.to()),
        (PartyRole::Cc, parsed.cc()),
        (PartyRole::Bcc, parsed.bcc()),
        (PartyRole::ReplyTo, parsed.reply_to()),
    ];
    for (role, addresses) in parts {
        for address in addresses.into_iter().flat_map(Address::iter) {
            email.parties.push(Party {
                role: role.into(),
                name: address.name().unwrap_or_default().to_owned(),
                address: address.address().unwrap_or_default().to_owned(),
                ..Party::default()
            });
        }
    }
}

/// Outlook's index, which it puts into a header of its own; what is no Base64 or too long is none.
fn conversation_index(parsed: &mail_parser::Message<'_>) -> Vec<u8> {
    let text = parsed.header_raw("Thread-Index").unwrap_or_default();
    let text: String = text.split_whitespace().collect();
    let index = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    if index.len() <= CONVERSATION_INDEX { index } else { Vec::new() }
}

fn message_ids(header: &HeaderValue<'_>) -> Vec<String> {
    header.as_text_list().unwrap_or_default().iter().map(|id| format!("<{id}>")).collect()
}

/// Rights-protected mail carries its content in one attachment that only a licence opens (MS-OXORMMS).
fn is_protected(parsed: &mail_parser::Message<'_>) -> bool {
    let class = parsed.header_raw("Content-Class").unwrap_or_default();
    let is_it = |kind: &mail_parser::ContentType<'_>| {
        kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("x-microsoft-rpmsg-message"))
    };
    class.trim().eq_ignore_ascii_case("rpmsg.message")
        || parsed.attachments().any(|part| part.content_type().is_some_and(is_it))
}

fn bodies(composed: &mut Composed, parsed: &mail_parser::Message<'_>) {
    let html = parsed.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(Bytes::copy_from_slice(html.as_bytes())),
        _ => None,
    });
    // Where there is no plain text, it is made of the HTML.
    let text = parsed.body_text(0).map(|text| Bytes::copy_from_slice(text.as_bytes()));
    if let Some(text) = text {
        composed.email.text = Some(described(&text));
        composed.contents.push(text);
    }
    if let Some(html) = html {
        let display = Bytes::from(safe_html(&String::from_utf8_lossy(&html)));
        composed.email.html = Some(described(&html));
        composed.contents.push(html);
        composed.email.display_html = Some(described(&display));
        composed.contents.push(display);
    }
}

fn attached(parsed: &mail_parser::Message<'_>) -> Vec<(Attachment, Bytes)> {
    let mut attachments = Vec::new();
    let html: String = parsed.html_bodies().filter_map(|part| part.text_contents()).collect();
    for (index, part) in parsed.attachments().enumerate() {
        let content = Bytes::copy_from_slice(part.contents());
        let content_type = part.content_type().map_or_else(
            || "application/octet-stream".to_owned(),
            |kind| kind.subtype().map_or_else(|| kind.ctype().to_owned(), |sub| format!("{}/{sub}", kind.ctype())),
        );
        let name = part.attachment_name().map_or_else(|| format!("attachment-{}", index + 1), str::to_owned);
        let content_id = part.content_id().unwrap_or_default().to_owned();
        // Many programs show an image in the body and still call it an attachment.
        let is_shown = !content_id.is_empty() && html.contains(&format!("cid:{content_id}"));
        let inline = is_shown || part.content_disposition().is_some_and(|disposition| disposition.is_inline());
        let described = Some(described(&content));
        let attachment =
            Attachment { name, content_type, content_id, inline, content: described, ..Attachment::default() };
        attachments.push((attachment, content));
    }
    attachments
}

fn described(content: &Bytes) -> Content {
    Content { digest: digest(content), size: content.len() as u64 }
}

pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
