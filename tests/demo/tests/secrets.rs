//! The whole demo at the most talkative log level, and then some passwords more; and a deployment in which everything is TLS, NATS has
//! passwords, and callers have access tokens: none of these, and no key, is anywhere where it does not belong.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use demo::Screen;
use mockex::{Region, ServerVersion};
use postroad_proto::{
    mailbox::v1::{MailboxSelection, MailboxSettings, TestAndEnableMailboxesRequest},
    profile::v1::{CreateProfileRequest, ProfileSettings, ServerType, TestProfileRequest, UpdateProfileRequest},
};
use serde_json::json;
use stage::{Authority, Issuer, issuer::Conduct};
use system::{Deployment, Extras, Options, Role, SetUp, scene::Scene, security::Secured};
use tonic::{Request, codegen::http::uri::PathAndQuery};

#[path = "secrets/search.rs"]
mod search;

use search::{Searcher, Secrets};

const WRONG: &str = "Wr0ng-passw0rd!";
const OWN: &str = "0wn-passw0rd%25";
const CLIENT: &str = "cl1ent-secret/+=";
const ADA: &str = "ada@contoso.example";
const AUDIENCE: &str = "postroad";

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_key_leaves_the_whole_demo() {
    let options = Options { snapshot_commits: 1, figures: true, ..Options::default() };
    let extras = Extras { log: "trace".to_owned(), ..Extras::default() };
    let (mut deployment, summary) = demo::perform(Screen::new(true), options, extras).await.unwrap();
    assert!(summary.is_exact());
    more_passwords(&deployment).await;
    let mut secrets = Secrets::default();
    secrets.add("the service account's password", demo::account().password.as_bytes());
    for (name, password) in [("a wrong password", WRONG), ("an own password", OWN), ("a client secret", CLIENT)] {
        secrets.add(name, password.as_bytes());
    }
    add_local(&mut secrets, &deployment);
    let searcher = secrets.searcher();
    nothing_in_processes(&deployment, &searcher).await;
    nothing_is_left(&mut deployment, &searcher).await;
    for stream in ["JOURNAL", "JOURNAL_CRM", "KV_content_keys", "OBJ_content", "OBJ_snapshot"] {
        let stored = files(deployment.nats.folder());
        assert!(stored.iter().any(|file| file.display().to_string().contains(stream)), "{stream}: {stored:?}");
    }
    assert!(
        is_stored(&deployment, b"grace@fabrikam.example"),
        "what is known to be in the journal is not found in the server's files"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tls_key_no_password_of_nats_and_no_access_token_leaves_a_secured_deployment() {
    let authority = Authority::new("the issuer's").unwrap();
    let issuer = Issuer::start(&authority).await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("authority.pem");
    fs::write(&file, authority.pem()).unwrap();
    let sections = format!(
        "[access.oidc]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nauthority_file = \"{}\"\nadministrators = [\"admins\"]\n",
        issuer.url(),
        file.display()
    );
    let options = Options { secured: true, passwords: true, snapshot_commits: 1, figures: true, ..Options::default() };
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA]);
    let extras = Extras { sections, log: "trace".to_owned() };
    let mut scene = Scene::open_with(mockex::Options::contoso(vec![region]), options, extras).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    let mut secrets = Secrets::default();
    secrets.add("the service account's password", scene.account.password.as_bytes());
    add_local(&mut secrets, &scene.deployment);
    let security = scene.deployment.security().unwrap();
    add_secured(&mut secrets, security, "former");
    show_tokens(&mut secrets, &scene.deployment, &issuer).await;
    told_where_a_token_is(&mut secrets, &scene.deployment, &issuer, outside.path()).await;
    log_on_with_a_wrong_password(&mut secrets, &scene.deployment, outside.path()).await;
    // Everything is read anew, and NATS connected to by all of it.
    security.issue().unwrap();
    security.change_passwords().unwrap();
    add_secured(&mut secrets, security, "later");
    let anew = security.nats().unwrap();
    scene.deployment.nats.restart_with(anew).await.unwrap();
    scene.deliver("anew", 1, ADA).unwrap();
    scene.wait_for("anew", [1]).await.unwrap();
    let searcher = secrets.searcher();
    nothing_in_processes(&scene.deployment, &searcher).await;
    nothing_is_left(&mut scene.deployment, &searcher).await;
    let logs = scene.deployment.logs().unwrap();
    // What they say of keys, passwords and tokens is in what was searched.
    for said in ["the certificates were read anew", "ACCESS_TOKEN_REFUSED", "the issuer's keys are known"] {
        assert!(logs.contains(said), "{said}");
    }
    let denied = fs::read_to_string(scene.deployment.folder().join("wrong.log")).unwrap();
    assert!(denied.contains("NATS_DENIED") && denied.contains("TRACE"), "{denied}");
}

