//! The stage that tests and the demo play on: nats-server, child processes, a mail relay, a collector of traces, free ports, a breakable wire.
//!
//! Everything listens on 127.0.0.1 and ends with what started it; nothing that happens to run is used.
#![expect(clippy::disallowed_methods, reason = "a test tool: it reads clock and environment and spawns freely")]

pub mod authority;
pub mod binaries;
pub mod clock;
pub mod collector;
pub mod issuer;
pub mod nats;
pub mod ports;
pub mod process;
pub mod smtp;
pub mod wire;

pub use authority::Authority;
pub use collector::Collector;
pub use issuer::Issuer;
pub use nats::Nats;
pub use process::Process;
pub use wire::Wire;

use std::{future::Future, time::Duration};

/// Waits until `condition` gives something, asking every few milliseconds; gives up at the deadline.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> Option<T> {
    let until = tokio::time::Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await {
            return Some(value);
        }
        if tokio::time::Instant::now() >= until {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The folder in which cargo builds, found from the running executable.
pub fn target_folder() -> std::path::PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let profile = executable
        .ancestors()
        .find(|folder| folder.join(".fingerprint").exists() || folder.join("incremental").exists());
    match profile.and_then(|folder| folder.parent()) {
        Some(target) => target.to_owned(),
        None => std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    }
}
