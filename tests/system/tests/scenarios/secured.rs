//! Everything by mutual TLS, and every role with a NATS user that may do its own work and nothing else.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{self, consumer::pull::OrderedConfig, stream::DirectGetErrorKind},
};
use bytes::Bytes;
use futures::StreamExt as _;
use mockex::{Region, ServerVersion};
use postroad_journal::{Journal, Kind};
use postroad_rig::nats::permission;
use serde_json::json;
use stage::{Nats, eventually};
use system::{
    Options,
    histories::Histories,
    scene::Scene,
    security::{Secured, Told},
};

const PATIENCE: Duration = Duration::from_secs(30);
const ADA: &str = "ada@contoso.example";
const ID: &str = "0198c1aa-0000-7000-8000-000000000001";
/// Those that share the journal.
const ROLES: [&str; 4] = ["profile", "sync", "alert", "crm"];
/// The parts of the journal: the stream, a kind in it, who reads it, and who follows it.
const PARTS: [(&str, &str, &[&str], &[&str]); 4] = [
    ("JOURNAL", "mailbox", &["profile", "sync", "alert"], &["profile", "sync", "alert"]),
    ("JOURNAL_CRM", "email", &["crm"], &["crm"]),
    ("JOURNAL_NAMES", "name", &["profile", "crm"], &[]),
    ("JOURNAL_NOTIFICATIONS", "notification", &["alert"], &["alert"]),
];

/// A subject, what is sent to it, and the roles that may.
type Try = (&'static str, &'static str, &'static [&'static str]);

/// What is tried as each role. Whatever is allowed here changes nothing: it expects a last sequence that no subject has, or asks for
/// nothing that exists.
const TRIES: &[Try] = &[
    // Commits.
    ("journal.profile.ID", "", &["profile"]),
    ("journal.mailbox.ID", "", &["profile", "sync"]),
    ("journal.record.ID", "", &["crm"]),
    ("journal.email.ID", "", &["crm"]),
    ("journal.organization.ID", "", &["crm"]),
    ("journal.erasure.ID", "", &["crm"]),
    ("journal.name.ID", "", &["profile", "crm"]),
    ("journal.notification.ID", "", &["alert"]),
    ("journal.new.ID", "", &[]),
    // Streams are nobody's to make or list; those of the journal are in `on_the_journal`.
    ("$JS.API.STREAM.CREATE.OTHER", "{}", &[]),
    ("$JS.API.STREAM.NAMES", "", &[]),
    ("$JS.API.STREAM.LIST", "", &[]),
    ("$JS.API.STREAM.UPDATE.KV_leases", "{}", &[]),
    ("$JS.API.STREAM.DELETE.KV_leases", "", &[]),
    ("$JS.API.STREAM.DELETE.OBJ_content", "", &[]),
    // Buckets: written and read by their owner.
    ("$KV.leases.probe", "", &["sync"]),
    ("$KV.partitions.probe", "", &["sync"]),
    ("$KV.locations.probe", "", &[]),
    ("$KV.autodiscover.probe", "", &[]),
    ("$O.content.M.probe", "", &["crm"]),
    ("$O.content.C.probe", "", &["crm"]),
    ("$O.snapshot.M.probe", "", &["sync"]),
    ("$JS.API.DIRECT.GET.KV_leases.$KV.leases.probe", "", &["sync"]),
    ("$JS.API.DIRECT.GET.KV_locations.$KV.locations.probe", "", &[]),
    ("$JS.API.DIRECT.GET.OBJ_content.$O.content.M.probe", "", &["crm"]),
    ("$JS.API.DIRECT.GET.OBJ_content", "{\"seq\":1}", &["crm"]),
    ("$JS.API.STREAM.MSG.GET.OBJ_content", "{\"seq\":1}", &["crm"]),
    ("$JS.API.CONSUMER.CREATE.OBJ_content", "{}", &["crm"]),
    ("$JS.API.CONSUMER.CREATE.OBJ_snapshot", "{}", &["sync"]),
    ("$JS.API.CONSUMER.CREATE.KV_leases", "{}", &["sync"]),
    ("$JS.API.STREAM.PURGE.OBJ_content", "{\"filter\":\"$O.content.C.none\"}", &["crm"]),
    ("$JS.API.STREAM.PURGE.KV_leases", "{}", &[]),
    // What workers tell each other.
    ("postroad.wake.none", "", &["sync"]),
    ("postroad.sync.drain.none", "", &["sync"]),
    ("_INBOX_sync.none", "", &["sync"]),
    ("_INBOX_profile.none", "", &[]),
    ("$SYS.REQ.SERVER.PING", "", &[]),
    ("$JS.API.META.LEADER.STEPDOWN", "", &[]),
];

