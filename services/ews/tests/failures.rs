//! What the client makes of servers that fail, over real sockets and real TLS.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests spawn freely")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use mockex::{Challenge, Fault, FaultKind, Options, Organization, Region, Running, ServerVersion};
use postroad_core::fault::Code;
use postroad_ews::{
    Access, Client, ConvertId, Credentials, Endpoint, Error, FolderRef, GetFolder, Kind, SyncFolderItems, TlsFailure,
    Transport, TransportOptions,
};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};

const ADA: &str = "ada@contoso.example";

async fn organization() -> Running {
    let region = Region::new("europe", ServerVersion::Exchange2013Sp1, [ADA]);
    Organization::start(Options::contoso(vec![region])).await.unwrap()
}

fn transport(authority: Option<&str>, hosts: &[(&str, SocketAddr)]) -> Transport {
    let hosts: BTreeMap<String, SocketAddr> =
        hosts.iter().map(|(host, address)| ((*host).to_owned(), *address)).collect();
    let trust_anchors = authority.map(str::to_owned).into_iter().collect();
    let connect_timeout = Duration::from_millis(500);
    Transport::new(TransportOptions { trust_anchors, hosts, connect_timeout, ..TransportOptions::default() }).unwrap()
}

fn client(exchange: &Running, password: &str) -> Client {
    let endpoint = Endpoint::parse(&exchange.region_url("europe").unwrap()).unwrap();
    let credentials = Credentials::basic("crm@contoso.example", SecretString::from(password));
    Client::new(&transport(Some(exchange.ca_pem()), &[]), Access::impersonating(endpoint, credentials, ADA))
}

async fn reach(transport: &Transport, url: &str) -> Result<u16, Error> {
    transport.reach(&Endpoint::parse(url).unwrap(), Duration::from_secs(2)).await
}

/// A listener that does this with each connection; gives its port.
async fn listener<F: Future<Output = ()> + Send + 'static>(handle: fn(TcpStream) -> F) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    port
}

#[tokio::test]
async fn certificates_are_checked_and_what_is_wrong_is_told() {
    let exchange = organization().await;
    let url = exchange.region_url("europe").unwrap();
    assert_eq!(reach(&transport(Some(exchange.ca_pem()), &[]), &url).await.unwrap(), 401);

    let error = reach(&transport(None, &[]), &url).await.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (&Kind::Tls(TlsFailure::UntrustedIssuer), Code::TlsUntrusted));

    let port = exchange.region_port("europe").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let other = transport(Some(exchange.ca_pem()), &[("mail.other.example", address)]);
    let error = reach(&other, &format!("https://mail.other.example:{port}/EWS/Exchange.asmx")).await.unwrap_err();
    assert_eq!(error.fault(), Code::TlsNameMismatch, "{error}");
    assert!(error.doubts_location());
    assert_eq!(exchange.counters().requests, 1, "nothing is said to a server that is not trusted");
}

#[tokio::test]
async fn what_is_no_server_is_told_apart() {
    let transport = transport(None, &[]);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = reach(&transport, &format!("https://127.0.0.1:{free}/")).await.unwrap_err();
    assert_eq!(error.fault(), Code::ConnectRefused, "{error}");

    let plain = listener(|mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let error = reach(&transport, &format!("https://127.0.0.1:{plain}/")).await.unwrap_err();
    assert_eq!(error.fault(), Code::TlsNotSpoken, "{error}");

    let silent = listener(|stream| async move {
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(stream);
    })
    .await;
    let error = reach(&transport, &format!("https://127.0.0.1:{silent}/")).await.unwrap_err();
    assert!(matches!(error.fault(), Code::ConnectTimeout | Code::ResponseTimeout), "{error}");
}

#[tokio::test]
async fn answers_that_are_none_are_rows_of_the_fault_table() {
    let exchange = organization().await;
    let client = client(&exchange, "Pass-word1");
    let folder = client.ask(&GetFolder::one(FolderRef::INBOX)).await.unwrap();
    assert!(folder.first().is_some_and(Result::is_ok));
    for (kind, row) in [
        (FaultKind::HtmlPage, Code::NotExchange),
        (FaultKind::HttpStatus { status: 503, retry_after: None, location: None }, Code::HttpUnavailable),
        (FaultKind::HttpStatus { status: 503, retry_after: Some(7), location: None }, Code::ServerBusy),
        (FaultKind::HttpStatus { status: 404, retry_after: None, location: None }, Code::HttpNotFound),
        (FaultKind::CutAnswer { percent: 50 }, Code::ResponseTruncated),
        (FaultKind::SoapFault { code: "ErrorMailboxStoreUnavailable".to_owned() }, Code::StoreUnavailable),
        (FaultKind::ResponseError { code: "ErrorFutureCode".to_owned() }, Code::ExchangeInternal),
        (FaultKind::InnerError { code: "ErrorServerBusy".to_owned() }, Code::ServerBusy),
    ] {
        exchange.set_fault(Fault::new(kind.clone()).times(1));
        let error = client.ask(&SyncFolderItems::since(FolderRef::INBOX, None)).await.unwrap_err();
        assert_eq!(error.fault(), row, "{kind:?}: {error}");
        let evidence = error.exchange().to_string();
        assert!(!evidence.contains("Pass-word1") && !evidence.contains("Basic Y3Jt"), "{evidence}");
    }
}

#[tokio::test]
async fn refused_credentials_are_told_from_a_scheme_that_is_off() {
    let exchange = organization().await;
    let error = client(&exchange, "wrong").ask(&ConvertId::probe(ADA)).await.unwrap_err();
    assert_eq!(error.fault(), Code::CredentialsRejected);
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA]);
    let options = Options { challenge: Challenge::WithoutBasic, ..Options::contoso(vec![region]) };
    let exchange = Organization::start(options).await.unwrap();
    let error = client(&exchange, "Pass-word1").ask(&ConvertId::probe(ADA)).await.unwrap_err();
    assert_eq!(error.fault(), Code::BasicNotOffered);
}
