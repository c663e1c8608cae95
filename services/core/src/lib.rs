//! The functional core of Postroad: rules, aggregates, faults and invariants, without any I/O.
//!
//! Each aggregate has the shape of [`aggregate::Aggregate`]: `decide` turns a command into events or a [`Refusal`],
//! `evolve` folds events into state. Time, randomness and settings arrive as facts.

pub mod address;
pub mod aggregate;
pub mod alert;
pub mod autodiscover;
pub mod clock;
pub mod email;
pub mod erasure;
pub mod fault;
pub mod invariant;
pub mod latency;
pub mod location;
pub mod mailbox;
pub mod name;
pub mod network;
pub mod notification;
pub mod organization;
pub mod owner;
pub mod pace;
pub mod placement;
pub mod profile;
pub mod record;
pub mod refusal;
pub mod streaming;

pub use address::EmailAddress;
pub use aggregate::Aggregate;
pub use refusal::Refusal;