/// What is tried on each part of the journal.
fn on_the_journal() -> Vec<(String, &'static str, &'static [&'static str])> {
    let mut tries = Vec::new();
    for (stream, kind, readers, followers) in PARTS {
        let erasers: &[_] = if stream == "JOURNAL_CRM" { &["crm"] } else { &[] };
        let of_stream = |(verb, payload, owners)| (format!("$JS.API.{verb}.{stream}"), payload, owners);
        let whole: [(&str, &str, &[&str]); 15] = [
            ("STREAM.INFO", "", readers),
            ("DIRECT.GET", "{\"seq\":1}", readers),
            ("DIRECT.GET", "{\"seq\":1,\"next_by_subj\":\"journal.>\"}", readers),
            ("STREAM.MSG.GET", "{\"seq\":1}", &[]),
            ("STREAM.MSG.DELETE", "{}", erasers),
            ("CONSUMER.CREATE", "{}", followers),
            ("CONSUMER.NAMES", "", &[]),
            ("CONSUMER.LIST", "", &[]),
            // Nobody makes, changes, empties, copies or removes one.
            ("STREAM.CREATE", "{}", &[]),
            ("STREAM.UPDATE", "{}", &[]),
            ("STREAM.DELETE", "", &[]),
            ("STREAM.PURGE", "{}", &[]),
            ("STREAM.SNAPSHOT", "{}", &[]),
            ("STREAM.RESTORE", "{}", &[]),
            ("STREAM.LEADER.STEPDOWN", "", &[]),
        ];
        tries.extend(whole.map(of_stream));
        tries.extend([
            (format!("$JS.API.DIRECT.GET.{stream}.journal.{kind}.ID"), "", readers),
            (format!("$JS.API.DIRECT.GET.{stream}.journal.>"), "", readers),
            // Without a filter, and with one.
            (format!("$JS.API.CONSUMER.CREATE.{stream}.probe"), "{}", followers),
            (format!("$JS.API.CONSUMER.CREATE.{stream}.probe.journal.{kind}.*"), "{}", followers),
            (format!("$JS.API.CONSUMER.INFO.{stream}.probe"), "", followers),
            (format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.probe"), "", followers),
            (format!("$JS.API.CONSUMER.DELETE.{stream}.probe"), "", followers),
            (format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.probe"), "{}", &[][..]),
        ]);
    }
    tries
}

/// What nobody hears but its owner.
const HEARD: &[(&str, &[&str])] = &[
    (">", &[]),
    ("_INBOX.>", &[]),
    ("journal.>", &[]),
    ("$KV.>", &[]),
    ("$O.content.>", &[]),
    ("$JS.>", &[]),
    ("$SYS.>", &[]),
    ("postroad.wake.*", &["sync"]),
    ("postroad.sync.>", &["sync"]),
];

async fn secured() -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA]);
    let options = Options { secured: true, ..Options::default() };
    let scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_is_done_by_roles_that_may_do_nothing_else() {
    let mut scene = secured().await;
    (0..10).for_each(|number| drop(scene.deliver("secured", number, ADA).unwrap()));
    scene.wait_for("secured", 0..10).await.unwrap();
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
    let security = scene.deployment.security().unwrap();
    for role in ROLES {
        assert_eq!(tried_as(security, &scene, role).await, Vec::<String>::new(), "{role}");
        assert_eq!(heard_as(security, &scene, role).await, Vec::<String>::new(), "{role}");
    }
    for role in ROLES {
        nothing_of_the_others_comes_by_what_it_may_do(security, &scene, role).await;
    }
    nothing_of_the_others_is_in_the_locators_account(security, &scene).await;
    // What was tried did no harm, and nothing that the roles need was denied to them.
    scene.deliver("secured", 10, ADA).unwrap();
    scene.wait_for("secured", [10]).await.unwrap();
    assert_eq!(scene.deployment.stop().await.unwrap(), [], "roles that had to be killed");
    let logs = scene.deployment.logs().unwrap();
    assert!(!logs.contains("NATS_DENIED"), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_another_roles_user_says_what_it_may_not() {
    let mut scene = secured().await;
    scene.deployment.stop().await.unwrap();
    let alert = scene.deployment.security().unwrap().files("alert");
    let crm = scene.deployment.security().unwrap().files("crm");
    let config = std::fs::read_to_string(scene.deployment.config_of("crm")).unwrap();
    // Its certificate for callers stays its own; that for NATS is another's.
    let (head, nats) = config.split_once("[nats]").unwrap();
    let swapped = nats
        .replace(&crm.certificate.display().to_string(), &alert.certificate.display().to_string())
        .replace(&crm.key.display().to_string(), &alert.key.display().to_string());
    let file = scene.deployment.config().with_file_name("swapped.toml");
    std::fs::write(&file, format!("{head}[nats]{swapped}")).unwrap();
    let run = tokio::process::Command::new(scene.deployment.postroad())
        .args(["crm", "--config"])
        .arg(&file)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["NATS_DENIED", "alert.roles.postroad.internal", "postroad nats permissions"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Whoever reads a stream gets what is in that stream, whatever the request says that it wants.
async fn nothing_of_the_others_comes_by_what_it_may_do(security: &Secured, scene: &Scene, role: &str) {
    let (client, _told) = security.connect(&scene.deployment.nats, role).await.unwrap();
    let context = jetstream::new(client.clone());
    for (stream, ..) in PARTS.into_iter().filter(|(.., followers)| followers.contains(&role)) {
        let foreign = PARTS.into_iter().filter(|(other, ..)| *other != stream);
        for (other, kind, ..) in foreign {
            let config = json!({"deliver_policy": "all", "ack_policy": "none", "mem_storage": true});
            let request = json!({"stream_name": other, "config": config}).to_string();
            let answer = client.request(format!("$JS.API.CONSUMER.CREATE.{stream}"), request.into()).await.unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
            assert!(
                answer.get("error").is_some_and(serde_json::Value::is_object),
                "{role}, {other} by {stream}: {answer}"
            );
            let journal = context.get_stream(stream).await.unwrap();
            let found = journal.direct_get_next_for_subject(format!("journal.{kind}.*"), Some(1)).await;
            assert_eq!(found.unwrap_err().kind(), DirectGetErrorKind::NotFound, "{role}, {kind} in {stream}");
        }
        let journal = context.get_stream(stream).await.unwrap();
        let mut consumer = journal.create_consumer(OrderedConfig::default()).await.unwrap();
        let commits = consumer.info().await.unwrap().num_pending;
        let messages: Vec<_> = consumer.messages().await.unwrap().take(commits as usize).collect().await;
        for message in messages {
            let subject = message.unwrap().subject.to_string();
            let kind = subject.split('.').nth(1).unwrap();
            let part = Kind::ALL.into_iter().find(|one| one.token() == kind).map(|kind| kind.part().stream("JOURNAL"));
            assert_eq!(part.as_deref(), Some(stream), "{role}: {subject}");
        }
        assert!(commits > 0 || stream == "JOURNAL_NOTIFICATIONS", "{role}: {stream}");
    }
}

/// It may do in its account what it likes: none of it arrives where the others are, not even by the way that NATS leaves open, an answer
/// of the server that is sent to a subject of somebody's choice.
async fn nothing_of_the_others_is_in_the_locators_account(security: &Secured, scene: &Scene) {
    let (client, _told) = security.connect(&scene.deployment.nats, "locator").await.unwrap();
    let jetstream = jetstream::new(client.clone());
    assert!(jetstream.get_stream("JOURNAL").await.is_err());
    let answer = client.request(format!("journal.profile.{ID}"), Bytes::new()).await;
    assert_eq!(answer.unwrap_err().kind(), async_nats::RequestErrorKind::NoResponders);
    let bucket = jetstream.get_key_value("locations").await.unwrap();
    bucket.put("probe", "forged".into()).await.unwrap();
    let get = "$JS.API.DIRECT.GET.KV_locations.$KV.locations.probe";
    let mut echoes = client.subscribe(format!("journal.profile.{ID}")).await.unwrap();
    client.publish_with_reply(get, format!("journal.profile.{ID}"), Bytes::new()).await.unwrap();
    let echo = tokio::time::timeout(Duration::from_secs(20), echoes.next()).await.unwrap().unwrap();
    assert_eq!(echo.payload, "forged", "the way is open in its own account");
    let shared = jetstream::new(scene.deployment.nats.client().await.unwrap());
    let journal = shared.get_stream_no_info("JOURNAL").await.unwrap();
    let found = journal.direct_get_last_for_subject(format!("journal.profile.{ID}")).await;
    assert_eq!(found.unwrap_err().kind(), DirectGetErrorKind::NotFound);
}

/// What THREATS.md says of roles that are under an attacker's control, within one NATS account: the server does not check where its answer to
/// an allowed request goes, so whoever may read what he wrote himself can have it sent wherever he likes, also to JetStream. Where a
/// newer server closes that, this fails, and the text is to be changed.
#[tokio::test(flavor = "multi_thread")]
async fn nats_does_not_hold_a_role_that_directs_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let security = Secured::new(folder.path(), false).unwrap();
    let options = stage::nats::Options { security: Some(security.nats().unwrap()), ..stage::nats::Options::default() };
    let nats = Nats::start(options).await.unwrap();
    let everything = nats.client().await.unwrap();
    Journal::prepare(&everything, postroad_journal::Options::default()).await.unwrap();
    let journal = jetstream::new(everything.clone());
    journal.publish("journal.email.a", "a letter".into()).await.unwrap().await.unwrap();

    let (alert, _told) = security.connect(&nats, "alert").await.unwrap();
    let mut heard = alert.subscribe(format!("{}.stolen.>", permission::inbox("alert"))).await.unwrap();
    let own = "journal.notification.a";
    let get = format!("$JS.API.DIRECT.GET.JOURNAL_NOTIFICATIONS.{own}");
    // It writes what is another's.
    jetstream::new(alert.clone()).publish(own, "forged".into()).await.unwrap().await.unwrap();
    alert.publish_with_reply(get.clone(), "journal.email.b", Bytes::new()).await.unwrap();
    let crm = journal.get_stream("JOURNAL_CRM").await.unwrap();
    let forged = || async { crm.direct_get_last_for_subject("journal.email.b").await.ok() };
    assert_eq!(eventually(PATIENCE, forged).await.unwrap().payload, "forged");
    // And reads it, by a stream that copies the other one.
    let republish = json!({"src": ">", "dest": format!("{}.stolen.>", permission::inbox("alert"))});
    let copy =
        json!({"name": "COPY", "storage": "memory", "sources": [{"name": "JOURNAL_CRM"}], "republish": republish});
    jetstream::new(alert.clone()).publish(own, copy.to_string().into()).await.unwrap().await.unwrap();
    alert.publish_with_reply(get, "$JS.API.STREAM.CREATE.COPY", Bytes::new()).await.unwrap();
    let stolen = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
    assert_eq!(stolen.payload, "a letter");
}

/// What is wrong with what a role may.
async fn tried_as(security: &Secured, scene: &Scene, role: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (client, mut told) = security.connect(&scene.deployment.nats, role).await.unwrap();
    let listed = TRIES.iter().map(|(subject, payload, owners)| ((*subject).to_owned(), *payload, *owners));
    for (subject, payload, owners) in listed.chain(on_the_journal()) {
        let subject = subject.replace("ID", ID);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "999999999");
        let is_commit = payload.is_empty() && !subject.starts_with("$JS");
        let asked = async {
            match is_commit {
                true => client.request_with_headers(subject.clone(), headers, Bytes::new()).await,
                false => client.request(subject.clone(), Bytes::from_static(payload.as_bytes())).await,
            }
        };
        let denied = tokio::select! {
            said = denial(&mut told, &subject) => said,
            answer = asked => match answer {
                Ok(_) => false,
                Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => false,
                Err(error) => panic!("{role}: {subject}: {error}"),
            },
        };
        if denied == owners.contains(&role) {
            wrong.push(format!("{subject} is {}", if denied { "denied" } else { "allowed" }));
        }
    }
    wrong
}

/// What a role hears that it must not.
async fn heard_as(security: &Secured, scene: &Scene, role: &str) -> Vec<String> {
    let (client, mut told) = security.connect(&scene.deployment.nats, role).await.unwrap();
    let others = ROLES.into_iter().filter(|other| *other != role).map(|other| (format!("_INBOX_{other}.>"), false));
    let listed = HEARD.iter().map(|(subject, owners)| ((*subject).to_owned(), owners.contains(&role)));
    let mut wrong = Vec::new();
    for (subject, _) in listed.chain(others).filter(|(_, allowed)| !allowed) {
        let subscription = client.subscribe(subject.clone()).await.unwrap();
        let denied = tokio::time::timeout(Duration::from_secs(20), denial(&mut told, &subject)).await;
        drop(subscription);
        if denied != Ok(true) {
            wrong.push(format!("{subject} is heard"));
        }
    }
    wrong
}

async fn denial(told: &mut Told, subject: &str) -> bool {
    let quoted = format!("\"{subject}\"").to_lowercase();
    loop {
        let said = told.recv().await.unwrap().to_lowercase();
        if said.contains("permissions violation") && said.contains(&quoted) {
            return true;
        }
    }
}
