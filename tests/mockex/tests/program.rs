//! The program `mockex`.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot happen may panic")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Starts the program so that it ends with its standard input; gives what it prints when it is ready.
fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mockex"))
        .args(arguments)
        .env("POSTROAD_EXIT_WITH_STDIN", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn example() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mockex")).arg("--example").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn it_serves_until_its_input_ends() {
    let (mut child, ready) = start(&[]);
    let authority = ready["authority_file"].as_str().unwrap();
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap();
    let region = &ready["regions"]["europe"];
    assert!(region["port"].as_u64().is_some_and(|port| port > 0));
    for url in [&region["url"], &ready["autodiscover"]["url"]] {
        assert_eq!(http.post(url.as_str().unwrap()).send().await.unwrap().status(), 401);
    }
    assert_eq!(http.get(ready["control"].as_str().unwrap()).send().await.unwrap().status(), 200);

    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(!Path::new(authority).exists(), "nothing is left behind");
}

#[test]
fn its_example_is_a_configuration_in_toml_and_in_json() {
    let folder = tempfile::TempDir::new().unwrap();
    let example = example();
    let json: Value = serde_json::to_value(toml::from_str::<toml::Table>(&example).unwrap()).unwrap();
    for (name, text) in [("organisation.toml", example), ("organisation.json", json.to_string())] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let (mut child, ready) = start(&["--config", file.to_str().unwrap()]);
        assert!(ready["regions"]["europe"]["url"].is_string(), "{ready}");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("organisation.toml");
    std::fs::write(&file, example().replace("public_host", "pubic_host")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mockex")).arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("organisation.toml") && error.contains("pubic_host"), "{error}");
}
