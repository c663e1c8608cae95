//! Several workers.

use std::{collections::BTreeSet, time::Duration};

use mockex::{Region, ServerVersion};
use postroad_core::mailbox::Event;
use postroad_proto::sync::v1::{DrainWorkerRequest, GetWorkerRequest, ListWorkersRequest, WorkerStatus};
use system::{
    Options, Role,
    activities::Activities,
    fragile::Member,
    histories::Histories,
    scene::{DEADLINE, Scene},
};

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_mailboxes_and_one_takes_over_from_a_killed_one() {
    let addresses: Vec<String> = (0..16).map(|number| format!("user{number}@contoso.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
    let options = Options { lease: Duration::from_millis(1000), ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.deployment.add_worker().unwrap();
    scene.enable(&addresses).await.unwrap();
    let shared = stage::eventually(DEADLINE, || async {
        let worker = scene.deployment.sync().get_worker(GetWorkerRequest {}).await.ok()?.into_inner();
        (worker.members.len() == 2 && (64..192).contains(&worker.partitions)).then_some(worker)
    });
    shared.await.expect("the workers do not share");
    for (number, address) in addresses.iter().enumerate() {
        scene.deliver("shared", number, address).unwrap();
    }
    scene.wait_for("shared", 0..16).await.unwrap();
    let histories = Histories::read(&scene.deployment).await.unwrap();
    let workers: BTreeSet<_> = histories
        .0
        .values()
        .flatten()
        .filter_map(|event| match event {
            Event::Claimed { worker, .. } => Some(worker.clone()),
            _ => None,
        })
        .collect();
    assert!(workers.len() >= 2, "only {workers:?} worked");

    scene.deployment.kill(Role::Sync).await.unwrap();
    for (number, address) in addresses.iter().enumerate() {
        scene.deliver("shared", 16 + number, address).unwrap();
    }
    scene.wait_for("shared", 0..32).await.unwrap();
    assert_eq!(Activities::read(&scene.deployment).await.unwrap().duplicates(), 0);
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

/// Given mailboxes that were this worker's, then another's; when the other one is killed and mail comes at that moment; then it waits
/// for no poll, which would be reckoned from when this worker looked last.
#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_that_come_back_to_a_worker_are_looked_at_at_once() {
    let region = Region::new("europe", ServerVersion::Exchange2016, EIGHT);
    let far = Duration::from_secs(3600);
    let options = Options { lease: Duration::from_millis(1000), poll: far, idle_poll: far, ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&EIGHT).await.unwrap();
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("own", number, address).unwrap();
    }
    scene.wait_for("own", 0..8).await.unwrap();
    scene.deployment.add_worker().unwrap();
    let shared = stage::eventually(DEADLINE, || async {
        let workers = workers(&scene).await;
        let is_shared = |worker: &WorkerStatus| (64..192).contains(&worker.partitions);
        (workers.len() == 2 && workers.iter().all(is_shared)).then_some(())
    });
    shared.await.expect("the workers do not share");
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("shared", number, address).unwrap();
    }
    scene.wait_for("shared", 0..8).await.unwrap();
    scene.deployment.kill_worker(0).await.unwrap();
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("back", number, address).unwrap();
    }
    scene.wait_for("back", 0..8).await.unwrap();
    check(&scene).await;
}

pub async fn workers(scene: &Scene) -> Vec<WorkerStatus> {
    let answer = scene.deployment.sync().list_workers(ListWorkersRequest::default()).await;
    answer.map(|answer| answer.into_inner().workers).unwrap_or_default()
}

async fn pair(addresses: &[&str], lease: Duration) -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
    let options = Options { lease, ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.deployment.add_worker().unwrap();
    scene.enable(addresses).await.unwrap();
    let shared = stage::eventually(DEADLINE, || async {
        let workers = workers(&scene).await;
        let is_shared = |worker: &WorkerStatus| (64..192).contains(&worker.partitions);
        (workers.len() == 2 && workers.iter().all(is_shared)).then_some(())
    });
    assert!(shared.await.is_some(), "the workers do not share");
    scene
}

pub const EIGHT: [&str; 8] = [
    "user0@contoso.example",
    "user1@contoso.example",
    "user2@contoso.example",
    "user3@contoso.example",
    "user4@contoso.example",
    "user5@contoso.example",
    "user6@contoso.example",
    "user7@contoso.example",
];

