//! Who may do what, over real processes and a real issuer: every call by every kind of caller, what owners reach, what is audited,
//! and that no token is in any log.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::process::{Command, Output};

use mockex::{Region, ServerVersion};
use postroad_core::fault::Code;
use postroad_proto::{
    alert::v1::{AlertFilter, ListAlertsRequest, WatchAlertsRequest},
    mailbox::v1 as mailbox,
    profile::v1 as profile,
    rpc::{Alert, Mailbox, Profile, Rpc, Sync},
    sync::v1 as sync,
};
use postroad_rig::{caller, status};
use prost::Message as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use stage::{Authority, Issuer};
use system::{
    Deployment, Extras, Options, Role,
    scene::{OWNER, PROFILE, Scene},
};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

const AUDIENCE: &str = "postroad";
const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";

struct Play {
    scene: Scene,
    issuer: Issuer,
    /// Every token that was shown to a role.
    shown: Vec<String>,
    /// Calls that were denied.
    denied: u64,
    _folder: tempfile::TempDir,
}

/// A profile of Olga's, with the mailboxes of Ada and Ben.
async fn play() -> Play {
    let authority = Authority::new("the issuer's").unwrap();
    let issuer = Issuer::start(&authority).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let sections = format!(
        "[access.oidc]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nauthority_file = \"{}\"\nadministrators = [\"admins\"]\n\
         operators = [\"operators\"]\nreaders = [\"readers\"]\n",
        issuer.url(),
        file.display()
    );
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA, BEN]);
    // Whatever a role would log anywhere, it logs here.
    let extras = Extras { sections, log: "trace".to_owned() };
    let scene = Scene::open_with(mockex::Options::contoso(vec![region]), Options::default(), extras).await.unwrap();
    scene.enable(&[ADA, BEN]).await.unwrap();
    Play { scene, issuer, shown: Vec::new(), denied: 0, _folder: folder }
}

impl Play {
    fn deployment(&self) -> &Deployment {
        &self.scene.deployment
    }

    /// A token that grants this.
    fn granted(&mut self, role: &str) -> String {
        self.token(json!({ "roles": [role] }))
    }

    /// A token of somebody whose address the issuer has verified.
    fn of(&mut self, address: &str) -> String {
        self.token(json!({ "email": address, "email_verified": true }))
    }

    fn token(&mut self, claims: Value) -> String {
        let token = self.issuer.token(AUDIENCE, claims).unwrap();
        self.shown.push(token.clone());
        token
    }

    /// Makes a call; gives the code of its refusal, or all that was answered.
    async fn call(&mut self, rpc: Rpc, token: Option<&str>, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let outcome = call(self.deployment(), rpc, token, message).await;
        self.denied += u64::from(is_denied(&outcome));
        outcome
    }
}

fn is_denied<T>(outcome: &Result<T, Status>) -> bool {
    let codes = [tonic::Code::Unauthenticated, tonic::Code::PermissionDenied];
    outcome.as_ref().is_err_and(|status| codes.contains(&status.code()))
}

