//! Who asks. Callers are authenticated in a later version; until then they say who they are.

use postroad_journal::Actor;

/// The metadata key.
pub const KEY: &str = "x-postroad-actor";

/// Who made a request: what it says of itself, at most 100 characters; `unknown` if it says nothing.
pub fn of<T>(request: &tonic::Request<T>) -> Actor {
    let said = request.metadata().get(KEY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(100).collect();
    if said.trim().is_empty() { Actor::new("unknown") } else { Actor::new(said.trim()) }
}
