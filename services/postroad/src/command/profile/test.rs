//! `postroad profile test`: the connection test, step by step as it runs.

use std::path::{Path, PathBuf};

use futures::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use postroad_core::fault::{Code, Report as Fault};
use postroad_proto::{
    locator::v1::{Outcome, Step, Verdict},
    profile::v1::{
        GetProfileRequest, ProfileSettings, TestProfileRequest, TestSettingsRequest, test_profile_response,
        test_settings_response,
    },
};
use postroad_rig::{Role, clock, wire};
use tonic::Status;

use crate::{
    command::{
        profile::{is_passed, report::Report},
        step,
    },
    contract::Described,
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, faint, good, wary},
        time,
    },
    session::Session,
    settings_file::Changes,
};

/// What to test and how to show it.
pub struct Wanted {
    /// The stored profile.
    pub profile: Option<String>,
    /// The mailbox to test with.
    pub mailbox: String,
    /// Whether request and answer are shown.
    pub evidence: bool,
    /// Where a report goes.
    pub report: Option<PathBuf>,
}

enum Told {
    Step(Box<Step>),
    Outcome(Box<Outcome>),
}

/// Runs the test and shows its steps. With settings, they are tested on top of the stored ones, and not stored.
pub async fn run(session: &mut Session, wanted: Wanted, changes: Changes<ProfileSettings>) -> Result<Exit, Failure> {
    let subject = wanted.profile.clone().unwrap_or_else(|| "settings that are not saved".to_owned());
    let is_stored = changes.is_empty();
    let shown = if is_stored {
        let profile = wanted.profile.clone().ok_or_else(|| {
            let rule = "name a stored profile, or give settings with flags or -f FILE";
            Failure::refused(Code::FieldRequired, "PROFILE", rule)
        })?;
        stored(session, profile, &wanted).await?
    } else {
        unsaved(session, changes, &wanted).await?
    };
    let mut again = repeat(&wanted);
    if !is_stored {
        again.push_str(" with the same settings");
    }
    if !session.output.is_json() {
        summary(&mut session.output, &shown.outcome)?;
        if !is_passed(&shown.outcome) {
            session.output.line(format!("{} {again}", faint("repeat it with:")))?;
        }
    }
    if let Some(file) = &wanted.report {
        let report = Report {
            subject: &subject,
            mailbox: &wanted.mailbox,
            at: clock::now(),
            steps: &shown.steps,
            outcome: &shown.outcome,
            again: &again,
        };
        write(file, &report.markdown())?;
        if !session.output.is_json() {
            session.output.line(format!("{} {}", faint("report written to"), file.display()))?;
        }
    }
    Ok(if is_passed(&shown.outcome) { Exit::Success } else { Exit::Failed })
}

struct Shown {
    steps: Vec<Step>,
    outcome: Outcome,
}

async fn stored(session: &mut Session, profile: String, wanted: &Wanted) -> Result<Shown, Failure> {
    let request = TestProfileRequest { profile, email_address: wanted.mailbox.clone() };
    let failed = session.connection.failed(Role::Profile);
    let stream = session.connection.profiles()?.test_profile(request).await.map_err(failed)?.into_inner();
    show(session, stream, wanted.evidence, |response| {
        Some(match response.report.clone()? {
            test_profile_response::Report::Step(step) => Told::Step(Box::new(step)),
            test_profile_response::Report::Outcome(outcome) => Told::Outcome(Box::new(outcome)),
        })
    })
    .await
}

async fn unsaved(session: &mut Session, changes: Changes<ProfileSettings>, wanted: &Wanted) -> Result<Shown, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let base = match &wanted.profile {
        None => ProfileSettings::default(),
        Some(profile) => {
            let request = GetProfileRequest { profile: profile.clone() };
            let answer = session.connection.profiles()?.get_profile(request).await.map_err(&failed)?.into_inner();
            answer.profile.and_then(|profile| profile.settings).unwrap_or_default()
        }
    };
    let request = TestSettingsRequest {
        settings: Some(changes.over(&base)?),
        email_address: wanted.mailbox.clone(),
        profile: wanted.profile.clone().unwrap_or_default(),
    };
    let stream = session.connection.profiles()?.test_settings(request).await.map_err(failed)?.into_inner();
    show(session, stream, wanted.evidence, |response| {
        Some(match response.report.clone()? {
            test_settings_response::Report::Step(step) => Told::Step(Box::new(step)),
            test_settings_response::Report::Outcome(outcome) => Told::Outcome(Box::new(outcome)),
        })
    })
    .await
}

async fn show<M: Described>(
    session: &mut Session,
    mut stream: impl Stream<Item = Result<M, Status>> + Unpin,
    evidence: bool,
    told: fn(&M) -> Option<Told>,
) -> Result<Shown, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let spinner = spinner();
    let mut steps = Vec::new();
    let mut outcome = None;
    while let Some(response) = stream.next().await {
        let response = response.map_err(&failed)?;
        if session.output.is_json() {
            session.output.message_event(&response)?;
        }
        match told(&response) {
            Some(Told::Step(step)) if step.verdict() == Verdict::Running => spinner.set_message(step.title),
            Some(Told::Step(step)) => {
                if !session.output.is_json() {
                    let lines = lines(&step, evidence);
                    spinner.suspend(|| lines.iter().try_for_each(|line| session.output.line(line)))?;
                }
                steps.push(*step);
            }
            Some(Told::Outcome(found)) => outcome = Some(*found),
            None => {}
        }
    }
    spinner.finish_and_clear();
    // A stream that ends without its outcome was cut: nothing is known.
    let outcome =
        outcome.ok_or_else(|| Failure::from(&Fault::new(Code::Internal, "the test ended without an outcome")))?;
    Ok(Shown { steps, outcome })
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

/// The command that repeats the test; settings that were tried are repeated by whoever knows them.
fn repeat(wanted: &Wanted) -> String {
    let quoted = |text: &str| {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "@.-_".contains(c));
        if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let mut command = "postroad profile test".to_owned();
    if let Some(profile) = &wanted.profile {
        command.push_str(&format!(" {}", quoted(profile)));
    }
    if !wanted.mailbox.is_empty() {
        command.push_str(&format!(" --mailbox {}", quoted(&wanted.mailbox)));
    }
    command
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| Failure::file("--report", file, "written", &error))
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
    if outcome.affected_mailboxes > 0 {
        let mailboxes = if outcome.affected_mailboxes == 1 { "mailbox uses" } else { "mailboxes use" };
        output.line(format!("{} {mailboxes} this profile", outcome.affected_mailboxes))?;
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
