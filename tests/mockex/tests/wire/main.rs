//! What the organisation answers on the wire, asked with an HTTP client that knows nothing of it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, what cannot happen may panic")]

mod authentication;
mod autodiscover;
mod client;
mod control;
mod faults;
mod impersonation;
mod requests;
mod schemas;
mod sending;
