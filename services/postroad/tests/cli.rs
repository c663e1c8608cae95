//! The binary as a person or script meets it: help, tables, refusals and exit codes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use postroad_core::profile::{Event, Rules};
use postroad_journal::{Actor, Journal, Options, Snapshot, sealing::Keyring};
use secrecy::SecretString;

fn postroad(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroad"));
    // What the machine's own environment says must not reach the tests.
    command.args(line).env_clear().env("USER", "ada");
    command
}

fn run(line: &[&str]) -> Output {
    postroad(line).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An endpoint that nobody serves.
fn nobody(role: &str) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("{role}=http://127.0.0.1:{port}")
}

#[test]
fn help_teaches() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for part in ["postroad profile create", "postroad mailbox timeline", "Exit codes", "doctor", "all", "locator"] {
        assert!(stdout(&help).contains(part), "{part}");
    }
    for group in ["profile", "mailbox", "activity", "record", "alert", "doctor", "fault", "key", "config"] {
        let help = run(&[group, "--help"]);
        assert_eq!((help.status.code(), stderr(&help)), (Some(0), String::new()), "{group}");
    }
    let create = stdout(&run(&["profile", "create", "--help"]));
    assert!(create.contains("Examples:") && create.contains("exchange_server_hybrid"), "{create}");
}

#[test]
fn a_group_that_is_also_a_role_prints_its_help_without_a_configuration() {
    for group in ["profile", "alert"] {
        let output = run(&[group]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(&format!("Usage: postroad {group}")), "{}", stderr(&output));
        // A configuration from the environment is for the group's commands; it must not start a role by surprise.
        let output = postroad(&[group]).env("POSTROAD_CONFIG", "no/such.toml").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_role_says_what_is_wrong_with_its_configuration() {
    let output = run(&["profile", "--config", "no/such.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no/such.toml cannot be read"), "{}", stderr(&output));
    let output = run(&["all"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("postroad config example"), "{}", stderr(&output));
}

#[test]
fn a_role_without_nats_prints_the_fault_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (config, key) = (folder.path().join("postroad.toml"), folder.path().join("sealing.key"));
    assert!(run(&["key", "new", "--out", key.to_str().unwrap()]).status.success());
    let nats = nobody("x").replace("x=http", "nats");
    let access = format!("[access]\ntoken_file = \"{}\"\n", folder.path().join("token").display());
    std::fs::write(&config, format!("[nats]\nurl = \"{nats}\"\n[sealing]\nkey_file = \"{}\"\n{access}", key.display()))
        .unwrap();
    let output = run(&["all", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("JOURNAL_UNAVAILABLE") && text.contains(&nats), "{text}");
}

#[test]
fn faults_are_listed_and_explained() {
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&run(&["fault", "list", "--json"]).stdout).unwrap();
    assert!(rows.iter().any(|row| row["code"] == "BASIC_NOT_OFFERED" && row["remedy"].is_string()));
    let shown = run(&["fault", "show", "BASIC_NOT_OFFERED"]);
    assert!(shown.status.success() && stdout(&shown).contains("remedy"), "{}", stdout(&shown));
    assert!(!stdout(&shown).contains('\u{1b}'), "colours are for terminals only");
    assert_eq!(run(&["fault", "show", "NONSENSE"]).status.code(), Some(2));
}

#[test]
fn keys_are_fresh_and_never_overwritten() {
    let keys = [stdout(&run(&["key", "new"])), stdout(&run(&["key", "new"]))];
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[0].trim().len(), 44, "32 bytes in Base64");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sealing.key");
    let file = file.to_str().unwrap();
    assert!(run(&["key", "new", "--out", file]).status.success());
    let before = std::fs::read(file).unwrap();
    let again = run(&["key", "new", "--out", file]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("FILE_UNUSABLE") && stderr(&again).contains("File exists"), "{}", stderr(&again));
    // A key that only one process ever had cannot open anything after it.
    assert!(!stdout(&run(&["key", "new", "--help"])).contains("$(postroad key new)"));
    assert_eq!(std::fs::read(file).unwrap(), before);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_example_configuration_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postroad.toml");
    std::fs::write(&file, run(&["config", "example"]).stdout).unwrap();
    let check = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert!(check.status.success(), "{}", stderr(&check));
    assert!(!String::from_utf8_lossy(&check.stdout).contains("warning"));
    std::fs::write(&file, "[nats]\nurl = \"nats://nats.example\"\n").unwrap();
    let check = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert!(check.status.success() && String::from_utf8_lossy(&check.stdout).contains("warning: nats.url"));
    std::fs::write(&file, "[nats]\nreplica = 3\n").unwrap();
    let check = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(1));
    assert!(stderr(&check).contains("replica") && stderr(&check).contains("line 2"), "{}", stderr(&check));
}

