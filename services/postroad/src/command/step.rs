//! Steps of a connection test, as they are shown for a profile and for each mailbox.

use postroad_proto::{
    fault::v1::Fault,
    locator::v1::{Step, Verdict},
};
use postroad_rig::wire;

use crate::{
    failure::Failure,
    output::{
        paint::{bad, faint, good, wary},
        time,
    },
};

/// The mark of a step that ended.
pub fn mark(verdict: Verdict) -> String {
    match verdict {
        Verdict::Passed => good("✓"),
        Verdict::Warning => wary("!"),
        Verdict::Failed => bad("✗"),
        Verdict::NotAttempted | Verdict::Running | Verdict::Unspecified => faint("-"),
    }
}

/// A step that ended, as one line: mark, title, what was found, how long it took.
pub fn line(step: &Step) -> String {
    let mut text = format!("{} {}", mark(step.verdict()), step.title);
    if !step.detail.is_empty() {
        text.push_str(&format!("  {}", faint(&step.detail)));
    }
    match step.verdict() {
        Verdict::NotAttempted => text.push_str(&format!("  {}", faint("not attempted"))),
        _ if step.elapsed.is_some() => {
            text.push_str(&format!("  {}", faint(time::elapsed(wire::elapsed(step.elapsed.as_ref())))));
        }
        _ => {}
    }
    text
}

/// What a fault means, indented below the line that it explains.
pub fn explanation(fault: &Fault, indent: &str) -> Vec<String> {
    let failure = Failure::from(fault);
    let mut lines = vec![format!("{indent}{}", bad(&failure))];
    lines.extend(
        failure.lines().iter().map(|(label, text)| format!("{indent}  {} {text}", faint(format!("{label:<7}")))),
    );
    lines
}

/// The request and answer of a failed step, indented.
pub fn evidence(step: &Step, indent: &str) -> Vec<String> {
    step.evidence.lines().map(|line| format!("{indent}{}", faint(line))).collect()
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report};
    use postroad_rig::status;

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_step_is_one_line() {
        let step = Step {
            title: "Checking HTTPS connection".into(),
            verdict: Verdict::Passed.into(),
            detail: "https://mail.contoso.example".into(),
            elapsed: Some(prost_types::Duration { seconds: 0, nanos: 214_000_000 }),
            ..Default::default()
        };
        assert_eq!(plain(&line(&step)), "✓ Checking HTTPS connection  https://mail.contoso.example  0.214 s");
        let skipped = Step { title: "Inbox".into(), verdict: Verdict::NotAttempted.into(), ..Default::default() };
        assert_eq!(plain(&line(&skipped)), "- Inbox  not attempted");
    }

    #[test]
    fn a_fault_is_explained_with_its_remedy() {
        let fault = status::to_wire(&Report::new(Code::BasicNotOffered, "401"));
        let text = plain(&explanation(&fault, "  ").join("\n"));
        let row = Code::BasicNotOffered.row();
        assert!(text.starts_with(&format!("  {} (401)", row.what)) && text.contains(row.remedy), "{text}");
    }
}
