//! Why no TLS can be agreed with a role. A call that fails tells little of it: a certificate that is refused just ends the connection.

use std::{io, time::Duration};

use postroad_core::fault::{Code, Report};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::codegen::http::Uri;

use super::Channels;
use crate::{
    Role, peer,
    refusal::{self, Sides},
};

/// Who has said nothing by then has nothing against it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What HTTP/2 begins with, with settings that say nothing.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The first byte of a TLS record that is an alert; no answer of HTTP/2 begins with it.
const ALERT: u8 = 21;

impl Channels {
    /// Connects once to a role that did not answer, and tells whether it is TLS on which no agreement is reached. `None` where nothing listens,
    /// or where nothing is wrong with it.
    pub async fn disagreement(&self, role: Role) -> Option<Report> {
        tokio::time::timeout(PATIENCE, self.disagree(role)).await.ok().flatten()
    }

    async fn disagree(&self, role: Role) -> Option<Report> {
        let endpoint = self.endpoint(role);
        let uri: Uri = endpoint.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((host, uri.port_u16()?)).await.ok()?;
        let there = format!("what answers as the {} role at {endpoint}", role.name());
        let Some(identity) = &self.identity else {
            let speaks_tls = matches!(greet(&mut stream).await, Ok(ALERT));
            return speaks_tls.then(|| {
                let detail = format!("tls.authority_file is not set here, and {there} speaks TLS");
                Report::new(Code::ConfigurationInvalid, detail)
            });
        };
        let (connector, name) = identity.connector(role).ok()?;
        // Whether our own certificate is accepted is only known from what comes after it.
        let error = match connector.connect(name, stream).await {
            Ok(mut stream) => greet(&mut stream).await.err()?,
            Err(error) => error,
        };
        let tls = identity.settings();
        let sides = Sides {
            there: &there,
            authority: &refusal::setting("tls.authority_file", tls.authority_file.as_deref()),
            own: &refusal::setting("tls.certificate_file", tls.certificate_file.as_deref()),
            name: &peer::name_of(role),
        };
        refusal::found(&error).map(|error| refusal::explain(error, &sides))
    }
}

/// The first byte of the answer to a greeting.
async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<u8> {
    // What was said before the connection was closed can be read even where nothing can be written any more.
    let written = stream.write_all(GREETING).await;
    let flushed = if written.is_ok() { stream.flush().await } else { written };
    match stream.read_u8().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => flushed.and(Err(error)),
        read => read,
    }
}
