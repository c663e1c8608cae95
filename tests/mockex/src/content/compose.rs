//! Makes MIME of properties.

use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as BuiltAddress;
use mail_builder::headers::raw::Raw;

use super::source::part;
use super::{Address, Content, Importance};

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
    if !content.attachments.is_empty() {
        message.attachments = Some(content.attachments.iter().map(part).collect());
    }
    // Writing to memory cannot fail.
    Bytes::from(message.write_to_vec().unwrap_or_default())
}

/// Whether a field is one that composing writes itself, or that must not be written.
pub fn is_composed(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "From",
        "Sender",
        "To",
        "Cc",
        "Bcc",
        "Reply-To",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Importance",
        "Subject",
        "Date",
        "MIME-Version",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
        || name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
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