/// The sealing key and the local token.
fn add_local(secrets: &mut Secrets, deployment: &Deployment) {
    let sealing = fs::read_to_string(deployment.folder().join("sealing.key")).unwrap();
    secrets.add("the sealing key", &STANDARD.decode(sealing.trim()).unwrap());
    let local = fs::read_to_string(deployment.token().path()).unwrap();
    secrets.add("the local token", local.trim().as_bytes());
}

/// The private keys of everybody, and the passwords of NATS's users.
fn add_secured(secrets: &mut Secrets, security: &Secured, which: &str) {
    for who in Secured::everybody() {
        let pem = fs::read_to_string(security.files(who).key).unwrap();
        secrets.add_key(&format!("the {which} key of {who}"), &pem);
        if let Some(password) = security.password(who) {
            secrets.add(&format!("the {which} NATS password of {who}"), password.as_bytes());
        }
    }
}

/// Tokens that hold and tokens that do not, shown to each role, by keys that the issuer has and has no more.
async fn show_tokens(secrets: &mut Secrets, deployment: &Deployment, issuer: &Issuer) {
    let stranger = Issuer::start(&Authority::new("nobody's").unwrap()).await.unwrap();
    let granted = || json!({ "roles": ["admins"] });
    let claims = issuer.claims(AUDIENCE, granted());
    let past = claims["iat"].as_u64().unwrap() - 7200;
    let expired = json!({ "roles": ["admins"], "iat": past, "nbf": past, "exp": past + 300 });
    let forged = stranger.sign(&issuer.header(), &claims).unwrap();
    let tokens = [
        ("a token that holds", issuer.token(AUDIENCE, granted()).unwrap(), true),
        ("a token that has expired", issuer.token(AUDIENCE, expired).unwrap(), false),
        ("a token for somebody else", issuer.token("elsewhere", granted()).unwrap(), false),
        ("a forged token", forged, false),
        ("a token by an unknown key", stranger.token(AUDIENCE, granted()).unwrap(), false),
    ];
    for (name, token, holds) in &tokens {
        secrets.add_token(name, token);
        for role in Role::ALL {
            assert_eq!(is_admitted(deployment, role, token).await, *holds, "{name}, {}", role.name());
        }
    }
    // The keys change: they are fetched again for a token that is signed with the new one; and again, from an issuer that lies.
    issuer.rotate(stage::issuer::Algorithm::ES256).unwrap();
    let later = issuer.token(AUDIENCE, granted()).unwrap();
    secrets.add_token("a token by a later key", &later);
    for role in Role::ALL {
        let admitted = stage::eventually(Duration::from_secs(60), || async {
            is_admitted(deployment, role, &later).await.then_some(())
        });
        assert!(admitted.await.is_some(), "{} does not learn the new key", role.name());
    }
    issuer.conduct(Conduct::Impostor);
    let unknown = stranger.token(AUDIENCE, granted()).unwrap();
    secrets.add_token("a token by another unknown key", &unknown);
    for role in Role::ALL {
        assert!(!is_admitted(deployment, role, &unknown).await, "{}", role.name());
    }
    issuer.conduct(Conduct::Honest);
}

/// Shows a token to a role, in a call that administrators may make.
async fn is_admitted(deployment: &Deployment, role: Role, token: &str) -> bool {
    let path = match role {
        Role::Profile => "/postroad.profile.v1.ProfileService/ListProfiles",
        Role::Locator => "/postroad.locator.v1.LocatorService/Locate",
        Role::Sync => "/postroad.sync.v1.SyncService/GetWorker",
        Role::Alert => "/postroad.alert.v1.AlertService/ListAlerts",
        Role::Crm => "/postroad.crm.v1.CrmService/GetSettings",
    };
    let mut client = tonic::client::Grpc::new(deployment.channel(role));
    client.ready().await.unwrap();
    let mut request = Request::new(());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answer = client.unary(request, PathAndQuery::from_static(path), codec).await;
    answer.map_or_else(|status| status.code() != tonic::Code::Unauthenticated, |_| true)
}

