//! A message as it was written: its header field by field, its body untouched.

use bytes::Bytes;
use mail_builder::headers::Header;
use mail_builder::mime::MimePart;
use uuid::Uuid;

use super::{Attachment, AttachmentBody};

/// The text of a message, taken apart.
#[derive(Debug)]
pub struct Source {
    fields: Vec<Field>,
    body: Vec<u8>,
}

/// A field with its folded lines, its line end included.
#[derive(Debug)]
struct Field {
    name: String,
    raw: Vec<u8>,
}

// === impl Source ===

impl Source {
    /// Takes a message apart; what does not look like a header is the body.
    pub fn read(mime: &[u8]) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        let mut rest = mime;
        while !rest.is_empty() {
            let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(length);
            match (line.first(), fields.last_mut()) {
                (Some(b'\r' | b'\n'), _) => {
                    rest = after;
                    break;
                }
                (Some(b' ' | b'\t'), Some(field)) => field.raw.extend_from_slice(line),
                _ => match name(line) {
                    Some(name) => fields.push(Field { name, raw: line.to_vec() }),
                    None => break,
                },
            }
            rest = after;
        }
        Self { fields, body: rest.to_vec() }
    }

    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
    }

    /// Gives a field a value, in its place or, if it is new, at the end.
    pub fn set(&mut self, name: &str, value: &impl Header) {
        let mut raw = format!("{name}: ").into_bytes();
        let column = raw.len();
        value.write_header(&mut raw, column);
        let place = self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name));
        self.remove(name);
        let place = place.unwrap_or(self.fields.len()).min(self.fields.len());
        self.fields.insert(place, Field { name: name.to_owned(), raw });
    }

    /// Adds files after what the message has, which becomes the first part.
    pub fn attach<'a>(&mut self, attachments: impl IntoIterator<Item = &'a Attachment>) {
        let mut attachments = attachments.into_iter().peekable();
        if attachments.peek().is_none() {
            return;
        }
        let boundary = format!("=_{}", Uuid::new_v4().simple());
        let mut body = format!("--{boundary}\r\n").into_bytes();
        for field in self.fields.iter().filter(|field| is_of_content(&field.name)) {
            body.extend_from_slice(&ended(&field.raw));
        }
        body.extend_from_slice(b"\r\n");
        body.append(&mut self.body);
        for attachment in attachments {
            body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            part(attachment).write_part(&mut body);
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        self.body = body;
        self.fields.retain(|field| !is_of_content(&field.name) && !field.name.eq_ignore_ascii_case("MIME-Version"));
        let raw = format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n");
        self.fields.push(Field { name: "Content-Type".to_owned(), raw: raw.into_bytes() });
    }

    /// The message again.
    pub fn write(self) -> Bytes {
        let mut mime = Vec::with_capacity(self.body.len() + 1024);
        for field in &self.fields {
            mime.extend_from_slice(&ended(&field.raw));
        }
        mime.extend_from_slice(b"\r\n");
        mime.extend_from_slice(&self.body);
        Bytes::from(mime)
    }
}

/// The name before the colon, if the line can be a field.
fn name(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let name = std::str::from_utf8(line.get(..colon)?).ok()?.trim_end();
    name.bytes().all(|byte| byte.is_ascii_graphic()).then(|| name.to_owned())
}

fn is_of_content(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
}

/// With a line end, which the last line of a message without a body may lack.
fn ended(raw: &[u8]) -> Vec<u8> {
    let mut raw = raw.to_vec();
    if !raw.ends_with(b"\n") {
        raw.extend_from_slice(b"\r\n");
    }
    raw
}

/// The part of a message that an attachment is.
pub fn part(attachment: &Attachment) -> MimePart<'_> {
    let part = match &attachment.body {
        AttachmentBody::File(bytes) => {
            let kind = attachment.content_type.as_deref().unwrap_or("application/octet-stream");
            MimePart::new(kind, bytes.as_ref())
        }
        AttachmentBody::Message(content) => MimePart::new("message/rfc822", content.to_mime().to_vec()),
    };
    let part = match &attachment.content_id {
        Some(content_id) => part.cid(content_id.as_str()),
        None => part,
    };
    let disposition = if attachment.inline { "inline" } else { "attachment" };
    let disposition = mail_builder::headers::content_type::ContentType::new(disposition);
    part.header("Content-Disposition", disposition.attribute("filename", attachment.name.as_str()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mail_builder::headers::raw::Raw;

    use super::*;
    use crate::content::read;

    #[test]
    fn what_is_not_touched_stays_as_it_was() {
        for mime in ["A: b\r\nB: c\r\n d\r\n\r\nbody\r\n", "Subject: x\r\n\r\n", "A: b\r\n\r\n\r\n\r\nbody"] {
            assert_eq!(Source::read(mime.as_bytes()).write(), mime);
        }
        assert_eq!(Source::read(b"no header at all").write(), "\r\nno header at all");
        assert_eq!(Source::read(b"A: b").write(), "A: b\r\n\r\n");
    }

    #[test]
    fn fields_are_set_in_their_place_and_removed_whole() {
        let mut source = Source::read(b"From: a@x\r\nbcc: b@x,\r\n\tc@x\r\nSubject: s\r\n\r\nbody");
        source.remove("Bcc");
        source.set("from", &Raw::new("d@x"));
        source.set("Message-ID", &Raw::new("<1@x>"));
        assert_eq!(source.write(), "from: d@x\r\nSubject: s\r\nMessage-ID: <1@x>\r\n\r\nbody");
    }

    #[test]
    fn files_are_added_after_the_message() {
        let file = |name: &str, content_id: Option<&str>| Attachment {
            key: [0; 16],
            name: name.to_owned(),
            content_type: Some("application/pdf".to_owned()),
            content_id: content_id.map(str::to_owned),
            inline: content_id.is_some(),
            body: AttachmentBody::File(Bytes::from_static(b"\0%PDF")),
            modified: Timestamp::UNIX_EPOCH,
            is_in_mime: false,
        };
        let mut source = Source::read(
            b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/html;\r\n charset=utf-8\r\n\r\n<p>Hi</p>\r\n",
        );
        source.attach([&file("žuto.pdf", None), &file("logo.png", Some("logo@x"))]);
        let back = read(source.write(), Timestamp::UNIX_EPOCH, "host");
        assert_eq!((back.subject.as_deref(), back.html.as_deref().map(str::trim)), (Some("s"), Some("<p>Hi</p>")));
        let found: Vec<_> = back
            .attachments
            .iter()
            .map(|found| (found.name.as_str(), found.content_id.as_deref(), found.inline, found.size()))
            .collect();
        assert_eq!(found, [("žuto.pdf", None, false, 5), ("logo.png", Some("logo@x"), true, 5)]);
    }
}
