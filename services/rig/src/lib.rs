//! What every role needs around its core: configuration, clock, supervised tasks, telemetry, gRPC serving, shutdown.

mod access;
pub mod actor;
mod call;
pub mod caller;
pub mod channel;
pub mod clock;
pub mod config;
mod context;
mod error;
mod identity;
pub mod listener;
mod metrics;
pub mod nats;
pub mod peer;
mod refusal;
mod serve;
pub mod status;
mod tasks;
pub mod telemetry;
pub mod trace;
pub mod wire;

pub use access::access;
pub use caller::Caller;
pub use channel::{Channels, Traced};
pub use config::Config;
pub use context::{Context, Role, shutdown_signal, start};
pub use error::Error;
pub use identity::{Identity, NOTICE, ends, expiry};
pub use metrics::Metrics;
pub use peer::Peer;
pub use serve::{is_serving, serve};
pub use tasks::Tasks;
