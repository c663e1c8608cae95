//! `postroad top` in a terminal of its own, over a running deployment.

use std::{num::NonZeroU16, process::ExitStatus};

use mockex::{Region, ServerVersion};
use pty_process::{Command, Pty, Size};
use system::{
    Options, Role,
    scene::{DEADLINE, Scene},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Child,
};

const TWO: [&str; 2] = ["ada@contoso.example", "ben@contoso.example"];

/// A program in a terminal, and what it shows there.
struct Terminal {
    pty: Pty,
    child: Child,
    parser: vt100::Parser,
    /// Everything that was written.
    raw: Vec<u8>,
}

impl Terminal {
    fn open(scene: &Scene, variables: &[(&str, &str)]) -> Self {
        let (pty, slave) = pty_process::open().unwrap();
        pty.resize(Size::new(30, 100)).unwrap();
        let config = scene.deployment.config();
        let command = Command::new(scene.deployment.postroad()).arg("top").arg("--config").arg(config);
        let command = command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
        let child = command.kill_on_drop(true).spawn(slave).unwrap();
        Self { pty, child, parser: vt100::Parser::new(length(30), length(100), 0), raw: Vec::new() }
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.parser.screen_mut().set_size(length(rows), length(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    async fn press(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Reads once; whether there was anything.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // The terminal of a program that ended gives an error.
        let count = self.pty.read(&mut bytes).await.unwrap_or(0);
        let read = bytes.get(..count).unwrap_or_default();
        self.raw.extend_from_slice(read);
        self.parser.process(read);
        count > 0
    }

    fn rows(&self) -> Vec<String> {
        self.parser.screen().contents().lines().map(str::to_owned).collect()
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while !is_so(&self.rows()) {
                assert!(self.read().await, "it ended before it showed {what}");
            }
        });
        assert!(waited.await.is_ok(), "it never showed {what}:\n{}", self.rows().join("\n"));
    }

    async fn until_shown(&mut self, text: &str) {
        self.until(text, |rows| rows.iter().any(|row| row.contains(text))).await;
    }

    /// Reads to the end; the terminal must be as it was.
    async fn end(mut self) -> (ExitStatus, Vec<u8>) {
        let ended = tokio::time::timeout(DEADLINE, async {
            while self.read().await {}
            self.child.wait().await.unwrap()
        });
        let status = ended.await.unwrap();
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "the terminal was not restored");
        (status, self.raw)
    }
}

fn length(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

async fn scene() -> Scene {
    let region = Region::new("europe", ServerVersion::Exchange2016, TWO);
    let scene = Scene::open(mockex::Options::contoso(vec![region]), Options::default()).await.unwrap();
    scene.enable(&TWO).await.unwrap();
    for (number, address) in TWO.iter().chain(&TWO).enumerate() {
        scene.deliver("seen", number, address).unwrap();
    }
    scene.wait_for("seen", 0..4).await.unwrap();
    scene
}

fn run(scene: &Scene, arguments: &[&str]) -> std::process::Output {
    let config = scene.deployment.config().display().to_string();
    let mut command = std::process::Command::new(scene.deployment.postroad());
    command.arg("top").args(["--config", &config]).args(arguments).stdin(std::process::Stdio::null());
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_seen_in_a_terminal_through_an_outage_and_the_terminal_is_restored() {
    let mut scene = scene().await;
    let mut top = Terminal::open(&scene, &[]);
    top.until("both mailboxes well", |rows| rows.iter().any(|row| row.contains(" well ") && row.contains(" 2 █")))
        .await;
    top.until_shown("4 decided, 4 tracked").await;
    top.until_shown("mail.contoso.example").await;
    top.until("a latency", |rows| rows.iter().any(|row| row.contains("to CRM p50 ") && row.contains(" p99 "))).await;

    top.press("4").await;
    top.until_shown("ben@contoso.example").await;
    top.press("/ada\r").await;
    top.until("only ada", |rows| {
        let has = |name: &str| rows.iter().any(|row| row.contains(name));
        has("ada@contoso.example") && !has("ben@contoso.example") && has("search ada")
    })
    .await;
    top.press("\r").await;
    top.until_shown("Timeline, the newest first").await;
    // What happens while it is looked at arrives.
    scene.deliver("seen", 4, TWO[0]).unwrap();
    top.until_shown(&system::message_id("seen", 4)).await;

    scene.deployment.kill(Role::Sync).await.unwrap();
    top.until_shown("the sync role does not answer").await;
    scene.deployment.restart(Role::Sync).await.unwrap();
    top.until("an answer", |rows| !rows.iter().any(|row| row.contains("does not answer"))).await;

    top.resize(24, 80);
    top.until("the keys in the last row", |rows| rows.get(23).is_some_and(|row| row.contains("q quit"))).await;
    top.press("q").await;
    let (status, raw) = top.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(String::from_utf8_lossy(&raw).contains("\x1b[38;5;"), "it has colours");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_it_in_order_and_no_colour_is_no_colour() {
    let scene = scene().await;
    for (signal, key) in [(Some("TERM"), ""), (Some("INT"), ""), (None, "\x03")] {
        let mut top = Terminal::open(&scene, &[("NO_COLOR", "1")]);
        top.until_shown("4 decided, 4 tracked").await;
        if let Some(signal) = signal {
            let id = top.child.id().unwrap().to_string();
            assert!(std::process::Command::new("kill").args(["-s", signal, "--", &id]).status().unwrap().success());
        }
        top.press(key).await;
        let (status, raw) = top.end().await;
        assert_eq!(status.code(), Some(0), "{signal:?}");
        let raw = String::from_utf8_lossy(&raw);
        for colour in ["\x1b[38;5;", "\x1b[31", "\x1b[32", "\x1b[33", "\x1b[36"] {
            assert!(!raw.contains(colour), "{colour:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_a_frame_or_a_snapshot_and_a_clear_word_where_there_is_no_terminal() {
    let mut scene = scene().await;
    let frame = run(&scene, &["--once"]);
    let text = String::from_utf8(frame.stdout).unwrap();
    assert!(frame.status.success() && text.contains("4 decided, 4 tracked") && !text.contains('\x1b'), "{text}");
    let snapshot = run(&scene, &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&snapshot.stdout).unwrap();
    assert_eq!(json["mailboxes"]["total"], 2, "{json}");
    assert_eq!(json["fleet"]["workers"][0]["traffic"]["decided"], 4, "{json}");
    assert_eq!(json["servers"].as_array().map(Vec::len), Some(1), "{json}");
    let nowhere = run(&scene, &[]);
    let text = String::from_utf8(nowhere.stderr).unwrap();
    assert!(nowhere.status.code() == Some(2) && text.contains("--once"), "{text}");
    scene.deployment.kill(Role::Sync).await.unwrap();
    assert_eq!(run(&scene, &["--once"]).status.code(), Some(3));
}
