//! `postroad server`: how the mail servers are asked.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use postroad_proto::sync::v1::{Budget, ListServersRequest, Outage, ServerStatus};
use postroad_rig::Role;

use crate::{
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, cell, faint, good, strong, wary_cell},
    },
    session::Session,
};

/// Mail servers
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show how each mail server is asked: budgets, back-offs, and what it taught
    #[command(after_help = "\
USED are connections in use, ALLOWED those that may be used now and those if the server had never complained. LIMIT is how many requests a \
second it was learned to bear; none where it never complained. REST is what is left of a back-off: nothing is sent before its end.

Examples:
  postroad server status
  postroad server status --json | jq '.[] | select(.outage) | .server'")]
    Status,
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let Self::Status = self;
        let mut client = session.connection.sync()?;
        let answer = client.list_servers(ListServersRequest {}).await.map_err(session.connection.failed(Role::Sync))?;
        let servers = answer.into_inner().servers;
        if session.output.is_json() {
            session.output.messages(&servers)?;
        } else if servers.is_empty() {
            session.output.line(faint("no mail server was asked yet"))?;
        } else {
            servers.iter().try_for_each(|server| show(&mut session.output, server))?;
        }
        Ok(Exit::Success)
    }
}

fn show(output: &mut Output, server: &ServerStatus) -> Result<(), Failure> {
    let tail: String = server.worker.chars().skip(server.worker.chars().count().saturating_sub(8)).collect();
    let state = server.outage.as_ref().map_or_else(|| good("answers"), |_| bad("down"));
    output.line(format!("{}  {state}  {}", strong(&server.server), faint(format!("as worker …{tail} knows it"))))?;
    if let Some(outage) = &server.outage {
        tell_outage(output, outage)?;
    }
    let header = ["  ", "USED", "ALLOWED", "RATE", "LIMIT", "REST", "REQUESTS", "THROTTLED", "TOO MANY"];
    let all = row("all accounts", server.budget.unwrap_or_default(), Some(server.rate));
    let accounts = server.accounts.iter().map(|one| row(&one.name, one.budget.unwrap_or_default(), None));
    output.table(&header, std::iter::once(all).chain(accounts).collect())
}

fn tell_outage(output: &mut Output, outage: &Outage) -> Result<(), Failure> {
    let lasts = Duration::from_millis(outage.lasts_ms).as_secs();
    let fault = outage.fault.clone().unwrap_or_default();
    output.line(format!("  {} {} ({})", faint("fault "), bad(&fault.code), fault.what))?;
    output.line(format!("  {} {lasts} s, probed {} times in vain", faint("since "), outage.probes))?;
    output.line(format!("  {} {}", faint("remedy"), fault.remedy))
}

fn row(name: &str, budget: Budget, rate: Option<f64>) -> Vec<Cell> {
    let allowed = format!("{}/{}", budget.allowed, budget.ceiling);
    let allowed = if budget.allowed < budget.ceiling { wary_cell(allowed) } else { cell(allowed) };
    let limit = if budget.rate_limit > 0.0 { wary_cell(format!("{:.1}/s", budget.rate_limit)) } else { cell("-") };
    let back_off = match budget.back_off_ms {
        0 => cell("-"),
        left => wary_cell(format!("{} s", left.div_ceil(1000))),
    };
    vec![
        cell(format!("  {name}")),
        cell(budget.used),
        allowed,
        cell(rate.map_or_else(String::new, |rate| format!("{rate:.1}/s"))),
        limit,
        back_off,
        cell(budget.requests),
        cell(budget.throttled),
        cell(budget.too_many),
    ]
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report};
    use postroad_rig::status::to_wire;

    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn it_tells_what_was_learned_and_what_to_do() {
        let budget =
            Budget { used: 1, allowed: 4, ceiling: 27, rate_limit: 7.5, back_off_ms: 29_001, ..Budget::default() };
        let fault = Some(to_wire(&Report::new(Code::ConnectRefused, "")));
        let server = ServerStatus {
            server: "mail.contoso.example".into(),
            worker: "sync-0198c1aa".into(),
            budget: Some(budget),
            outage: Some(Outage { lasts_ms: 61_000, probes: 7, fault }),
            ..ServerStatus::default()
        };
        let (mut output, captured) = captured(false);
        show(&mut output, &server).unwrap();
        let text = captured.text();
        let remedy = Code::ConnectRefused.row().remedy;
        for part in ["mail.contoso.example", "down", "61 s", "7 times", remedy, "4/27", "7.5/s", "30 s"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
