//! Exchange's response codes: an open set, classified by what to do about each.

use std::{collections::HashMap, fmt, sync::LazyLock};

mod known;

pub use known::Known;

/// What the engine does about a failure (PROTOCOL of the reference pack, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No failure.
    Success,
    /// Stop sending for that budget until the back-off ends; neither the item nor the mailbox failed.
    Throttled,
    /// The same request again, with capped exponential back-off.
    Transient,
    /// Pause the mailbox, ask for its location again, retry; the sync state stays.
    Rediscover,
    /// Another `RequestServerVersion` for this mailbox, once.
    Version,
    /// Credentials or rights: stop, tell the administrator.
    Auth,
    /// Configuration of server, mailbox or publishing: stop, tell the administrator.
    Config,
    /// Drop the sync state or subscription of the folder and list it anew.
    Resync,
    /// Read again, merge, retry a few times.
    Conflict,
    /// It is not there any more.
    Gone,
    /// A size or amount is used up: the item or the mailbox waits.
    Quota,
    /// Counts against the item; quarantined after some tries.
    ItemPermanent,
    /// Depends on the operation.
    Warning,
    /// Says nothing; one or two tries.
    Generic,
    /// The request was wrong: do not repeat it unchanged.
    RequestBug,
    /// Of a feature that is not used.
    Unrelated,
    /// A code that is not in the schema.
    Unknown,
}

/// A `ResponseCode` as it came: servers add codes with every update, so unknown ones are values like any other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ResponseCode {
    /// Listed by the schema.
    Known(Known),
    /// Anything else.
    Unknown(Box<str>),
}

// === impl ResponseCode ===

impl ResponseCode {
    /// Reads a code; white space around it is dropped.
    #[must_use]
    pub fn read(text: &str) -> Self {
        static BY_NAME: LazyLock<HashMap<&'static str, Known>> =
            LazyLock::new(|| Known::ALL.iter().map(|known| (known.name(), *known)).collect());
        let text = text.trim();
        if text == "NoError" {
            return Self::Known(Known::NoError);
        }
        BY_NAME.get(text).map_or_else(|| Self::Unknown(text.chars().take(128).collect()), |known| Self::Known(*known))
    }

    /// The code as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.name(),
            Self::Unknown(text) => text,
        }
    }

    /// What the engine does about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Known(known) => known.class(),
            Self::Unknown(_) => Class::Unknown,
        }
    }

    /// The code, if the schema lists it.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Unknown(_) => None,
        }
    }
}

impl From<Known> for ResponseCode {
    fn from(known: Known) -> Self {
        Self::Known(known)
    }
}

impl PartialEq<Known> for ResponseCode {
    fn eq(&self, other: &Known) -> bool {
        self.known() == Some(*other)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl Class ===

impl Class {
    /// Whether the same request can succeed later although nobody does anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient | Self::Rediscover | Self::Generic | Self::Unknown)
    }

    /// Whether it concerns more than the one item it was reported for: the rest of the batch would fail alike.
    #[must_use]
    pub const fn stops_batch(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient | Self::Rediscover | Self::Version | Self::Auth | Self::Config)
    }

    /// The name in the reference pack's tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "ok",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Rediscover => "rediscover",
            Self::Version => "version",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::Resync => "resync",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Quota => "quota",
            Self::ItemPermanent => "item_permanent",
            Self::Warning => "warning",
            Self::Generic => "generic",
            Self::RequestBug => "request_bug",
            Self::Unrelated => "unrelated",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_known_and_unknown_codes() {
        assert_eq!(ResponseCode::read(" ErrorServerBusy\r\n"), Known::ErrorServerBusy);
        assert_eq!(ResponseCode::read("ErrorServerBusy").class(), Class::Throttled);
        let future = ResponseCode::read("ErrorFutureCodeNobodyKnows");
        assert_eq!((future.class(), future.as_str()), (Class::Unknown, "ErrorFutureCodeNobodyKnows"));
    }

    #[test]
    fn the_table_agrees_with_the_reference() {
        let Some(table) = crate::reference::text("tables/response-codes.tsv") else { return };
        let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), Known::ALL.len());
        for row in rows {
            let code = ResponseCode::read(row[0]);
            assert_eq!(code.class().name(), row[2], "{}", row[0]);
            assert_eq!(code.as_str(), row[0]);
        }
    }
}
