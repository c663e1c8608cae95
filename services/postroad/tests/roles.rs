//! Roles as processes, and the command line that speaks to them: they start, serve, answer, and stop when asked to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use stage::{Nats, Process, eventually, nats, ports};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

struct Site {
    nats: Nats,
    folder: TempDir,
    roles: Vec<Process>,
}

impl Site {
    /// NATS and a configuration on free ports.
    async fn new() -> Self {
        let nats = Nats::start(nats::Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let site = Self { nats, folder, roles: Vec::new() };
        let key = site.path("sealing.key");
        assert!(site.run(&["key", "new", "--out", &key]).status.success());
        let token = site.path("token");
        let mut text = format!(
            "[nats]\nurl = \"{}\"\n[sealing]\nkey_file = \"{key}\"\n[access]\ntoken_file = \"{token}\"\n",
            site.nats.url()
        );
        let roles = ["profile", "locator", "sync", "alert", "crm"];
        let ports = ports::free(roles.len()).unwrap();
        text.push_str("[endpoints]\n");
        for (role, port) in roles.iter().zip(&ports) {
            text.push_str(&format!("{role} = \"http://127.0.0.1:{port}\"\n"));
        }
        for (role, port) in roles.iter().zip(&ports) {
            text.push_str(&format!("[{role}]\nlisten = \"127.0.0.1:{port}\"\n"));
        }
        std::fs::write(site.path("postroad.toml"), text).unwrap();
        site
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, line: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroad"));
        command.args(line).env_clear().env("USER", "ada").env("POSTROAD_CONFIG", self.path("postroad.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id().to_string();
        let (ended, output) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        // A stream that never ends must fail the test instead of stopping it.
        output.recv_timeout(DEADLINE).map(Result::unwrap).unwrap_or_else(|_| {
            let _ = Command::new("kill").arg(&id).status();
            panic!("{line:?} did not end")
        })
    }

    /// What a command answers as JSON.
    fn json(&self, line: &[&str]) -> serde_json::Value {
        let output = self.run(&[line, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line:?}: {}", text(&output.stderr)))
    }

    /// Starts a role, or all, and waits until the doctor finds `roles` serving.
    async fn start(&mut self, subcommand: &str, roles: &[&str]) {
        let program = Path::new(env!("CARGO_BIN_EXE_postroad"));
        let log = self.folder.path().join(format!("{subcommand}.log"));
        let config = self.path("postroad.toml");
        let mut process = Process::start(program, &[subcommand, "--config", &config], &[], &log).unwrap();
        let serving = eventually(DEADLINE, || {
            let checks = self.json(&["doctor"]);
            let is_well = |role: &&str| {
                let name = format!("{role} role");
                checks.as_array().unwrap().iter().any(|check| check["name"] == name && check["state"] == "well")
            };
            let outcome = (roles.iter().all(is_well) || !process.is_running()).then_some(());
            std::future::ready(outcome)
        });
        assert!(serving.await.is_some() && process.is_running(), "{}", process.log());
        self.roles.push(process);
    }

    async fn stop(&mut self) {
        for role in &mut self.roles {
            assert!(role.stop(DEADLINE).await.unwrap(), "{}", role.log());
            assert_eq!(role.wait().await.unwrap(), Some(0), "{}", role.log());
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PEOPLE: &str = "kind,name,addresses
user,Ada King,ada@contoso.example;ada.king@contoso.example
queue,Support,support@contoso.example
";

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_their_own_serve_and_answer() {
    let mut site = Site::new().await;
    for role in ["crm", "locator", "alert", "sync"] {
        site.start(role, &[role]).await;
    }
    let file = site.path("people.csv");
    std::fs::write(&file, PEOPLE).unwrap();
    for changed in [2, 0] {
        let loaded = site.json(&["record", "load", &file]);
        assert_eq!((&loaded["records"], &loaded["changed"]), (&2.into(), &changed.into()));
    }
    let records = site.json(&["record", "list", "--kind", "user"]);
    assert_eq!(records[0]["addresses"][1], "ada.king@contoso.example", "{records}");
    assert_eq!(site.json(&["record", "get", "ADA@contoso.example"])["name"], "Ada King");
    assert_eq!(site.json(&["alert", "list"]), serde_json::json!([]));
    assert_eq!(site.json(&["activity", "list"]), serde_json::json!([]));
    assert_eq!(site.run(&["activity", "explain", "<nobody@has.met>"]).status.code(), Some(1));

    std::fs::write(&file, "kind,name,adresses\nuser,Ada,ada@contoso.example\n").unwrap();
    let output = site.run(&["record", "load", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`adresses`"), "{}", text(&output.stderr));
    for (line, field) in [
        (&["record", "get", "nobody@contoso.example"][..], "record"),
        (&["alert", "list", "--profile", "Nowhere"], "filter.profile"),
        (&["activity", "show", "<nobody@has.met>"], "email"),
    ] {
        let output = site.run(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).starts_with(&format!("error: {field}: ")), "{}", text(&output.stderr));
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let mut site = Site::new().await;
    site.start("crm", &["crm"]).await;
    let output = site.run(&["crm", "--config", &site.path("postroad.toml")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("crm.listen = "), "{}", text(&output.stderr));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_roles_run_in_one_process() {
    let mut site = Site::new().await;
    site.start("all", &["profile", "locator", "sync", "alert", "crm"]).await;
    let file = site.path("people.csv");
    std::fs::write(&file, PEOPLE).unwrap();
    assert!(site.run(&["record", "load", &file]).status.success());
    let password = site.path("password");
    std::fs::write(&password, "s3cret\n").unwrap();
    let create = |name: &'static str, more: &[&str]| {
        let line = ["profile", "create", name, "--user-name", "crm@contoso.example", "--password-file", &password];
        site.run(&[&line, more].concat())
    };
    let owner = ["--owner", "ada@contoso.example", "--server-type", "exchange_server_hybrid"];
    let created = create("Contoso", &owner);
    assert!(created.status.success(), "{}", text(&created.stderr));
    for (more, field) in [
        (&["--owner", "nobody@contoso.example", "--server-type", "exchange_server"][..], "owner"),
        (&["--autodiscover", "no", "--incoming-location", "http://mail.contoso.example/EWS"], "incoming_location"),
        (&["--maximum-concurrent-connections", "301"], "maximum_concurrent_connections"),
    ] {
        let more = if field == "owner" { more.to_vec() } else { [&owner, more].concat() };
        let refused = create("Other", &more);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).starts_with(&format!("error: {field}: ")), "{}", text(&refused.stderr));
    }
    let profile = site.json(&["profile", "get", "contoso"]);
    assert_eq!(profile["settings"]["name"], "Contoso", "{profile}");
    assert!(!profile.to_string().contains("s3cret"));
    let etag = profile["etag"].as_str().unwrap();
    let file = site.path("profile.toml");
    std::fs::write(&file, "description = \"the main one\"\nsend_alert_email = true\n").unwrap();
    let updated = site.json(&["profile", "update", "Contoso", "-f", &file, "--etag", etag]);
    assert_eq!(updated["settings"]["send_alert_email"], true, "{updated}");
    let stale = site.run(&["profile", "update", "Contoso", "--description", "x", "--etag", etag]);
    assert!(text(&stale.stderr).contains("ETAG_STALE"), "{}", text(&stale.stderr));

    let line =
        ["mailbox", "create", "ada@contoso.example", "--regarding", "ada@contoso.example", "--profile", "Contoso"];
    let mailbox = site.json(&[&line[..], &["--incoming-method", "server_side_sync"]].concat());
    assert_eq!(mailbox["approval"], "pending", "{mailbox}");
    assert!(site.run(&["mailbox", "approve", "ada@contoso.example"]).status.success());
    let timeline = text(&site.run(&["mailbox", "timeline", "ada@contoso.example"]).stdout);
    assert!(timeline.contains("admin ada") && timeline.lines().count() >= 4, "{timeline}");
    let used = site.run(&["profile", "delete", "Contoso"]);
    assert!(text(&used.stderr).contains("PROFILE_IN_USE"), "{}", text(&used.stderr));
    let checks = site.json(&["doctor"]);
    for name in ["sealed passwords", "sealed contents"] {
        let check = checks.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["state"], "well", "{checks}");
    }
    unreachable_server(&site, &create("Nowhere", &owner));
    site.stop().await;
}

/// Tests against a port that nobody listens on: the fault is named, and the exit code says that it failed.
fn unreachable_server(site: &Site, created: &Output) {
    assert!(created.status.success(), "{}", text(&created.stderr));
    let port = ports::free(1).unwrap().remove(0);
    let location = format!("https://localhost:{port}/EWS/Exchange.asmx");
    let fixed = ["profile", "update", "Nowhere", "--autodiscover", "no", "--incoming-location", &location];
    let output = site.run(&fixed);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tested = site.run(&["profile", "test", "Nowhere", "--mailbox", "ada@contoso.example"]);
    let shown = text(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1), "{shown}{}", text(&tested.stderr));
    assert!(shown.contains("CONNECT_REFUSED") && shown.contains("Failed after"), "{shown}");
    assert!(site.run(&["mailbox", "update", "ada@contoso.example", "--profile", "Nowhere"]).status.success());
    let tested = site.run(&["mailbox", "test", "ada@contoso.example"]);
    let shown = text(&tested.stdout);
    assert_eq!(tested.status.code(), Some(4), "{shown}{}", text(&tested.stderr));
    assert!(shown.contains("CONNECT_REFUSED") && shown.contains("0 of 1 passed, 1 failed"), "{shown}");
}
