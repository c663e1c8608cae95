//! Streams of events against a server that is as strict as Exchange.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot happen may panic")]

use std::time::Duration;

use mockex::{Delivery, Fault, FaultKind, Options, Organization, Region, Running, ServerVersion, Streaming};
use postroad_ews::{
    Access, Affinity, Client, Credentials, Distinguished, Endpoint, Error, EventStream, EventType, FolderRef,
    GetStreamingEvents, Identity, Kind, Known, RequestServerVersion, ResponseCode, StreamMessage, StreamRemedy,
    Subscribe, Transport, TransportOptions, Unsubscribe,
};
use secrecy::SecretString;

const ADA: &str = "ada@contoso.example";
const BO: &str = "bo@contoso.example";
const PATIENCE: Duration = Duration::from_secs(20);

struct Stand {
    exchange: Running,
    client: Client,
}

impl Stand {
    async fn start(version: ServerVersion, streaming: Streaming) -> Self {
        let region = Region::new("europe", version, [ADA, BO]);
        let options = Options { streaming, ..Options::contoso(vec![region]) };
        let exchange = Organization::start(options).await.unwrap();
        let options =
            TransportOptions { trust_anchors: vec![exchange.ca_pem().to_owned()], ..TransportOptions::default() };
        let endpoint = Endpoint::parse(&exchange.region_url("europe").unwrap()).unwrap();
        let credentials = Credentials::basic("crm@contoso.example", SecretString::from("Pass-word1"));
        let access = Access::impersonating(endpoint, credentials, ADA);
        Self { client: Client::new(&Transport::new(options).unwrap(), access), exchange }
    }

    async fn subscribe(&self, mailbox: &str, affinity: &mut Affinity) -> Result<String, Error> {
        let folders = vec![FolderRef::Distinguished(Distinguished::Inbox)];
        let subscribe = Subscribe { folders, events: EventType::CHANGES.to_vec() };
        self.client.for_identity(Identity::PrimaryAddress(mailbox.to_owned())).ask_with(&subscribe, affinity).await
    }

    async fn open(&self, subscriptions: &[String], affinity: &Affinity) -> EventStream {
        let operation = GetStreamingEvents { subscriptions: subscriptions.to_vec(), minutes: 30 };
        self.client.stream(operation, affinity).await.unwrap()
    }

    fn deliver(&self, mailbox: &str) {
        let mime = "From: a@fabrikam.example\r\nSubject: offer\r\n\r\nHello".into();
        self.exchange.deliver(Delivery { mailbox: mailbox.to_owned(), mime, ..Delivery::default() }).unwrap();
    }
}

/// The next message that is no sign of life.
async fn next(stream: &mut EventStream) -> StreamMessage {
    loop {
        match stream.next(PATIENCE).await.unwrap().unwrap() {
            StreamMessage::Alive => {}
            message => return message,
        }
    }
}

fn told(message: &StreamMessage) -> Vec<&str> {
    let StreamMessage::Notifications(notifications) = message else { panic!("{message:?}") };
    notifications.iter().map(|notification| notification.subscription.as_str()).collect()
}

#[tokio::test]
async fn a_delivery_is_told_to_whom_it_is_for_on_every_version() {
    for version in [ServerVersion::Exchange2010Sp3, ServerVersion::Exchange2013Sp1, ServerVersion::Exchange2016] {
        let stand = Stand::start(version, Streaming { back_ends: 5, ..Streaming::default() }).await;
        let mut affinity = Affinity::around(ADA);
        let ada = stand.subscribe(ADA, &mut affinity).await.unwrap();
        assert!(affinity.is_settled());
        let bo = stand.subscribe(BO, &mut affinity).await.unwrap();
        let mut stream = stand.open(&[ada, bo.clone()], &affinity).await;
        assert_eq!(stream.next(PATIENCE).await.unwrap(), Some(StreamMessage::Alive));
        stand.deliver(BO);
        assert_eq!(told(&next(&mut stream).await), [bo.as_str()], "{version:?}");
        assert_eq!((stand.exchange.streams(), stand.exchange.subscriptions()), (1, (2, 2)));
    }
}

#[tokio::test]
async fn another_back_end_does_not_know_the_subscription() {
    let stand = Stand::start(ServerVersion::Exchange2010Sp3, Streaming { back_ends: 3, ..Streaming::default() }).await;
    let mut affinity = Affinity::around(ADA);
    let ada = stand.subscribe(ADA, &mut affinity).await.unwrap();
    let mut stream = stand.open(std::slice::from_ref(&ada), &Affinity::around(ADA)).await;
    let StreamMessage::Failed(failure) = next(&mut stream).await else { panic!("an error") };
    assert_eq!(
        (failure.error.code.known(), failure.subscriptions),
        (Some(Known::ErrorSubscriptionNotFound), vec![ada])
    );
}

