//! From a message as Exchange gives it to an email activity. Pure; malformed mail is kept as far as it can be read.

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders as _, PartType};
use postroad_core::email::activity_id;
use postroad_proto::crm::v1::{Attachment, Content, Email, EmailDirection, Party, PartyRole};
use postroad_rig::wire;
use sha2::{Digest as _, Sha256};

use crate::exchange::Message;

/// The most references (crm.proto).
const REFERENCES: usize = 1000;
/// The longest conversation index, in bytes (crm.proto).
const CONVERSATION_INDEX: usize = 2048;

/// An activity and its contents, in the order in which crm.proto wants them.
#[derive(Clone, Debug, Default)]
pub struct Composed {
    /// The activity.
    pub email: Email,
    /// Text, HTML, MIME, attachments: those that the activity names.
    pub contents: Vec<Bytes>,
    /// The message ids in In-Reply-To; an activity keeps the first.
    pub in_reply_to: Vec<String>,
}

/// Makes an activity of a received message.
pub fn compose(message: &Message) -> Composed {
    let mut composed = Composed::default();
    let parsed = MessageParser::default().parse(message.mime.as_ref());
    let email = &mut composed.email;
    email.direction = EmailDirection::Incoming.into();
    email.received_at = message.received.map(wire::timestamp);
    email.subject.clone_from(&message.subject);
    let digest = digest(&message.mime);
    let own_id = parsed.as_ref().and_then(|parsed| parsed.message_id()).map(|id| format!("<{id}>"));
    // Exchange's property first: it is what every mailbox of the organisation has for this message.
    email.message_id = message.message_id.clone().or(own_id).unwrap_or_default();
    email.id =
        activity_id(Some(&email.message_id).filter(|id| !id.is_empty()).map(String::as_str), &digest).to_string();
    let mut attachments = Vec::new();
    if let Some(parsed) = &parsed {
        headers(email, parsed);
        composed.in_reply_to = message_ids(parsed.in_reply_to());
        composed.email.references = message_ids(parsed.references());
        let length = composed.email.references.len();
        // The youngest ones say most, and a header can be made as long as one likes.
        composed.email.references.drain(..length.saturating_sub(REFERENCES));
        composed.email.conversation_index = conversation_index(parsed);
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
                record_id: String::new(),
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

fn bodies(composed: &mut Composed, parsed: &mail_parser::Message<'_>) {
    let text = parsed.text_bodies().find_map(|part| match &part.body {
        PartType::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        _ => None,
    });
    let html = parsed.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(Bytes::copy_from_slice(html.as_bytes())),
        _ => None,
    });
    if let Some(text) = text {
        composed.email.text = Some(described(&text));
        composed.contents.push(text);
    }
    if let Some(html) = html {
        composed.email.html = Some(described(&html));
        composed.contents.push(html);
    }
}

fn attached(parsed: &mail_parser::Message<'_>) -> Vec<(Attachment, Bytes)> {
    let mut attachments = Vec::new();
    for (index, part) in parsed.attachments().enumerate() {
        let content = Bytes::copy_from_slice(part.contents());
        let content_type = part.content_type().map_or_else(
            || "application/octet-stream".to_owned(),
            |kind| kind.subtype().map_or_else(|| kind.ctype().to_owned(), |sub| format!("{}/{sub}", kind.ctype())),
        );
        let name = part.attachment_name().map_or_else(|| format!("attachment-{}", index + 1), str::to_owned);
        let inline = part.content_disposition().is_some_and(|disposition| disposition.is_inline());
        let content_id = part.content_id().unwrap_or_default().to_owned();
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

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mime: &str) -> Message {
        Message {
            mime: Bytes::copy_from_slice(mime.as_bytes()),
            message_id: None,
            received: None,
            subject: String::new(),
        }
    }

    const MULTIPART: &str = concat!(
        "From: Ada King <ada@contoso.example>\r\nTo: Bob <bob@contoso.example>, carl@fabrikam.example\r\n",
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@contoso.example>\r\n",
        "In-Reply-To: <0@contoso.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n",
        "--x\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--x--\r\n"
    );

    #[test]
    fn a_message_becomes_an_activity() {
        let composed = compose(&message(MULTIPART));
        let email = &composed.email;
        assert_eq!((email.subject.as_str(), email.message_id.as_str()), ("Grüße", "<1@contoso.example>"));
        let parties: Vec<_> = email.parties.iter().map(|party| (party.role(), party.address.as_str())).collect();
        assert_eq!(
            parties,
            [
                (PartyRole::From, "ada@contoso.example"),
                (PartyRole::To, "bob@contoso.example"),
                (PartyRole::To, "carl@fabrikam.example")
            ]
        );
        assert_eq!(email.attachments[0].name, "a.pdf");
        assert_eq!(composed.contents.last().unwrap().as_ref(), b"%PDF");
        assert_eq!(composed.contents.len(), 3, "text, MIME and the attachment");
    }

    #[test]
    fn what_a_message_answers_is_read_from_its_headers() {
        let mime = concat!(
            "From: ada@contoso.example\r\nIn-Reply-To: <0@x> <1@x>\r\nReferences: <a@x>\r\n <b@x>\r\n",
            "Thread-Index: AQEBAQEBAQEBAQEBAQEB\r\n AQEBAQEBAQICAgIC\r\n\r\nText"
        );
        let composed = compose(&message(mime));
        assert_eq!(composed.in_reply_to, ["<0@x>", "<1@x>"]);
        assert_eq!(composed.email.references, ["<a@x>", "<b@x>"]);
        assert_eq!(composed.email.conversation_index.len(), 27);
        let damaged = compose(&message("From: a@x.example\r\nThread-Index: no base64!\r\nReferences: \r\n\r\nText"));
        assert!(damaged.email.conversation_index.is_empty() && damaged.email.references.is_empty());
    }

    #[test]
    fn exchanges_own_message_id_comes_first() {
        let mut with = message(MULTIPART);
        with.message_id = Some("<exchange@contoso.example>".into());
        assert_eq!(compose(&with).email.message_id, "<exchange@contoso.example>");
    }

    #[test]
    fn what_cannot_be_parsed_is_kept_as_it_is() {
        for mime in ["", "\r\n", "no header at all", "Content-Type: multipart/mixed; boundary=\"\r\n\r\n--"] {
            let composed = compose(&message(mime));
            assert_eq!(
                composed.contents.iter().filter(|content| content.as_ref() == mime.as_bytes()).count().min(1),
                1
            );
            assert_eq!(composed.email.mime.unwrap().size, mime.len() as u64);
        }
    }

    #[test]
    fn real_and_malformed_mail_is_survived() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mail");
        if !folder.exists() {
            println!("skipped: ../shared/mail is not here");
            return;
        }
        let mut seen = 0;
        for kind in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
            for file in std::fs::read_dir(kind.path()).unwrap().flatten() {
                let mime = Bytes::from(std::fs::read(file.path()).unwrap());
                let composed = compose(&Message { mime, message_id: None, received: None, subject: String::new() });
                let named =
                    [&composed.email.text, &composed.email.html, &composed.email.mime].into_iter().flatten().count();
                assert_eq!(composed.contents.len(), named + composed.email.attachments.len());
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen} messages");
    }
}
