//! Sending traces by OTLP, or nowhere.

use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};

use crate::{Error, config};

/// Traces that nobody takes: they have ids, and nothing is noted of them. What whoever calls decided about a trace holds.
pub fn nowhere() -> SdkTracerProvider {
    global::set_text_map_propagator(TraceContextPropagator::new());
    SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))).build()
}

/// What sends the traces of a process in the background. What whoever calls decided about a trace holds.
pub fn provider(endpoint: &str, name: &str, settings: &config::Telemetry) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter =
        exporter.map_err(|error| Error::Configuration(format!("telemetry.otlp_endpoint = \"{endpoint}\": {error}")))?;
    let resource = Resource::builder()
        .with_service_name(name.to_owned())
        .with_attributes([
            KeyValue::new("service.namespace", "postroad"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ])
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio)));
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource).build())
}
