//! A fake Exchange organisation for tests and the demo: Autodiscover and EWS over HTTPS with its own certificate authority,
//! regions with their own servers and versions, mailboxes in memory, and faults on command.
//!
//! It is as strict as the real server: requests are checked against the content models of the schema version they name, and
//! answers take the forms of the real server. A test starts it in its own process ([`Organization::start`]), anything else runs
//! the program `mockex` and talks to the control API.
//!
//! | module | what it holds |
//! |---|---|
//! | `options`, `organization`, `running` | what to start, the running state, the handle tests hold |
//! | `directory`, `store`, `content` | accounts; mailboxes, folders, items and their change logs; what a message says |
//! | `certificate`, `listener`, `exchange` | the authority, the TLS listeners, one HTTP exchange |
//! | `authentication`, `impersonation` | who is calling, for which mailbox |
//! | `token` | the token endpoint of an application, its access tokens |
//! | `soap`, `schema` | element trees, envelopes, faults; the content models requests are checked against |
//! | `operations`, `shape`, `query` | one file per EWS operation; properties of items and folders; restrictions |
//! | `subscription`, `streaming` | who hears of which mailbox, on which back end; the hanging connection |
//! | `transport` | what is sent: delivered, and remembered |
//! | `autodiscover` | SOAP and POX |
//! | `fault`, `ledger`, `control` | faults on command, what was asked, the control API |
#![expect(clippy::disallowed_methods, reason = "a test tool: it reads the clock")]

mod authentication;
mod autodiscover;
mod certificate;
mod content;
mod control;
mod directory;
mod exchange;
mod fault;
pub mod hostile;
mod impersonation;
mod ledger;
mod listener;
mod operations;
mod options;
mod organization;
mod query;
mod running;
mod schema;
mod shape;
mod soap;
mod store;
mod streaming;
mod subscription;
mod token;
mod transport;

pub use fault::{BusyForm, Fault, FaultKind, ItemFault, PartialForm, Service, Share};
pub use ledger::{Counters, Request};
pub use options::{
    Application, Challenge, Impersonates, Mailbox, Many, Options, Region, ServerVersion, ServiceAccount, Streaming,
};
pub use organization::Organization;
pub use running::{Delivered, Delivery, Error, FolderListing, ListedItem, Move, Running};
pub use transport::Sent;
