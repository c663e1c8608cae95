//! Mail that is noticed since Exchange says so: polls are an hour apart here, unless a test says otherwise.

use std::time::Duration;

use mockex::{Fault, FaultKind, Region, ServerVersion, Streaming};
use postroad_proto::{
    crm::v1::EmailStatus,
    mailbox::v1::{MailboxSettings, SynchronizationMethod},
    sync::v1::{ListWorkersRequest, WorkerStatus},
};
use system::{
    Options,
    scene::{DEADLINE, Scene},
};

use super::sending::email;

const ADA: &str = "ada@contoso.example";
const BO: &str = "bo@contoso.example";
const HOUR: Duration = Duration::from_secs(3600);

fn organization(version: ServerVersion) -> mockex::Options {
    let streaming = Streaming { back_ends: 3, ..Streaming::default() };
    mockex::Options { streaming, ..mockex::Options::contoso(vec![Region::new("europe", version, [ADA, BO])]) }
}

async fn scene(version: ServerVersion, options: Options) -> Scene {
    let scene = Scene::open(organization(version), options).await.unwrap();
    scene.enable(&[ADA, BO]).await.unwrap();
    scene
}

/// Only notifications can bring anything within the time of a test.
fn rarely() -> Options {
    Options { poll: HOUR, idle_poll: HOUR, ..Options::default() }
}

async fn worker(scene: &Scene) -> Option<WorkerStatus> {
    scene.deployment.sync().list_workers(ListWorkersRequest {}).await.ok()?.into_inner().workers.into_iter().next()
}

