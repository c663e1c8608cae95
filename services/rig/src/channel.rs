//! Connections to other roles.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::Error;

/// How long an answer may take to begin; the contents of a large message are taken in seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A lazily opened connection to a role; it is reopened by itself after the role was away.
pub fn to(endpoint: &str) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| {
        Error::Configuration(format!("`{endpoint}` is not an endpoint such as http://127.0.0.1:7401: {error}"))
    })?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        // Whoever does not answer in this time is asked again; a call that waits for ever would keep its mailbox for ever.
        .timeout(LIMIT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_lazy())
}
