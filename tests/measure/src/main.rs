//! `cargo measure`: how fast Postroad is, beside a baseline that does the same requests and nothing else in the same run.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod discovery;
mod exchange;
mod mail;
mod processor;

use std::process::ExitCode;

use clap::Parser;
use comfy_table::{Table, presets};
use serde::Serialize;

const HELP: &str = "\
Each figure stands beside its baseline from the same run: a bare HTTP client that sends the same requests over the same kind \
of connections and reads nothing of the answers. The fake Exchange runs in a process of its own and is not counted.

Examples:
  cargo measure
  cargo measure --quick
  cargo measure --json | jq '.[].ratio'";

/// Measures Postroad against bare HTTP
#[derive(Parser, Debug)]
#[command(name = "measure", after_help = HELP)]
struct Arguments {
    /// Fewer rounds: the figures are rough
    #[arg(long)]
    quick: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Read mail by bare HTTP: the baseline, in a process of its own
    #[arg(long, hide = true, value_name = "FILE")]
    bare: Option<std::path::PathBuf>,
}

/// One figure and its baseline.
#[derive(Debug, Serialize)]
struct Figure {
    /// What was measured.
    name: &'static str,
    /// In what.
    unit: &'static str,
    /// Postroad's.
    value: f64,
    /// The baseline's, of the same run.
    baseline: f64,
    /// Value by baseline.
    ratio: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// Something that is needed cannot be had.
    #[error("{0}")]
    Missing(String),
    /// What was measured did not do what it should.
    #[error("a measured run failed: {0}")]
    Run(String),
}

impl Figure {
    fn new(name: &'static str, unit: &'static str, value: f64, baseline: f64) -> Self {
        Self { name, unit, value, baseline, ratio: value / baseline }
    }
}

/// The alias ends with `--`, so that flags need none; one more, as other commands of cargo want it, is understood too.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "--") {
        arguments.remove(1);
    }
    arguments
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments());
    if let Some(file) = &arguments.bare {
        return match mail::bare(file).await {
            Ok(spent) => {
                println!("{spent}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                anstream::eprintln!("measure: {error}");
                ExitCode::from(1)
            }
        };
    }
    match Box::pin(measure(arguments.quick)).await {
        Ok(figures) => {
            print(&figures, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("measure: {error}");
            ExitCode::from(1)
        }
    }
}

async fn measure(is_quick: bool) -> Result<Vec<Figure>, Error> {
    let mut figures = Box::pin(discovery::measure(if is_quick { 300 } else { 5000 })).await?;
    figures.extend(Box::pin(mail::measure(if is_quick { 300 } else { 5000 })).await?);
    Ok(figures)
}

fn print(figures: &[Figure], json: bool) {
    if json {
        println!("{}", serde_json::json!(figures));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["FIGURE", "VALUE", "BASELINE", "RATIO", "UNIT"]);
    for figure in figures {
        let number = |value: f64| format!("{value:.0}");
        table.add_row([
            figure.name.to_owned(),
            number(figure.value),
            number(figure.baseline),
            format!("{:.2}", figure.ratio),
            figure.unit.to_owned(),
        ]);
    }
    println!("{table}");
}