pub async fn check(scene: &Scene) {
    assert_eq!(Activities::read(&scene.deployment).await.unwrap().duplicates(), 0);
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

/// A lease that outlasts the test: whoever waited for it to run out would fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_hands_over_without_waiting_for_its_leases() {
    let scene = pair(&EIGHT, Duration::from_secs(300)).await;
    let own = scene.deployment.sync().get_worker(GetWorkerRequest {}).await.unwrap().into_inner().worker;
    scene.deployment.sync().drain_worker(DrainWorkerRequest { worker: own.clone() }).await.unwrap();
    let handed = stage::eventually(DEADLINE, || async {
        let workers = workers(&scene).await;
        let holds = |name: &str| workers.iter().find(|worker| worker.worker == name).map(|worker| worker.partitions);
        let is_handed_over =
            holds(&own) == Some(0) && workers.iter().any(|worker| worker.worker != own && worker.partitions == 256);
        is_handed_over.then_some(workers)
    });
    let workers = handed.await.expect("nothing was handed over");
    assert!(workers.iter().any(|worker| worker.worker == own && worker.is_draining), "{workers:?}");
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("drained", number, address).unwrap();
    }
    scene.wait_for("drained", 0..8).await.unwrap();
    check(&scene).await;
}

/// The same for a worker whose process is asked to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_hands_over_without_waiting_for_its_leases() {
    let mut scene = pair(&EIGHT, Duration::from_secs(300)).await;
    scene.deployment.process(Member::Role(Role::Sync)).unwrap().signal("TERM").await.unwrap();
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("ended", number, address).unwrap();
    }
    scene.wait_for("ended", 0..8).await.unwrap();
    check(&scene).await;
}

/// Given workers that hold everything; when NATS forgets who holds what, as after a restored backup; then they take it anew, and go on.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_nats_has_forgotten_are_taken_anew() {
    let scene = pair(&EIGHT, Duration::from_millis(1000)).await;
    let jetstream = async_nats::jetstream::new(scene.deployment.nats.client().await.unwrap());
    let bucket = jetstream.get_stream("KV_partitions").await.unwrap();
    bucket.purge().await.unwrap();
    assert_eq!(bucket.get_info().await.unwrap().state.messages, 0);
    let taken = stage::eventually(DEADLINE, || async {
        let is_told = bucket.get_info().await.ok()?.state.messages >= 256;
        let held: u32 = workers(&scene).await.iter().map(|worker| worker.partitions).sum();
        (is_told && held == 256).then_some(())
    });
    assert!(taken.await.is_some(), "nobody noticed");
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("forgotten", number, address).unwrap();
    }
    scene.wait_for("forgotten", 0..8).await.unwrap();
    check(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_after_its_leases_does_no_harm() {
    let scene = pair(&EIGHT, Duration::from_millis(1000)).await;
    let id = scene.deployment.process_id(Role::Sync).unwrap().to_string();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args(["-s", name, "--", &id]).status();
        assert!(status.unwrap().success(), "{name}");
    };
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("paused", number, address).unwrap();
    }
    // In the middle of its work.
    signal("STOP");
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("paused", 8 + number, address).unwrap();
    }
    scene.wait_for("paused", 0..16).await.unwrap();
    signal("CONT");
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("paused", 16 + number, address).unwrap();
    }
    scene.wait_for("paused", 0..24).await.unwrap();
    let takes_part = stage::eventually(DEADLINE, || async {
        let workers = workers(&scene).await;
        (workers.len() == 2 && workers.iter().all(|worker| worker.partitions >= 64)).then_some(())
    });
    takes_part.await.expect("the worker that woke takes no part again");
    check(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_from_a_snapshot_and_goes_on() {
    let region = Region::new("europe", ServerVersion::Exchange2016, EIGHT);
    let options = Options { snapshot_commits: 1, ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&EIGHT).await.unwrap();
    scene.deliver("kept", 0, EIGHT[0]).unwrap();
    scene.wait_for("kept", 0..1).await.unwrap();
    let kept = stage::eventually(DEADLINE, || async {
        let log = scene.deployment.logs().unwrap_or_default();
        log.contains("a snapshot of all mailboxes was kept").then_some(())
    });
    kept.await.expect("no snapshot was kept");
    scene.deployment.kill(Role::Sync).await.unwrap();
    // What happens now is not in the snapshot.
    for (number, address) in EIGHT.iter().enumerate() {
        scene.deliver("kept", 1 + number, address).unwrap();
    }
    scene.deployment.restart(Role::Sync).await.unwrap();
    scene.wait_for("kept", 0..9).await.unwrap();
    let log = scene.deployment.logs().unwrap();
    let last = log.lines().rfind(|line| line.contains("the mailboxes are known")).unwrap();
    assert!(!last.contains("\"snapshot\":0,"), "{last}");
    let verdict = scene.verdict(EIGHT[0], &system::message_id("kept", 0)).await.unwrap();
    assert!(verdict.tracked, "what was decided before the snapshot is still explained: {verdict:?}");
    check(&scene).await;
}
