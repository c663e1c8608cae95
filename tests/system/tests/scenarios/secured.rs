//! Everything by mutual TLS, and every role in a NATS account of its own, as a user that may do its own work and nothing else.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{self, ContextBuilder, stream::DirectGetErrorKind},
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use mockex::{Region, ServerVersion};
use postroad_journal::{Journal, Kind, Options as Parts, Part, SHARED_API};
use postroad_rig::nats::permission;
use serde_json::json;
use stage::Nats;
use system::{
    Options,
    histories::Histories,
    scene::Scene,
    security::{Secured, Told},
};

const PATIENCE: Duration = Duration::from_secs(30);
const ADA: &str = "ada@contoso.example";
const ID: &str = "0198c1aa-0000-7000-8000-000000000001";
/// Those that need anything of each other.
const ROLES: [&str; 4] = ["profile", "sync", "alert", "crm"];
/// JetStream of a role's own account.
const OWN_API: &str = "$JS.API";
/// The parts of the journal: the stream, a kind in it, what requests about it begin with, and who reads it.
const PARTS: [(&str, &str, &str, &[&str]); 4] = [
    ("JOURNAL", "mailbox", SHARED_API, &["profile", "sync", "alert"]),
    ("JOURNAL_CRM", "email", OWN_API, &["crm"]),
    ("JOURNAL_NAMES", "name", SHARED_API, &["profile", "crm"]),
    ("JOURNAL_NOTIFICATIONS", "notification", OWN_API, &["alert"]),
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
    // Whether the shared account is there is asked by those who share it.
    ("postroad.api.INFO", "", &["profile", "sync", "alert", "crm"]),
    ("postroad.api.STREAM.NAMES", "", &[]),
    ("postroad.api.STREAM.CREATE.OTHER", "{}", &[]),
    // A role makes its own, and no others; those of the journal are in `on_the_journal`.
    ("$JS.API.STREAM.CREATE.OTHER", "{}", &[]),
    ("$JS.API.STREAM.NAMES", "", &[]),
    ("$JS.API.STREAM.LIST", "", &[]),
    ("$JS.API.STREAM.UPDATE.KV_leases", "{}", &["sync"]),
    ("$JS.API.STREAM.CREATE.OBJ_content", "{}", &["crm"]),
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

/// What is tried on each part of the journal, where it is and where it is not.
fn on_the_journal() -> Vec<(String, &'static str, &'static [&'static str])> {
    const NOBODY: &[&str] = &[];
    let mut tries = Vec::new();
    for (stream, kind, home, readers) in PARTS {
        for api in [OWN_API, SHARED_API] {
            let readers = if api == home { readers } else { NOBODY };
            let makers = if api == OWN_API { readers } else { NOBODY };
            // Who commits looks for the last commit.
            let committers: &[_] =
                if readers.contains(&"alert") && stream == "JOURNAL" { &["profile", "sync"] } else { readers };
            let erasers = if stream == "JOURNAL_CRM" { makers } else { NOBODY };
            let of_stream = |(verb, payload, owners)| (format!("{api}.{verb}.{stream}"), payload, owners);
            let whole = [
                ("STREAM.INFO", "", readers),
                ("DIRECT.GET", "{\"seq\":1}", readers),
                ("DIRECT.GET", "{\"seq\":1,\"next_by_subj\":\"journal.>\"}", readers),
                ("STREAM.MSG.GET", "{\"seq\":1}", NOBODY),
                ("STREAM.MSG.DELETE", "{}", erasers),
                ("STREAM.CREATE", "{}", makers),
                ("STREAM.UPDATE", "{}", makers),
                // Whoever makes a consumer says where it delivers.
                ("CONSUMER.CREATE", "{}", NOBODY),
                ("CONSUMER.NAMES", "", NOBODY),
                ("CONSUMER.LIST", "", NOBODY),
                // Nobody empties, copies or removes one.
                ("STREAM.DELETE", "", NOBODY),
                ("STREAM.PURGE", "{}", NOBODY),
                ("STREAM.SNAPSHOT", "{}", NOBODY),
                ("STREAM.RESTORE", "{}", NOBODY),
                ("STREAM.LEADER.STEPDOWN", "", NOBODY),
            ];
            tries.extend(whole.map(of_stream));
            tries.extend([
                (format!("{api}.DIRECT.GET.{stream}.journal.{kind}.ID"), "", committers),
                (format!("{api}.DIRECT.GET.{stream}.journal.>"), "", committers),
                (format!("{api}.CONSUMER.CREATE.{stream}.probe.journal.{kind}.*"), "{}", NOBODY),
                (format!("{api}.CONSUMER.MSG.NEXT.{stream}.probe"), "", NOBODY),
                (format!("{api}.CONSUMER.DELETE.{stream}.probe"), "", NOBODY),
                (format!("{api}.CONSUMER.DURABLE.CREATE.{stream}.probe"), "{}", NOBODY),
            ]);
        }
    }
    tries
}

/// What nobody hears but its owner.
const HEARD: &[(&str, &[&str])] = &[
    (">", &[]),
    ("_INBOX.>", &[]),
    ("journal.>", &[]),
    ("republished.>", &[]),
    ("republished.JOURNAL.>", &["profile", "sync", "alert"]),
    ("republished.JOURNAL_CRM.>", &["crm"]),
    ("republished.JOURNAL_NAMES.>", &[]),
    ("republished.JOURNAL_NOTIFICATIONS.>", &["alert"]),
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
    if let Err(error) = scene.wait_for("secured", 0..10).await {
        let logs = scene.deployment.logs().unwrap();
        let denied: Vec<_> = logs.lines().filter(|line| line.contains("NATS_DENIED")).collect();
        panic!("{error}; {denied:#?}");
    }
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
    what_a_role_would_miss_is_not_passed_over(&scene).await;
}

/// As where `postroad all` had everything in the shared account.
async fn what_a_role_would_miss_is_not_passed_over(scene: &Scene) {
    let prepare = || async {
        let mut command = tokio::process::Command::new(scene.deployment.postroad());
        command.args(["nats", "prepare", "--config"]).arg(scene.deployment.config_of(permission::PREPARE));
        command.output().await.unwrap()
    };
    assert!(prepare().await.status.success(), "it can be run again");
    let all = scene.deployment.nats.client().await.unwrap();
    Journal::connect(&all, Parts { parts: vec![Part::Crm], ..Parts::default() }).await.unwrap();
    let output = prepare().await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in ["JOURNAL_LAYOUT", "JOURNAL_CRM", "nats stream restore"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Whoever reads a stream gets what is in that stream, whatever the request says that it wants.
async fn nothing_of_the_others_comes_by_what_it_may_do(security: &Secured, scene: &Scene, role: &str) {
    let (client, _told) = security.connect(&scene.deployment.nats, role).await.unwrap();
    for (stream, own, home, _) in PARTS.into_iter().filter(|(.., readers)| readers.contains(&role)) {
        let journal = ContextBuilder::new().api_prefix(home).build(client.clone()).get_stream(stream).await.unwrap();
        for (_, kind, ..) in PARTS.into_iter().filter(|(other, ..)| *other != stream) {
            let found = journal.direct_get_next_for_subject(format!("journal.{kind}.*"), Some(1)).await;
            assert_eq!(found.unwrap_err().kind(), DirectGetErrorKind::NotFound, "{role}, {kind} in {stream}");
        }
        let mut next = 1;
        while let Ok(found) = journal.direct_get_next_for_subject("journal.>", Some(next)).await {
            next = found.sequence + 1;
            let kind = found.subject.split('.').nth(1).unwrap().to_owned();
            let part = Kind::ALL.into_iter().find(|one| one.token() == kind).map(|kind| kind.part().stream("JOURNAL"));
            assert_eq!(part.as_deref(), Some(stream), "{role}: {}", found.subject);
        }
        assert!(next > 1 || own == "notification", "{role}: {stream}");
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

/// A role that is under an attacker's control does in its own account what it likes, past the permissions of its user: NATS does not check where
/// its answer to an allowed request goes, so whoever may read what he wrote himself can have it sent to JetStream. The other accounts
/// are out of its reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_directs_its_answers_reaches_nothing_of_another_role() {
    let folder = tempfile::tempdir().unwrap();
    let security = Secured::new(folder.path(), false).unwrap();
    let options = stage::nats::Options { security: Some(security.nats().unwrap()), ..stage::nats::Options::default() };
    let nats = Nats::start(options).await.unwrap();
    Journal::prepare(&nats.client().await.unwrap(), Parts::default()).await.unwrap();
    let (crm, _told) = security.connect(&nats, "crm").await.unwrap();
    Journal::connect(&crm, Parts { parts: vec![Part::Crm, Part::Names], ..Parts::default() }).await.unwrap();
    jetstream::new(crm.clone()).publish("journal.email.a", "a letter".into()).await.unwrap().await.unwrap();
    let (profile, _told) = security.connect(&nats, "profile").await.unwrap();
    for subject in ["journal.profile.a", "journal.name.a"] {
        jetstream::new(profile.clone()).publish(subject, "its own".into()).await.unwrap().await.unwrap();
    }

    let (alert, _told) = security.connect(&nats, "alert").await.unwrap();
    Journal::connect(&alert, Parts { parts: vec![Part::Notifications], ..Parts::default() }).await.unwrap();
    let own = "journal.notification.a";
    let get = format!("$JS.API.DIRECT.GET.JOURNAL_NOTIFICATIONS.{own}");
    let directed = async |content: String, to: &str| {
        jetstream::new(alert.clone()).publish(own, content.into()).await.unwrap().await.unwrap();
        alert.publish_with_reply(get.clone(), to.to_owned(), Bytes::new()).await.unwrap();
    };
    // It would write what is another's, where NATS reads it and where the commits go.
    for to in [
        "journal.email.b",
        "journal.profile.b",
        "journal.mailbox.b",
        "journal.name.b",
        "republished.JOURNAL.journal.mailbox.b",
    ] {
        directed("forged".to_owned(), to).await;
    }
    // It would remove it.
    for stream in ["JOURNAL", "JOURNAL_CRM", "JOURNAL_NAMES"] {
        for api in [OWN_API, SHARED_API] {
            directed(String::new(), &format!("{api}.STREAM.DELETE.{stream}")).await;
            directed(String::new(), &format!("{api}.STREAM.PURGE.{stream}")).await;
        }
    }
    // It would read it, by streams that copy the others; only that which copies its own does.
    let mut heard = alert.subscribe(format!("{}.stolen.>", permission::inbox("alert"))).await.unwrap();
    let sources = [
        json!({"name": "JOURNAL_CRM"}),
        json!({"name": "JOURNAL_CRM", "external": {"api": SHARED_API, "deliver": "republished.JOURNAL.stolen"}}),
        json!({"name": "JOURNAL_NAMES", "external": {"api": SHARED_API, "deliver": "republished.JOURNAL.stolen"}}),
        json!({"name": "JOURNAL_NOTIFICATIONS"}),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let republish = json!({"src": ">", "dest": format!("{}.stolen.{number}.>", permission::inbox("alert"))});
        let name = format!("COPY{number}");
        let copy = json!({"name": name, "storage": "memory", "sources": [source], "republish": republish});
        directed(copy.to_string(), &format!("$JS.API.STREAM.CREATE.{name}")).await;
    }
    let stolen = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
    assert!(
        stolen.subject.ends_with(&format!(".stolen.3.{own}")),
        "the way is open in its own account: {}",
        stolen.subject
    );
    // What was asked for before that was done, if it was.
    let shared = jetstream::new(nats.client().await.unwrap());
    let owned = jetstream::new(crm.clone());
    for (context, stream, commits) in
        [(&shared, "JOURNAL", 1), (&shared, "JOURNAL_NAMES", 1), (&owned, "JOURNAL_CRM", 1)]
    {
        let info = context.get_stream(stream).await.unwrap();
        let state = &info.cached_info().state;
        assert_eq!((state.messages, state.last_sequence), (commits, commits), "{stream}");
    }
    while let Some(Some(message)) = heard.next().now_or_never() {
        assert!(message.subject.contains(".stolen.3."), "{}", message.subject);
    }
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
