//! A message given as JSON, for those who have no .eml file at hand.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::content::{self, Address, Content};
use crate::fault::ItemFault;
use crate::running::Delivery;

/// What the body of `POST /messages` says with `Content-Type: application/json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    mailbox: String,
    #[serde(default)]
    folder: Option<String>,
    #[serde(default)]
    received: Option<Timestamp>,
    #[serde(default)]
    fault: Option<ItemFault>,
    /// `gus@fabrikam.example`, or with a name in front: `Gus <gus@fabrikam.example>`.
    #[serde(default)]
    from: Option<String>,
    /// The mailbox itself if none.
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    html: Option<String>,
    /// With angle brackets.
    #[serde(default)]
    message_id: Option<String>,
    /// With angle brackets.
    #[serde(default)]
    in_reply_to: Option<String>,
}

// === impl Letter ===

impl Letter {
    /// The letter as a message that can be delivered.
    pub fn into_delivery(self, now: Timestamp) -> Delivery {
        let addresses = |list: &[String]| list.iter().map(|text| address(text)).collect::<Vec<_>>();
        let to = if self.to.is_empty() { vec![address(&self.mailbox)] } else { addresses(&self.to) };
        let content = Content {
            subject: self.subject,
            text: self.text,
            html: self.html,
            from: self.from.as_deref().map(address),
            to,
            cc: addresses(&self.cc),
            message_id: self.message_id,
            in_reply_to: self.in_reply_to,
            sent: Some(self.received.unwrap_or(now)),
            ..Content::default()
        };
        let mime: Bytes = content::compose(&content);
        Delivery { mailbox: self.mailbox, mime, received: self.received, folder: self.folder, fault: self.fault }
    }
}

fn address(text: &str) -> Address {
    let text = text.trim();
    match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => {
            let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            Address { name, address: Some(address.trim().to_owned()) }
        }
        None => Address { name: None, address: Some(text.to_owned()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_becomes_a_message_to_its_mailbox() {
        let letter: Letter = serde_json::from_str(
            r#"{"mailbox":"ana@contoso.example","from":"Gus <gus@fabrikam.example>","subject":"Žuto","text":"x","message_id":"<1@f.example>"}"#,
        )
        .unwrap();
        let delivery = letter.into_delivery(Timestamp::UNIX_EPOCH);
        let back = content::read(delivery.mime, Timestamp::UNIX_EPOCH, "host");
        let from = Address { name: Some("Gus".to_owned()), address: Some("gus@fabrikam.example".to_owned()) };
        assert_eq!((back.from, back.subject.as_deref()), (Some(from), Some("Žuto")));
        assert_eq!(back.to, [address("ana@contoso.example")]);
        assert_eq!(back.message_id.as_deref(), Some("<1@f.example>"));
    }
}
