//! Connections from outside: accepted, encrypted where `[tls]` is set, and told who they come from.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::{
    Identity,
    peer::{Names, Peer},
};

/// How long the TLS handshake of a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A listener on a port of this role.
pub struct Listener {
    listener: TcpListener,
    identity: Option<Identity>,
    /// Connections that agree on TLS; each takes its own time, and holds up no other.
    handshakes: JoinSet<Option<Connection>>,
}

impl Listener {
    /// Opens the port. With an identity, TLS is spoken and nothing else.
    pub async fn bind(address: SocketAddr, identity: Option<Identity>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, identity, handshakes: JoinSet::new() })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection that is ready to be served.
    pub async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(ended) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = ended {
                        return connection;
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(connection) = self.admit(stream, address) {
                            return connection;
                        }
                    }
                    Err(error) => {
                        // Mostly a lack of file descriptors, which only time or an operator cures.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    /// Its connections, one after the other.
    pub fn connections(self) -> impl Stream<Item = Result<Connection, io::Error>> {
        futures::stream::unfold(self, async |mut listener| {
            let connection = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }

    fn admit(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
        // Small messages must not wait for more.
        let _ = stream.set_nodelay(true);
        let Some(identity) = &self.identity else {
            let peer = Peer { address, is_encrypted: false, names: None };
            return Some(Connection { stream: Wire::Plain(stream), peer });
        };
        if let Some(acceptor) = identity.acceptor() {
            self.handshakes.spawn(handshake(acceptor, stream, address));
        }
        None
    }
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(peer = %address, %error, "no TLS connection could be agreed with a caller");
            return None;
        }
        Err(_) => {
            tracing::info!(peer = %address, seconds = HANDSHAKE.as_secs(), "a caller did not agree on TLS in time");
            return None;
        }
    };
    // The handshake has verified the chain; here only the names are read.
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let names = certificate.map(|certificate| Arc::new(Names::read(certificate).unwrap_or_default()));
    let peer = Peer { address, is_encrypted: true, names };
    Some(Connection { stream: Wire::Tls(Box::new(stream)), peer })
}

/// A connection, and who is at its other end.
pub struct Connection {
    stream: Wire,
    peer: Peer,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Who is at the other end.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
