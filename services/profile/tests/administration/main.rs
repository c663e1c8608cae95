//! The services as a whole, on a journal in memory, with people and a locator that do as the tests say.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod deciding;
mod enabling;
mod history;
mod locations;
mod mailboxes;
mod many;
mod names;
mod office;
mod profiles;
mod requests;
mod staff;
