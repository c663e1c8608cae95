//! `postroad mailbox test`: Test & Enable, with every mailbox's progress as it happens.
//!
//! Standard output gets a line for each mailbox that is done; standard error, if it is a terminal, a moving line for each
//! that is being tested.

use std::{collections::BTreeMap, time::Instant};

use indicatif::{MultiProgress, ProgressBar};
use postroad_proto::{
    locator::v1::{Step, Verdict},
    mailbox::v1::{
        DirectionState, Mailbox, MailboxSelection, Status, TestAndEnableMailboxesRequest,
        test_and_enable_mailboxes_response::Report,
    },
};
use postroad_rig::{Role, clock};

use crate::{
    command::{profile::test::spinner, step},
    failure::{Exit, Failure},
    output::{
        paint::{bad, faint, good, strong},
        time,
    },
    session::Session,
};

/// Runs the test of all mailboxes and shows how they do.
pub async fn run(session: &mut Session, selection: MailboxSelection, evidence: bool) -> Result<Exit, Failure> {
    let request = TestAndEnableMailboxesRequest { selection: Some(selection) };
    let failed = session.connection.failed(Role::Profile);
    let mut stream =
        session.connection.mailboxes()?.test_and_enable_mailboxes(request).await.map_err(&failed)?.into_inner();
    let mut board = Board::new(evidence);
    while let Some(response) = stream.message().await.map_err(&failed)? {
        if session.output.is_json() {
            session.output.message_event(&response)?;
        }
        let lines = match response.report {
            Some(Report::Step(step)) => {
                board.step(&response.email_address, step);
                Vec::new()
            }
            Some(Report::Mailbox(mailbox)) => board.finish(&response.email_address, &mailbox),
            None => Vec::new(),
        };
        board.total(response.done, response.total);
        if !session.output.is_json() {
            board.moving.suspend(|| lines.iter().try_for_each(|line| session.output.line(line)))?;
        }
    }
    board.overall.finish_and_clear();
    let _ = board.moving.clear();
    if !session.output.is_json() {
        session.output.line(board.tally.summary())?;
    }
    Ok(board.tally.exit())
}

/// How many passed and failed.
#[derive(Debug, Default)]
struct Tally {
    passed: u32,
    failed: u32,
    /// Mailboxes that the server counted but that never ended: the stream was cut.
    missing: u32,
}

impl Tally {
    fn exit(&self) -> Exit {
        if self.failed + self.missing == 0 { Exit::Success } else { Exit::TestFailed }
    }

    fn summary(&self) -> String {
        let total = self.passed + self.failed + self.missing;
        let mut text = match total {
            0 => return "no mailbox is meant by that".to_owned(),
            _ => format!("\n{} of {total} passed", self.passed),
        };
        if self.failed > 0 {
            text.push_str(&format!(", {}", bad(format!("{} failed", self.failed))));
        }
        if self.missing > 0 {
            text.push_str(&format!(", {}", bad(format!("{} without a result", self.missing))));
        }
        text
    }
}

struct Board {
    evidence: bool,
    moving: MultiProgress,
    overall: ProgressBar,
    running: BTreeMap<String, Running>,
    tally: Tally,
}

/// A mailbox under test.
struct Running {
    bar: ProgressBar,
    since: Instant,
    failed: Vec<Step>,
}

impl Board {
    fn new(evidence: bool) -> Self {
        let moving = MultiProgress::new();
        let overall = moving.add(spinner());
        Self { evidence, moving, overall, running: BTreeMap::new(), tally: Tally::default() }
    }

    fn step(&mut self, address: &str, step: Step) {
        let moving = &self.moving;
        let overall = &self.overall;
        let running = self.running.entry(address.to_owned()).or_insert_with(|| Running {
            bar: moving.insert_before(overall, spinner()),
            since: clock::instant(),
            failed: Vec::new(),
        });
        if step.verdict() == Verdict::Running {
            running.bar.set_message(format!("{address}  {}", step.title));
        }
        if step.verdict() == Verdict::Failed {
            running.failed.push(step);
        }
    }

    fn total(&mut self, done: u32, total: u32) {
        self.overall.set_message(format!("{done} of {total} done"));
        self.tally.missing = total.saturating_sub(self.tally.passed + self.tally.failed);
    }

