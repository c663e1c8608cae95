//! A person is exported and erased, and does not come back; passwords and contents move to another sealing key while mail arrives.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output, time::Duration};

use mockex::Delivery;
use postroad_proto::{
    crm::v1::{GetEmailRequest, RecordKind},
    sync::v1::ExplainMessageRequest,
};
use system::{
    Deployment, Role, message_id,
    scene::{DEADLINE, Scene},
};

const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";
const EVE: &str = "eve.marker@fabrikam.example";
/// What tells, in the server's files, that something of the person is left.
const MARKERS: [&str; 4] = ["eve.marker", "Subject-Marker-9271", "Body-Marker-9271", "file-marker-9271"];

fn message(id: &str) -> Vec<u8> {
    format!(
        "From: Eve <{EVE}>\r\nTo: {ADA}\r\nSubject: Subject-Marker-9271\r\nMessage-ID: <{id}@mail.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nBody-Marker-9271\r\n\
         --b\r\nContent-Type: text/csv; name=\"file-marker-9271.csv\"\r\nContent-Disposition: attachment; filename=\"file-marker-9271.csv\"\r\n\r\n\
         file-marker-9271\r\n--b--\r\n"
    )
    .into_bytes()
}

fn deliver(scene: &Scene, id: &str, mailbox: &str) {
    let delivery = Delivery { mailbox: mailbox.to_owned(), mime: message(id).into(), ..Delivery::default() };
    scene.deliver_as(delivery).unwrap();
}

