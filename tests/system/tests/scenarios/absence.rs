//! NATS is gone for minutes, and comes back; or comes back with other passwords and certificates.

use std::{collections::BTreeMap, time::Duration};

use mockex::{Region, ServerVersion};
use postroad_proto::{
    crm::v1::EmailStatus,
    mailbox::v1::{MailboxSettings, SynchronizationMethod},
};
use serde_json::Value;
use system::{
    Options, Role,
    activities::Activities,
    fragile::Member,
    histories::Histories,
    scene::{DEADLINE, Scene, is_enabled},
};
use tokio::time::Instant;

use super::{
    sending::email,
    workers::{EIGHT, check, workers},
};

/// How long NATS is away where nobody says otherwise. By then every pause has grown to its longest: that of the connection (4 s) after 8 s;
/// that of followers of the journal (5 s, each try 5 s long) and of listeners to buckets (10 s, each try 5 s long) after 46 s.
const AWAY: Duration = Duration::from_secs(60);
/// The lease then.
const LEASE: Duration = Duration::from_millis(1000);
/// Asks for an absence of so many seconds, with the lease of a deployment.
const VARIABLE: &str = "POSTROAD_NATS_AWAY_SECONDS";
/// What reads in Exchange, or ends what did.
const READING: [&str; 9] = [
    "GetItem",
    "FindItem",
    "GetFolder",
    "FindFolder",
    "SyncFolderItems",
    "SyncFolderHierarchy",
    "Subscribe",
    "Unsubscribe",
    "GetStreamingEvents",
];
/// Both workers.
const WORKERS: [Member; 2] = [Member::Role(Role::Sync), Member::Worker(0)];

/// The length of the absence, and of the lease.
#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
fn lengths() -> (Duration, Duration) {
    let said = std::env::var(VARIABLE).ok().map(|text| text.parse().unwrap());
    let usual = Duration::from_millis(postroad_rig::config::Sync::default().lease_ms);
    said.map_or((AWAY, LEASE), |seconds| (Duration::from_secs(seconds), usual))
}

/// Mailboxes that send and receive, shared by two workers.
async fn shared(lease: Duration) -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, EIGHT);
    let options = Options { lease, figures: true, ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.deployment.add_worker().unwrap();
    for address in EIGHT {
        let outgoing_method = SynchronizationMethod::ServerSideSync.into();
        let both = MailboxSettings { outgoing_method, ..MailboxSettings::default() };
        scene.set_up().mailbox_with(address, both).await.unwrap();
    }
    assert!(scene.set_up().test_and_enable().await.unwrap().iter().all(is_enabled));
    let shared = stage::eventually(DEADLINE, || async {
        let workers = workers(&scene).await;
        (workers.len() == 2 && workers.iter().all(|worker| (64..192).contains(&worker.partitions))).then_some(())
    });
    assert!(shared.await.is_some(), "the workers do not share");
    scene
}

/// How often Exchange was asked for anything, but to forget somebody who listened: that is told later where the connection rests.
fn requests(scene: &Scene) -> u64 {
    let counters = scene.deployment.exchange.counters();
    counters.requests - counters.by_operation.get("Unsubscribe").copied().unwrap_or_default()
}

fn latest(scene: &Scene) -> Vec<String> {
    let requests = scene.deployment.exchange.requests();
    let latest = requests.iter().rev().take(20);
    latest.map(|request| request.operation.clone().unwrap_or_default()).collect()
}

/// How often Exchange was asked to change something.
fn writes(scene: &Scene) -> BTreeMap<String, u64> {
    let mut counts = scene.deployment.exchange.counters().by_operation;
    counts.retain(|operation, _| !READING.contains(&operation.as_str()));
    counts
}

