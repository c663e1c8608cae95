//! Logs: lines for people on a terminal, JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Whatever is asked for: denied calls are told, and frames, which carry tokens and contents, are not.
const ALWAYS: [&str; 4] = ["audit=info", "h2=info", "hyper=info", "hyper_util=info"];

/// Starts logging to standard error. `POSTROAD_LOG` filters (default `info`, of the NATS client `warn`); `json` overrides what the terminal suggests.
pub fn init(json: Option<bool>) {
    let filter = EnvFilter::try_from_env("POSTROAD_LOG").unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    let filter = ALWAYS.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    let json = json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    // A second initialization in one process is no fault: the first one stays.
    let _ = if json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().compact().with_target(false).with_writer(std::io::stderr)).try_init()
    };
}
