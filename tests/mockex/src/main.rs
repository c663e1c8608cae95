//! `mockex`: a fake Exchange organisation as a program.
#![expect(clippy::disallowed_methods, reason = "a test tool: it reads the environment")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mockex::{Options, Organization, Region, ServerVersion};
use tokio::io::AsyncReadExt as _;

const HELP: &str = "\
When it is ready it prints one line of JSON: the URLs of the regions, of Autodiscover and of the control API, and the \
authority's certificate. Ask the control API for / to see what it can do.

It ends with Ctrl-C, and where POSTROAD_EXIT_WITH_STDIN=1 is set, with its standard input.

Example:
  mockex --example > organisation.toml
  mockex --config organisation.toml";

/// A fake Exchange organisation: Autodiscover and EWS over HTTPS, in memory
#[derive(Parser, Debug)]
#[command(name = "mockex", version, after_help = HELP)]
struct Arguments {
    /// The organisation (TOML); without it, one region with two mailboxes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an example of an organisation and exit
    #[arg(long)]
    example: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mockex: {error}");
            ExitCode::from(1)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    if arguments.example {
        print!("{}", toml::to_string_pretty(&example()).map_err(|error| error.to_string())?);
        return Ok(());
    }
    let options = match &arguments.config {
        None => example(),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?
        }
    };
    let names: Vec<String> = options.regions.iter().map(|region| region.name.clone()).collect();
    let running = Organization::start(options).await.map_err(|error| error.to_string())?;
    let regions: serde_json::Map<String, serde_json::Value> =
        names.iter().map(|name| (name.clone(), running.region_url(name).into())).collect();
    let ready = serde_json::json!({
        "regions": regions,
        "autodiscover": running.autodiscover_url(),
        "control": running.control_url(),
        "authority": running.ca_pem(),
    });
    println!("{ready}");
    stopped().await;
    Ok(())
}

fn example() -> Options {
    let addresses = ["ana@contoso.example", "ben@contoso.example"];
    Options::contoso(vec![Region::new("europe", ServerVersion::Exchange2016, addresses)])
}

async fn stopped() {
    let stdin = async {
        if std::env::var("POSTROAD_EXIT_WITH_STDIN").as_deref() != Ok("1") {
            return std::future::pending().await;
        }
        let mut buffer = [0_u8; 64];
        let mut stdin = tokio::io::stdin();
        while stdin.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stdin => {}
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
