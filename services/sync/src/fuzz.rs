//! What Exchange hands over as MIME, as a function over bytes, for `tests/parsers` and cargo-fuzz. No part of the crate's interface.

use bytes::Bytes;
use postroad_proto::crm::v1::EmailDirection;

use crate::{
    exchange::Message,
    message::{Composed, compose, digest, forwarded, safe_html},
    tracking,
};

/// A broken promise of a reader.
fn promise(holds: bool, what: &str) {
    #[expect(clippy::panic, reason = "what a fuzzer looks for")]
    if !holds {
        panic!("{what}");
    }
}

/// A message: an activity is made of whatever it holds, the same each time, and no larger than it may be.
pub fn message(bytes: &[u8]) {
    let message = Message {
        mime: Bytes::copy_from_slice(bytes),
        message_id: None,
        received: None,
        subject: String::new(),
        categories: Vec::new(),
    };
    let composed = made(&message, EmailDirection::Incoming);
    let settings = postroad_core::organization::Settings::default();
    std::hint::black_box((tracking::lookup(&composed, &settings), tracking::named(&composed)));
    let (mut inner, mut depth) = (forwarded(&message), 0_u32);
    while let Some(message) = inner {
        promise(message.mime.len() < bytes.len(), "what is inside is as large as what is outside");
        made(&message, EmailDirection::Outgoing);
        depth += 1;
        // Each is forwarded once.
        inner = forwarded(&message).filter(|_| depth < 4);
    }
}

fn made(message: &Message, direction: EmailDirection) -> Composed {
    let composed = compose(message, direction);
    let again = compose(message, direction);
    promise(
        composed.email == again.email && composed.contents == again.contents,
        "the same message gives another activity",
    );
    promise(composed.email.references.len() <= 1000, "too many references");
    let size: usize = composed.contents.iter().map(Bytes::len).sum();
    // The original, its parts decoded, and the HTML once more for display, where `&` takes five bytes.
    promise(size <= message.mime.len().saturating_mul(16).saturating_add(4096), "contents grow");
    if let Some(named) = &composed.email.display_html {
        let html = composed.contents.iter().find(|content| digest(content) == named.digest);
        let html = html.map(|html| String::from_utf8_lossy(html));
        promise(html.is_some_and(|html| safe_html(&html) == html), "HTML for display is not safe");
    }
    composed
}
