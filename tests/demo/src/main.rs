//! `cargo demo`: the whole of Postroad on one machine, in front of a fake Exchange of three regions and twelve mailboxes.
//!
//! Roles are processes of their own, the wire is real: NATS, TLS, SMTP. Nothing is left behind.

use std::process::ExitCode;

use clap::Parser;
use demo::Screen;
use system::{Deployment, Extras, Options};

const HELP: &str = "\
Starts nats-server (fetched if none of 2.12 or newer is installed), every role of Postroad as a process of its own, a mail \
relay and a fake Exchange organisation; delivers mail, lets a region fail and recover, and shows what happens.

Exit codes: 0 every message is in the CRM exactly once, 1 not so, or something did not happen.";

/// Shows Postroad at work against a fake Exchange organisation
#[derive(Parser, Debug)]
#[command(name = "cargo demo", about, after_help = HELP)]
struct Arguments {
    /// End after the play; otherwise everything stays up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// End with one line of JSON on standard output; the story goes to standard error
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments());
    let screen = Screen::new(arguments.json);
    let options = Options { figures: true, ..Options::default() };
    // Dropping the deployment ends every process that was started.
    let performed = tokio::select! {
        performed = demo::perform(screen, options, Extras::default()) => performed,
        () = interrupted() => {
            screen.say("stopped before the end; nothing is left behind");
            return ExitCode::from(1);
        }
    };
    match performed {
        Ok((deployment, summary)) => {
            let ended = end(deployment, &arguments, screen).await;
            if arguments.json {
                println!("{}", summary.json());
            }
            if ended && summary.is_exact() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            screen.bad(error);
            ExitCode::from(1)
        }
    }
}

/// The command line. The alias ends with `--` already, so that both `cargo demo --once` and `cargo demo -- --once` are
/// understood.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "--") {
        arguments.remove(1);
    }
    arguments
}

/// Stays up if that is wanted, and stops everything; says whether every role ended by itself.
async fn end(mut deployment: Deployment, arguments: &Arguments, screen: Screen) -> bool {
    if !arguments.once {
        stay(&deployment, screen).await;
    }
    match deployment.stop().await {
        Ok(killed) if killed.is_empty() => true,
        Ok(killed) => {
            screen.bad(format_args!("these roles did not end by themselves: {killed:?}"));
            false
        }
        Err(error) => {
            screen.bad(error);
            false
        }
    }
}

async fn stay(deployment: &Deployment, screen: Screen) {
    let (postroad, config) = (deployment.postroad().display(), deployment.config());
    let commands = [
        "top",
        "mailbox list",
        "mailbox timeline ada@contoso.example",
        "activity list",
        "activity explain tuesday.0@fabrikam.example",
        "alert list",
        "profile test 'Contoso Exchange' --mailbox ada@contoso.example",
        "locate ada@contoso.example --explain",
        "profile history 'Contoso Exchange'",
        "doctor",
    ];
    screen.act("Everything stays up until Ctrl-C. In another terminal, try");
    for command in commands {
        screen.quote(&format!("{postroad} --config {} {command}", config.display()));
    }
    screen.say(format_args!("mockex is controlled at {}", deployment.exchange.control_url()));
    let ports = deployment.figure_ports().iter();
    let targets: Vec<_> = ports.map(|(role, port)| format!("127.0.0.1:{port} ({})", role.name())).collect();
    screen.say(format_args!("Prometheus finds /metrics at {}", targets.join(", ")));
    interrupted().await;
    screen.say("stopping; nothing is left behind");
}

/// Ctrl-C, or SIGTERM.
async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