/// The command line with a token in a file; what it says is kept to be searched.
async fn told_where_a_token_is(secrets: &mut Secrets, deployment: &Deployment, issuer: &Issuer, outside: &Path) {
    let file = outside.join("token");
    let token = issuer.token("elsewhere", json!({})).unwrap();
    secrets.add_token("a token in a file", &token);
    fs::write(&file, &token).unwrap();
    let config = deployment.config();
    let arguments = ["mailbox", "list", "--config", config.to_str().unwrap(), "--token-file", file.to_str().unwrap()];
    let said = run(deployment, &arguments, &deployment.folder().join("command.log")).await;
    assert!(said.contains("ACCESS_TOKEN_REFUSED"), "{said}");
}

/// A role with a password that NATS refuses.
async fn log_on_with_a_wrong_password(secrets: &mut Secrets, deployment: &Deployment, outside: &Path) {
    let (wrong, file) = ("wr0ng-n4ts-passw0rd", outside.join("wrong.password"));
    secrets.add("a wrong password of NATS", wrong.as_bytes());
    fs::write(&file, wrong).unwrap();
    let right = deployment.security().unwrap().password_file("crm").display().to_string();
    let text = fs::read_to_string(deployment.config_of("crm")).unwrap();
    let config = deployment.folder().join("wrong.toml");
    let figures = format!("crm = \"127.0.0.1:{}\"\n", deployment.figure_ports()[&Role::Crm]);
    fs::write(&config, text.replace(&right, &file.display().to_string()).replace(&figures, "")).unwrap();
    let arguments = ["crm", "--config", config.to_str().unwrap()];
    run(deployment, &arguments, &deployment.folder().join("wrong.log")).await;
}

/// Runs a command until it ends, and keeps all that it says in a file.
async fn run(deployment: &Deployment, arguments: &[&str], log: &Path) -> String {
    let mut command = tokio::process::Command::new(deployment.postroad());
    command.args(arguments).env("POSTROAD_LOG", "trace").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    fs::write(log, &said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// Nothing is in any process, nor in what it tells of itself.
async fn nothing_in_processes(deployment: &Deployment, searcher: &Searcher) {
    for role in Role::ALL {
        nothing_in_its_process(deployment.process_id(role).unwrap(), searcher);
        let figures = deployment.figures(role).await.unwrap();
        assert!(figures.contains("postroad_"), "{figures}");
        searcher.nothing_in("/metrics", figures.as_bytes());
    }
}

/// Stops everything, and nothing is in any file, but those where their owners put it.
async fn nothing_is_left(deployment: &mut Deployment, searcher: &Searcher) {
    assert_eq!(deployment.stop().await.unwrap(), [], "roles that had to be killed");
    // It would rewrite and remove files while they are read.
    deployment.nats.kill().await.unwrap();
    let mut own = vec![deployment.folder().join("sealing.key"), deployment.token().path().to_owned()];
    own.push(deployment.nats.config());
    own.extend(deployment.security().map(|security| files(security.folder())).unwrap_or_default());
    let mut searched = 0;
    for file in files(deployment.folder()).into_iter().chain(files(deployment.nats.folder())) {
        if !own.contains(&file) {
            searched += 1;
            searcher.nothing_in(&file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
    assert!(searched > 10, "{searched}");
    // What is searched is what was written, and what is there is found.
    assert!(deployment.logs().unwrap().contains("TRACE"));
    for file in own.iter().filter(|file| file.extension().is_none_or(|extension| extension != "crt")) {
        let is_key = file.file_name().is_some_and(|name| name != "nats.conf") || deployment.security().is_some();
        assert!(!is_key || searcher.found(&fs::read(file).unwrap()).is_some(), "{}", file.display());
    }
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

/// Neither its command line nor its environment, and no core file is ever written of it.
fn nothing_in_its_process(id: u32, searcher: &Searcher) {
    for file in ["cmdline", "environ"] {
        searcher.nothing_in(file, &fs::read(format!("/proc/{id}/{file}")).unwrap());
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
    let mut wanted = Secrets::default();
    wanted.add("what is known", known);
    let searcher = wanted.searcher();
    files(deployment.nats.folder()).iter().any(|file| searcher.found(&fs::read(file).unwrap()).is_some())
}
