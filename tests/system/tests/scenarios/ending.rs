//! Workers that are asked to end: nothing that they do is cut off, since it ends by itself.

use std::time::Duration;

use mockex::{Fault, FaultKind};
use postroad_proto::sync::v1::ListServersRequest;
use system::{
    Role,
    fragile::Member,
    scene::{DEADLINE, Scene},
};
use tokio::time::Instant;

use super::workers::{EIGHT, check, workers};

/// Ends the worker by SIGTERM; gives how long that took.
async fn end(scene: &mut Scene) -> Duration {
    let began = Instant::now();
    let process = scene.deployment.process(Member::Role(Role::Sync)).unwrap();
    assert!(process.stop(Duration::from_secs(20)).await.unwrap(), "it had to be killed");
    let took = began.elapsed();
    let log = scene.deployment.log_of(Member::Role(Role::Sync));
    for cut in ["did not end within", "did not end were cut"] {
        assert!(!log.contains(cut), "{cut}: {log}");
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_in_the_middle_of_its_work_leaves_nothing_to_be_cut() {
    let mut scene = Scene::of(&EIGHT).await.unwrap();
    for round in 0..8 {
        for (mailbox, address) in EIGHT.iter().enumerate() {
            scene.deliver("ended", round * EIGHT.len() + mailbox, address).unwrap();
        }
        // At another moment of the work each time.
        scene.wait_for("ended", 0..round * EIGHT.len() + round).await.unwrap();
        println!("round {round}: {} ms", end(&mut scene).await.as_millis());
        scene.deployment.restart(Role::Sync).await.unwrap();
        scene.deployment.wait_serving(Role::Sync).await.unwrap();
    }
    scene.wait_for("ended", 0..8 * EIGHT.len()).await.unwrap();
    check(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_wait_for_a_server_that_does_not_answer() {
    let mut scene = Scene::of(&EIGHT).await.unwrap();
    // Longer than anybody waits.
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::Slow { milliseconds: 600_000 }));
    let is_down = async || {
        let servers = scene.deployment.sync().list_servers(ListServersRequest::default()).await.ok()?.into_inner();
        let is_down = servers.servers.iter().any(|server| server.outage.is_some());
        let is_idle = workers(&scene).await.iter().all(|worker| worker.running == 0);
        Some(is_down && is_idle)
    };
    let down = stage::eventually(DEADLINE, || async { is_down().await.filter(|is_down| *is_down) });
    down.await.expect("the server is not known to be down");
    // The first probe begins a second later, and takes ten.
    let up = stage::eventually(Duration::from_secs(2), || async { is_down().await.filter(|is_down| !is_down) });
    assert!(up.await.is_none());
    println!("{} ms", end(&mut scene).await.as_millis());
}
