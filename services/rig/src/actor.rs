//! Who is written into the journal.

use postroad_journal::Actor;

use crate::Caller;

/// Who made a request, as the gate found out; `unknown` where there was none.
pub fn of<T>(request: &tonic::Request<T>) -> Actor {
    Caller::of(request).actor().clone()
}
