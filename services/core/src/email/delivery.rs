//! How an email that the CRM sends stands (spec §4).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It waits.
    PendingSend,
    /// It is being sent.
    Sending,
    /// The mail server accepted it.
    Sent,
    /// It could not be sent; it can be queued again.
    Failed,
}

/// Of an email that the CRM sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How it stands.
    pub status: Status,
    /// 1, and one more with each time it is queued again.
    pub attempt: u32,
    /// It is not sent before.
    pub send_after: Option<Timestamp>,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The mailbox that it is sent through, by its address.
    pub sending_mailbox: String,
    /// Why it was not sent, for people.
    pub failure: String,
    /// Code of the fault table.
    pub failure_code: String,
}

impl Status {
    /// Whether it waits to be sent or reported.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::PendingSend | Self::Sending)
    }
}
