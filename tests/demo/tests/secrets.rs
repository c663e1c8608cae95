//! The whole demo at the most talkative log level, and then some passwords more: none of them, and no key, is anywhere where it does not belong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use demo::Screen;
use postroad_proto::{
    mailbox::v1::{MailboxSelection, MailboxSettings, TestAndEnableMailboxesRequest},
    profile::v1::{CreateProfileRequest, ProfileSettings, ServerType, TestProfileRequest, UpdateProfileRequest},
};
use system::{Deployment, Extras, Options, Role, SetUp};

const WRONG: &str = "Wr0ng-passw0rd!";
const OWN: &str = "0wn-passw0rd%25";
const CLIENT: &str = "cl1ent-secret/+=";

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_key_leaves_the_whole_demo() {
    let options = Options { snapshot_commits: 1, figures: true, ..Options::default() };
    let extras = Extras { log: "trace".to_owned(), ..Extras::default() };
    let (mut deployment, summary) = demo::perform(Screen::new(true), options, extras).await.unwrap();
    assert!(summary.is_exact());
    more_passwords(&deployment).await;
    let account = demo::account();
    let (config, key) = (deployment.config(), deployment.folder().join("sealing.key"));
    let sealing = fs::read_to_string(&key).unwrap();
    let token = deployment.token().path().to_owned();
    let local = fs::read_to_string(&token).unwrap();
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for password in [account.password.as_str(), WRONG, OWN, CLIENT] {
        wanted.extend(forms(password.as_bytes()));
        for user in [account.user_name.as_str(), "ada@contoso.example", "client"] {
            wanted.extend(forms(format!("{user}:{password}").as_bytes()));
        }
    }
    wanted.extend(forms(&STANDARD.decode(sealing.trim()).unwrap()));
    wanted.extend(forms(local.trim().as_bytes()));
    for role in Role::ALL {
        let id = deployment.process_id(role).unwrap();
        nothing_in_its_process(id, &wanted);
        let figures = deployment.figures(role).await.unwrap();
        assert!(figures.contains("postroad_"), "{figures}");
        nothing_in("/metrics", figures.as_bytes(), &wanted);
    }
    assert_eq!(deployment.stop().await.unwrap(), [], "roles that had to be killed");
    // It would rewrite and remove files while they are read.
    deployment.nats.kill().await.unwrap();
    let mut searched = 0;
    for file in files(deployment.folder()).into_iter().chain(files(deployment.nats.folder())) {
        // The key and the token themselves lie where their owner put them.
        if ![&key, &token, &config].contains(&&file) {
            searched += 1;
            nothing_in(&file.display().to_string(), &fs::read(&file).unwrap(), &wanted);
        }
    }
    assert!(searched > 10, "{searched}");
    // What is searched is what was written: logs at trace level, the journal, the snapshot.
    assert!(deployment.logs().unwrap().contains("TRACE"));
    let stored = files(deployment.nats.folder());
    for stream in ["JOURNAL", "JOURNAL_CRM", "KV_content_keys", "OBJ_content", "OBJ_snapshot"] {
        assert!(stored.iter().any(|file| file.display().to_string().contains(stream)), "{stream}: {stored:?}");
    }
    assert!(
        is_stored(&deployment, b"grace@fabrikam.example"),
        "what is known to be in the journal is not found in the server's files"
    );
}

/// A wrong password, a mailbox's own one and a client secret, each sent to servers that refuse it.
async fn more_passwords(deployment: &Deployment) {
    let set_up = SetUp {
        deployment,
        profile: "Contoso Exchange",
        account: demo::account(),
        owner: "olga.owner@contoso.example",
    };
    let mut profiles = deployment.profiles();
    let own = MailboxSettings {
        allow_own_credentials: true,
        user_name: "ada@contoso.example".to_owned(),
        password: OWN.to_owned(),
        ..MailboxSettings::default()
    };
    set_up.mailbox_with("own@contoso.example", own).await.unwrap();
    let modern = ProfileSettings {
        name: "Modern".to_owned(),
        owner: set_up.owner.to_owned(),
        server_type: ServerType::ExchangeServerHybrid.into(),
        user_name: set_up.account.user_name.clone(),
        client_id: "client".to_owned(),
        token_location: format!("https://localhost:{}/token", deployment.exchange.autodiscover_port()),
        password: CLIENT.to_owned(),
        trust_anchors: vec![deployment.exchange.ca_pem().to_owned()],
        ..ProfileSettings::default()
    };
    profiles.create_profile(CreateProfileRequest { settings: Some(modern) }).await.unwrap();
    let wrong = ProfileSettings { password: WRONG.to_owned(), ..ProfileSettings::default() };
    let update = UpdateProfileRequest {
        profile: set_up.profile.to_owned(),
        settings: Some(wrong),
        update_mask: Some(prost_types::FieldMask { paths: vec!["password".to_owned()] }),
        etag: String::new(),
    };
    profiles.update_profile(update).await.unwrap();
    for profile in [set_up.profile, "Modern"] {
        let request =
            TestProfileRequest { profile: profile.to_owned(), email_address: "ada@contoso.example".to_owned() };
        let mut told = profiles.test_profile(request).await.unwrap().into_inner();
        while told.message().await.unwrap().is_some() {}
    }
    let selection =
        MailboxSelection { mailboxes: vec!["own@contoso.example".to_owned()], ..MailboxSelection::default() };
    let request = TestAndEnableMailboxesRequest { selection: Some(selection) };
    let mut told = deployment.mailboxes().test_and_enable_mailboxes(request).await.unwrap().into_inner();
    while told.message().await.unwrap().is_some() {}
    // Workers meet the wrong password too.
    let met = stage::eventually(Duration::from_secs(60), || async {
        let request = postroad_proto::mailbox::v1::ListMailboxesRequest::default();
        let page = deployment.mailboxes().list_mailboxes(request).await.ok()?.into_inner();
        let is_met = |fault: &postroad_proto::fault::v1::Fault| fault.code == "CREDENTIALS_REJECTED";
        page.mailboxes.iter().any(|mailbox| mailbox.fault.as_ref().is_some_and(is_met)).then_some(())
    });
    met.await.unwrap();
}

/// A secret as it may have been written.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = form_urlencoded::byte_serialize(secret).collect();
    // As Debug prints bytes.
    let listed = secret.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let texts = [
        hexadecimal,
        percent,
        listed,
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(secret),
    ];
    texts.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

fn nothing_in(place: &str, bytes: &[u8], wanted: &[Vec<u8>]) {
    for secret in wanted {
        assert!(!holds(bytes, secret), "{place} holds {:?}", String::from_utf8_lossy(secret));
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Neither its command line nor its environment, and no core file is ever written of it.
fn nothing_in_its_process(id: u32, wanted: &[Vec<u8>]) {
    for file in ["cmdline", "environ"] {
        nothing_in(file, &fs::read(format!("/proc/{id}/{file}")).unwrap(), wanted);
    }
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// Whether the server's files hold something, so that what is not found is really not there.
fn is_stored(deployment: &Deployment, known: &[u8]) -> bool {
    files(deployment.nats.folder()).iter().any(|file| holds(&fs::read(file).unwrap(), known))
}
