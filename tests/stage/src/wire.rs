//! A wire: a TCP connection's way that can be cut, stalled, slowed and half closed, between any two that talk over TCP.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How a wire is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Whole.
    #[default]
    Whole,
    /// Connections are closed, and new ones as soon as they are made.
    Cut,
    /// Each piece comes later, in both directions.
    Delayed(Duration),
    /// Nothing passes and nothing is closed, as behind a firewall that drops packets. What was sent arrives when this is over.
    Stalled,
    /// What the server says is lost, and its end of each connection is closed; what the client says still arrives. Such a connection
    /// is closed when this is over.
    HalfClosed,
    /// So many bytes at a time, and then a pause of some milliseconds.
    Trickling(usize),
}

/// The pause between two pieces of a trickle.
const DRIP: Duration = Duration::from_millis(2);
/// A piece otherwise.
const PIECE: usize = 64 * 1024;

/// A wire to a server; it ends when this is dropped.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    listener: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Wire {
    /// A wire that begins at an address, port 0 for any, and leads to a server on this machine.
    pub async fn open(begin: (IpAddr, u16), server: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpListener::bind(begin).await?;
        let address = socket.local_addr()?;
        let condition = watch::Sender::new(Condition::default());
        let heard = condition.subscribe();
        let listener = tokio::spawn(async move {
            // Ends its connections when it is aborted.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                match socket.accept().await {
                    Ok((client, _)) => drop(connections.spawn(connect(client, server, heard.clone()))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Ok(Self { address, condition, listener })
    }

    /// Where it begins.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Changes how it is.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn connect(client: TcpStream, server: SocketAddr, condition: watch::Receiver<Condition>) {
    if *condition.borrow() == Condition::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let is_cut = async {
        let mut condition = condition.clone();
        // A wire that is gone is cut too.
        let _ = condition.wait_for(|condition| *condition == Condition::Cut).await;
    };
    tokio::select! {
        () = is_cut => {}
        ((), ()) = async {
            tokio::join!(
                carry(from_client, to_server, Direction::ToServer, condition.clone()),
                carry(from_server, to_client, Direction::ToClient, condition.clone()),
            )
        } => {}
    }
}

/// Carries one direction of a connection until its end.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut condition: watch::Receiver<Condition>,
) {
    let mut buffer = vec![0_u8; PIECE];
    loop {
        let now = *condition.borrow_and_update();
        let most = match now {
            Condition::Stalled => {
                if condition.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Condition::HalfClosed if direction == Direction::ToClient => {
                let _ = to.shutdown().await;
                let _ = condition.wait_for(|condition| *condition != Condition::HalfClosed).await;
                return;
            }
            Condition::Trickling(bytes) => bytes.clamp(1, PIECE),
            Condition::Whole | Condition::Cut | Condition::Delayed(_) | Condition::HalfClosed => PIECE,
        };
        let Some(piece) = buffer.get_mut(..most) else { return };
        let read = tokio::select! {
            read = from.read(piece) => read,
            changed = condition.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let read = match read {
            Ok(0) | Err(_) => {
                let _ = to.shutdown().await;
                return;
            }
            Ok(read) => read,
        };
        match now {
            Condition::Delayed(delay) => tokio::time::sleep(delay).await,
            Condition::Trickling(_) => tokio::time::sleep(DRIP).await,
            _ => {}
        }
        if to.write_all(piece.get(..read).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A server that says everything back.
    async fn echo() -> SocketAddr {
        let socket = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn wire() -> (Wire, TcpStream) {
        let wire = Wire::open((LOOPBACK, 0), echo().await).await.unwrap();
        let stream = TcpStream::connect(wire.address()).await.unwrap();
        (wire, stream)
    }

    async fn is_echoed(stream: &mut TcpStream, text: &[u8]) -> bool {
        let mut heard = vec![0; text.len()];
        let said = async {
            stream.write_all(text).await?;
            stream.read_exact(&mut heard).await
        };
        matches!(timeout(PATIENCE, said).await, Ok(Ok(_))) && heard == text
    }

    #[tokio::test]
    async fn whole_delayed_and_trickling_wires_change_nothing_that_is_said() {
        let (wire, mut stream) = wire().await;
        let text: Vec<u8> = (0..2000_u32).map(|number| number.to_le_bytes()[0]).collect();
        for condition in
            [Condition::Whole, Condition::Delayed(Duration::from_millis(1)), Condition::Trickling(7), Condition::Whole]
        {
            wire.set(condition);
            assert!(is_echoed(&mut stream, &text).await, "{condition:?}");
        }
    }

    #[tokio::test]
    async fn a_cut_wire_ends_connections_until_it_is_whole_again() {
        let (wire, mut stream) = wire().await;
        assert!(is_echoed(&mut stream, b"x").await);
        wire.set(Condition::Cut);
        let end = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        let mut refused = TcpStream::connect(wire.address()).await.unwrap();
        assert!(!is_echoed(&mut refused, b"x").await);
        wire.set(Condition::Whole);
        let mut stream = TcpStream::connect(wire.address()).await.unwrap();
        assert!(is_echoed(&mut stream, b"x").await);
    }

    #[tokio::test]
    async fn what_a_stalled_wire_held_back_arrives_when_that_is_over() {
        let (wire, mut stream) = wire().await;
        assert!(is_echoed(&mut stream, b"x").await);
        wire.set(Condition::Stalled);
        stream.write_all(b"late").await.unwrap();
        let mut heard = [0; 4];
        assert!(timeout(Duration::from_millis(50), stream.read(&mut heard)).await.is_err());
        wire.set(Condition::Whole);
        timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"late");
    }

    #[tokio::test]
    async fn a_half_closed_wire_hears_the_client_only() {
        let (wire, mut stream) = wire().await;
        assert!(is_echoed(&mut stream, b"x").await);
        wire.set(Condition::HalfClosed);
        let end = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
        assert_eq!(end.unwrap(), 0, "the server's end is closed");
        assert!(stream.write_all(b"still heard").await.is_ok());
    }
}
