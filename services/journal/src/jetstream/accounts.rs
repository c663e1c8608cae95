//! Where the streams are: all in the NATS account of whoever connects, or those that several roles share in one of their own.

use async_nats::{
    Client,
    jetstream::{
        Context, ContextBuilder, ErrorCode,
        context::{AccountError, AccountErrorKind},
    },
};

use crate::{Error, Part};

/// What a role's account imports JetStream's API of the shared account as. Under its own name, the role's account would answer too.
pub const SHARED_API: &str = "postroad.api";
/// JetStream's API of one's own account.
const API: &str = "$JS.API";

/// What NATS says of an account or a server in which it is not enabled.
const OFF: [ErrorCode; 2] = [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];

/// The accounts that the parts of the journal are in, seen from one connection; a cheap clone.
#[derive(Clone)]
pub struct Accounts {
    own: Context,
    shared: Option<Context>,
}

impl Accounts {
    /// Asks the server whether the shared account can be seen.
    ///
    /// # Errors
    /// It does not answer, or the shared account has no JetStream.
    pub async fn find(client: &Client) -> Result<Self, Error> {
        let own = ContextBuilder::new().build(client.clone());
        let shared = ContextBuilder::new().api_prefix(SHARED_API).build(client.clone());
        let shared = match shared.query_account().await {
            Ok(_) => Some(shared),
            // Nobody listens there: nothing is imported.
            Err(error) if error.kind() == AccountErrorKind::JetStreamUnavailable => None,
            Err(error) => return Err(refused(&error)),
        };
        Ok(Self { own, shared })
    }

    /// All in the account of whoever connects.
    pub fn one(client: &Client) -> Self {
        Self { own: ContextBuilder::new().build(client.clone()), shared: None }
    }

    /// Whether a part is in another account than one's own: there it can be used, and not made.
    pub fn is_elsewhere(&self, part: Part) -> bool {
        part.is_shared() && self.shared.is_some()
    }

    /// JetStream as the account of a part has it.
    pub fn of(&self, part: Part) -> &Context {
        self.shared.as_ref().filter(|_| part.is_shared()).unwrap_or(&self.own)
    }

    /// The connection.
    pub fn client(&self) -> Client {
        self.own.client()
    }

    /// What requests to JetStream about a part begin with.
    pub fn api(&self, part: Part) -> &'static str {
        if self.is_elsewhere(part) { SHARED_API } else { API }
    }
}

/// Why an account does not say what it has.
pub fn refused(error: &AccountError) -> Error {
    let is_off = match error.kind() {
        AccountErrorKind::JetStreamUnavailable => true,
        AccountErrorKind::JetStream(said) => OFF.contains(&said.error_code()),
        AccountErrorKind::TimedOut | AccountErrorKind::Other => false,
    };
    if is_off { Error::WithoutJetstream(error.to_string()) } else { Error::Unreachable(error.to_string()) }
}
