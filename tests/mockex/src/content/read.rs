//! Reads MIME. Whatever comes is delivered: a message that cannot be parsed becomes one with a text body.

use bytes::Bytes;
use jiff::Timestamp;
use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};
use uuid::Uuid;

use super::{Address, Attachment, AttachmentBody, Content, Importance, Sensitivity};

/// Reads a message as the transport delivers it; `host` names the server in the message id of a message without one.
pub fn read(mime: Bytes, now: Timestamp, host: &str) -> Content {
    let mut content = match MessageParser::default().parse(mime.as_ref()) {
        Some(message) => from_message(&message, now),
        None => Content {
            class: "IPM.Note".to_owned(),
            text: Some(String::from_utf8_lossy(&mime).into_owned()),
            ..Content::default()
        },
    };
    if content.message_id.is_none() {
        content.message_id = Some(format!("<{}@{host}>", Uuid::new_v4().simple()));
    }
    content.mime = Some(mime);
    content
}

fn from_message(message: &mail_parser::Message<'_>, now: Timestamp) -> Content {
    let headers: Vec<(String, String)> =
        message.headers_raw().map(|(name, value)| (name.trim().to_owned(), unfold(value))).collect();
    let header = |wanted: &str| {
        headers
            .iter()
            .find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_empty())
            .map(|(_, value)| value.clone())
    };
    let first = |list: Option<&mail_parser::Address<'_>>| addresses(list).into_iter().next();
    let from = first(message.from());
    Content {
        class: class(message),
        subject: message.subject().map(str::to_owned),
        html: body(message.html_bodies(), true),
        text: body(message.text_bodies(), false),
        sender: first(message.sender()).or_else(|| from.clone()),
        from,
        to: message.all_to().flat_map(|list| addresses(Some(list))).collect(),
        cc: message.all_cc().flat_map(|list| addresses(Some(list))).collect(),
        bcc: message.all_bcc().flat_map(|list| addresses(Some(list))).collect(),
        reply_to: addresses(message.reply_to()),
        message_id: header("Message-ID"),
        in_reply_to: header("In-Reply-To"),
        references: header("References"),
        sent: message.date().and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()),
        importance: importance(&header),
        sensitivity: header("Sensitivity").map_or(Sensitivity::Normal, |text| Sensitivity::of(&text)),
        read_receipt_requested: header("Disposition-Notification-To").is_some(),
        delivery_receipt_requested: header("Return-Receipt-To").is_some(),
        attachments: message.attachments().map(|part| attachment(part, now)).collect(),
        headers,
        mime: None,
    }
}

fn importance(header: &dyn Fn(&str) -> Option<String>) -> Importance {
    if let Some(text) = header("Importance") {
        return Importance::of(&text);
    }
    match header("X-Priority").as_deref().and_then(|text| text.trim().chars().next()) {
        Some('1' | '2') => Importance::High,
        Some('4' | '5') => Importance::Low,
        _ => Importance::Normal,
    }
}

/// The class the transport gives: meeting mail and delivery reports are not plain notes.
fn class(message: &mail_parser::Message<'_>) -> String {
    let root = message.root_part();
    if root.is_content_type("multipart", "report") {
        return "REPORT.IPM.Note.NDR".to_owned();
    }
    let method = message
        .parts
        .iter()
        .filter(|part| part.is_content_type("text", "calendar"))
        .find_map(|part| part.content_type()?.attribute("method"));
    match method.map(str::to_ascii_uppercase).as_deref() {
        Some("REQUEST") => "IPM.Schedule.Meeting.Request",
        Some("CANCEL") => "IPM.Schedule.Meeting.Canceled",
        Some("REPLY") => "IPM.Schedule.Meeting.Resp.Pos",
        _ => "IPM.Note",
    }
    .to_owned()
}

/// The text of the body parts of the wanted kind, without conversion from the other.
fn body<'a>(parts: impl Iterator<Item = &'a MessagePart<'a>>, html: bool) -> Option<String> {
    let mut found: Option<String> = None;
    for part in parts {
        let text = match &part.body {
            PartType::Html(text) if html => text,
            PartType::Text(text) if !html => text,
            _ => continue,
        };
        found.get_or_insert_default().push_str(text);
    }
    found
}

