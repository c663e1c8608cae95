//! Callers that are slow, many, large or silent: the others are served all the same.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bench;

use std::{net::SocketAddr, time::Duration};

use bench::{Bench, identity, who_am_i};
use postroad_metric::call::CALLS;
use postroad_rig::Role;
use stage::{Authority, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::client::TlsStream;
use tonic::{Status, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

const CRM: &str = "crm.roles.postroad.internal";
const SYNC: &str = "sync.roles.postroad.internal";
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Settings that are short enough to be waited for.
const SHORT: &str = "[limits]\nhandshake_ms = 500\nsilence_ms = 500\ncall_ms = 1000\n";

/// A role, and somebody who is served by it.
async fn bench(settings: &str) -> (Bench, Authority) {
    let authority = Authority::new("ours").unwrap();
    let bench = Bench::start(&authority.issue(&[CRM]).unwrap(), &[&authority], settings).await;
    (bench, authority)
}

/// A caller that the others must not disturb opens a connection of its own.
async fn is_served(bench: &Bench, authority: &Authority, name: &str) {
    let channels = bench.caller(name, Some(&authority.issue(&[SYNC]).unwrap()), &[authority]);
    who_am_i(channels.to(Role::Crm).unwrap()).await.unwrap();
}

/// A connection that has agreed on TLS and says nothing yet; `None` where there was no place for it.
async fn tls_from(bench: &Bench, source: [u8; 4], authority: &Authority) -> Option<TlsStream<TcpStream>> {
    let identity = identity(&bench.folder.path().join("raw"), None, &[authority]);
    let (connector, name) = identity.connector(Role::Crm).unwrap();
    let stream = connect_from(source, bench.context.config.crm.listen).await?;
    connector.connect(name, stream).await.ok()
}

/// A connection from one of this machine's own addresses.
async fn connect_from(source: [u8; 4], to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((source, 0).into()).ok()?;
    socket.connect(to).await.ok()
}

/// A call whose request never comes.
async fn stalled(channel: Channel) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    client.client_streaming(tonic::Request::new(futures::stream::pending()), path, codec).await.map(drop)
}

/// Until the other side has closed it.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut buffer = [0_u8; 1024];
    let gone = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the connection stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_too_little_is_cut() {
    let (bench, authority) = bench(SHORT).await;
    let listen = bench.context.config.crm.listen;
    // Silent before TLS, in the middle of its first record, and after it.
    let mut silent = TcpStream::connect(listen).await.unwrap();
    let mut begun = TcpStream::connect(listen).await.unwrap();
    begun.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let mut agreed = tls_from(&bench, [127, 0, 0, 1], &authority).await.unwrap();
    is_served(&bench, &authority, "meanwhile").await;
    closed(&mut silent).await;
    closed(&mut begun).await;
    closed(&mut agreed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_byte_by_byte_is_cut() {
    let (bench, authority) = bench(SHORT).await;
    // The first bytes of HTTP/2, and then the headers of a call, in a frame that never ends.
    let begun: Vec<u8> = [&PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let frame: Vec<u8> = [&[0, 64, 0, 1, 4, 0, 0, 0, 1][..], &[b'x'; 16_000]].concat();
    for (whole, trickled) in [(&PREFACE[..0], &PREFACE[..]), (&begun, &frame)] {
        let (mut reading, mut writing) = tokio::io::split(tls_from(&bench, [127, 0, 0, 1], &authority).await.unwrap());
        writing.write_all(whole).await.unwrap();
        let trickling = async {
            for byte in trickled {
                if writing.write_all(&[*byte]).await.and(writing.flush().await).is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = trickling => {}
            () = closed(&mut reading) => {}
        }
        is_served(&bench, &authority, "afterwards").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_keep_nobody_else_out() {
    let (bench, authority) =
        bench("[limits]\nconnections = 100\nconnections_per_address = 20\nhandshake_ms = 60000\n").await;
    let listen = bench.context.config.crm.listen;
    // Three addresses hold all that they are given, and want more.
    let mut held = Vec::new();
    for number in 0..3000_u32 {
        held.extend(connect_from([127, 0, 0, 2 + u8::try_from(number % 3).unwrap()], listen).await);
        // What was refused is closed, and would only take up descriptors of this process.
        if held.len() >= 200 {
            held.retain(is_open);
        }
    }
    let full = eventually(Duration::from_secs(20), || {
        held.retain(is_open);
        std::future::ready((held.len() == 60).then_some(()))
    });
    full.await.unwrap();
    assert!(tls_from(&bench, [127, 0, 0, 2], &authority).await.is_none(), "there is a place beyond the limit");
    is_served(&bench, &authority, "in-between").await;
    drop(held);
    // Their places are free again.
    let again = eventually(Duration::from_secs(20), || tls_from(&bench, [127, 0, 0, 2], &authority));
    again.await.unwrap();
}

fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_message_is_refused_before_it_is_read() {
    let (bench, authority) = bench("").await;
    let channels = bench.caller("huge", Some(&authority.issue(&[SYNC]).unwrap()), &[&authority]);
    let mut health = HealthClient::new(channels.to(Role::Crm).unwrap());
    let huge = HealthCheckRequest { service: "x".repeat(5 * 1024 * 1024) };
    let refused = health.check(huge).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused:?}");
    is_served(&bench, &authority, "afterwards").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_never_finished_ends() {
    let (bench, authority) = bench(SHORT).await;
    let channels = bench.caller("stalled", Some(&authority.issue(&[SYNC]).unwrap()), &[&authority]);
    let channel = channels.to(Role::Crm).unwrap();
    // Many at a time, on the connection that others use too.
    let stalled = (0..50).map(|_| stalled(channel.clone()));
    let all = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(stalled));
    let (ended, ()) = tokio::join!(all, is_served(&bench, &authority, "meanwhile"));
    assert!(ended.unwrap().iter().all(|status| status.is_err()));
    who_am_i(channel).await.unwrap();
    // Alerts see a role that does not answer in time, by the status and by the duration.
    let labels = ["crm", "grpc.health.v1.Health", "Check"];
    let seen = eventually(Duration::from_secs(20), || {
        let late = CALLS.requests.with_label_values(&[labels[0], labels[1], labels[2], "DEADLINE_EXCEEDED"]).get();
        let timed = CALLS.duration.with_label_values(&labels).get_sample_count();
        std::future::ready((late == 50 && timed >= 50).then_some(()))
    });
    seen.await.unwrap();
}