#[test]
fn misuse_is_refused_before_anything_is_asked() {
    for line in [
        &["profile", "create", "Contoso", "--password", "hunter2"][..],
        &["profile", "create", "Contoso", "--server-type", "pop3"],
        &["profile", "nonsense"],
        &["mailbox", "test"],
        &["mailbox", "approve", "a@x.example", "--all"],
        &["record", "save", "--kind", "boss", "--name", "x", "--address", "a@x.example"],
        &["profile", "list", "--server", "http://127.0.0.1:1"],
    ] {
        assert_eq!(run(line).status.code(), Some(2), "{line:?}");
    }
}

#[test]
fn a_wrong_file_is_refused_with_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.toml");
    let file = file.to_str().unwrap();
    for (text, part) in [
        ("name = \"Contoso\"\nowner_adress = \"a@b.example\"\n", "line 2: owner_adress: is no setting"),
        ("name = \"Contoso\"\npassword = \"hunter2\"\n", "--password-file"),
    ] {
        std::fs::write(file, text).unwrap();
        let output = run(&["profile", "update", "Contoso", "-f", file, "--server", &nobody("profile")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(part) && !stderr(&output).contains("hunter2"), "{}", stderr(&output));
    }
}

#[test]
fn a_role_that_does_not_answer_is_named() {
    for (role, line) in [
        ("profile", &["profile", "list"][..]),
        ("profile", &["mailbox", "list"]),
        ("profile", &["mailbox", "test", "--all"]),
        ("sync", &["activity", "explain", "<a@b>"]),
        ("crm", &["activity", "list"]),
        ("alert", &["alert", "watch"]),
    ] {
        let server = nobody(role);
        let output = postroad(line).args(["--server", &server]).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{line:?}: {text}");
        let endpoint = server.split_once('=').unwrap().1;
        for part in [format!("the {role} role"), endpoint.to_owned(), format!("postroad {role} --config FILE")] {
            assert!(text.contains(&part), "{text}");
        }
    }
    let output = postroad(&["profile", "list", "--json", "--server", &nobody("profile")]).output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["role"]), (&"UNREACHABLE".into(), &"profile".into()));
}

#[test]
fn a_role_that_speaks_tls_is_no_defect_and_no_role_that_does_not_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            // What TLS says to what is not TLS: a fatal alert, unexpected message.
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 10]);
        }
    });
    let server = format!("profile=http://127.0.0.1:{port}");
    let output = run(&["profile", "list", "--server", &server]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["tls.authority_file is not set here", "the profile role", "CONFIGURATION_INVALID"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_password_comes_from_standard_input() {
    let server = nobody("profile");
    let line = ["profile", "create", "Contoso", "--password-stdin", "--server", &server];
    let mut child = postroad(&line).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
    // It was read, so that the role was asked for.
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(3));
    let output =
        postroad(&["profile", "create", "Contoso", "--server", &server]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--password-stdin"), "{}", stderr(&output));
}

#[test]
fn doctor_lists_problems_with_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("postroad.toml");
    let nats = nobody("x").replace("x=http", "nats");
    let role = |name: &str| nobody(name).replacen('=', " = \"", 1) + "\"\n";
    let endpoints: String = ["profile", "locator", "sync", "alert", "crm"].into_iter().map(role).collect();
    std::fs::write(&config, format!("[nats]\nurl = \"{nats}\"\n[endpoints]\n{endpoints}")).unwrap();
    let output = run(&["doctor", "--json", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let problems: Vec<_> = checks.iter().filter(|check| check["state"] == "problem").collect();
    assert!(problems.len() >= 7, "{checks:?}");
    assert!(problems.iter().all(|check| check["remedy"].is_string()), "{problems:?}");
}

/// A configuration with a fresh key, and the checks that the doctor makes of it, by name.
fn doctor(folder: &Path, nats: &str) -> (Option<i32>, serde_json::Value) {
    let (config, key) = (folder.join("postroad.toml"), folder.join("sealing.key"));
    if !key.exists() {
        assert!(run(&["key", "new", "--out", key.to_str().unwrap()]).status.success());
    }
    let role = |name: &str| nobody(name).replacen('=', " = \"", 1) + "\"\n";
    let endpoints: String = ["profile", "locator", "sync", "alert", "crm"].into_iter().map(role).collect();
    let (key, token) = (key.display(), folder.join("token").display().to_string());
    let text = format!(
        "[nats]\nurl = \"{nats}\"\n[sealing]\nkey_file = \"{key}\"\n[access]\ntoken_file = \"{token}\"\n\
         [endpoints]\n{endpoints}"
    );
    std::fs::write(&config, text).unwrap();
    let output = run(&["doctor", "--json", "--config", config.to_str().unwrap()]);
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let by_name = checks.into_iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check)).collect();
    (output.status.code(), serde_json::Value::Object(by_name))
}

/// A server that greets as a nats-server of 2022 did, and answers pings.
fn old_nats() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let info = r#"{"server_id":"old","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576,"jetstream":true}"#;
                let _ = write!(writer, "INFO {info}\r\n");
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.starts_with("PING") {
                        let _ = write!(writer, "PONG\r\n");
                    }
                }
            });
        }
    });
    url
}

