//! The whole of Postroad on one stage: nats-server, a fake Exchange organisation, a mail relay, and each role as a process
//! of its own that can be killed.

pub mod activities;
mod deployment;
pub mod fragile;
pub mod histories;
mod mail;
mod people;
pub mod scene;
pub mod security;

pub use deployment::{Deployment, Error, Extras, Options, Role};
pub use mail::{letter, message_id};
pub use people::{Account, SetUp};