const fn role_of(rpc: Rpc) -> Role {
    match rpc {
        Rpc::Profile(_) | Rpc::Mailbox(_) => Role::Profile,
        Rpc::Locator(_) => Role::Locator,
        Rpc::Sync(_) => Role::Sync,
        Rpc::Alert(_) => Role::Alert,
        Rpc::Crm(_) => Role::Crm,
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(target, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(source);
        Ok(Some(bytes::Buf::copy_to_bytes(source, length).to_vec()))
    }
}

async fn call(deployment: &Deployment, rpc: Rpc, token: Option<&str>, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(deployment.channel(role_of(rpc)));
    client.ready().await.unwrap();
    let mut request = Request::new(futures::stream::iter([message]));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    // Nobody but the holder of the local token may say who he is.
    request.metadata_mut().insert(caller::ACTOR, "boss".parse().unwrap());
    let mut answers = client.streaming(request, PathAndQuery::from_static(rpc.path()), Raw).await?.into_inner();
    let mut told = Vec::new();
    let is_endless = rpc.path().contains("/Watch");
    while !is_endless && let Some(answer) = answers.message().await? {
        told.extend(answer);
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_for_those_whom_the_table_names() {
    let mut play = play().await;
    let callers = [
        (None, None),
        (Some(play.token(json!({}))), None),
        (Some(play.granted("readers")), Some(caller::Level::Reader)),
        (Some(play.granted("operators")), Some(caller::Level::Operator)),
        (Some(play.granted("admins")), Some(caller::Level::Administrator)),
    ];
    for rpc in Rpc::ALL {
        let needed = caller::rule(rpc.path()).unwrap().people;
        for (token, level) in &callers {
            let is_allowed = needed.is_some_and(|needed| level.is_some_and(|level| level >= needed));
            // An empty request changes nothing; but draining means the worker that is asked.
            if is_allowed && *rpc == Rpc::Sync(Sync::DrainWorker) {
                continue;
            }
            let outcome = play.call(*rpc, token.as_deref(), Vec::new()).await;
            assert_eq!(is_denied(&outcome), !is_allowed, "{} by {level:?}: {:?}", rpc.path(), outcome.err());
            let fault = outcome.err().and_then(|status| status::fault_of(&status)).map(|fault| fault.code);
            if !is_allowed {
                let expected = if token.is_some() { Code::AccessDenied } else { Code::CallerUnknown };
                assert_eq!(fault.as_deref(), Some(expected.name()), "{} by {level:?}", rpc.path());
            }
        }
    }
    audited(play).await;
}

/// A request about a profile or a mailbox, for each call that owners may make about their own.
fn about(rpc: Rpc, profile: &str, mailbox: &str) -> Option<Vec<u8>> {
    let (profile, mailbox) = (profile.to_owned(), mailbox.to_owned());
    let selection = || Some(mailbox::MailboxSelection { mailboxes: vec![mailbox.clone()], ..Default::default() });
    let filter = || Some(AlertFilter { mailbox: mailbox.clone(), resolved: true, ..AlertFilter::default() });
    Some(match rpc {
        Rpc::Profile(Profile::GetProfile) => profile::GetProfileRequest { profile }.encode_to_vec(),
        Rpc::Profile(Profile::ListProfileChanges) => {
            profile::ListProfileChangesRequest { profile, ..Default::default() }.encode_to_vec()
        }
        Rpc::Profile(Profile::ActivateProfile) => profile::ActivateProfileRequest { profile }.encode_to_vec(),
        Rpc::Profile(Profile::DeactivateProfile) => profile::DeactivateProfileRequest { profile }.encode_to_vec(),
        Rpc::Profile(Profile::TestProfile) => {
            profile::TestProfileRequest { profile, email_address: mailbox }.encode_to_vec()
        }
        Rpc::Profile(Profile::LocateMailbox) => {
            profile::LocateMailboxRequest { email_address: mailbox, profile, anew: false }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::GetMailbox) => mailbox::GetMailboxRequest { mailbox }.encode_to_vec(),
        Rpc::Mailbox(Mailbox::ListTimeline) => {
            mailbox::ListTimelineRequest { mailbox, ..Default::default() }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::ActivateMailboxes) => {
            mailbox::ActivateMailboxesRequest { selection: selection() }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::DeactivateMailboxes) => {
            mailbox::DeactivateMailboxesRequest { selection: selection() }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::TestAndEnableMailboxes) => {
            mailbox::TestAndEnableMailboxesRequest { selection: selection() }.encode_to_vec()
        }
        Rpc::Sync(Sync::ListVerdicts) => sync::ListVerdictsRequest { mailbox, ..Default::default() }.encode_to_vec(),
        Rpc::Sync(Sync::TryRules) => sync::TryRulesRequest { mailbox, ..Default::default() }.encode_to_vec(),
        Rpc::Sync(Sync::ListFolders) => sync::ListFoldersRequest { mailbox }.encode_to_vec(),
        Rpc::Sync(Sync::GetProgress) => sync::GetProgressRequest { mailbox }.encode_to_vec(),
        Rpc::Sync(Sync::SyncNow) => sync::SyncNowRequest { mailbox }.encode_to_vec(),
        Rpc::Sync(Sync::AuditMailbox) => sync::AuditMailboxRequest { mailbox }.encode_to_vec(),
        Rpc::Sync(Sync::TrackFolder) => {
            let regarding_id = "0190a8f0-0000-7000-8000-000000000001".to_owned();
            sync::TrackFolderRequest { mailbox, folder: "Nowhere".to_owned(), regarding_id }.encode_to_vec()
        }
        Rpc::Sync(Sync::UntrackFolder) => {
            sync::UntrackFolderRequest { mailbox, folder: "Nowhere".to_owned() }.encode_to_vec()
        }
        Rpc::Sync(Sync::RetryMessages) => sync::RetryMessagesRequest { mailbox, ..Default::default() }.encode_to_vec(),
        Rpc::Sync(Sync::PauseBackfill) => sync::PauseBackfillRequest { mailbox, resume: true }.encode_to_vec(),
        Rpc::Alert(Alert::ListAlerts) => ListAlertsRequest { filter: filter(), ..Default::default() }.encode_to_vec(),
        Rpc::Alert(Alert::WatchAlerts) => WatchAlertsRequest { filter: filter() }.encode_to_vec(),
        _ => return None,
    })
}

/// Calls that owners may make and that name nothing: their answers hold what is the caller's.
fn over_all(rpc: Rpc, message_id: &str) -> Option<Vec<u8>> {
    let all = || Some(mailbox::MailboxSelection { all: true, ..Default::default() });
    Some(match rpc {
        Rpc::Profile(Profile::ListProfiles)
        | Rpc::Mailbox(Mailbox::ListMailboxes | Mailbox::SummarizeMailboxes)
        | Rpc::Sync(Sync::TryRules)
        | Rpc::Alert(Alert::WatchAlerts) => Vec::new(),
        Rpc::Alert(Alert::ListAlerts) => {
            let filter = Some(AlertFilter { resolved: true, ..AlertFilter::default() });
            ListAlertsRequest { filter, ..Default::default() }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::ActivateMailboxes) => {
            mailbox::ActivateMailboxesRequest { selection: all() }.encode_to_vec()
        }
        Rpc::Mailbox(Mailbox::TestAndEnableMailboxes) => {
            mailbox::TestAndEnableMailboxesRequest { selection: all() }.encode_to_vec()
        }
        Rpc::Sync(Sync::ExplainMessage) => {
            sync::ExplainMessageRequest { message_id: message_id.to_owned() }.encode_to_vec()
        }
        _ => return None,
    })
}

fn holds(told: &[u8], text: &str) -> bool {
    told.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_reach_what_is_theirs_by_every_call_and_nothing_else() {
    let mut play = play().await;
    play.scene.deliver("owned", 1, BEN).unwrap();
    play.scene.wait_for("owned", [1]).await.unwrap();
    let message_id = system::message_id("owned", 1);
    let (ada, olga, stranger) = (play.of(ADA), play.of(OWNER), play.of("eve@contoso.example"));
    let owned: Vec<Rpc> = Rpc::ALL.iter().copied().filter(|rpc| caller::rule(rpc.path()).unwrap().owner).collect();
    for rpc in owned {
        let (mine, theirs) = (about(rpc, PROFILE, ADA), about(rpc, PROFILE, BEN));
        let all = over_all(rpc, &message_id);
        assert!(mine.is_some() || all.is_some(), "{}: owners may call it, and this test does not know how", rpc.path());
        let is_about_profile = matches!(rpc, Rpc::Profile(_));
        if let (Some(mine), Some(theirs)) = (mine, theirs) {
            // What does not exist is denied like what is another's.
            let nowhere = about(rpc, "Nowhere", "nobody@contoso.example").unwrap();
            for (who, token, message, is_denied_here) in [
                ("ada, about hers", &ada, &mine, is_about_profile),
                ("ada, about Ben's", &ada, &theirs, true),
                ("ada, about nobody's", &ada, &nowhere, true),
                ("olga, about her profile's", &olga, &theirs, false),
                ("a stranger", &stranger, &theirs, true),
            ] {
                let outcome = play.call(rpc, Some(token), message.clone()).await;
                let status = outcome.as_ref().err();
                assert_eq!(is_denied(&outcome), is_denied_here, "{} by {who}: {status:?}", rpc.path());
            }
        }
        if let Some(all) = all {
            for (who, token, sees) in [("ada", &ada, false), ("olga", &olga, true), ("a stranger", &stranger, false)] {
                let told = play.call(rpc, Some(token), all.clone()).await.unwrap();
                assert!(sees || !holds(&told, BEN), "{} tells {who} of {BEN}", rpc.path());
                assert!(sees || !holds(&told, PROFILE) || who == "ada", "{} tells {who} of {PROFILE}", rpc.path());
            }
        }
    }
    profiles_of_others_are_denied_like_none(&mut play, [&ada, &stranger], &olga).await;
    // What they are for: olga sees both mailboxes, ada her own.
    let list = Rpc::Mailbox(Mailbox::ListMailboxes);
    let (hers, all) = (
        play.call(list, Some(&ada), Vec::new()).await.unwrap(),
        play.call(list, Some(&olga), Vec::new()).await.unwrap(),
    );
    assert!(holds(&hers, ADA) && holds(&all, ADA) && holds(&all, BEN));
    for (token, total) in [(&ada, 1), (&olga, 2), (&stranger, 0)] {
        let summarize = Rpc::Mailbox(Mailbox::SummarizeMailboxes);
        let told = play.call(summarize, Some(token), Vec::new()).await.unwrap();
        assert_eq!(mailbox::SummarizeMailboxesResponse::decode(told.as_slice()).unwrap().total, total);
    }
    // Who did it is who proved to be that, whatever he says of himself.
    let request = mailbox::ListTimelineRequest { mailbox: ADA.to_owned(), ..Default::default() }.encode_to_vec();
    let timeline = play.call(Rpc::Mailbox(Mailbox::ListTimeline), Some(&ada), request).await.unwrap();
    assert!(holds(&timeline, "ada@contoso.example (OIDC)") && !holds(&timeline, "boss"));
    command_line(&play);
    audited(play).await;
}

/// Calls about the mailboxes of a profile do not tell owners which profiles there are.
async fn profiles_of_others_are_denied_like_none(play: &mut Play, others: [&str; 2], owner: &str) {
    let of = |profile: &str| {
        let profile = profile.to_owned();
        let selection = || Some(mailbox::MailboxSelection { profile: profile.clone(), ..Default::default() });
        let list = mailbox::ListMailboxesRequest { profile: profile.clone(), ..Default::default() };
        let summarize = mailbox::SummarizeMailboxesRequest { profile: profile.clone() };
        let test = mailbox::TestAndEnableMailboxesRequest { selection: selection() };
        let activate = mailbox::ActivateMailboxesRequest { selection: selection() };
        let alerts = AlertFilter { profile: profile.clone(), ..AlertFilter::default() };
        let alerts = ListAlertsRequest { filter: Some(alerts), ..Default::default() };
        [
            (Rpc::Mailbox(Mailbox::ListMailboxes), list.encode_to_vec()),
            (Rpc::Mailbox(Mailbox::SummarizeMailboxes), summarize.encode_to_vec()),
            (Rpc::Mailbox(Mailbox::TestAndEnableMailboxes), test.encode_to_vec()),
            (Rpc::Mailbox(Mailbox::ActivateMailboxes), activate.encode_to_vec()),
            (Rpc::Alert(Alert::ListAlerts), alerts.encode_to_vec()),
        ]
    };
    for ((rpc, theirs), (_, none)) in of(PROFILE).into_iter().zip(of("Nowhere")) {
        for other in others {
            let mut said = Vec::new();
            for (name, message) in [(PROFILE, &theirs), ("Nowhere", &none)] {
                let status = play.call(rpc, Some(other), message.clone()).await.expect_err(rpc.path());
                let fault = status::fault_of(&status).unwrap();
                assert_eq!(fault.code, Code::AccessDenied.name(), "{} about {name}", rpc.path());
                said.push(format!("{:?} {} {fault:?}", status.code(), status.message()).replace(name, "NAME"));
            }
            assert_eq!(said[0], said[1], "{}", rpc.path());
        }
        play.call(rpc, Some(owner), theirs).await.unwrap();
    }
}

/// Runs a command of the command line.
fn run(play: &Play, line: &[&str], token_file: Option<&str>) -> Output {
    let mut command = Command::new(play.deployment().postroad());
    command.args(line).env_clear().env("USER", "ada");
    if let Some(file) = token_file {
        command.env("POSTROAD_TOKEN_FILE", file);
    }
    command.output().unwrap()
}

/// The command line finds the local token by the configuration, and uses another one where it is told to.
fn command_line(play: &Play) {
    let config = play.deployment().config().display().to_string();
    let file = play._folder.path().join("ada.token").display().to_string();
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let list = ["mailbox", "list", "--config", &config, "--json"];
    let by_local = run(play, &list, None);
    assert!(by_local.status.success(), "{}", told(&by_local));
    std::fs::write(&file, format!("{}\n", play.shown[0])).unwrap();
    let by_ada = run(play, &list, Some(&file));
    assert!(by_ada.status.success(), "{}", told(&by_ada));
    let rows = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len();
    assert_eq!((rows(&by_local), rows(&by_ada)), (2, 1));
    let denied = run(play, &["mailbox", "approve", ADA, "--config", &config], Some(&file));
    assert_eq!(denied.status.code(), Some(2));
    for part in ["ACCESS_DENIED", "administrator", "ada@contoso.example (OIDC)"] {
        assert!(told(&denied).contains(part), "{part}: {}", told(&denied));
    }
    std::fs::write(&file, "a-token-that-nobody-has-ever-issued-to-anybody").unwrap();
    let refused = run(play, &list, Some(&file));
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("ACCESS_TOKEN_REFUSED"), "{}", told(&refused));
    // Without the configuration there is no token to be found.
    let port = play.deployment().port(Role::Profile);
    let unknown = run(play, &["mailbox", "list", "--server", &format!("profile=http://127.0.0.1:{port}")], None);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown).contains("CALLER_UNKNOWN") && told(&unknown).contains("--token-file"), "{}", told(&unknown));
}

/// Each denied call is in the logs, by itself or in a summary, and no token is.
async fn audited(mut play: Play) {
    let (shown, denied) = (std::mem::take(&mut play.shown), play.denied);
    let local = play.deployment().token().token().expose_secret().to_owned();
    assert!(play.scene.deployment.stop().await.unwrap().is_empty());
    let logs = play.deployment().logs().unwrap();
    let mut counted = 0;
    for entry in logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if entry["target"] == "audit" {
            assert!(entry["fields"]["rpc"].is_string() && entry["fields"]["code"].is_string(), "{entry}");
            counted += entry["fields"]["count"].as_u64().unwrap_or(1);
        }
    }
    // The command line's own are in it, too.
    assert!(counted >= denied && denied > 0, "{counted} of {denied}");
    for token in shown.iter().chain([&local]) {
        assert!(!logs.contains(token.as_str()), "a token is in a log");
    }
}
