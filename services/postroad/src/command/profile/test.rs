//! `postroad profile test`: the connection test, step by step as it runs.

use indicatif::{ProgressBar, ProgressStyle};
use postroad_core::fault::{Code, Report};
use postroad_proto::{
    locator::v1::{Outcome, Step, Verdict},
    profile::v1::{TestProfileRequest, test_profile_response::Report as Reported},
};
use postroad_rig::{Role, wire};

use crate::{
    command::{profile::is_passed, step},
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, good, wary},
        time,
    },
    session::Session,
};

/// Runs the test and shows its steps.
pub async fn run(
    session: &mut Session,
    profile: String,
    email_address: String,
    evidence: bool,
) -> Result<Exit, Failure> {
    let request = TestProfileRequest { profile, email_address };
    let failed = session.connection.failed(Role::Profile);
    let mut stream = session.connection.profiles()?.test_profile(request).await.map_err(&failed)?.into_inner();
    let spinner = spinner();
    let mut outcome = None;
    while let Some(response) = stream.message().await.map_err(&failed)? {
        if session.output.is_json() {
            session.output.message_event(&response)?;
        }
        match response.report {
            Some(Reported::Step(step)) if step.verdict() == Verdict::Running => spinner.set_message(step.title),
            Some(Reported::Step(step)) if !session.output.is_json() => {
                let lines = lines(&step, evidence);
                spinner.suspend(|| lines.iter().try_for_each(|line| session.output.line(line)))?;
            }
            Some(Reported::Outcome(found)) => outcome = Some(found),
            Some(Reported::Step(_)) | None => {}
        }
    }
    spinner.finish_and_clear();
    // A stream that ends without its outcome was cut: nothing is known.
    let outcome =
        outcome.ok_or_else(|| Failure::from(&Report::new(Code::Internal, "the test ended without an outcome")))?;
    if !session.output.is_json() {
        summary(&mut session.output, &outcome)?;
    }
    Ok(if is_passed(&outcome) { Exit::Success } else { Exit::Failed })
}

/// The line that moves while something is waited for; hidden where standard error is no terminal.
pub fn spinner() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style);
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}

fn lines(ended: &Step, evidence: bool) -> Vec<String> {
    let mut lines = vec![step::line(ended)];
    if let Some(fault) = &ended.fault {
        lines.extend(step::explanation(fault, "    "));
    }
    if evidence {
        lines.extend(step::evidence(ended, "    "));
    } else if !ended.evidence.is_empty() {
        lines.push("    see the server's answer with --evidence".to_owned());
    }
    lines
}

fn summary(output: &mut Output, outcome: &Outcome) -> Result<(), Failure> {
    let elapsed = time::elapsed(wire::elapsed(outcome.elapsed.as_ref()));
    let directions = [
        ("incoming email", &outcome.incoming),
        ("outgoing email", &outcome.outgoing),
        ("appointments, contacts and tasks", &outcome.appointments_contacts_tasks),
    ];
    let failing: Vec<&str> = directions.iter().filter(|(_, fault)| fault.is_some()).map(|(name, _)| *name).collect();
    output.line("")?;
    if failing.is_empty() {
        output.line(format!("{} in {elapsed}", good("Success")))?;
    } else {
        output.line(format!("{} after {elapsed}: {} cannot work", bad("Failed"), failing.join(" and ")))?;
    }
    if !outcome.server_version.is_empty() {
        output.line(format!("server version {}", outcome.server_version))?;
    }
    if outcome.server_allows_connections > 0 {
        let note =
            format!("by default it allows the service account {} connections", outcome.server_allows_connections);
        output.line(format!("{} {note}", wary("note:")))?;
    }
    Ok(())
}
