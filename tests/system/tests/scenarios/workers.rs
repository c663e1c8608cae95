//! Several workers.

use std::collections::BTreeSet;

use mockex::{Region, ServerVersion};
use postroad_core::mailbox::Event;
use postroad_proto::sync::v1::GetWorkerRequest;
use system::{
    Options, Role,
    activities::Activities,
    histories::Histories,
    scene::{DEADLINE, Scene},
};

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_mailboxes_and_one_takes_over_from_a_killed_one() {
    let addresses: Vec<String> = (0..16).map(|number| format!("user{number}@contoso.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
    let options = Options { lease: std::time::Duration::from_millis(1000), ..Options::default() };
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
