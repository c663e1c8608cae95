//! Makes MIME of properties.

use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as BuiltAddress;
use mail_builder::headers::raw::Raw;

use super::{Address, Attachment, AttachmentBody, Content, Importance};

/// The message as MIME.
pub fn compose(content: &Content) -> Bytes {
    let mut message = MessageBuilder::new();
    if let Some(from) = &content.from {
        message = message.from(built(from));
    }
    if let Some(sender) = content.sender.as_ref().filter(|sender| content.from.as_ref() != Some(sender)) {
        message = message.sender(built(sender));
    }
    for (name, list) in [("To", &content.to), ("Cc", &content.cc), ("Reply-To", &content.reply_to)] {
        if !list.is_empty() {
            message =
                message.header(name, HeaderType::Address(BuiltAddress::new_list(list.iter().map(built).collect())));
        }
    }
    let fields = [
        ("Message-ID", &content.message_id),
        ("In-Reply-To", &content.in_reply_to),
        ("References", &content.references),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            message = message.header(name, Raw::new(value.as_str()));
        }
    }
    if content.importance != Importance::Normal {
        message = message.header("Importance", Raw::new(content.importance.name()));
    }
    for (name, value) in &content.headers {
        message = message.header(name.as_str(), Raw::new(value.as_str()));
    }
    message = message.subject(content.subject.as_deref().unwrap_or_default());
    if let Some(sent) = content.sent {
        message = message.date(sent.as_second());
    }
    if let Some(text) = &content.text {
        message = message.text_body(text.as_str());
    }
    if let Some(html) = &content.html {
        message = message.html_body(html.as_str());
    }
    if content.text.is_none() && content.html.is_none() {
        message = message.text_body("");
    }
    for attachment in &content.attachments {
        message = attach(message, attachment);
    }
    // Writing to memory cannot fail.
    Bytes::from(message.write_to_vec().unwrap_or_default())
}

fn attach<'x>(message: MessageBuilder<'x>, attachment: &'x Attachment) -> MessageBuilder<'x> {
    match &attachment.body {
        AttachmentBody::Message(inner) => {
            message.attachment("message/rfc822", attachment.name.as_str(), inner.to_mime().to_vec())
        }
        AttachmentBody::File(bytes) => {
            let content_type = attachment.content_type.as_deref().unwrap_or("application/octet-stream");
            match attachment.content_id.as_deref().filter(|_| attachment.inline) {
                Some(content_id) => message.inline(content_type, content_id, bytes.as_ref()),
                None => message.attachment(content_type, attachment.name.as_str(), bytes.as_ref()),
            }
        }
    }
}

fn built(address: &Address) -> BuiltAddress<'_> {
    BuiltAddress::new_address(address.name.as_deref(), address.address.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::content::read;

    #[test]
    fn what_is_composed_reads_back() {
        let content = Content {
            subject: Some("Žuta naranča".to_owned()),
            html: Some("<p>Dear</p>".to_owned()),
            from: Some(Address {
                name: Some("User One".to_owned()),
                address: Some("user1@contoso.example".to_owned()),
            }),
            to: vec![Address { name: None, address: Some("buyer@fabrikam.example".to_owned()) }],
            message_id: Some("<1@contoso.example>".to_owned()),
            ..Content::default()
        };
        let back = read(compose(&content), Timestamp::UNIX_EPOCH, "host");
        assert_eq!(
            (back.subject, back.from, back.to, back.message_id),
            (content.subject, content.from, content.to, content.message_id)
        );
        assert_eq!(back.html.as_deref().map(str::trim), Some("<p>Dear</p>"));
    }
}
