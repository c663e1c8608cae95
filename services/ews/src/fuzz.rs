//! Every reader of foreign bytes as one function over bytes, for `tests/parsers` and cargo-fuzz: none panics, whatever comes, what is
//! read is no larger than what came, and reading the same twice gives the same. No part of the crate's interface.

use std::hint::black_box;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    Challenge, ConvertId, CreateAttachment, CreateFolder, CreateItem, DeleteItem, Deletion, Disposition, Endpoint,
    FindFolder, FindItem, FolderRef, GetFolder, GetItem, GetStreamingEvents, ItemId, ItemShape, MoveItem, NewMessage,
    Operation, SendItem, Subscribe, SyncFolderItems, Unsubscribe, UpdateItem, authentication, autodiscover, error,
    soap, streaming, xml::Filter,
};

/// A broken promise of a reader.
fn promise(holds: bool, what: &str) {
    // Tests and fuzzers find what stops the process.
    #[expect(clippy::panic, reason = "what a fuzzer looks for")]
    if !holds {
        panic!("{what}");
    }
}

fn filtered(bytes: &[u8]) -> String {
    let text = Filter::apply(bytes);
    // A character of another encoding may need three bytes, and nothing is added besides.
    promise(text.len() <= bytes.len().saturating_mul(3).saturating_add(16), "the filter adds text");
    let mut pieces = Filter::with_capacity(bytes.len());
    bytes.chunks(7).for_each(|piece| pieces.push(piece));
    promise(pieces.finish() == text, "the filter depends on where pieces end");
    text
}

/// The answers of every operation, by every operation's reader.
pub fn answers(bytes: &[u8]) {
    let text = filtered(bytes);
    let (inbox, id) = (FolderRef::INBOX, ItemId::new("a"));
    let ids = vec![id.clone(), ItemId::new("b")];
    read(&ConvertId::probe("user1@contoso.example"), &text);
    let (name, content_type) = (String::new(), String::new());
    let content = bytes::Bytes::new();
    read(
        &CreateAttachment { parent: id.clone(), name, content_type, content_id: None, is_inline: false, content },
        &text,
    );
    read(&CreateFolder { parent: inbox.clone(), name: "x".to_owned() }, &text);
    let message = NewMessage::default();
    read(&CreateItem { message, disposition: Disposition::SaveOnly, folder: None }, &text);
    read(&DeleteItem { ids: ids.clone(), deletion: Deletion::Hard }, &text);
    read(&FindFolder::named(inbox.clone(), "x"), &text);
    read(&FindItem::all(inbox.clone()), &text);
    read(&GetFolder::one(inbox.clone()), &text);
    read(&GetItem { ids: ids.clone(), shape: ItemShape::message() }, &text);
    read(&GetStreamingEvents { subscriptions: vec!["s".to_owned()], minutes: 1 }, &text);
    read(&MoveItem { ids, target: inbox.clone() }, &text);
    read(&SendItem { id, saves: true, folder: None }, &text);
    read(&Subscribe { folders: vec![inbox.clone()], events: Vec::new() }, &text);
    read(&SyncFolderItems::since(inbox, None), &text);
    read(&Unsubscribe { id: "s".to_owned() }, &text);
    read(&UpdateItem { changes: Vec::new() }, &text);
}

fn read<O: Operation>(operation: &O, text: &str) {
    let answer = || soap::read(text, |reader, element| operation.read(reader, element)).is_ok();
    promise(answer() == answer(), O::NAME);
}

/// The answers of Autodiscover, SOAP and POX.
pub fn discovery(bytes: &[u8]) {
    let text = filtered(bytes);
    let (soap, pox) = (autodiscover::soap::read(&text), autodiscover::pox::read(&text));
    promise(format!("{soap:?}").len() < text.len().saturating_mul(16).saturating_add(4096), "SOAP grows");
    promise(format!("{pox:?}").len() < text.len().saturating_mul(16).saturating_add(4096), "POX grows");
    promise(soap.is_err() || pox.is_err(), "an answer is of both services");
}

/// A refusal: a status in the first two bytes, header fields up to an empty line, and a page.
pub fn refusals(bytes: &[u8]) {
    let (status, rest) = bytes.split_at(bytes.len().min(2));
    let status = status.iter().fold(0_u16, |number, byte| number.wrapping_mul(256).wrapping_add(u16::from(*byte)));
    let text = String::from_utf8_lossy(rest);
    let (head, page) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim())) else {
            continue;
        };
        // A server's own limit is about a hundred fields.
        if headers.len() < 128 {
            headers.append(name, value);
        }
    }
    let challenge = Challenge::read(&headers);
    black_box((challenge.refusal(), challenge.scheme("Bearer").is_some()));
    let Ok(endpoint) = Endpoint::parse("https://mail.contoso.example/EWS/Exchange.asmx") else { return };
    black_box(error::classify(100 + status % 500, &headers, page, &endpoint).to_string());
    authentication::read_answer(200 + status % 300, &headers, page, &endpoint);
    if let Ok(endpoint) = Endpoint::parse(head) {
        promise(Endpoint::parse(endpoint.as_str()).is_ok_and(|again| again == endpoint), "an endpoint changes");
    }
}

/// The bytes of a hanging connection; the first byte says where chunks end.
pub fn stream(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let operation = GetStreamingEvents { subscriptions: vec!["s".to_owned()], minutes: 1 };
    let whole = streaming::envelopes_of(bytes, bytes.len().max(1));
    let pieces = streaming::envelopes_of(bytes, usize::from(*size).max(1));
    promise(whole == pieces, "envelopes depend on where chunks end");
    promise(whole.iter().map(Vec::len).sum::<usize>() <= bytes.len(), "the splitter adds bytes");
    for envelope in whole {
        black_box(streaming::read(&operation, &envelope).is_ok());
    }
}
