//! Brings the MIME of a message into line with its properties, which may have been changed since it came in.

use bytes::Bytes;
use jiff::Timestamp;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as BuiltAddress;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;

use super::compose::{compose, is_composed};
use super::{Address, Content, Source, read};

/// The message as MIME: what came in, except for what differs now. Blind copies stand in the properties only.
pub fn amend(content: &Content) -> Bytes {
    let Some(mime) = &content.mime else { return compose(content) };
    let before = read(mime.clone(), Timestamp::UNIX_EPOCH, "");
    if (&before.html, &before.text) != (&content.html, &content.text) {
        let mut whole = content.clone();
        whole.headers.retain(|(name, _)| !is_composed(name));
        return compose(&whole);
    }
    let mut source = Source::read(mime);
    source.remove("Bcc");
    if before.subject != content.subject {
        let text = content.subject.as_deref().map(|text| HeaderType::Text(Text::new(text)));
        put(&mut source, "Subject", text);
    }
    for (name, was, is) in [
        ("From", before.from.as_slice(), content.from.as_slice()),
        ("Sender", sender(&before), sender(content)),
        ("To", &before.to, &content.to),
        ("Cc", &before.cc, &content.cc),
        ("Reply-To", &before.reply_to, &content.reply_to),
    ] {
        if was != is {
            put(&mut source, name, people(is));
        }
    }
    for (name, was, is) in [
        ("Message-ID", &before.message_id, &content.message_id),
        ("In-Reply-To", &before.in_reply_to, &content.in_reply_to),
        ("References", &before.references, &content.references),
    ] {
        if was != is {
            put(&mut source, name, is.as_deref().map(|text| HeaderType::Raw(Raw::new(text))));
        }
    }
    if before.importance != content.importance {
        put(&mut source, "Importance", Some(HeaderType::Raw(Raw::new(content.importance.name()))));
    }
    if let Some(sent) = content.sent.filter(|sent| before.sent.map(Timestamp::as_second) != Some(sent.as_second())) {
        put(&mut source, "Date", Some(HeaderType::Date(Date::new(sent.as_second()))));
    }
    source.attach(content.attachments.iter().filter(|attachment| !attachment.is_in_mime));
    source.write()
}

fn put(source: &mut Source, name: &str, value: Option<HeaderType<'_>>) {
    match value {
        Some(value) => source.set(name, &value),
        None => source.remove(name),
    }
}

/// The sender, where that is not the author.
fn sender(content: &Content) -> &[Address] {
    if content.sender == content.from { &[] } else { content.sender.as_slice() }
}

fn people(list: &[Address]) -> Option<HeaderType<'_>> {
    let built = |address: &'_ Address| {
        BuiltAddress::new_address(address.name.clone(), address.address.clone().unwrap_or_default())
    };
    match list {
        [] => None,
        [one] => Some(HeaderType::Address(built(one))),
        _ => Some(HeaderType::Address(BuiltAddress::new_list(list.iter().map(built).collect()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIME: &str = "From: Ana <ana@contoso.example>\r\nTo: old@f.example\r\nBcc: hidden@f.example\r\nX-Own: 7\r\n\
        Subject: old\r\nDate: Tue, 1 Mar 2016 08:15:29 +0000\r\n\r\nHello\r\n";

    fn draft() -> Content {
        let mut content = read(Bytes::from_static(MIME.as_bytes()), Timestamp::UNIX_EPOCH, "host");
        content.message_id = None;
        content
    }

    #[test]
    fn only_what_differs_is_written_anew() {
        let expected = MIME.replace("Bcc: hidden@f.example\r\n", "");
        assert_eq!(amend(&draft()), expected);
        let mut content = draft();
        content.subject = Some("Žuto".to_owned());
        content.to = vec![Address { name: None, address: Some("new@f.example".to_owned()) }];
        content.message_id = Some("<1@x>".to_owned());
        let back = read(amend(&content), Timestamp::UNIX_EPOCH, "host");
        assert_eq!((back.subject, back.to, back.message_id), (content.subject, content.to, content.message_id));
        assert!(back.headers.contains(&("X-Own".to_owned(), "7".to_owned())) && back.sent == draft().sent);
    }

    #[test]
    fn another_body_makes_another_message_with_the_same_own_fields() {
        let mut content = draft();
        (content.html, content.text) = (Some("<p>Hi</p>".to_owned()), None);
        let back = read(amend(&content), Timestamp::UNIX_EPOCH, "host");
        assert_eq!((back.html.as_deref().map(str::trim), back.subject.as_deref()), (Some("<p>Hi</p>"), Some("old")));
        assert_eq!(back.headers.iter().filter(|(name, _)| name == "Subject" || name == "X-Own").count(), 2);
        assert!(back.bcc.is_empty(), "{:?}", back.headers);
    }
}