fn attachment(part: &MessagePart<'_>, now: Timestamp) -> Attachment {
    let content_type = part.content_type().map(|found| match found.subtype() {
        Some(subtype) => format!("{}/{subtype}", found.ctype()),
        None => found.ctype().to_owned(),
    });
    let content_id = part.content_id().map(str::to_owned);
    let inline = part.content_disposition().is_some_and(mail_parser::ContentType::is_inline)
        || (content_id.is_some() && part.content_disposition().is_none());
    let name = part.attachment_name().map(str::to_owned);
    let (body, fallback) = match &part.body {
        PartType::Message(message) => {
            let fallback = message.subject().unwrap_or("message").to_owned();
            let mut inner = from_message(message, now);
            inner.mime = Some(Bytes::copy_from_slice(message.raw_message()));
            (AttachmentBody::Message(Box::new(inner)), fallback)
        }
        PartType::Text(text) | PartType::Html(text) => {
            (AttachmentBody::File(Bytes::copy_from_slice(text.as_bytes())), "attachment.txt".to_owned())
        }
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            (AttachmentBody::File(Bytes::copy_from_slice(bytes)), "attachment.bin".to_owned())
        }
        PartType::Multipart(_) => (AttachmentBody::File(Bytes::new()), "attachment.bin".to_owned()),
    };
    Attachment {
        key: *Uuid::new_v4().as_bytes(),
        name: name.unwrap_or(fallback),
        content_type,
        content_id,
        inline,
        body,
        modified: now,
        is_in_mime: true,
    }
}

fn addresses(list: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    list.into_iter()
        .flat_map(mail_parser::Address::iter)
        .map(|found| Address { name: found.name().map(str::to_owned), address: found.address().map(str::to_owned) })
        .collect()
}

fn unfold(value: &str) -> String {
    value.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(mime: &'static str) -> Content {
        read(Bytes::from_static(mime.as_bytes()), Timestamp::UNIX_EPOCH, "mail.contoso.example")
    }

    #[test]
    fn a_multipart_message_is_taken_apart() {
        let content = parsed(
            "From: =?utf-8?q?Ana_=C5=A0imi=C4=87?= <ana@fabrikam.example>\r\nTo: User One <user1@contoso.example>, x@y.example\r\nSubject: Hi\r\nMessage-ID: <a1@fabrikam.example>\r\nReferences: <r1@x>\r\n <r2@x>\r\nDate: Tue, 1 Mar 2016 08:15:29 +0000\r\nImportance: high\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n",
        );
        assert_eq!(content.from.unwrap().name.as_deref(), Some("Ana Šimić"));
        assert_eq!(content.to.len(), 2);
        assert_eq!(content.references.as_deref(), Some("<r1@x> <r2@x>"));
        assert_eq!(content.message_id.as_deref(), Some("<a1@fabrikam.example>"));
        assert_eq!(content.html.as_deref().map(str::trim), Some("<p>Hi</p>"));
        assert_eq!(content.importance, Importance::High);
        assert_eq!(content.sent.unwrap().as_second(), 1_456_820_129);
        let [file, message] = content.attachments.as_slice() else { panic!("two attachments") };
        assert!(matches!(&file.body, AttachmentBody::File(bytes) if bytes.as_ref() == b"hello"));
        assert_eq!(file.name, "a.pdf");
        assert!(matches!(&message.body, AttachmentBody::Message(inner) if inner.subject.as_deref() == Some("inner")));
    }

    #[test]
    fn anything_at_all_is_delivered_with_a_message_id() {
        for mime in
            ["", "\0\u{1}", "no headers at all", "Subject", "Content-Type: multipart/mixed; boundary=\"x\r\n\r\n--x"]
        {
            let content = parsed(mime);
            assert!(content.message_id.unwrap().ends_with("@mail.contoso.example>"));
        }
    }

    #[test]
    fn meeting_mail_has_its_class() {
        let content = parsed("Subject: m\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n");
        assert_eq!((content.class.as_str(), content.element()), ("IPM.Schedule.Meeting.Request", "MeetingRequest"));
    }
}
