//! `cargo measure`: how fast Postroad is, beside a baseline that does the same requests and nothing else in the same run.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod bare;
mod discovery;
mod exchange;
mod failover;
mod figure;
mod fleet;
mod mail;
mod processor;
mod seed;
mod start;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

use crate::figure::Figure;

const HELP: &str = "\
Each figure stands beside its baseline from the same run, where there is one: a bare HTTP client that sends the same requests over \
as many connections of the same kind, inflates the answers and reads nothing of them; plain JetStream publishes; a replay; a lease. Of \
Postroad the sync role's processor time is counted. What the fake Exchange takes of the machine is told meanwhile, on standard error. \
All of it takes half an hour, mostly waiting for idle mailboxes to be idle.

Examples:
  cargo measure
  cargo measure --quick
  cargo measure --only start
  cargo measure --json | jq '.[] | select(.is_met == false)'";

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
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// Read mail by bare HTTP: the baseline, in a process of its own
    #[arg(long, hide = true, value_name = "FILE")]
    bare: Option<std::path::PathBuf>,
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

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Discoveries of mailboxes
    Discovery,
    /// Mail from Exchange to the CRM
    Mail,
    /// Polls that find nothing
    Polls,
    /// Workers that are killed
    Failover,
    /// Idle mailboxes, and how soon mail arrives
    Fleet,
    /// The journal, and starts with many mailboxes
    Start,
}

/// Says on standard error what is being done.
fn progress(what: &str) {
    anstream::eprintln!("measure: {what}");
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
        return match bare::errand(file).await {
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
    match Box::pin(measure(&arguments)).await {
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

async fn measure(arguments: &Arguments) -> Result<Vec<Figure>, Error> {
    let (wants, is_quick) = (|part: Part| arguments.only.is_empty() || arguments.only.contains(&part), arguments.quick);
    let mut figures = Vec::new();
    if wants(Part::Discovery) {
        progress("discoveries");
        figures.extend(Box::pin(discovery::measure(if is_quick { 300 } else { 5000 })).await?);
    }
    if wants(Part::Mail) {
        progress("mail");
        let messages = if is_quick { 300 } else { 5000 };
        figures.extend(Box::pin(mail::mail(messages)).await?);
    }
    if wants(Part::Polls) {
        figures.push(Box::pin(mail::polls(Duration::from_secs(if is_quick { 3 } else { 20 }))).await?);
    }
    if wants(Part::Failover) {
        figures.extend(Box::pin(failover::measure(if is_quick { 3 } else { 20 })).await?);
    }
    if wants(Part::Fleet) {
        let plan = if is_quick {
            let (sizes, latency) = (vec![100, 1000], vec![1000]);
            fleet::Plan { sizes, latency, messages: 100, cuts: 3, poll: Duration::from_secs(15), memory: (100, 1000) }
        } else {
            let (sizes, latency) = (vec![10, 100, 1000, 10_000, 50_000], vec![10, 10_000]);
            fleet::Plan {
                sizes,
                latency,
                messages: 1000,
                cuts: 20,
                poll: Duration::from_secs(60),
                memory: (1000, 50_000),
            }
        };
        figures.extend(Box::pin(fleet::measure(&plan)).await?);
    }
    if wants(Part::Start) {
        let (sizes, hours): (&[usize], usize) = if is_quick { (&[1000], 4) } else { (&[10_000, 100_000], 24) };
        figures.extend(Box::pin(start::measure(sizes, hours)).await?);
    }
    Ok(figures)
}

fn print(figures: &[Figure], json: bool) {
    if json {
        println!("{}", serde_json::json!(figures));
    } else {
        println!("{}", figure::table(figures));
    }
}