async fn postroad(deployment: &Deployment, line: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(deployment.postroad());
    command.args(line).arg("--config").arg(deployment.config());
    command.output().await.unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The markers that the files of the NATS server hold.
fn stored(folder: &Path) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("store")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if let Ok(bytes) = fs::read(entry.path()) {
                let holds = |marker: &&str| bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
                found.extend(MARKERS.into_iter().filter(|marker| holds(marker)));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Waits until the last word about a message in a mailbox says something.
async fn told(scene: &Scene, id: &str, mailbox: &str, what: &str) {
    let found = stage::eventually(DEADLINE, || async {
        let request = ExplainMessageRequest { message_id: format!("<{id}@mail.example>") };
        let answer = scene.deployment.sync().explain_message(request).await.ok()?.into_inner();
        answer.verdicts.iter().any(|one| one.email_address == mailbox && one.sentence.contains(what)).then_some(())
    });
    assert!(found.await.is_some(), "`{what}` is not told about {id} in {mailbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_nowhere_and_does_not_come_back() {
    let mut scene = Scene::of(&[ADA, BEN]).await.unwrap();
    scene.record(RecordKind::Contact, EVE, "").await.unwrap();
    deliver(&scene, "one", ADA);
    deliver(&scene, "one", BEN);
    deliver(&scene, "two", ADA);
    scene.deliver("other", 1, BEN).unwrap();
    scene.wait_for("other", [1]).await.unwrap();
    for (id, mailbox) in [("one", ADA), ("one", BEN), ("two", ADA)] {
        told(&scene, id, mailbox, "tracked").await;
    }
    let request = GetEmailRequest { email: "one@mail.example".to_owned() };
    let id = scene.deployment.crm().get_email(request).await.unwrap().into_inner().email.unwrap().id;

    // What is stored of contents is encrypted; the rest is what is to go.
    let folder = scene.deployment.nats.folder().to_owned();
    let seen = stage::eventually(DEADLINE, || async {
        let found = stored(&folder);
        (found == ["Subject-Marker-9271", "eve.marker", "file-marker-9271"]).then_some(found)
    });
    assert!(seen.await.is_some(), "{:?}", stored(&folder));

    let out = scene.deployment.folder().join("eve");
    let export =
        postroad(&scene.deployment, &["person", "export", EVE, "--out", out.to_str().unwrap(), "--json"]).await;
    assert_eq!(json(&export)["emails"], 2);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o700, "for nobody else to read");
    let person: serde_json::Value = serde_json::from_slice(&fs::read(out.join("person.json")).unwrap()).unwrap();
    assert_eq!((&person["records"][0]["name"], person["emails"].as_array().unwrap().len()), (&EVE.into(), 2));
    let verdicts = person["emails"].as_array().unwrap().iter().map(|email| email["verdicts"].as_array().unwrap().len());
    assert_eq!(verdicts.sum::<usize>(), 3);
    let original = fs::read_to_string(out.join(format!("{id}.eml"))).unwrap();
    assert!(original.contains("Body-Marker-9271") && original.contains(EVE));

    let dry = json(&postroad(&scene.deployment, &["person", "erase", EVE, "--dry-run", "--json"]).await);
    assert_eq!((&dry["emails"], &dry["erased"]), (&2.into(), &0.into()));
    let asked = postroad(&scene.deployment, &["person", "erase", EVE]).await;
    assert_eq!(asked.status.code(), Some(2), "nobody is there to be asked");
    let done = json(&postroad(&scene.deployment, &["person", "erase", EVE, "--yes", "--json"]).await);
    assert_eq!((&done["emails"], &done["erased"], &done["waiting"]), (&2.into(), &2.into(), &0.into()));

    let gone = stage::eventually(DEADLINE, || async { stored(&folder).is_empty().then_some(()) });
    assert!(gone.await.is_some(), "left in the files of the server: {:?}", stored(&folder));
    let request = GetEmailRequest { email: id.clone() };
    let refused = scene.deployment.crm().get_email(request).await.unwrap_err();
    assert_eq!(postroad_rig::status::fault_of(&refused).unwrap().code, "EMAIL_ERASED");

    // The same message again, in a mailbox where it was and in one where it was not; and one from before that nobody had seen.
    deliver(&scene, "one", ADA);
    deliver(&scene, "two", BEN);
    let old = postroad_rig::clock::now() - jiff::SignedDuration::from_hours(48);
    let delivery =
        Delivery { mailbox: BEN.to_owned(), mime: message("three").into(), received: Some(old), ..Delivery::default() };
    scene.deliver_as(delivery).unwrap();
    for (id, mailbox) in [("one", ADA), ("two", BEN), ("three", BEN)] {
        told(&scene, id, mailbox, "a person who was erased").await;
    }
    let explain = postroad(&scene.deployment, &["activity", "explain", "one@mail.example"]).await;
    let text = String::from_utf8(explain.stdout).unwrap();
    assert!(text.contains("Since then the activity was erased"), "{text}");

    // Also after a restart, and what is another person's is untouched.
    scene.deployment.kill(Role::Crm).await.unwrap();
    scene.deployment.restart(Role::Crm).await.unwrap();
    scene.deployment.wait_serving(Role::Crm).await.unwrap();
    deliver(&scene, "two", ADA);
    told(&scene, "two", ADA, "a person who was erased").await;
    scene.wait_for("other", [1]).await.unwrap();
    assert_eq!(stored(&folder), [""; 0]);
    scene.deployment.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sealing_key_is_rotated_while_mail_arrives() {
    let mut scene = Scene::of(&[ADA]).await.unwrap();
    scene.deliver("before", 5, ADA).unwrap();
    scene.wait_for("before", [5]).await.unwrap();
    let keys = scene.deployment.folder().join("keys");
    let add = |id: &str, key: &str| {
        fs::write(keys.join(id), key).unwrap();
        fs::write(keys.join("current"), id).unwrap();
    };
    // From the single file to a directory is one restart; from then on none is needed.
    fs::create_dir(&keys).unwrap();
    add("1", &fs::read_to_string(scene.deployment.folder().join("sealing.key")).unwrap());
    let config = fs::read_to_string(scene.deployment.config()).unwrap();
    let line = config.lines().find(|line| line.starts_with("key_file")).unwrap();
    let directory = format!("keys_directory = \"{}\"", keys.display());
    fs::write(scene.deployment.config(), config.replace(line, &directory)).unwrap();
    for role in Role::ALL {
        scene.deployment.kill(role).await.unwrap();
        scene.deployment.restart(role).await.unwrap();
        scene.deployment.wait_serving(role).await.unwrap();
    }
    let processes: Vec<_> = Role::ALL.map(|role| scene.deployment.process_id(role)).into();

    let key = postroad(&scene.deployment, &["key", "new"]).await;
    add("2", &String::from_utf8(key.stdout).unwrap());
    (0..10).for_each(|number| drop(scene.deliver("during", number, ADA).unwrap()));
    // The roles read the new key by themselves; then everything is under it.
    let resealed = stage::eventually(Duration::from_secs(60), || async {
        let told = postroad(&scene.deployment, &["key", "reseal", "--json"]).await;
        let text = String::from_utf8(told.stdout).unwrap();
        (told.status.success() && text.contains("\"key_id\":\"2\"")).then_some(())
    });
    resealed.await.unwrap();
    scene.wait_for("during", 0..10).await.unwrap();
    let again = postroad(&scene.deployment, &["key", "reseal", "--json"]).await;
    assert!(again.status.success() && !String::from_utf8(again.stdout).unwrap().contains("\"changed\":true"));

    // Without the old key everything goes on: logging on, and reading what was stored under it.
    fs::remove_file(keys.join("1")).unwrap();
    scene.deliver("after", 1, ADA).unwrap();
    scene.wait_for("after", [1]).await.unwrap();
    let read = postroad(&scene.deployment, &["activity", "read", &message_id("before", 5), "--attachment", "1"]).await;
    assert_eq!(String::from_utf8(read.stdout).unwrap(), "number\r\n5\r\n");
    assert_eq!(processes, Role::ALL.map(|role| scene.deployment.process_id(role)), "nobody was restarted");
    scene.deployment.stop().await.unwrap();
}
