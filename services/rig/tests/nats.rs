//! What is said of a NATS server that does not let in, by TLS and passwords of a real one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use postroad_core::fault::{Code, Report};
use postroad_journal::Denials;
use postroad_rig::{config, nats, nats::permission};
use stage::{Authority, Nats, authority::Files, nats::Options, nats::Security};

const SYNC: &str = "sync.roles.postroad.internal";
const ALL: &str = "all.roles.postroad.internal";
const PASSWORD: &str = "n4ts-s3cret";

struct Site {
    ours: Authority,
    theirs: Authority,
    folder: tempfile::TempDir,
    nats: Nats,
}

impl Site {
    async fn start(by_passwords: bool) -> Self {
        let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
        let folder = tempfile::tempdir().unwrap();
        let files =
            |name: &str, of: &str| ours.issue(&[of]).unwrap().write(&folder.path().join(name), &[&ours]).unwrap();
        let mut authorization = permission::conf(&permission::accounts("JOURNAL"));
        if by_passwords {
            for role in [SYNC, ALL] {
                let named = format!("user: \"{role}\"\n");
                authorization = authorization.replace(&named, &format!("{named}password: \"{PASSWORD}\"\n"));
            }
        }
        let security = Security {
            server: files("nats", "127.0.0.1"),
            client: files("all", ALL),
            inbox: permission::inbox(permission::ALL),
            password: by_passwords.then(|| (ALL.to_owned(), PASSWORD.to_owned())),
            authorization,
        };
        let nats = Nats::start(Options { security: Some(security), ..Options::default() }).await.unwrap();
        Self { ours, theirs, folder, nats }
    }

    fn files(&self, name: &str, authority: &Authority, trusted: &Authority) -> Files {
        authority.issue(&[SYNC]).unwrap().write(&self.folder.path().join(name), &[trusted]).unwrap()
    }
}

fn settings(url: &str, files: &Files) -> config::Nats {
    config::Nats {
        url: url.to_owned(),
        authority_file: Some(files.authority.clone()),
        certificate_file: Some(files.certificate.clone()),
        key_file: Some(files.key.clone()),
        ..config::Nats::default()
    }
}

async fn refused(settings: &config::Nats) -> Report {
    nats::connect(settings, "sync", Denials::default()).await.unwrap_err().report()
}

#[tokio::test]
async fn trouble_with_tls_is_told_with_the_file_at_fault() {
    let site = Site::start(false).await;
    let url = site.nats.url();
    let good = settings(&url, &site.files("good", &site.ours, &site.ours));
    assert!(nats::connect(&good, "sync", Denials::default()).await.is_ok());
    let ended = site.ours.issue_until(&[SYNC], (2020, 1, 1)).unwrap();
    let ended = ended.write(&site.folder.path().join("ended"), &[&site.ours]).unwrap();
    let plain = Nats::start(Options::default()).await.unwrap();
    let nobody = config::Nats { certificate_file: None, key_file: None, ..good.clone() };
    for (settings, codes, part) in [
        (
            settings(&url, &site.files("distrustful", &site.ours, &site.theirs)),
            &[Code::CertificateUnusable][..],
            "distrustful/ca.crt",
        ),
        (
            settings(&url, &site.files("foreign", &site.theirs, &site.ours)),
            &[Code::CertificateUnusable],
            "foreign/tls.crt",
        ),
        // NATS says of a certificate that has ended only that it is bad.
        (settings(&url, &ended), &[Code::CertificateUnusable, Code::CertificateExpires], "ended/tls.crt"),
        (nobody.clone(), &[Code::CertificateUnusable], "nats.certificate_file is not set"),
        (
            config::Nats { authority_file: None, ..nobody },
            &[Code::CertificateUnusable],
            "nats.authority_file is not set",
        ),
        (config::Nats { url: plain.url(), ..good.clone() }, &[Code::ConfigurationInvalid], "without TLS"),
    ] {
        let told = refused(&settings).await;
        assert!(codes.contains(&told.code) && told.detail.contains(part), "{told:?} instead of {codes:?} {part}");
        assert!(told.detail.contains("nats.url"), "{told:?}");
    }
    let gone = refused(&config::Nats { url: "nats://127.0.0.1:1".into(), ..config::Nats::default() }).await;
    assert_eq!(gone.code, Code::JournalUnavailable);
    assert_eq!(gone.detail.matches("refused").count(), 1, "{gone:?}");
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_with_its_file() {
    let site = Site::start(true).await;
    let file = site.folder.path().join("nats.password");
    let files = site.files("sync", &site.ours, &site.ours);
    let settings = config::Nats {
        user_name: Some(SYNC.into()),
        password_file: Some(file.clone()),
        ..settings(&site.nats.url(), &files)
    };
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    write(&file, PASSWORD);
    assert!(nats::connect(&settings, "sync", Denials::default()).await.is_ok());
    write(&file, "wrong");
    let told = refused(&settings).await;
    assert_eq!(told.code, Code::NatsDenied);
    assert!(told.detail.contains("nats.password_file") && told.detail.contains(SYNC), "{told:?}");
    // Who he is was not said: no name is made up.
    let nobody = config::Nats { user_name: None, password_file: None, ..settings };
    let told = refused(&nobody).await;
    assert!(told.detail.contains("nats.certificate_file") && told.code == Code::NatsDenied, "{told:?}");
}
