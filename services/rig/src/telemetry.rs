//! Logs, lines for people on a terminal and JSON for machines; and traces, where somebody takes them.

use std::{io::IsTerminal as _, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{Error, config};

mod export;
mod json;

/// Whatever is asked for: denied calls are told, and frames, which carry tokens and contents, are not.
const ALWAYS: [&str; 4] = ["audit=info", "h2=info", "hyper=info", "hyper_util=info"];

/// What is logged where `POSTROAD_LOG` does not say otherwise.
const DEFAULT: &str = "info,async_nats=warn,opentelemetry=warn";

/// How long traces that are on their way may keep a process that ends.
const FLUSHING: Duration = Duration::from_secs(5);

/// What has to be ended with the process.
#[derive(Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging to standard error, and tracing where `settings` say so; `name` is the process's, such as `postroad-sync`.
/// `POSTROAD_LOG` filters logs (default `info`, of the clients of NATS and OpenTelemetry `warn`); `json` overrides what the terminal suggests.
///
/// # Errors
/// The OTLP endpoint cannot be used.
pub fn start(json: Option<bool>, name: &str, settings: &config::Telemetry) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_from_env("POSTROAD_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let filter = ALWAYS.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    let told = filter.max_level_hint().and_then(|hint| hint.into_level());
    let json = json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    let provider = settings.otlp_endpoint.as_deref().map(|endpoint| export::provider(endpoint, name, settings));
    let provider = provider.transpose()?;
    let (tracer, is_seen): (_, fn(&Metadata<'_>) -> bool) = match &provider {
        Some(provider) => (Some(provider.tracer("postroad")), is_traced),
        // Only the ids of traces, by which lines of several roles are told to belong together.
        None => (json.then(|| export::nowhere().tracer("postroad")), is_beginning),
    };
    let traces = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            // Where in the source something stands helps nobody who looks at a trace.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(is_seen).with_max_level_hint(LevelFilter::DEBUG))
    });
    let registry = tracing_subscriber::registry().with(traces);
    // A second initialization in one process is no fault: the first one stays.
    let _ = if json {
        registry.with(fmt::layer().event_format(json::Json).with_writer(std::io::stderr).with_filter(filter)).try_init()
    } else {
        let lines = fmt::layer().compact().with_target(false).with_writer(std::io::stderr);
        registry.with(lines.with_filter(filter)).try_init()
    };
    // What libraries say by the crate `log` is in no trace: it is not even written where nobody reads it. That of html5ever would take half the
    // time of a worker.
    log::set_max_level(told.map_or(log::LevelFilter::Off, |level| as_log(level).to_level_filter()));
    Ok(Telemetry { provider })
}

const fn as_log(level: tracing::Level) -> log::Level {
    match level {
        tracing::Level::ERROR => log::Level::Error,
        tracing::Level::WARN => log::Level::Warn,
        tracing::Level::INFO => log::Level::Info,
        tracing::Level::DEBUG => log::Level::Debug,
        tracing::Level::TRACE => log::Level::Trace,
    }
}

/// Postroad's own spans, and what it logs within them.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("postroad") && (metadata.is_span() || *metadata.level() <= tracing::Level::INFO)
}

/// The spans in which a process begins something, or goes on with what another one has begun: few, as each one costs.
fn is_beginning(metadata: &Metadata<'_>) -> bool {
    let names = ["answer", "cycle", "notification", "queued"];
    is_traced(metadata) && metadata.is_span() && names.contains(&metadata.name())
}

impl Telemetry {
    /// Sends what is still on its way. At most five seconds.
    pub async fn finish(self) {
        let Some(provider) = self.provider else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSHING)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