/// Calls by which workers changed something in the CRM, as the role counts them; those that it could not carry out changed nothing.
async fn changes(scene: &Scene) -> Vec<String> {
    let figures = scene.deployment.figures(Role::Crm).await.unwrap();
    let changing = ["PromoteEmail", "UntrackEmail", "ImposeRegarding", "ClaimEmail", "ReportDelivery"];
    let is_change = |line: &&str| {
        let is_done = line.starts_with("postroad_grpc_requests_total") && line.contains("code=\"OK\"");
        is_done && changing.iter().any(|method| line.contains(method))
    };
    figures.lines().filter(is_change).map(str::to_owned).collect()
}

fn said(scene: &Scene, member: Member, what: &str) -> usize {
    scene.deployment.log_of(member).matches(what).count()
}

/// How often a process said each thing, warnings and worse.
fn complaints(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let part = |name: &str| line.pointer(name).and_then(Value::as_str).unwrap_or_default();
        if ["WARN", "ERROR"].contains(&part("/level")) {
            let text = format!("{}: {}", part("/target"), part("/fields/message"));
            // Times and numbers aside, it is the same.
            *counts.entry(text.replace(|c: char| c.is_ascii_digit(), "0")).or_insert(0) += 1;
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_nothing_is_done_in_any_mailbox_and_it_is_said_once() {
    let (away, lease) = lengths();
    let mut scene = shared(lease).await;
    scene.deliver("before", 0, EIGHT[0]).unwrap();
    scene.wait_for("before", [0]).await.unwrap();
    let mut sent = Vec::new();
    for from in EIGHT {
        sent.push(scene.send(email(from, &["buyer@fabrikam.example"], &format!("Of {from}")), "Hello").await.unwrap());
        scene.deliver("before", 1 + sent.len(), from).unwrap();
    }
    // In the middle of sending and tracking.
    scene.deployment.nats.kill().await.unwrap();
    let began = Instant::now();
    for member in WORKERS {
        let stopped =
            stage::eventually(DEADLINE, || async { (said(&scene, member, "the leases ran out") > 0).then_some(()) });
        stopped.await.expect("nobody says that NATS is gone");
    }
    let written = writes(&scene);
    // What was being read when the leases ran out comes to its end.
    let mut last = requests(&scene);
    let quiet = stage::eventually(DEADLINE, || {
        let before = std::mem::replace(&mut last, requests(&scene));
        let now = last;
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (now == before).then_some(before)
        }
    });
    let quiet = quiet.await.expect("the servers are asked on");
    let (changed, tracked) = (changes(&scene).await, Activities::read(&scene.deployment).await.unwrap());
    let left = || away.saturating_sub(began.elapsed());
    for number in 0..3 {
        for (mailbox, address) in EIGHT.iter().enumerate() {
            scene.deliver("gone", number * EIGHT.len() + mailbox, address).unwrap();
        }
        let until = left().saturating_sub(away / 3 * (2 - u32::try_from(number).unwrap()));
        let asked = stage::eventually(until, || async { (requests(&scene) > quiet).then_some(()) });
        assert!(asked.await.is_none(), "a mailbox was looked at under no lease: {:?}", latest(&scene));
    }
    assert_eq!(writes(&scene), written, "something was changed in Exchange under no lease");
    assert_eq!(changes(&scene).await, changed, "something was changed in the CRM under no lease");
    assert_eq!(Activities::read(&scene.deployment).await.unwrap(), tracked);
    let complained: Vec<_> = WORKERS
        .into_iter()
        .chain(Role::ALL.map(Member::Role))
        .map(|member| (member.name(), complaints(&scene.deployment.log_of(member))))
        .collect();
    let (gone, back) = (began.elapsed(), Instant::now());
    scene.deployment.nats.restart().await.unwrap();
    scene.wait_for("gone", 0..3 * EIGHT.len()).await.unwrap();
    scene.wait_for("before", (0..1).chain(2..2 + EIGHT.len())).await.unwrap();
    for id in &sent {
        scene.email(id, "sent", |email| email.status() == EmailStatus::Sent).await.unwrap();
    }
    println!("NATS was away for {} s; all was done {} s after it came back", gone.as_secs(), back.elapsed().as_secs());
    for from in EIGHT {
        let subject = format!("Of {from} ");
        let mails = scene.deployment.exchange.sent();
        let copies = mails.iter().filter(|mail| mail.subject.as_deref().is_some_and(|sent| sent.starts_with(&subject)));
        assert_eq!(copies.count(), 1, "{from}");
    }
    for member in WORKERS {
        let again =
            stage::eventually(DEADLINE, || async { (said(&scene, member, "NATS answers again") > 0).then_some(()) });
        again.await.expect("nobody says that NATS is back");
        assert_eq!((said(&scene, member, "the leases ran out"), said(&scene, member, "NATS answers again")), (1, 1));
    }
    for (name, complaints) in complained {
        for (text, count) in complaints {
            println!("{name} said {count} times: {text}");
        }
    }
    for role in Role::ALL {
        assert!(scene.deployment.is_running(role), "{} ended", role.name());
        assert_eq!(said(&scene, Member::Role(role), "serving gRPC"), 1, "{} was started again", role.name());
    }
    check(&scene).await;
}

/// Each way round: the server is ahead of the files, and the files are ahead of the server.
#[tokio::test(flavor = "multi_thread")]
async fn roles_come_back_with_the_passwords_and_certificates_that_their_files_hold_by_then() {
    let region = Region::new("europe", ServerVersion::Exchange2016, [EIGHT[0]]);
    let options = Options { secured: true, passwords: true, ..Options::default() };
    let mut scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&EIGHT[..1]).await.unwrap();
    scene.deliver("anew", 0, EIGHT[0]).unwrap();
    scene.wait_for("anew", [0]).await.unwrap();
    let security = scene.deployment.security().unwrap();
    let files = Role::ALL.map(|role| security.password_file(role.name()));
    let read = || files.each_ref().map(|file| std::fs::read(file).unwrap());
    let write = |passwords: &[Vec<u8>]| {
        files.iter().zip(passwords).for_each(|(file, text)| std::fs::write(file, text).unwrap())
    };
    let former = read();
    security.change_passwords().unwrap();
    let (later, anew) = (read(), security.nats().unwrap());
    write(&former);
    scene.deployment.nats.restart_with(anew).await.unwrap();
    let refused = stage::eventually(DEADLINE, || async {
        let log = scene.deployment.nats.log();
        let is_refused = |role: &Role| log.contains(&format!("User \"{}.roles.postroad.internal\"", role.name()));
        (log.contains("authentication error") && Role::ALL.iter().all(is_refused)).then_some(())
    });
    refused.await.unwrap_or_else(|| panic!("the former passwords are not refused: {}", scene.deployment.nats.log()));
    write(&later);
    scene.deliver("anew", 1, EIGHT[0]).unwrap();
    scene.wait_for("anew", [1]).await.unwrap();

    // Certificates by another authority, of the server too: whoever still had the former ones could not connect.
    let security = scene.deployment.security().unwrap();
    security.issue().unwrap();
    let anew = security.nats().unwrap();
    scene.deployment.nats.restart_with(anew).await.unwrap();
    scene.deliver("anew", 2, EIGHT[0]).unwrap();
    scene.wait_for("anew", [2]).await.unwrap();
    for role in Role::ALL {
        assert!(scene.deployment.is_running(role), "{} ended", role.name());
        assert_eq!(said(&scene, Member::Role(role), "serving gRPC"), 1, "{} was started again", role.name());
    }
    // Roles and this test look at their files every two seconds, each by itself: until all have, they do not know each other.
    let known = stage::eventually(DEADLINE, || async {
        let activities = Activities::read(&scene.deployment).await.ok()?;
        Some((activities, Histories::read(&scene.deployment).await.ok()?))
    });
    let (activities, histories) = known.await.expect("the roles are not known by their new certificates");
    assert_eq!(activities.duplicates(), 0);
    histories.check().unwrap();
}
