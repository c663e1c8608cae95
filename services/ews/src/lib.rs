//! Exchange Web Services and Autodiscover as a client that impersonates needs them: requests in the schema's order, answers
//! read by name, failures told apart as finely as their remedies differ.
//!
//! | module | what it holds |
//! |---|---|
//! | `transport`, `endpoint` | HTTPS with shared pools; where credentials may go |
//! | `access`, `client` | how a mailbox is reached; requests for one mailbox |
//! | `authentication` | names and passwords, access tokens and where they come from |
//! | `operation` | one file per operation: request, writer, answer, reader |
//! | `soap`, `xml`, `response` | envelopes, reading and writing, results of batches |
//! | `item`, `folder`, `id`, `shape` | what is asked for and what comes |
//! | `streaming` | hanging connections for notifications, and what keeps them on one back end |
//! | `error`, `code`, `fault` | what can go wrong, Exchange's codes, rows of the fault table |
//! | `names` | addresses and SRV records, and which addresses may be connected to |
//! | `greeting` | what a location answers to somebody without credentials |
//! | `inspection` | the way to a server below HTTP, one step at a time |
//! | `autodiscover` | the SOAP and POX services, one question to one host |
//! | `evidence` | what was said on the wire, without secrets |

mod access;
mod authentication;
pub mod autodiscover;
mod client;
mod code;
mod endpoint;
mod error;
mod evidence;
mod fault;
mod folder;
#[doc(hidden)]
pub mod fuzz;
mod greeting;
mod id;
pub mod inspection;
mod item;
mod names;
mod operation;
#[cfg(test)]
mod reference;
mod response;
mod seen;
mod shape;
mod soap;
mod streaming;
mod transport;
mod version;
mod xml;

pub use access::{Access, Identity, TIMEOUT};
pub use authentication::{
    Authentication, AuthenticationScheme, Credentials, Proof, ProofError, TokenOptions, TokenSource, TokenSources,
};
pub use client::{Answer, Client};
pub use code::{Class, Known, ResponseCode};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{
    Challenge, ConnectFailure, Diagnostics, Error, HttpMeaning, Kind, RedirectMeaning, Refusal, Scheme, TlsFailure,
    TokenDefect, TokenError, TokenFailure,
};
pub use evidence::Exchange;
pub use folder::{Folder, Rights};
pub use greeting::{Greeting, greet};
pub use id::{Distinguished, FolderId, FolderRef, ItemId};
pub use item::{Attachment, AttachmentKind, Body, ExtendedProperty, Item, Party};
pub use names::{AddressRefused, Names, NamesError, ReachError};
pub use operation::{
    Operation,
    convert_id::{ConvertId, Converted},
    create_attachment::CreateAttachment,
    create_folder::CreateFolder,
    create_item::{CreateItem, Disposition, NewMessage},
    delete_item::{DeleteItem, Deletion},
    find_folder::{FindFolder, FolderPage},
    find_item::{FindItem, ItemPage},
    get_folder::GetFolder,
    get_item::GetItem,
    get_streaming_events::{GetStreamingEvents, MINUTES, Notification, SUBSCRIPTIONS, StreamFailure, StreamMessage},
    move_item::MoveItem,
    request,
    send_item::SendItem,
    subscribe::{EventType, Subscribe, Unsubscribe},
    sync_folder_items::{Arrival, Change, ChangePage, PAGE, SyncFolderItems},
    update_item::{Mark, UpdateItem},
};
pub use response::{Details, ItemError, ReadError, ResponseError, stopper};
pub use shape::{BaseShape, BodyType, ExtendedField, ItemShape, Property, Restriction};
pub use soap::SoapFault;
pub use streaming::{Affinity, EventStream, StreamRemedy};
pub use transport::{
    RESPONSE_LIMIT, Tls, Transport, TransportError, TransportOptions, Transports, TrustAnchorError, count_certificates,
};
pub use version::{RequestServerVersion, ServerVersion};
pub use xml::{Defect, Element, Namespace, Reader, Writer, XmlError};
