//! Serving gRPC with health and reflection, behind the gate.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tonic::{
    service::Routes,
    transport::{Channel, Server},
};

use crate::{
    Context, Error,
    call::Watch,
    caller::{Gate, admit},
    listener::Listener,
};

/// How long calls that are under way at shutdown may take to end; then they are cut, because a caller that holds a
/// stream open must not hold up the role.
const PARTING: Duration = Duration::from_secs(10);
/// The largest frame that a caller may send, in bytes.
const FRAME: u32 = 128 * 1024;

/// Serves `routes` with health and reflection until shutdown; `names` are the services that report as serving.
/// The role counts as ready once this is called: call it when its views are caught up.
pub async fn serve(context: &Context, listen: SocketAddr, mut routes: Routes, names: &[&str]) -> Result<(), Error> {
    let failed = |what: String| move |source: Box<dyn std::error::Error + Send + Sync>| Error::Listen { what, source };
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in names {
        reporter.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(postroad_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| failed("reflection".to_owned())(Box::new(error)))?;
    routes = routes.add_service(health).add_service(reflection);
    let gate = Arc::new(Gate::open(&context.config, context.local.clone())?);
    context.tasks.spawn("audit", Arc::clone(&gate).summarize(context.shutdown.clone()));
    routes = routes.into_axum_router().layer(axum::middleware::from_fn_with_state(Arc::clone(&gate), admit)).into();
    let listener = Listener::bind(listen, context.identity.clone(), context.config.limits).await.map_err(|error| {
        failed(format!("{}.listen = \"{listen}\" cannot be opened", context.role.name()))(Box::new(error))
    })?;
    tracing::info!(role = context.role.name(), listen = %listener.address().unwrap_or(listen), tls = context.identity.is_some(), "serving gRPC");
    postroad_metric::process::PROCESS.serving.with_label_values(&[context.role.name()]).set(1);
    context.serving.cancel();
    let limits = context.config.limits;
    let shutdown = context.shutdown.clone();
    let serving = Server::builder()
        // Asked for a sign of life, a caller that sends its request byte by byte cannot give one, and is cut.
        .http2_keepalive_interval(Some(limits.silence()))
        .http2_keepalive_timeout(Some(limits.silence()))
        .max_concurrent_streams(limits.calls_per_connection)
        // Contents come in large pieces: each frame is written by a call of the system.
        .max_frame_size(FRAME)
        .timeout(limits.call())
        .layer(Watch::new(context.role, limits.call()))
        .add_routes(routes)
        .serve_with_incoming_shutdown(listener.connections(), context.shutdown.clone().cancelled_owned());
    let parted = async move {
        shutdown.cancelled().await;
        tokio::time::sleep(PARTING).await;
    };
    let served = tokio::select! {
        served = serving => served.map_err(|error| failed("gRPC".to_owned())(Box::new(error))),
        () = parted => {
            tracing::warn!(role = context.role.name(), seconds = PARTING.as_secs(), "calls that did not end were cut");
            Ok(())
        }
    };
    gate.end();
    served
}

/// Whether the role behind a channel says that it serves.
pub async fn is_serving(channel: Channel) -> Result<bool, tonic::Status> {
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let answer = client.check(request).await?.into_inner();
    Ok(answer.status() == tonic_health::pb::health_check_response::ServingStatus::Serving)
}
