//! The report of a connection test in Markdown, for the administrator of the Exchange organisation.

use postroad_proto::locator::v1::{Outcome, Step, Verdict};
use postroad_rig::wire;

use crate::{failure::Failure, output::time};

/// What is reported.
pub struct Report<'a> {
    /// The profile's name, or that the settings are not saved.
    pub subject: &'a str,
    /// The mailbox tested with; empty for the service account's own.
    pub mailbox: &'a str,
    /// When.
    pub at: jiff::Timestamp,
    /// The steps that ended, in order.
    pub steps: &'a [Step],
    /// The outcome.
    pub outcome: &'a Outcome,
    /// The command that repeats the test.
    pub again: &'a str,
}

impl Report<'_> {
    /// The text.
    pub fn markdown(&self) -> String {
        let failed: Vec<&Step> = self.steps.iter().filter(|step| step.verdict() == Verdict::Failed).collect();
        let mut text = format!("# Connection test of {}\n\n", line(self.subject));
        let with = if self.mailbox.is_empty() { "the service account's own mailbox" } else { self.mailbox };
        text.push_str(&format!("- Tested on {} with {}\n", time::stamp(self.at), line(with)));
        if !self.outcome.server_version.is_empty() {
            text.push_str(&format!("- Server: {}\n", line(&self.outcome.server_version)));
        }
        let verdict = if failed.is_empty() { "passed" } else { "**failed**" };
        text.push_str(&format!("- Result: {verdict}\n"));
        if self.outcome.affected_mailboxes > 0 {
            text.push_str(&format!("- Mailboxes of the profile: {}\n", self.outcome.affected_mailboxes));
        }
        for step in &failed {
            text.push_str(&explained(step));
        }
        text.push_str("\n## Steps\n\n| | Step | Found | Time |\n|---|---|---|---|\n");
        for step in self.steps {
            let time = step.elapsed.as_ref().filter(|_| step.verdict() != Verdict::NotAttempted);
            let time = time.map(|elapsed| time::elapsed(wire::elapsed(Some(elapsed)))).unwrap_or_default();
            let mark = match step.verdict() {
                Verdict::Passed => "✓",
                Verdict::Warning => "!",
                Verdict::Failed => "✗",
                _ => "–",
            };
            let found = if step.verdict() == Verdict::NotAttempted { "not attempted" } else { step.detail.as_str() };
            text.push_str(&format!("| {mark} | {} | {} | {time} |\n", cell(&step.title), cell(found)));
        }
        for step in failed.iter().filter(|step| !step.evidence.is_empty()) {
            text.push_str(&format!("\n## What was seen: {}\n\n", line(&step.title)));
            // Indented, so that nothing in it can end the block.
            step.evidence.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
        }
        text.push_str(&format!("\nTo repeat it: `{}`\n", self.again));
        text
    }
}

fn explained(step: &Step) -> String {
    let Some(fault) = &step.fault else { return String::new() };
    let mut text = format!("\n## {}\n\n", line(&step.title));
    for (label, told) in Failure::from(fault).lines() {
        text.push_str(&format!("- {label}: {}\n", line(&told)));
    }
    text
}

/// Text of others may hold what Markdown would take for its own.
fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '*' | '_' | '`' | '[' | ']' | '|' | '\\' => {
                safe.push('\\');
                safe.push(character);
            }
            _ => safe.push(character),
        }
    }
    safe
}

fn cell(text: &str) -> String {
    line(text)
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report as Fault};
    use postroad_rig::status;

    use super::*;

    #[test]
    fn the_report_says_what_failed_why_and_what_to_do() {
        let fault = status::to_wire(&Fault::new(Code::BasicNotOffered, "offered: NTLM | <b>"));
        let steps = [
            Step { title: "Finding".into(), verdict: Verdict::Passed.into(), ..Step::default() },
            Step {
                title: "Looking".into(),
                verdict: Verdict::Failed.into(),
                detail: "offered: NTLM | <b>".into(),
                fault: Some(fault),
                evidence: "GET https://mail\n```\n".into(),
                ..Step::default()
            },
            Step { title: "Logging on".into(), verdict: Verdict::NotAttempted.into(), ..Step::default() },
        ];
        let outcome = Outcome { affected_mailboxes: 12, ..Outcome::default() };
        let report = Report {
            subject: "Contoso",
            mailbox: "",
            at: jiff::Timestamp::UNIX_EPOCH,
            steps: &steps,
            outcome: &outcome,
            again: "postroad profile test Contoso",
        };
        let text = report.markdown();
        assert!(text.contains("**failed**") && text.contains("Mailboxes of the profile: 12"), "{text}");
        assert!(text.contains("Set-WebServicesVirtualDirectory"), "{text}");
        assert!(text.contains("| ✗ | Looking | offered: NTLM \\| &lt;b> |"), "{text}");
        assert!(text.contains("| – | Logging on | not attempted |"), "{text}");
        assert!(text.contains("    ```\n") && text.contains("`postroad profile test Contoso`"), "{text}");
    }
}
