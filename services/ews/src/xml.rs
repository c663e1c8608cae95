//! XML as Exchange speaks it: a filter that makes its answers well-formed, a reader that goes by (namespace, local name),
//! and a writer that sends nothing illegal.
//!
//! No tree is built and no derive is used: the server checks the order of what it reads (so requests are written by hand),
//! and adds elements with every update (so answers are read by name and the rest is skipped). See MS-OXWSCDATA.

mod filter;
mod reader;
mod writer;

pub use filter::Filter;
pub use reader::{Defect, Element, Reader};
pub use writer::Writer;

/// What stands for a character that XML cannot carry.
pub(crate) const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Whether XML 1.0 can carry this character (XML 1.0 §2.2, Char).
pub(crate) const fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// The namespaces of Exchange's messages, so that readers compare a small value instead of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// SOAP 1.1 envelope.
    Soap,
    /// EWS messages, conventionally `m:`.
    Messages,
    /// EWS types, conventionally `t:`.
    Types,
    /// EWS errors, in the detail of faults.
    Errors,
    /// SOAP Autodiscover.
    Autodiscover,
    /// The wrapper of a POX Autodiscover answer, and of its errors about the request itself.
    Pox,
    /// The inside of a POX Autodiscover answer.
    PoxOutlook,
    /// No namespace.
    Unqualified,
    /// Any other.
    Foreign,
}

/// Why an answer cannot be read as a whole. A single value that cannot be read is a [`Defect`] instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// The text ends inside an element.
    #[error("the answer ends in the middle")]
    Truncated,
    /// It is not well-formed.
    #[error("the answer is not well-formed: {0}")]
    Malformed(String),
    /// It has a document type, which Exchange never sends and attackers like.
    #[error("the answer has a document type")]
    Doctype,
    /// It nests deeper than any answer of Exchange.
    #[error("the answer nests deeper than {0} elements")]
    TooDeep(usize),
    /// It is well-formed, but not the expected message.
    #[error("the answer is not the expected message: {0}")]
    Unexpected(String),
}

impl Namespace {
    /// The namespace with this address.
    pub(crate) fn of(address: &str) -> Self {
        match address {
            "http://schemas.xmlsoap.org/soap/envelope/" => Self::Soap,
            "http://schemas.microsoft.com/exchange/services/2006/messages" => Self::Messages,
            "http://schemas.microsoft.com/exchange/services/2006/types" => Self::Types,
            "http://schemas.microsoft.com/exchange/services/2006/errors" => Self::Errors,
            "http://schemas.microsoft.com/exchange/2010/Autodiscover" => Self::Autodiscover,
            "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006" => Self::Pox,
            "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a" => Self::PoxOutlook,
            "" => Self::Unqualified,
            _ => Self::Foreign,
        }
    }
}
