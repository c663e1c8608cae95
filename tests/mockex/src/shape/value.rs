//! Values of properties as restrictions and sorting see them: by type, not by their text.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::Path;
use super::item::subject;
use crate::store::Item;

/// The type of a property.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Compared without regard to case.
    Text,
    /// Several texts; what is true of one of them is true.
    Texts,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Real,
    Time,
    Flag,
    /// Base64, compared exactly.
    Bytes,
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Real(f64),
    Time(Timestamp),
    Flag(bool),
    Bytes(String),
}

// === impl Value ===

impl Value {
    /// Reads a constant of a request; none if it is no value of the type. Times need a zone.
    pub fn read(kind: Kind, text: &str) -> Option<Self> {
        let trimmed = text.trim();
        Some(match kind {
            Kind::Text | Kind::Texts => Self::Text(text.to_owned()),
            Kind::Number => Self::Number(trimmed.parse().ok()?),
            Kind::Real => Self::Real(trimmed.parse().ok()?),
            Kind::Time => Self::Time(trimmed.parse().ok()?),
            Kind::Flag => Self::Flag(match trimmed.to_ascii_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return None,
            }),
            Kind::Bytes => Self::Bytes(trimmed.to_owned()),
        })
    }

    /// How two values of one type are ordered; none if their types differ.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(two)) => Some(one.to_lowercase().cmp(&two.to_lowercase())),
            (Self::Texts(one), Self::Texts(two)) => Some(one.cmp(two)),
            (Self::Number(one), Self::Number(two)) => Some(one.cmp(two)),
            (Self::Real(one), Self::Real(two)) => one.partial_cmp(two),
            (Self::Time(one), Self::Time(two)) => Some(one.cmp(two)),
            (Self::Flag(one), Self::Flag(two)) => Some(one.cmp(two)),
            (Self::Bytes(one), Self::Bytes(two)) => Some(one.cmp(two)),
            _ => None,
        }
    }

    /// The texts it consists of; none if it is no text.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::Texts(texts) => texts,
            Self::Number(_) | Self::Real(_) | Self::Time(_) | Self::Flag(_) | Self::Bytes(_) => &[],
        }
    }
}

/// The type of an item's property; none for computed ones, which the store cannot search (`ErrorUnsupportedPathForQuery`).
pub fn kind_of(path: &Path) -> Option<Kind> {
    let field = match path {
        Path::Extended(path) => return Some(path.kind()),
        Path::Indexed(..) => return Some(Kind::Text),
        Path::Field(field) => field.as_str(),
    };
    match field {
        "item:Subject"
        | "item:ItemClass"
        | "item:Importance"
        | "item:Sensitivity"
        | "item:InReplyTo"
        | "message:InternetMessageId"
        | "message:From"
        | "message:Sender"
        | "message:References"
        | "message:ConversationTopic" => Some(Kind::Text),
        "item:Categories" => Some(Kind::Texts),
        "item:Size" => Some(Kind::Number),
        "item:DateTimeReceived" | "item:DateTimeSent" | "item:DateTimeCreated" | "item:LastModifiedTime" => {
            Some(Kind::Time)
        }
        "item:HasAttachments"
        | "item:IsDraft"
        | "message:IsRead"
        | "message:IsReadReceiptRequested"
        | "message:IsDeliveryReceiptRequested" => Some(Kind::Flag),
        // Properties of appointments, contacts and so on, which no message has.
        other => (!other.starts_with("item:") && !other.starts_with("message:")).then_some(Kind::Text),
    }
}

/// The value that an item has.
pub fn value_of(item: &Item, path: &Path) -> Option<Value> {
    let content = &item.content;
    let address = |address: &crate::content::Address| address.address.clone().or_else(|| address.name.clone());
    let field = match path {
        Path::Extended(path) => {
            let values = path.value(item)?;
            return match path.kind() {
                Kind::Texts => Some(Value::Texts(values)),
                kind => Value::read(kind, values.first()?),
            };
        }
        Path::Indexed(..) => return None,
        Path::Field(field) => field.as_str(),
    };
    match field {
        "item:Subject" => subject(item).map(Value::Text),
        "item:ItemClass" => Some(Value::Text(content.class.clone())),
        "item:Importance" => Some(Value::Text(content.importance.name().to_owned())),
        "item:Sensitivity" => Some(Value::Text(content.sensitivity.name().to_owned())),
        "item:InReplyTo" => content.in_reply_to.clone().map(Value::Text),
        "item:Categories" => (!item.categories.is_empty()).then(|| Value::Texts(item.categories.clone())),
        "item:Size" => i64::try_from(content.size()).ok().map(Value::Number),
        "item:DateTimeReceived" => item.received.map(Value::Time),
        "item:DateTimeSent" => content.sent.map(Value::Time),
        "item:DateTimeCreated" => Some(Value::Time(item.created)),
        "item:LastModifiedTime" => Some(Value::Time(item.modified)),
        "item:HasAttachments" => Some(Value::Flag(content.has_attachments())),
        "item:IsDraft" => Some(Value::Flag(item.is_draft)),
        "message:IsRead" => Some(Value::Flag(item.is_read)),
        "message:IsReadReceiptRequested" => Some(Value::Flag(content.read_receipt_requested)),
        "message:IsDeliveryReceiptRequested" => Some(Value::Flag(content.delivery_receipt_requested)),
        "message:InternetMessageId" => content.message_id.clone().map(Value::Text),
        "message:From" => content.from.as_ref().and_then(address).map(Value::Text),
        "message:Sender" => content.sender.as_ref().and_then(address).map(Value::Text),
        "message:References" => content.references.clone().map(Value::Text),
        "message:ConversationTopic" => content.subject.clone().map(Value::Text),
        _ => None,
    }
}