#[test]
fn a_nats_server_that_is_too_old_is_refused_by_roles_and_found_by_the_doctor() {
    let (folder, nats) = (tempfile::tempdir().unwrap(), old_nats());
    let (exit, checks) = doctor(folder.path(), &nats);
    assert_eq!(exit, Some(1));
    assert_eq!(checks["nats"]["code"], "NATS_TOO_OLD", "{checks}");
    assert!(checks["nats"]["found"].as_str().unwrap().contains("2.9.10"), "{checks}");
    for role in ["all", "crm", "profile"] {
        let output = run(&[role, "--config", folder.path().join("postroad.toml").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(text.contains("NATS_TOO_OLD") && text.contains("2.9.10"), "{text}");
    }
}

#[test]
fn a_key_file_that_holds_no_key_is_refused_with_the_way_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let nats = nobody("x").replace("x=http", "nats");
    for (text, part) in [("too short", "postroad key new"), ("", "32 bytes in Base64")] {
        std::fs::write(folder.path().join("sealing.key"), text).unwrap();
        let (_, checks) = doctor(folder.path(), &nats);
        assert_eq!(checks["sealing key"]["state"], "problem", "{checks}");
        assert!(checks["sealing key"]["found"].as_str().unwrap().contains(part), "{checks}");
        let output = run(&["profile", "--config", folder.path().join("postroad.toml").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_open_what_was_sealed_is_found_by_the_doctor() {
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, checks) = doctor(folder.path(), &nats.url());
    assert_eq!(
        (&checks["nats"]["state"], &checks["journal"]["state"]),
        (&"well".into(), &"warning".into()),
        "{checks}"
    );
    assert_eq!(checks["sealed passwords"]["state"], "not_checked", "{checks}");

    let client = async_nats::connect(nats.url()).await.unwrap();
    assert!(
        async_nats::jetstream::new(client.clone()).get_stream("JOURNAL").await.is_err(),
        "the doctor must not make a journal"
    );
    let journal = Journal::connect(&client, Options::default()).await.unwrap();
    let seal = |key: String| {
        let keyring = Keyring::load([("1".to_owned(), SecretString::from(key))]).unwrap();
        keyring.seal(&SecretString::from("s3cret")).unwrap()
    };
    let mut known = Snapshot::<Rules>::default();
    let (id, actor) = (uuid::Uuid::from_u128(1), Actor::new("test"));
    for (key, state, code) in [
        (std::fs::read_to_string(folder.path().join("sealing.key")).unwrap(), "well", serde_json::Value::Null),
        (Keyring::new_key(), "problem", "SEALING_KEY_WRONG".into()),
    ] {
        let sealed = seal(key);
        let set = |_: &_| Ok(vec![Event::PasswordSet { sealed: sealed.clone() }]);
        journal.execute_on::<Rules>(id, &actor, &mut known, set).await.unwrap();
        let (_, checks) = doctor(folder.path(), &nats.url());
        let check = &checks["sealed passwords"];
        assert_eq!((&check["state"], &check["code"]), (&state.into(), &code), "{checks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_the_former_layout_is_found_by_the_doctor() {
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let subjects = vec!["journal.>".to_owned()];
    let config = async_nats::jetstream::stream::Config { name: "JOURNAL".to_owned(), subjects, ..Default::default() };
    jetstream.create_stream(config).await.unwrap();
    let (_, checks) = doctor(folder.path(), &nats.url());
    let check = &checks["journal"];
    assert_eq!((&check["state"], &check["code"]), (&"problem".into(), &"JOURNAL_LAYOUT".into()), "{checks}");
    assert_eq!(checks["sealed passwords"]["state"], "not_checked", "{checks}");
}