async fn until(scene: &Scene, what: &str, is_so: impl Fn(&WorkerStatus) -> bool) -> WorkerStatus {
    let found = stage::eventually(DEADLINE, || async { worker(scene).await.filter(|worker| is_so(worker)) }).await;
    match found {
        Some(worker) => worker,
        None => panic!("never {what}: {:?}\n{}", worker(scene).await, scene.deployment.log(system::Role::Sync)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_noticed_without_a_poll_on_every_version() {
    for version in [ServerVersion::Exchange2010Sp3, ServerVersion::Exchange2013Sp1, ServerVersion::Exchange2016] {
        let scene = scene(version, rarely()).await;
        let worker = until(&scene, "notified of both", |worker| worker.notified == 2).await;
        assert_eq!(worker.streams, 1, "one connection for both");
        for number in 0..5 {
            scene.deliver("push", number, [ADA, BO][number % 2]).unwrap();
            scene.wait_for("push", [number]).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_stream_is_cut_is_caught_up_with() {
    let scene = scene(ServerVersion::Exchange2016, rarely()).await;
    until(&scene, "notified", |worker| worker.notified == 2).await;
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::Down).operation("GetStreamingEvents").times(1));
    scene.deployment.exchange.cut_streams();
    scene.deliver("cut", 1, ADA).unwrap();
    scene.wait_for("cut", [1]).await.unwrap();
    until(&scene, "notified again", |worker| worker.notified == 2).await;
    scene.deliver("cut", 2, BO).unwrap();
    scene.wait_for("cut", [2]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_the_server_forgot_is_replaced_alone() {
    let scene = scene(ServerVersion::Exchange2013Sp1, rarely()).await;
    until(&scene, "notified", |worker| worker.notified == 2).await;
    let before = scene.deployment.exchange.counters().by_operation["Subscribe"];
    assert_eq!(scene.deployment.exchange.forget_subscriptions(Some(BO)), 1);
    scene.deliver("forgot", 1, BO).unwrap();
    scene.wait_for("forgot", [1]).await.unwrap();
    until(&scene, "notified again", |worker| worker.notified == 2).await;
    assert_eq!(scene.deployment.exchange.counters().by_operation["Subscribe"], before + 1);
    assert_eq!(scene.deployment.exchange.forget_subscriptions(None), 2, "the others live on");
    scene.deliver("forgot", 2, ADA).unwrap();
    scene.wait_for("forgot", [2]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_streams_are_held_back_mailboxes_are_polled_and_it_is_said() {
    let options = Options { idle_poll: HOUR, stream_silence: Duration::from_millis(500), ..Options::default() };
    let scene = Scene::open(organization(ServerVersion::Exchange2016), options).await.unwrap();
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::BufferedStream));
    scene.enable(&[ADA, BO]).await.unwrap();
    let worker = until(&scene, "polling", |worker| !worker.remarks.is_empty()).await;
    assert!(worker.remarks[0].contains("hold") && worker.remarks[0].contains("polled"), "{:?}", worker.remarks);
    assert_eq!((worker.notified, worker.streams, worker.remarks.len()), (0, 0, 1));
    for number in 0..3 {
        scene.deliver("held", number, ADA).unwrap();
        scene.wait_for("held", [number]).await.unwrap();
    }
    let said = scene.deployment.log(system::Role::Sync).matches("no notifications").count();
    assert_eq!(said, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_does_not_stream_mailboxes_are_polled_and_it_is_said() {
    let options = Options { idle_poll: HOUR, ..Options::default() };
    let scene = Scene::open(organization(ServerVersion::Exchange2013Sp1), options).await.unwrap();
    let refused = FaultKind::ResponseError { code: "ErrorSubscriptionDelegateAccessNotSupported".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(refused).operation("GetStreamingEvents"));
    scene.enable(&[ADA, BO]).await.unwrap();
    let worker = until(&scene, "polling", |worker| !worker.remarks.is_empty()).await;
    assert!(worker.remarks[0].contains("does not stream") && worker.remarks[0].contains("polled"), "{worker:?}");
    for number in 0..3 {
        scene.deliver("unable", number, BO).unwrap();
        scene.wait_for("unable", [number]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_more_connections_may_hang_mailboxes_are_polled() {
    let streaming = Streaming { hanging_limit: Some(0), ..Streaming::default() };
    let organization = mockex::Options { streaming, ..organization(ServerVersion::Exchange2016) };
    let scene = Scene::open(organization, Options { idle_poll: HOUR, ..Options::default() }).await.unwrap();
    scene.enable(&[ADA, BO]).await.unwrap();
    let worker = until(&scene, "polling", |worker| !worker.remarks.is_empty()).await;
    assert!(worker.remarks[0].contains("ErrorExceededConnectionCount"), "{:?}", worker.remarks);
    scene.deliver("limit", 1, ADA).unwrap();
    scene.wait_for("limit", [1]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_time_is_over_is_opened_anew() {
    let streaming = Streaming { minute_ms: 50, lifetime_minutes: 1000, ..Streaming::default() };
    let organization = mockex::Options { streaming, ..organization(ServerVersion::Exchange2016) };
    let scene = Scene::open(organization, rarely()).await.unwrap();
    scene.enable(&[ADA, BO]).await.unwrap();
    let opened = || scene.deployment.exchange.counters().by_operation.get("GetStreamingEvents").copied().unwrap_or(0);
    until(&scene, "notified", |worker| worker.notified == 2).await;
    let (first, subscribed) = (opened(), scene.deployment.exchange.subscriptions().0);
    let again = stage::eventually(DEADLINE, || async { (opened() > first + 1).then_some(()) }).await;
    assert!(again.is_some(), "never opened anew");
    assert_eq!(scene.deployment.exchange.subscriptions().0, subscribed, "the subscriptions live on");
    scene.deliver("anew", 1, BO).unwrap();
    scene.wait_for("anew", [1]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_email_leaves_without_a_poll() {
    let scene = Scene::open(organization(ServerVersion::Exchange2016), rarely()).await.unwrap();
    let both =
        MailboxSettings { outgoing_method: SynchronizationMethod::ServerSideSync.into(), ..MailboxSettings::default() };
    for address in [ADA, BO] {
        scene.set_up().mailbox_with(address, both.clone()).await.unwrap();
    }
    scene.set_up().test_and_enable().await.unwrap();
    until(&scene, "notified of both", |worker| worker.notified == 2).await;
    for number in 0..3 {
        let subject = format!("offer {number}");
        let id = scene.send(email(ADA, &["buyer@fabrikam.example"], &subject), "Hello").await.unwrap();
        scene.email(&id, "sent", |email| email.status() == EmailStatus::Sent).await.unwrap();
    }
    // What is to be sent later leaves when its time has come.
    let soon = postroad_rig::clock::now() + jiff::SignedDuration::from_secs(2);
    let send_after = Some(prost_types::Timestamp { seconds: soon.as_second(), nanos: soon.subsec_nanosecond() });
    let delayed = postroad_proto::crm::v1::Email { send_after, ..email(BO, &["buyer@fabrikam.example"], "later") };
    let id = scene.send(delayed, "Hello").await.unwrap();
    scene.email(&id, "sent", |email| email.status() == EmailStatus::Sent).await.unwrap();
    let sent = scene.deployment.exchange.sent();
    assert!(sent.iter().all(|mail| mail.subject.as_deref() != Some("later") || mail.submitted >= soon), "not before");
    assert_eq!(sent.len(), 4);
}
