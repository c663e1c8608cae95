//! `conformance`: checks whether a CRM keeps the guarantees of `crm.proto`.
#![expect(clippy::print_stdout, reason = "a program that prints its findings")]

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use comfy_table::{Table, presets};
use conformance::{Check, Outcome};
use postroad_rig::caller::{Introduction, TokenFile};

/// Checks whether a CRM keeps the guarantees of crm.proto
#[derive(Parser, Debug)]
#[command(
    name = "conformance",
    after_help = "Example:\n  cargo run -p conformance -- --endpoint http://127.0.0.1:7405\n\n\
        Makes records and emails in the CRM; run it against an empty test system. Exit code 1 says that a check failed."
)]
struct Arguments {
    /// Where the CRM is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7405")]
    endpoint: String,
    /// A file with the token that the CRM wants to see, such as Postroad's local token
    #[arg(long, env = "POSTROAD_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let token = match arguments.token_file.map(|file| TokenFile::open("--token-file", &file)).transpose() {
        Ok(token) => token,
        Err(error) => {
            anstream::eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let checks = match conformance::run(&arguments.endpoint, Introduction::new(token.map(Arc::new))).await {
        Ok(checks) => checks,
        Err(error) => {
            anstream::eprintln!("--endpoint {}: {error}", arguments.endpoint);
            return ExitCode::from(2);
        }
    };
    if arguments.json {
        println!("{}", serde_json::json!(checks));
    } else {
        print(&checks);
    }
    let failed = checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_)));
    if failed { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn print(checks: &[Check]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "CHECK", "WHY"]);
    for check in checks {
        let (mark, why) = match &check.outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
            Outcome::Skipped(why) => ("skipped", why.as_str()),
        };
        table.add_row([mark, check.name, why]);
    }
    println!("{table}");
    let count = |wanted: fn(&Outcome) -> bool| checks.iter().filter(|check| wanted(&check.outcome)).count();
    println!(
        "{} passed, {} failed, {} skipped",
        count(|outcome| matches!(outcome, Outcome::Passed)),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    );
}
