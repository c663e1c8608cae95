//! Mutual TLS between roles, over real connections and files that change.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bench;

use std::time::Duration;

use bench::{Bench, WATCH, identity, who_am_i};
use postroad_core::fault::Code;
use postroad_rig::{Channels, Config, Identity, Role, clock, is_serving, status};
use stage::{Authority, eventually};
use tempfile::TempDir;
use tonic::{Status, codegen::http::uri::PathAndQuery, transport::Channel};

const CRM: &str = "crm.roles.postroad.internal";
const SYNC: &str = "sync.roles.postroad.internal";

/// Opens the stream, and gives why it ended.
async fn watched(channel: Channel) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return Status::from_error(error.into());
    }
    let path = PathAndQuery::from_static(WATCH);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    match client.server_streaming(tonic::Request::new(()), path, codec).await {
        Err(status) => status,
        Ok(stream) => stream.into_inner().message().await.err().unwrap_or_else(|| Status::ok("it just ended")),
    }
}

#[tokio::test]
async fn a_role_knows_its_callers_by_their_certificates() {
    let authority = Authority::new("ours").unwrap();
    let bench = Bench::start(&authority.issue(&[CRM]).unwrap(), &[&authority], "").await;
    for (name, names, expected) in [
        ("sync", &[SYNC][..], "sync | sync.roles.postroad.internal,sync.roles.postroad.internal"),
        ("ada", &["ada@contoso.example"], " | ada@contoso.example,ada@contoso.example"),
        // A common name is no role, whatever it says.
        ("other", &["OTHER.example", "x@y.example"], " | other.example,x@y.example,OTHER.example"),
    ] {
        let issued = authority.issue(names).unwrap();
        let channels = bench.caller(name, Some(&issued), &[&authority]);
        assert_eq!(who_am_i(channels.to(Role::Crm).unwrap()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_connection_does_not_outlive_the_certificate_that_opened_it() {
    let authority = Authority::new("ours").unwrap();
    let bench = Bench::start(&authority.issue(&[CRM]).unwrap(), &[&authority], "").await;
    let ending = |name| authority.issue_ending(&[name], (clock::now() + Duration::from_secs(4)).into()).unwrap();
    let ada = bench.caller("ada", Some(&ending("ada@contoso.example")), &[&authority]).to(Role::Crm).unwrap();
    let folder = bench.folder.path().join("sync");
    let own = identity(&folder, Some(&ending(SYNC)), &[&authority]);
    let sync = Channels::new(bench.context.config.endpoints.clone(), Some(own.clone())).to(Role::Crm).unwrap();
    assert!(who_am_i(ada.clone()).await.is_ok() && who_am_i(sync.clone()).await.is_ok());
    let watched = async { tokio::join!(watched(ada.clone()), watched(sync.clone())) };
    let (person, _role) = tokio::time::timeout(Duration::from_secs(20), watched).await.unwrap();
    // The stream of a person says why; that of a role is cut with its connection.
    assert_eq!(status::fault_of(&person).map(|fault| fault.code), Some(Code::CertificateExpires.name().to_owned()));
    assert!(who_am_i(ada).await.is_err() && who_am_i(sync.clone()).await.is_err());
    // A role whose certificate was renewed comes again by itself.
    authority.issue(&[SYNC]).unwrap().write(&folder, &[&authority]).unwrap();
    assert!(own.look().unwrap());
    assert!(eventually(Duration::from_secs(20), || async { who_am_i(sync.clone()).await.ok() }).await.is_some());
}

#[tokio::test]
async fn a_certificate_that_is_granted_nothing_opens_nothing() {
    let authority = Authority::new("ours").unwrap();
    let bench = Bench::start(&authority.issue(&[CRM]).unwrap(), &[&authority], "").await;
    // A role that has no business there, somebody without a grant, and one who calls himself like one that has.
    for (name, names) in [
        ("alert", &["alert.roles.postroad.internal"][..]),
        ("ben", &["ben@contoso.example"]),
        ("like", &["ada.contoso.example"]),
    ] {
        let issued = authority.issue(names).unwrap();
        let channels = bench.caller(name, Some(&issued), &[&authority]);
        let denied = who_am_i(channels.to(Role::Crm).unwrap()).await.unwrap_err();
        assert_eq!(denied.code(), tonic::Code::PermissionDenied, "{name}");
        assert_eq!(status::fault_of(&denied).unwrap().code, Code::AccessDenied.name());
    }
}

#[tokio::test]
async fn without_a_certificate_a_caller_sees_health_and_nothing_else() {
    let authority = Authority::new("ours").unwrap();
    let bench = Bench::start(&authority.issue(&[CRM]).unwrap(), &[&authority], "").await;
    let channel = bench.caller("nobody", None, &[&authority]).to(Role::Crm).unwrap();
    assert!(is_serving(channel.clone()).await.unwrap());
    let refused = who_am_i(channel).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert_eq!(status::fault_of(&refused).unwrap().code, Code::CallerUnknown.name());
    let plain = Channels::new(bench.context.config.endpoints.clone(), None)
        .with(Role::Crm, &format!("http://{}", bench.context.config.crm.listen));
    assert!(is_serving(plain.to(Role::Crm).unwrap()).await.is_err(), "plaintext must not be served");
}

#[tokio::test]
async fn foreign_certificates_and_false_roles_are_refused() {
    let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let bench = Bench::start(&ours.issue(&[CRM]).unwrap(), &[&ours], "").await;
    // Its certificate comes from elsewhere.
    let foreign = bench.caller("foreign", Some(&theirs.issue(&[SYNC]).unwrap()), &[&ours]);
    assert!(who_am_i(foreign.to(Role::Crm).unwrap()).await.is_err());
    // It trusts another authority than the role's.
    let distrustful = bench.caller("distrustful", Some(&ours.issue(&[SYNC]).unwrap()), &[&theirs]);
    assert!(who_am_i(distrustful.to(Role::Crm).unwrap()).await.is_err());
    // What answers where sync is looked for is the crm role.
    let misled = bench.caller("misled", Some(&ours.issue(&[SYNC]).unwrap()), &[&ours]);
    assert!(who_am_i(misled.to(Role::Sync).unwrap()).await.is_err());
    assert!(who_am_i(misled.to(Role::Crm).unwrap()).await.is_ok());
}

#[tokio::test]
async fn new_connections_use_new_files_and_a_bad_one_changes_nothing() {
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let bench = Bench::start(&old.issue(&[CRM]).unwrap(), &[&old], "").await;
    let server = bench.folder.path().join("server");
    let before = bench.caller("before", Some(&old.issue(&[SYNC]).unwrap()), &[&old]);
    let after = bench.caller("after", Some(&new.issue(&[SYNC]).unwrap()), &[&new]);
    assert!(who_am_i(before.to(Role::Crm).unwrap()).await.is_ok());

    // Half a certificate, and one that is not the role's: the former one stays.
    for certificate in ["-----BEGIN CERTIFICATE-----\nAAAA\n", &new.issue(&[SYNC]).unwrap().certificate] {
        std::fs::write(server.join("tls.crt"), certificate).unwrap();
        let looked = bench.context.identity.as_ref().unwrap().look();
        assert_eq!(looked.unwrap_err().code, Code::CertificateUnusable);
        assert!(who_am_i(before.to(Role::Crm).unwrap()).await.is_ok());
    }

    // A bundle of the old and the new authority serves both, as long as the change takes.
    old.issue(&[CRM]).unwrap().write(&server, &[&old, &new]).unwrap();
    let trusting = bench.caller("trusting", Some(&new.issue(&[SYNC]).unwrap()), &[&old, &new]);
    let served = async |channels: &Channels| who_am_i(channels.to(Role::Crm).unwrap()).await.ok();
    assert!(eventually(Duration::from_secs(20), || served(&trusting)).await.is_some());
    assert!(served(&before).await.is_some());

    // Then the new one alone. The role itself is watching: nobody told it.
    new.issue(&[CRM]).unwrap().write(&server, &[&new]).unwrap();
    assert!(eventually(Duration::from_secs(20), || served(&after)).await.is_some());
    assert!(served(&before).await.is_none());
}

#[tokio::test]
async fn a_caller_connects_with_what_its_files_hold_now() {
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let bench = Bench::start(&new.issue(&[CRM]).unwrap(), &[&new], "").await;
    let folder = bench.folder.path().join("caller");
    let identity = identity(&folder, Some(&old.issue(&[SYNC]).unwrap()), &[&old]);
    let channels = Channels::new(bench.context.config.endpoints.clone(), Some(identity.clone()));
    let channel = channels.to(Role::Crm).unwrap();
    assert!(who_am_i(channel.clone()).await.is_err());
    new.issue(&[SYNC]).unwrap().write(&folder, &[&new]).unwrap();
    assert!(identity.look().unwrap());
    // The same channel opens its next connection with them.
    assert!(eventually(Duration::from_secs(20), || async { who_am_i(channel.clone()).await.ok() }).await.is_some());
}

#[test]
fn a_volume_whose_symbolic_link_is_swapped_is_seen() {
    let (authority, folder) = (Authority::new("ours").unwrap(), TempDir::new().unwrap());
    let at = |name: &str| folder.path().join(name);
    let issue = |day| authority.issue_until(&[CRM], (2040, 1, day)).unwrap();
    issue(1).write(&at("first"), &[&authority]).unwrap();
    issue(2).write(&at("second"), &[&authority]).unwrap();
    std::os::unix::fs::symlink(at("first"), at("data")).unwrap();
    let section = |file: &str| at("data").join(file).display().to_string();
    let text = format!(
        "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\nauthority_file = \"{}\"",
        section("tls.crt"),
        section("tls.key"),
        section("ca.crt")
    );
    let identity = Identity::open(&Config::parse(&text).unwrap().tls, Some(Role::Crm)).unwrap().unwrap();
    assert!(!identity.look().unwrap());
    std::os::unix::fs::symlink(at("second"), at("next")).unwrap();
    std::fs::rename(at("next"), at("data")).unwrap();
    assert!(identity.look().unwrap());
    assert_eq!(identity.expires().unwrap().to_string(), "2040-01-02T00:00:00Z");
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let (authority, folder) = (Authority::new("ours").unwrap(), TempDir::new().unwrap());
    let files = authority.issue(&[SYNC]).unwrap().write(folder.path(), &[&authority]).unwrap();
    let tls = Config::parse(&files.section()).unwrap().tls;
    let said = |role| Identity::open(&tls, role).err().map(|error| error.report().detail).unwrap_or_default();
    assert_eq!(said(Some(Role::Sync)), "");
    let wrong = said(Some(Role::Crm));
    assert!(wrong.contains(CRM) && wrong.contains(SYNC) && wrong.contains("tls.crt"), "{wrong}");
    std::fs::write(&files.key, authority.issue(&[SYNC]).unwrap().key).unwrap();
    assert!(said(None).contains("tls.certificate_file"), "{}", said(None));
    std::fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n").unwrap();
    let wrong = said(None);
    assert!(wrong.contains("tls.key_file") && !wrong.contains("c2Vj"), "{wrong}");
    for (head, part) in [("ENCRYPTED PRIVATE KEY", "passphrase"), ("CERTIFICATE", "no private key")] {
        let text = format!("-----BEGIN {head}-----\nc2VjcmV0c2VjcmV0\n-----END {head}-----\n");
        std::fs::write(&files.key, text).unwrap();
        let wrong = said(None);
        assert!(wrong.contains("tls.key_file") && wrong.contains(part) && !wrong.contains("c2Vj"), "{wrong}");
    }
    std::fs::remove_file(&files.authority).unwrap();
    assert!(said(None).contains("tls.authority_file"), "{}", said(None));
}

#[tokio::test]
async fn what_keeps_tls_from_being_agreed_is_told_with_the_setting() {
    let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let bench = Bench::start(&ours.issue(&[CRM]).unwrap(), &[&ours], "").await;
    let (good, foreign) = (ours.issue(&[SYNC]).unwrap(), theirs.issue(&[SYNC]).unwrap());
    let ended = ours.issue_until(&[SYNC], (2020, 1, 1)).unwrap();
    let endpoints = &bench.context.config.endpoints;
    let plain = Channels::new(endpoints.clone(), None).with(Role::Crm, &endpoints.crm.replace("https", "http"));
    let caller = |name: &str, issued, authority| bench.caller(name, issued, &[authority]);
    let good_caller = || caller("good", Some(&good), &ours);
    let old = Bench::start(&ours.issue_until(&[CRM], (2020, 1, 1)).unwrap(), &[&ours], "").await;
    let clear = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = clear.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in clear.incoming() {
            // The settings of a server that speaks HTTP/2 without TLS.
            std::io::Write::write_all(&mut stream.unwrap(), b"\0\0\0\x04\0\0\0\0\0").unwrap();
        }
    });
    let (config, ends, unusable) = (Code::ConfigurationInvalid, Code::CertificateExpires, Code::CertificateUnusable);
    let to_clear = |channels: Channels| channels.with(Role::Crm, &format!("http://{address}"));
    for (channels, role, code, part) in [
        (plain, Role::Crm, config, "tls.authority_file is not set here"),
        (to_clear(good_caller()), Role::Crm, config, "without TLS"),
        (caller("distrustful", Some(&good), &theirs), Role::Crm, unusable, "distrustful/ca.crt"),
        (caller("foreign", Some(&foreign), &ours), Role::Crm, unusable, "foreign/tls.crt"),
        (caller("ended", Some(&ended), &ours), Role::Crm, ends, "ended/tls.crt"),
        (
            old.caller("caller", Some(&ours.issue(&[SYNC]).unwrap()), &[&ours]),
            Role::Crm,
            ends,
            "the certificate of what answers",
        ),
        (good_caller(), Role::Sync, unusable, SYNC),
    ] {
        let told = channels.disagreement(role).await.unwrap();
        assert!(told.code == code && told.detail.contains(part), "{told:?} instead of {code} {part}");
    }
    for well in [good_caller(), caller("nobody", None, &ours), to_clear(Channels::new(endpoints.clone(), None))] {
        assert_eq!(well.disagreement(Role::Crm).await, None);
    }
    let nothing = good_caller().with(Role::Crm, "https://127.0.0.1:1");
    assert_eq!(nothing.disagreement(Role::Crm).await, None);
}
