//! Whether a CRM keeps the guarantees of `crm.proto`: named checks, run over gRPC against any implementation. CONNECTORS.md tells connector
//! authors about them.
//!
//! - `stage`: what the checks talk to, and what they make
//! - `promotion`, `lookup`, `tracking`, `outbox`: the checks

use postroad_rig::caller::Introduction;
use serde::Serialize;

mod lookup;
mod outbox;
mod promotion;
mod stage;
mod tracking;

pub use stage::Stage;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// The guarantee is kept.
    Passed,
    /// It is not.
    Failed(String),
    /// It could not be checked: a call that the check needs is left out.
    Skipped(String),
}

/// A check that ended.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name, as a sentence.
    pub name: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Why a check did not pass.
#[derive(Debug)]
pub enum Trouble {
    /// The guarantee is not kept.
    Broken(String),
    /// A call failed.
    Call(Box<tonic::Status>),
}

impl From<tonic::Status> for Trouble {
    fn from(status: tonic::Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Fails a check unless something holds.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble::Broken(what())) }
}

macro_rules! checks {
    ($stage:expr; $($name:literal => $check:path;)*) => {
        vec![$(Check { name: $name, outcome: outcome(Box::pin($check($stage)).await) },)*]
    };
}

/// Runs every check against the CRM at an endpoint, such as `http://127.0.0.1:7405`.
///
/// # Errors
/// The endpoint is no URL.
pub async fn run(endpoint: &str, introduction: Introduction) -> Result<Vec<Check>, tonic::transport::Error> {
    let stage = Stage::new(endpoint, introduction)?;
    let stage = &stage;
    Ok(checks! { stage;
        "settings are told, or the call is left out" => lookup::settings;
        "promoting a message again gives the same activity" => promotion::again;
        "promoting a message at the same time from many mailboxes makes one activity" => promotion::at_once;
        "received and sent mail with one message id are two activities" => promotion::directions;
        "a message without a message id is known by its content" => promotion::without_id;
        "contents come back as they were sent" => promotion::contents;
        "a content with another digest is refused and nothing becomes visible" => promotion::wrong_digest;
        "a stream that ends early is refused and nothing becomes visible" => promotion::broken_off;
        "a large message is taken or refused, never half kept" => promotion::large;
        "what Postroad decided is kept" => promotion::decisions;
        "an activity is found by its id and its message id" => lookup::by_id;
        "what does not exist is NOT_FOUND" => lookup::missing;
        "a message is matched by the first key that is known" => lookup::keys;
        "a message does not match itself" => lookup::itself;
        "records of an address are told whatever its case" => lookup::addresses;
        "an unresolved party resolves when a record has its address" => lookup::later;
        "a sender is created once, also at the same time" => promotion::new_sender;
        "untracking keeps the activity" => tracking::untrack;
        "a tracked folder imposes what its emails regard" => tracking::impose;
        "the outbox keeps the order of queueing" => outbox::order;
        "claiming again gives the same message id and token" => outbox::claim;
        "no two emails share a token" => outbox::tokens;
        "an email is matched by its token" => outbox::by_token;
        "SENT is final" => outbox::is_final;
        "an email that failed leaves the outbox and comes back when it is queued again" => outbox::resend;
        "a delayed email waits" => outbox::delayed;
        "an email that is queued is told, and what waits is told at once (or WatchOutbox is UNIMPLEMENTED)" => outbox::watched;
        "a sent email that is found in Sent Items is the same activity" => outbox::found;
    })
}

fn outcome(result: Result<(), Trouble>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(Trouble::Broken(why)) => Outcome::Failed(why),
        Err(Trouble::Call(status)) if status.code() == tonic::Code::Unimplemented => {
            Outcome::Skipped(format!("a call is left out: {}", status.message()))
        }
        Err(Trouble::Call(status)) => {
            Outcome::Failed(format!("a call failed: {:?}: {}", status.code(), status.message()))
        }
    }
}
