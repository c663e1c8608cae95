//! Everything by mutual TLS, and every role with a NATS user that may do its own work and nothing else.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use mockex::{Region, ServerVersion};
use system::{
    Options,
    histories::Histories,
    scene::Scene,
    security::{Secured, Told},
};

const ADA: &str = "ada@contoso.example";
const ID: &str = "0198c1aa-0000-7000-8000-000000000001";
/// Those that share the journal.
const ROLES: [&str; 4] = ["profile", "sync", "alert", "crm"];
const READERS: &[&str] = &["profile", "sync", "alert", "crm"];

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
    // The journal, read.
    ("$JS.API.DIRECT.GET.JOURNAL", "{\"seq\":1}", READERS),
    ("$JS.API.DIRECT.GET.JOURNAL.journal.profile.ID", "", READERS),
    ("$JS.API.CONSUMER.CREATE.JOURNAL.probe", "{}", READERS),
    ("$JS.API.CONSUMER.MSG.NEXT.JOURNAL.probe", "", READERS),
    // Streams are nobody's to make, change, empty, copy, list or remove.
    ("$JS.API.STREAM.CREATE.OTHER", "{}", &[]),
    ("$JS.API.STREAM.CREATE.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.UPDATE.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.DELETE.JOURNAL", "", &[]),
    ("$JS.API.STREAM.PURGE.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.MSG.DELETE.JOURNAL", "{}", &["crm"]),
    ("$JS.API.STREAM.MSG.GET.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.SNAPSHOT.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.RESTORE.JOURNAL", "{}", &[]),
    ("$JS.API.STREAM.NAMES", "", &[]),
    ("$JS.API.STREAM.LIST", "", &[]),
    ("$JS.API.CONSUMER.NAMES.JOURNAL", "", &[]),
    ("$JS.API.CONSUMER.LIST.JOURNAL", "", &[]),
    ("$JS.API.CONSUMER.DURABLE.CREATE.JOURNAL.probe", "{}", &[]),
    ("$JS.API.STREAM.UPDATE.KV_leases", "{}", &[]),
    ("$JS.API.STREAM.DELETE.KV_leases", "", &[]),
    ("$JS.API.STREAM.DELETE.OBJ_content", "", &[]),
    // Buckets: written and read by their owner.
    ("$KV.leases.probe", "", &["sync"]),
    ("$KV.members.probe", "", &["sync"]),
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

/// It may do in its account what it likes: none of it arrives where the others are, not even by the way that NATS leaves open, an answer
/// of the server that is sent to a subject of somebody's choice.
async fn nothing_of_the_others_is_in_the_locators_account(security: &Secured, scene: &Scene) {
    let (client, _told) = security.connect(&scene.deployment.nats, "locator").await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
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
    let shared = async_nats::jetstream::new(scene.deployment.nats.client().await.unwrap());
    let journal = shared.get_stream_no_info("JOURNAL").await.unwrap();
    let found = journal.direct_get_last_for_subject(format!("journal.profile.{ID}")).await;
    assert_eq!(found.unwrap_err().kind(), async_nats::jetstream::stream::DirectGetErrorKind::NotFound);
}

/// What is wrong with what a role may.
async fn tried_as(security: &Secured, scene: &Scene, role: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (client, mut told) = security.connect(&scene.deployment.nats, role).await.unwrap();
    for (subject, payload, owners) in TRIES {
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
