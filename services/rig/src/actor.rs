//! Who is written into the journal.

use postroad_journal::Actor;

use crate::caller::{self, Caller};

/// Who made a request, as the gate found out; `unknown` where there was none.
pub fn of<T>(request: &tonic::Request<T>) -> Actor {
    Caller::of(request).actor().clone()
}

/// A request that a role makes for somebody: who that is goes with it.
pub fn on_behalf<T>(message: T, actor: &Actor) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(actor) = caller::Introduction::said(actor.as_str()) {
        request.metadata_mut().insert(caller::ACTOR, actor);
    }
    request
}
