//! The registry, and what is computed when it is read.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::{Registry, TextEncoder};

/// What instruments are in.
pub(crate) static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

type Hook = Box<dyn Fn() + Send>;

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// The media type of [`scrape`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Has gauges set whenever they are read, so that what nobody reads costs nothing.
pub fn before_scrape(hook: impl Fn() + Send + 'static) {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
}

/// Everything in Prometheus' text format.
pub fn scrape() -> String {
    // Held meanwhile: two readers at once would see each other's half-set gauges.
    let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    hooks.iter().for_each(|hook| hook());
    let families = REGISTRY.gather();
    drop(hooks);
    let mut text = String::new();
    // Writing into memory does not fail; a family that cannot be written leaves what came before it.
    let _ = TextEncoder::new().encode_utf8(&families, &mut text);
    text
}
