//! Connections from outside: counted, encrypted where `[tls]` is set, cut when they do not begin, and told who they come from.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::{
    Identity, clock,
    config::Limits,
    peer::{Names, Peer},
};

mod places;

use places::{Full, Place, Places};

/// What an HTTP/2 connection begins with; one that has not said that much has not begun.
const PREFACE: usize = 24;
/// A connection ends so long after its certificate, so that streams can still say why they end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Connections that are refused are spoken of so often, or the log would be what is flooded.
const TOLD: Duration = Duration::from_secs(10);

/// A listener on a port of this role.
pub struct Listener {
    listener: TcpListener,
    identity: Option<Identity>,
    limits: Limits,
    places: Arc<Places>,
    refused: Refused,
    /// Connections that agree on TLS; each takes its own time, and holds up no other.
    handshakes: JoinSet<Option<Connection>>,
}

/// Connections for which there was no place.
#[derive(Default)]
struct Refused {
    count: u64,
    told: Option<std::time::Instant>,
}

impl Listener {
    /// Opens the port. With an identity, TLS is spoken and nothing else.
    pub async fn bind(address: SocketAddr, identity: Option<Identity>, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            identity,
            limits,
            places: Places::new(limits),
            refused: Refused::default(),
            handshakes: JoinSet::new(),
        })
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
        let place = match self.places.take(address.ip()) {
            Ok(place) => place,
            Err(full) => {
                self.refused.tell(full, address, &self.limits);
                return None;
            }
        };
        // Small messages must not wait for more.
        let _ = stream.set_nodelay(true);
        let limit = self.limits.handshake();
        let Some(identity) = &self.identity else {
            let peer = Peer { address, names: None };
            return Some(Connection::new(Wire::Plain(stream), peer, place, limit));
        };
        if let Some(acceptor) = identity.acceptor() {
            self.handshakes.spawn(handshake(acceptor, stream, address, place, limit));
        }
        None
    }
}

impl Refused {
    fn tell(&mut self, full: Full, address: SocketAddr, limits: &Limits) {
        self.count += 1;
        if self.told.is_some_and(|told| told.elapsed() < TOLD) {
            return;
        }
        self.told = Some(clock::instant());
        let (setting, limit) = match full {
            Full::All => ("limits.connections", limits.connections),
            Full::Source => ("limits.connections_per_address", limits.connections_per_address),
        };
        tracing::warn!(peer = %address, setting, limit, refused = self.count, "a connection was refused: there are too many");
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    limit: Duration,
) -> Option<Connection> {
    let stream = match tokio::time::timeout(limit, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(peer = %address, %error, "no TLS connection could be agreed with a caller");
            return None;
        }
        Err(_) => {
            tracing::info!(peer = %address, milliseconds = limit.as_millis(), "a caller did not agree on TLS in time");
            return None;
        }
    };
    // The handshake has verified the chain; here only the names are read.
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let names = certificate.map(|certificate| Arc::new(Names::read(certificate).unwrap_or_default()));
    let peer = Peer { address, names };
    Some(Connection::new(Wire::Tls(Box::new(stream)), peer, place, limit))
}

/// A connection, and who is at its other end.
pub struct Connection {
    stream: Wire,
    peer: Peer,
    /// The time that is left to begin; `None` once it has begun.
    begin: Option<Pin<Box<Sleep>>>,
    read: usize,
    /// The time that is left of the certificate at the other end, if there is one.
    end: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn new(stream: Wire, peer: Peer, place: Place, limit: Duration) -> Self {
        let ends = peer.names.as_ref().and_then(|names| names.ends);
        let end = ends.map(|ends| Box::pin(tokio::time::sleep(clock::until(ends) + FAREWELL)));
        Self { stream, peer, begin: Some(Box::pin(tokio::time::sleep(limit))), read: 0, end, _place: place }
    }

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
        if let Some(begin) = &mut self.begin
            && begin.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the connection did not begin in time")));
        }
        // Whoever has a new certificate comes again with it; a call that was refused would be refused for ever here.
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller's certificate has ended")));
        }
        let before = buffer.filled().len();
        ready!(match &mut self.stream {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        })?;
        if self.begin.is_some() {
            self.read += buffer.filled().len() - before;
            if self.read >= PREFACE {
                self.begin = None;
            }
        }
        Poll::Ready(Ok(()))
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
