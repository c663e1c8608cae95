//! TLS on loopback, and HTTP/1.1 over it.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::exchange;
use crate::fault::{FaultKind, Service, Target};
use crate::organization::State;

/// Accepts connections until it is dropped.
pub async fn serve(
    socket: TcpListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    service: Service,
    region: Option<usize>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = socket.accept().await else {
            // Out of file handles, most likely: some connection has to end first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let name = region.and_then(|index| state.regions.get(index)).map(|region| region.name.as_str());
        let target = Target { service, region: name, mailbox: None, operation: None };
        if state.faults.take(target, |kind| matches!(kind, FaultKind::Down)).is_some() {
            // Closed before a byte was read: that is how a dead server behind a balancer looks.
            continue;
        }
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let handler = service_fn(|request| exchange::handle(Arc::clone(&state), service, region, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
