//! `mockex`: a fake Exchange organisation as a program.
#![expect(clippy::disallowed_methods, reason = "a test tool: it reads the environment")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use mockex::{Options, Organization, Region, Running, ServerVersion};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt as _;

const HELP: &str = "\
When it is ready it prints one line of JSON: URL and port of each region and of Autodiscover, the URLs of the token endpoint (of an organisation with [application]) \
and of the control API, \
and the file that holds the authority's certificate (PEM), which clients have to trust. The file goes away with the program. \
Everything is in memory, and on 127.0.0.1 unless `address` says otherwise. Ask the control API for / to see what it can do.

It ends with Ctrl-C, and where POSTROAD_EXIT_WITH_STDIN=1 is set, with its standard input.

Example:
  mockex --example > organisation.toml
  mockex --config organisation.toml
  curl CONTROL/messages?mailbox=ana@contoso.example --data-binary @letter.eml
  curl CONTROL/faults -d '{\"region\":\"europe\",\"times\":3,\"kind\":{\"http_status\":{\"status\":503,\"retry_after\":5}}}'";

/// A fake Exchange organisation: Autodiscover and EWS over HTTPS, in memory
#[derive(Parser, Debug)]
#[command(name = "mockex", version, after_help = HELP)]
struct Arguments {
    /// The organisation: TOML, or JSON if the name ends with .json; without it, one region with two mailboxes
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
        Some(file) => read(file).map_err(|error| format!("{}: {error}", file.display()))?,
    };
    let names: Vec<String> = options.regions.iter().map(|region| region.name.clone()).collect();
    let running = Organization::start(options).await.map_err(|error| error.to_string())?;
    let authority = authority_file(&running).map_err(|error| format!("the authority's certificate: {error}"))?;
    let region =
        |name: &String| serde_json::json!({ "url": running.region_url(name), "port": running.region_port(name) });
    let regions: serde_json::Map<String, serde_json::Value> =
        names.iter().map(|name| (name.clone(), region(name))).collect();
    let ready = serde_json::json!({
        "regions": regions,
        "autodiscover": { "url": running.autodiscover_url(), "port": running.autodiscover_port() },
        "token_endpoint": running.token_url(),
        "control": running.control_url(),
        "authority_file": authority.path(),
    });
    println!("{ready}");
    stopped().await;
    Ok(())
}

fn read(file: &Path) -> Result<Options, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return serde_json::from_str(&text).map_err(|error| error.to_string());
    }
    toml::from_str(&text).map_err(|error| error.to_string())
}

fn authority_file(running: &Running) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("mockex-authority-").suffix(".pem").tempfile()?;
    file.write_all(running.ca_pem().as_bytes())?;
    Ok(file)
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
