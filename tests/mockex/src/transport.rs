//! The transport service: takes what is submitted, delivers it within the organisation, and remembers all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use mail_builder::headers::raw::Raw;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::content::{self, Address, Content, Source};
use crate::directory::{Account, Directory};
use crate::store::Item;

/// A message that was submitted.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// The primary address of the mailbox that submitted it.
    pub sender: String,
    /// The author, who may be another one.
    pub from: String,
    /// The addresses of all recipients: To, Cc, then Bcc.
    pub recipients: Vec<String>,
    /// Its message id, angle brackets included.
    pub message_id: String,
    /// Its subject.
    pub subject: Option<String>,
    /// Properties of MAPI, by name or number, or by tag as `0x1035`; of arrays all values.
    pub extended: BTreeMap<String, Vec<String>>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// The message as its recipients get it; as text in JSON.
    #[serde(serialize_with = "as_text")]
    pub mime: Bytes,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Transport {
    /// Names the server in the message ids it makes.
    host: String,
    /// The largest message it takes, in bytes.
    message_limit: Option<usize>,
    sent: Mutex<Vec<Sent>>,
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Submission {
    content: Content,
    recipients: Vec<String>,
    now: Timestamp,
}

// === impl Transport ===

impl Transport {
    pub fn new(host: String, message_limit: Option<usize>) -> Self {
        Self { host, message_limit, sent: Mutex::default() }
    }

    /// What was submitted, the newest last.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().clone()
    }

    /// The response code for a message that is too large.
    pub fn check_size(&self, content: &Content) -> Result<(), &'static str> {
        let is_too_large = self.message_limit.is_some_and(|limit| content.size() > limit);
        if is_too_large { Err("ErrorMessageSizeExceeded") } else { Ok(()) }
    }

    /// The response code for a message that its sender cannot send.
    pub fn check(&self, sender: &Account, content: &Content) -> Result<(), &'static str> {
        let from = content.from.as_ref().and_then(|from| from.address.as_deref());
        if from.is_some_and(|from| !sender.may_send_as(from)) {
            return Err("ErrorSendAsDenied");
        }
        let mut recipients = recipients(content).peekable();
        if recipients.peek().is_none() {
            return Err("ErrorMissingRecipients");
        }
        if !recipients.all(is_usable) {
            return Err("ErrorInvalidRecipients");
        }
        self.check_size(content)
    }

    /// Takes a message that was checked. Gives what is delivered, and the copy for the sender's Sent Items.
    pub fn submit(&self, sender: &Account, draft: Item, now: Timestamp) -> (Submission, Item) {
        let mut content = draft.content.clone();
        let own = || Address { name: Some(sender.display_name.clone()), address: Some(sender.address.clone()) };
        content.from.get_or_insert_with(own);
        content.message_id.get_or_insert_with(|| format!("<{}@{}>", Uuid::new_v4().simple(), self.host));
        content.sent.get_or_insert(now);
        let mime = with_own_fields(content::amend(&content), &draft);
        let recipients: Vec<String> = recipients(&content).map(str::to_owned).collect();
        let delivered = Content { class: content.class, ..content::read(mime.clone(), now, &self.host) };
        let named = |property: &crate::shape::extended::Extended| (property.path.label(), property.values.clone());
        self.lock().push(Sent {
            sender: sender.address.clone(),
            from: delivered.from.as_ref().and_then(|from| from.address.clone()).unwrap_or_default(),
            recipients: recipients.clone(),
            message_id: delivered.message_id.clone().unwrap_or_default(),
            subject: delivered.subject.clone(),
            extended: draft.extended.iter().map(named).collect(),
            submitted: now,
            mime,
        });
        let copy = Item {
            content: Content { bcc: content.bcc, ..delivered.clone() },
            received: Some(now),
            created: now,
            modified: now,
            is_draft: false,
            ..draft
        };
        (Submission { content: delivered, recipients, now }, copy)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Submission ===

impl Submission {
    /// Puts the message into the Inbox of every recipient who has a mailbox here, once. The caller holds no mailbox.
    pub fn deliver(self, directory: &Directory) {
        let mut reached: Vec<&Arc<Account>> = Vec::new();
        for account in self.recipients.iter().filter_map(|address| directory.by_address(address)) {
            if reached.iter().any(|known| Arc::ptr_eq(known, account)) {
                continue;
            }
            reached.push(account);
            let mut mailbox = account.mailbox();
            if let Some(inbox) = mailbox.distinguished("inbox") {
                mailbox.deliver_item(inbox, Item::delivered(self.content.clone(), self.now, self.now));
            }
        }
    }
}

fn recipients(content: &Content) -> impl Iterator<Item = &str> {
    let all = content.to.iter().chain(&content.cc).chain(&content.bcc);
    all.map(|recipient| recipient.address.as_deref().unwrap_or_default())
}

fn is_usable(address: &str) -> bool {
    let is_plain = |text: &str| !text.is_empty() && !text.contains(|character: char| " <>,;\r\n\t".contains(character));
    address.rsplit_once('@').is_some_and(|(local, domain)| is_plain(local) && is_plain(domain))
}

/// Properties of the set `InternetHeaders` are fields of the message (MS-OXCMSG).
fn with_own_fields(mime: Bytes, draft: &Item) -> Bytes {
    let fields: Vec<_> = draft.extended.iter().filter_map(|property| property.internet_header()).collect();
    if fields.is_empty() {
        return mime;
    }
    let mut source = Source::read(&mime);
    for (name, value) in fields {
        source.set(name, &Raw::new(value));
    }
    source.write()
}

fn as_text<S: Serializer>(mime: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(mime))
}

#[cfg(test)]
mod tests {
    use super::is_usable;

    #[test]
    fn an_address_that_mail_can_go_to_has_two_parts() {
        assert!(is_usable("a.b@x.example"));
        for bad in ["", "a", "@x", "a@", "a b@x", "a@x>", "a@x, b@y"] {
            assert!(!is_usable(bad), "{bad}");
        }
    }
}
