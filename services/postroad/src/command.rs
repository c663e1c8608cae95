//! The command groups: what is asked of the roles, and how the answers are shown.

pub mod activity;
pub mod alert;
pub mod config;
pub mod doctor;
pub mod email;
pub mod fault;
pub mod health;
pub mod key;
pub mod locate;
pub mod mailbox;
pub mod nats;
pub mod organization;
pub mod person;
pub mod profile;
pub mod queue;
pub mod record;
pub mod rules;
pub mod server;
mod step;
pub mod sync;
pub mod top;