#[tokio::test]
async fn it_says_when_its_time_is_over_and_that_it_lives() {
    let streaming = Streaming { minute_ms: 20, heartbeat_ms: 50, ..Streaming::default() };
    let stand = Stand::start(ServerVersion::Exchange2016, streaming).await;
    let mut affinity = Affinity::around(ADA);
    let ada = stand.subscribe(ADA, &mut affinity).await.unwrap();
    let mut stream = stand.open(&[ada], &affinity).await;
    let mut alive = 0;
    while stream.next(PATIENCE).await.unwrap() == Some(StreamMessage::Alive) {
        alive += 1;
    }
    assert!(alive > 1, "{alive}");
    assert_eq!(stream.next(PATIENCE).await.unwrap(), None, "closed");
}

#[tokio::test]
async fn connections_are_limited_and_a_second_reader_takes_over() {
    let streaming = Streaming { hanging_limit: Some(1), ..Streaming::default() };
    let stand = Stand::start(ServerVersion::Exchange2013Sp1, streaming).await;
    let mut affinity = Affinity::around(ADA);
    let ada = stand.subscribe(ADA, &mut affinity).await.unwrap();
    let bo = stand.subscribe(BO, &mut affinity).await.unwrap();
    let mut first = stand.open(std::slice::from_ref(&ada), &affinity).await;
    assert_eq!(first.next(PATIENCE).await.unwrap(), Some(StreamMessage::Alive));
    let mut over = stand.open(&[bo], &affinity).await;
    let StreamMessage::Failed(failure) = next(&mut over).await else { panic!("an error") };
    assert_eq!(StreamRemedy::of(&failure.error.code), StreamRemedy::Fewer);
    let mut second = stand.open(std::slice::from_ref(&ada), &affinity).await;
    assert_eq!(second.next(PATIENCE).await.unwrap(), Some(StreamMessage::Alive));
    let StreamMessage::Failed(failure) = next(&mut first).await else { panic!("an error") };
    assert_eq!(StreamRemedy::of(&failure.error.code), StreamRemedy::TakenOver);
}

#[tokio::test]
async fn what_is_forgotten_or_unsubscribed_is_named() {
    let stand = Stand::start(ServerVersion::Exchange2016, Streaming::default()).await;
    let mut affinity = Affinity::around(ADA);
    let ada = stand.subscribe(ADA, &mut affinity).await.unwrap();
    let bo = stand.subscribe(BO, &mut affinity).await.unwrap();
    let mut stream = stand.open(&[ada.clone(), bo.clone()], &affinity).await;
    assert_eq!(stream.next(PATIENCE).await.unwrap(), Some(StreamMessage::Alive));
    assert_eq!(stand.exchange.forget_subscriptions(Some(BO)), 1);
    let StreamMessage::Failed(failure) = next(&mut stream).await else { panic!("an error") };
    assert_eq!(failure.subscriptions, [bo]);
    stand.deliver(ADA);
    assert_eq!(told(&next(&mut stream).await), [ada.as_str()], "the other one goes on");
    stand.client.ask_with(&Unsubscribe { id: ada.clone() }, &mut affinity).await.unwrap();
    let mut again = stand.open(&[ada], &affinity).await;
    assert!(matches!(next(&mut again).await, StreamMessage::Failed(_)));
}

#[tokio::test]
async fn faults_of_streams_are_told_apart() {
    let stand = Stand::start(ServerVersion::Exchange2016, Streaming::default()).await;
    let mut affinity = Affinity::around(ADA);
    let ada = [stand.subscribe(ADA, &mut affinity).await.unwrap()];
    stand.exchange.set_fault(Fault::new(FaultKind::BufferedStream).times(1));
    let mut silent = stand.open(&ada, &affinity).await;
    let error = silent.next(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout(_)), "{error:?}");
    drop(silent);
    stand.exchange.set_fault(Fault::new(FaultKind::GarbageStream).times(1));
    let error = stand.open(&ada, &affinity).await.next(PATIENCE).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Malformed(_)), "{error:?}");
    stand.exchange.set_fault(Fault::new(FaultKind::SingleBytes).times(1));
    let mut bytewise = stand.open(&ada, &affinity).await;
    assert_eq!(bytewise.next(PATIENCE).await.unwrap(), Some(StreamMessage::Alive));
    stand.exchange.cut_streams();
    let error = bytewise.next(PATIENCE).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Truncated(_) | Kind::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn an_old_schema_cannot_stream() {
    let stand = Stand::start(ServerVersion::Exchange2016, Streaming::default()).await;
    let folders = vec![FolderRef::Distinguished(Distinguished::Inbox)];
    let subscribe = Subscribe { folders, events: EventType::CHANGES.to_vec() };
    let old = stand.client.at_version(RequestServerVersion::Exchange2010);
    let error = old.ask_with(&subscribe, &mut Affinity::around(ADA)).await.unwrap_err();
    assert_eq!(error.code().and_then(ResponseCode::known), Some(Known::ErrorIncorrectSchemaVersion));
}
