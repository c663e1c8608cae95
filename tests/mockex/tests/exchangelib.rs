//! A client that others wrote, exchangelib for Python, reads the Inbox of every server version.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot happen may panic")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mockex::{Delivery, Options, Organization, Region, Running, ServerVersion};
use serde_json::{Value, json};

const PACKAGE: &str = "exchangelib==5.6.0";

/// A folder with the package, made once and kept; none where there is no Python at all. A folder of its own needs neither
/// venv nor the right to change the system's packages.
fn packages() -> Option<PathBuf> {
    match Command::new("python3").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        found => succeeded("python3 --version", &found.unwrap()),
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).unwrap();
    // Several test processes may come at once; the lock goes away with the file handle.
    let lock = File::create(folder.join("exchangelib.lock")).unwrap();
    lock.lock().unwrap();
    let packages = folder.join(format!("{}-packages", PACKAGE.replace("==", "-")));
    let complete = packages.join("complete");
    if !complete.exists() {
        if packages.exists() {
            fs::remove_dir_all(&packages).unwrap();
        }
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE, "--target"];
        let installed = Command::new("python3").args(pip).arg(&packages).output().unwrap();
        succeeded("pip install", &installed);
        fs::write(complete, "").unwrap();
    }
    Some(packages)
}

fn succeeded(what: &str, output: &Output) {
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed ({}):\n{said}{error}", output.status);
}

/// What the script finds.
fn ask(packages: &Path, question: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchangelib.py");
    // Isolated: the script's own folder would hide the package, whose name the script has.
    let mut child = Command::new("python3")
        .arg("-I")
        .arg(script)
        .arg(packages)
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    succeeded("the script", &output);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn deliver(exchange: &Running, mailbox: &str) -> Vec<Value> {
    let letters = [
        ("Offer for the harbour", "<1@fabrikam.example>", "plain"),
        ("=?utf-8?q?=C5=BDuta_naran=C4=8Da?=", "<2@fabrikam.example>", "čaj"),
        ("a < b & \"c\"", "<3@fabrikam.example>", "]]> <x>"),
    ];
    for (second, (subject, message_id, text)) in (1_770_026_400..).zip(letters) {
        let mime = format!(
            "From: Gus <gus@fabrikam.example>\r\nTo: <{mailbox}>\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n\
             Date: Mon, 2 Feb 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        );
        // Exchange tells times to the second: a second apart, so that there is an order.
        let received = Some(jiff::Timestamp::from_second(second).unwrap());
        let delivery = Delivery { mailbox: mailbox.to_owned(), mime: mime.into(), received, ..Delivery::default() };
        exchange.deliver(delivery).unwrap();
    }
    let subjects = ["Offer for the harbour", "Žuta naranča", "a < b & \"c\""];
    let expected = subjects.iter().zip(letters);
    expected.map(|(subject, (_, message_id, _))| json!({ "subject": subject, "message_id": message_id })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exchangelib_finds_what_was_delivered() {
    let Some(packages) = tokio::task::spawn_blocking(packages).await.unwrap() else {
        println!("skipped: python3 is not installed");
        return;
    };
    let regions = [
        ("europe", ServerVersion::Exchange2016, "ana@contoso.example", 15),
        ("america", ServerVersion::Exchange2013Sp1, "hana@contoso.example", 15),
        ("asia", ServerVersion::Exchange2010Sp3, "kemal@contoso.example", 14),
    ];
    let options =
        Options::contoso(regions.map(|(name, version, mailbox, _)| Region::new(name, version, [mailbox])).into());
    let (name, password) = (options.service_account.principal_name.clone(), options.service_account.password.clone());
    let exchange = Organization::start(options).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, exchange.ca_pem()).unwrap();
    for (region, _, mailbox, major) in regions {
        let expected = deliver(&exchange, mailbox);
        let question = json!({
            "url": exchange.region_url(region),
            "autodiscover": exchange.autodiscover_url(),
            "authority": authority,
            "user_name": name,
            "password": password,
            "mailbox": mailbox,
        });
        let packages = packages.clone();
        let found = tokio::task::spawn_blocking(move || ask(&packages, &question)).await.unwrap();
        assert_eq!(found["inbox"], json!(expected), "{region}");
        assert_eq!(found["synchronised"], json!(expected), "{region}");
        assert_eq!(
            (&found["major_version"], &found["discovered"]),
            (&json!(major), &json!(exchange.region_url(region)))
        );
    }
}
