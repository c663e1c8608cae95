//! What a message says: its properties, read from MIME or given in a request, and MIME made of them.

mod amend;
mod compose;
mod read;
mod source;

use bytes::Bytes;
use jiff::Timestamp;

pub use amend::amend;
pub use compose::compose;
pub use read::read;
pub use source::Source;

/// The properties of a message that come from the message itself.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// E.g. `IPM.Note`.
    pub class: String,
    pub subject: Option<String>,
    pub html: Option<String>,
    pub text: Option<String>,
    pub from: Option<Address>,
    pub sender: Option<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub reply_to: Vec<Address>,
    /// With angle brackets.
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Option<String>,
    /// Every header field in order, unfolded.
    pub headers: Vec<(String, String)>,
    pub sent: Option<Timestamp>,
    pub importance: Importance,
    pub sensitivity: Sensitivity,
    pub read_receipt_requested: bool,
    pub delivery_receipt_requested: bool,
    pub attachments: Vec<Attachment>,
    /// The message as it came in; none for messages made from properties.
    pub mime: Option<Bytes>,
}

/// A name and an address, either of which may be missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Address {
    pub name: Option<String>,
    pub address: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Attachment {
    /// Random, part of the attachment id.
    pub key: [u8; 16],
    pub name: String,
    pub content_type: Option<String>,
    pub content_id: Option<String>,
    pub inline: bool,
    pub body: AttachmentBody,
    pub modified: Timestamp,
    /// Whether the MIME of its message holds it; not where it was added later.
    pub is_in_mime: bool,
}

#[derive(Clone, Debug)]
pub enum AttachmentBody {
    File(Bytes),
    /// A message inside the message.
    Message(Box<Content>),
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Importance {
    Low,
    #[default]
    Normal,
    High,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sensitivity {
    #[default]
    Normal,
    Personal,
    Private,
    Confidential,
}

// === impl Content ===

impl Content {
    /// Whether there is an attachment that is not inline.
    pub fn has_attachments(&self) -> bool {
        self.attachments.iter().any(|attachment| !attachment.inline)
    }

    /// The size in bytes, about.
    pub fn size(&self) -> usize {
        let bodies = || self.html.as_ref().map_or(0, String::len) + self.text.as_ref().map_or(0, String::len) + 512;
        let added = self.attachments.iter().filter(|attachment| self.mime.is_none() || !attachment.is_in_mime);
        self.mime.as_ref().map_or_else(bodies, Bytes::len) + added.map(Attachment::size).sum::<usize>()
    }

    /// The message as MIME: as it came in, or made from the properties.
    pub fn to_mime(&self) -> Bytes {
        self.mime.clone().unwrap_or_else(|| compose(self))
    }

    /// The element of the item: `Message`, or one of the meeting messages.
    pub fn element(&self) -> &'static str {
        element_of_class(&self.class)
    }
}

/// The element that stands for items of a class.
pub fn element_of_class(class: &str) -> &'static str {
    if class.starts_with("IPM.Schedule.Meeting.Request") {
        "MeetingRequest"
    } else if class.starts_with("IPM.Schedule.Meeting.Canceled") {
        "MeetingCancellation"
    } else if class.starts_with("IPM.Schedule.Meeting.Resp.") {
        "MeetingResponse"
    } else if class.starts_with("IPM.Post") {
        "PostItem"
    } else {
        "Message"
    }
}

// === impl Attachment ===

impl Attachment {
    pub fn size(&self) -> usize {
        match &self.body {
            AttachmentBody::File(bytes) => bytes.len(),
            AttachmentBody::Message(content) => content.size(),
        }
    }
}

// === impl Importance, Sensitivity ===

impl Importance {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Normal => "Normal",
            Self::High => "High",
        }
    }

    pub fn of(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "low" => Self::Low,
            "high" => Self::High,
            _ => Self::Normal,
        }
    }
}

impl Sensitivity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Personal => "Personal",
            Self::Private => "Private",
            Self::Confidential => "Confidential",
        }
    }

    pub fn of(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "personal" => Self::Personal,
            "private" => Self::Private,
            "confidential" | "company-confidential" => Self::Confidential,
            _ => Self::Normal,
        }
    }
}
