//! The content models of the operations, and the check of requests against the schema version they name.
//!
//! The tables are facts taken from the schema files of Exchange 2010 SP2, 2013 SP1 and 2016, in a notation of our own
//! (`schema/table.rs`).

mod check;
mod simple;
mod table;

use std::sync::LazyLock;

pub use check::Violation;

use crate::options::ServerVersion;
use crate::soap::{Element, Envelope, Namespace};

/// A schema version with tables of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Exchange2010_SP2 and everything older.
    Exchange2010,
    /// Exchange2013 and Exchange2013_SP1.
    Exchange2013,
    /// Exchange2015 and Exchange2016.
    Exchange2016,
}

/// The operations with a table, and those only.
pub const OPERATIONS: &[&str] = &[
    "ConvertId",
    "CreateAttachment",
    "CreateFolder",
    "CreateItem",
    "DeleteItem",
    "FindFolder",
    "FindItem",
    "GetAttachment",
    "GetFolder",
    "GetItem",
    "GetServerTimeZones",
    "GetStreamingEvents",
    "MoveItem",
    "ResolveNames",
    "SendItem",
    "Subscribe",
    "SyncFolderHierarchy",
    "SyncFolderItems",
    "Unsubscribe",
    "UpdateItem",
];

/// The header blocks in the types namespace with the types of their content. The version is checked on its own.
const HEADERS: &[(&str, &str)] = &[
    ("DateTimePrecision", "DateTimePrecisionType"),
    ("ExchangeImpersonation", "ExchangeImpersonationType"),
    ("MailboxCulture", "MailboxCultureType"),
    ("ManagementRole", "ManagementRoleType"),
    ("TimeZoneContext", "TimeZoneContextType"),
];

static TABLE: LazyLock<table::Table> = LazyLock::new(|| {
    table::Table::read(&[
        include_str!("schema/queries.table"),
        include_str!("schema/requests.table"),
        include_str!("schema/folders.table"),
        include_str!("schema/subscriptions.table"),
        include_str!("schema/items.table"),
        include_str!("schema/times.table"),
        include_str!("schema/values.table"),
    ])
});

impl Level {
    /// The level of a request version.
    pub fn of_request(version: &str) -> Self {
        match version {
            "Exchange2013" | "Exchange2013_SP1" => Self::Exchange2013,
            "Exchange2015" | "Exchange2016" => Self::Exchange2016,
            _ => Self::Exchange2010,
        }
    }

    /// The newest level a server knows.
    pub const fn newest_of(server: ServerVersion) -> Self {
        match server {
            ServerVersion::Exchange2010Sp3 => Self::Exchange2010,
            ServerVersion::Exchange2013Sp1 => Self::Exchange2013,
            ServerVersion::Exchange2016 => Self::Exchange2016,
        }
    }
}

/// Checks headers and operation against a level.
pub fn check(envelope: &Envelope, level: Level) -> Result<(), Violation> {
    for header in envelope.headers.iter().filter(|header| header.namespace == Namespace::Types) {
        if header.name == "RequestServerVersion" {
            continue;
        }
        match HEADERS.iter().find(|(name, _)| *name == header.name) {
            Some((_, type_name)) => check::element(&TABLE, level, header, type_name)?,
            None => return Err(Violation::unknown_element(header)),
        }
    }
    let operation = &envelope.operation;
    if operation.namespace != Namespace::Messages || !is_operation(operation) {
        return Err(Violation::unknown_element(operation));
    }
    check::element(&TABLE, level, operation, &format!("m:{}Type", operation.name))
}

fn is_operation(element: &Element) -> bool {
    OPERATIONS.binary_search(&element.name.as_str()).is_ok()
}