    /// The lines to print about a mailbox that is done.
    fn finish(&mut self, address: &str, mailbox: &Mailbox) -> Vec<String> {
        let running = self.running.remove(address);
        let (mut elapsed, mut failed) = (String::new(), Vec::new());
        if let Some(running) = running {
            running.bar.finish_and_clear();
            self.moving.remove(&running.bar);
            elapsed = time::elapsed(running.since.elapsed());
            failed = running.failed;
        }
        if failed.is_empty() && is_well(mailbox) {
            self.tally.passed += 1;
            return vec![format!("{} {}  {}  {}", good("✓"), strong(address), enabled(mailbox), faint(elapsed))];
        }
        self.tally.failed += 1;
        let mut lines = vec![format!("{} {}  {}  {}", bad("✗"), strong(address), enabled(mailbox), faint(elapsed))];
        for step in &failed {
            lines.push(format!("    {}", step::line(step)));
            lines.extend(step.fault.iter().flat_map(|fault| step::explanation(fault, "        ")));
            if self.evidence {
                lines.extend(step::evidence(step, "        "));
            }
        }
        if failed.is_empty() {
            lines.extend(mailbox.fault.iter().flat_map(|fault| step::explanation(fault, "    ")));
        }
        lines
    }
}

fn directions(mailbox: &Mailbox) -> [(&'static str, Option<&DirectionState>); 3] {
    [
        ("incoming email", mailbox.incoming.as_ref()),
        ("outgoing email", mailbox.outgoing.as_ref()),
        ("appointments, contacts and tasks", mailbox.appointments_contacts_tasks.as_ref()),
    ]
}

fn is_well(mailbox: &Mailbox) -> bool {
    let failing = |state: &DirectionState| state.status() == Status::Failure;
    mailbox.fault.is_none() && !directions(mailbox).into_iter().filter_map(|(_, state)| state).any(failing)
}

/// Which directions are enabled now, in words.
fn enabled(mailbox: &Mailbox) -> String {
    let on: Vec<&str> = directions(mailbox)
        .into_iter()
        .filter(|(_, state)| state.is_some_and(|state| state.enabled))
        .map(|(name, _)| name)
        .collect();
    if on.is_empty() { "nothing is enabled".to_owned() } else { format!("{} enabled", on.join(", ")) }
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report};
    use postroad_rig::status::to_wire;

    use super::*;

    fn mailbox(status: Status) -> Mailbox {
        let incoming = DirectionState { enabled: status == Status::Success, status: status.into() };
        Mailbox { incoming: Some(incoming), ..Default::default() }
    }

    fn plain(lines: &[String]) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn a_mailbox_that_passed_is_one_line() {
        let mut board = Board::new(false);
        board.step("ada@x.example", Step { verdict: Verdict::Running.into(), ..Default::default() });
        let text = plain(&board.finish("ada@x.example", &mailbox(Status::Success)));
        assert!(text.starts_with("✓ ada@x.example  incoming email enabled"), "{text}");
        board.total(1, 1);
        assert_eq!(board.tally.exit(), Exit::Success);
    }

    #[test]
    fn a_mailbox_that_failed_is_explained_by_its_steps() {
        let mut board = Board::new(true);
        let fault = Some(to_wire(&Report::new(Code::ImpersonationDenied, "")));
        let title = "Checking impersonation".to_owned();
        let evidence = "POST /EWS".to_owned();
        board.step(
            "eve@x.example",
            Step { verdict: Verdict::Failed.into(), title, fault, evidence, ..Default::default() },
        );
        let text = plain(&board.finish("eve@x.example", &mailbox(Status::Failure)));
        assert!(
            text.contains("✗ eve@x.example  nothing is enabled") && text.contains("✗ Checking impersonation"),
            "{text}"
        );
        assert!(text.contains(Code::ImpersonationDenied.row().remedy) && text.contains("POST /EWS"), "{text}");
        board.total(1, 1);
        assert_eq!(board.tally.exit(), Exit::TestFailed);
    }

    #[test]
    fn a_stream_that_was_cut_is_no_success() {
        let mut board = Board::new(false);
        board.total(0, 2);
        assert_eq!(board.tally.exit(), Exit::TestFailed);
        assert!(board.tally.summary().contains("2 without a result"));
        assert_eq!(Tally::default().exit(), Exit::Success);
    }
}
