//! `/metrics` of the process, over plain HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, runtime::Handle, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Readers at a time; another one waits.
const READERS: usize = 8;
/// How long a reader may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a reader may take for all of it.
const WHOLE: Duration = Duration::from_secs(30);

/// The listener.
pub struct Metrics {
    listener: TcpListener,
}

impl Metrics {
    /// Opens it, and has the process measured; `roles` says what it runs.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn open(listen: SocketAddr, roles: &str) -> Result<Self, Error> {
        let listener = TcpListener::bind(listen).await.map_err(|error| Error::Listen {
            what: format!("telemetry.listen = \"{listen}\" cannot be opened"),
            source: Box::new(error),
        })?;
        postroad_metric::process::start(roles);
        measure_runtime();
        tracing::info!(listen = %listener.local_addr().unwrap_or(listen), "serving /metrics");
        Ok(Self { listener })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until shutdown.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let places = Arc::new(Semaphore::new(READERS));
        let mut readers = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.cancelled() => return Ok(()),
            };
            while readers.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    readers.spawn(async move {
                        let mut server = hyper::server::conn::http1::Builder::new();
                        server.timer(TokioTimer::new()).header_read_timeout(HEADERS).keep_alive(false);
                        let connection =
                            server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
                        // Whoever is too slow is cut.
                        let _ = tokio::time::timeout(WHOLE, connection).await;
                        drop(place);
                    });
                }
                // Out of file descriptors, say: what is open has to close first.
                Err(error) => {
                    tracing::warn!(%error, "a reader of /metrics was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_metrics = request.uri().path() == "/metrics";
    let (status, kind, text) = match (request.method(), is_metrics) {
        (&Method::GET, true) => {
            // Counting a hundred thousand mailboxes takes its milliseconds.
            match tokio::task::spawn_blocking(postroad_metric::scrape).await {
                Ok(text) => (StatusCode::OK, postroad_metric::CONTENT_TYPE, text),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
            }
        }
        (_, true) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned()),
        (_, false) => (StatusCode::NOT_FOUND, "text/plain", "there is /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok(response)
}

/// How busy the threads are.
fn measure_runtime() {
    let process = &postroad_metric::process::PROCESS;
    let runtime = Handle::current().metrics();
    postroad_metric::before_scrape(move || {
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        process.threads.set(count(runtime.num_workers()));
        process.tasks.set(count(runtime.num_alive_tasks()));
        process.queue.set(count(runtime.global_queue_depth()));
        let busy: Duration = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
        process.busy.inc_by((busy.as_secs_f64() - process.busy.get()).max(0.0));
    });
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_are_served_and_nothing_else() {
        let metrics = Metrics::open(SocketAddr::from(([127, 0, 0, 1], 0)), "test").await.unwrap();
        let address = metrics.address().unwrap();
        let shutdown = CancellationToken::new();
        let serving = metrics.serve(shutdown.clone());
        let asking = async {
            // Readers that say nothing take places, not all of them.
            let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
            let answer = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("postroad_runtime_threads"), "{answer}");
            assert!(ask(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 404"));
            assert!(ask(address, "POST /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 405"));
            shutdown.cancel();
        };
        let (served, ()) = tokio::join!(serving, asking);
        served.unwrap();
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let refused = Metrics::open(taken.local_addr().unwrap(), "test").await.err().unwrap();
        assert!(refused.to_string().contains("telemetry.listen"), "{refused}");
    }
}
