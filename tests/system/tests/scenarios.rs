//! Postroad as its users meet it: every role a process of its own, in front of a fake Exchange.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scenarios {
    pub mod absence;
    pub mod acceptance;
    pub mod bad_input;
    pub mod ending;
    pub mod erasure;
    pub mod failures;
    pub mod locating;
    pub mod main_job;
    pub mod messages;
    pub mod modern;
    pub mod notifications;
    pub mod owners;
    pub mod past;
    pub mod secured;
    pub mod seeing;
    pub mod sending;
    pub mod top;
    pub mod tracking;
    pub mod workers;
}
