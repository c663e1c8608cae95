//! The mail to a profile's owner: composed without any I/O, the same for the same facts.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use postroad_core::{
    fault::{Code, Permanence, Probe, Scope},
    notification::{Evidence, Hour},
};
use uuid::Uuid;

use crate::{plan::Notice, view::Profile};

/// Faults that are explained; the others are counted.
const EXPLAINED: usize = 5;

/// Columns of a line: more would be sent encoded, and read with difficulty (RFC 5322 §2.1.1).
const WIDE: usize = 76;

const BY_ITSELF: &str = "
What Postroad does by itself

  A mailbox that works again goes on where it stopped: what arrived in the
  meantime is fetched then, nothing is left out, and nothing is fetched
  twice. There is no need to enable it by hand.

To look closer

";

const WHY_YOU: &str = "
You get this mail as the owner of the profile: at most one per hour, and
only while the profile's setting \"Send an alert email to the owner\" is on.
";

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The left part of its message id: the same for the same profile and hour, so that whoever meets it twice can tell.
    pub key: String,
    /// Its date.
    pub date: Timestamp,
    /// The recipient's name.
    pub recipient_name: String,
    /// The recipient's address.
    pub recipient: String,
    /// Its subject, one line.
    pub subject: String,
    /// Its body, plain text.
    pub text: String,
}

/// Composes the mail of an hour.
pub fn compose(id: Uuid, profile: &Profile, notice: &Notice, now: Timestamp) -> Mail {
    let name = one_line(&profile.name);
    let Evidence { processed, failed, .. } = notice.evidence;
    let hour = window(notice.hour);
    Mail {
        key: format!("postroad.{id}.{}", notice.hour.0),
        date: now,
        recipient_name: one_line(&profile.owner),
        recipient: profile.owner_address.to_string(),
        subject: format!("Postroad: {failed} of {} of the profile \"{name}\" failed ({hour})", mailboxes(processed)),
        text: text(&name, notice, now),
    }
}

fn text(name: &str, notice: &Notice, now: Timestamp) -> String {
    let evidence = &notice.evidence;
    let so_far = if now < notice.hour.end() { ", so far" } else { "" };
    let mut text = String::new();
    let what = format!("More than half of the mailboxes of the email server profile \"{name}\" failed.");
    paragraph(&mut text, "", &what);
    text.push('\n');
    line(&mut text, format_args!("  Hour:       {}{so_far}", window(notice.hour)));
    line(&mut text, format_args!("  Processed:  {}", mailboxes(evidence.processed)));
    line(&mut text, format_args!("  Failed:     {} ({} %)", mailboxes(evidence.failed), evidence.percent()));
    text.push_str("\nWhat failed\n");
    for (code, count) in evidence.faults.iter().take(EXPLAINED) {
        explain(&mut text, *code, *count);
    }
    let others = evidence.faults.get(EXPLAINED..).unwrap_or_default();
    if !others.is_empty() {
        let count = others.iter().map(|(_, count)| count).sum();
        let names: Vec<_> = others.iter().map(|(code, _)| code.name()).collect();
        text.push('\n');
        let others = format!("{} with other faults: {}", mailboxes(count), names.join(", "));
        paragraph(&mut text, "  ", &others);
    }
    text.push_str(BY_ITSELF);
    line(&mut text, format_args!("  postroad mailbox list --profile {}", quoted(name)));
    line(&mut text, format_args!("  postroad alert list --profile {}", quoted(name)));
    text.push_str(WHY_YOU);
    text
}

fn explain(text: &mut String, code: Code, count: u64) {
    let row = code.row();
    text.push('\n');
    paragraph(text, "  ", &format!("{}: {} ({})", mailboxes(count), row.what, row.name));
    paragraph(text, "    Cause:    ", &format!("{}.", row.cause));
    paragraph(text, "    Remedy:   ", &format!("{}.", row.remedy));
    paragraph(text, "    Who:      ", &format!("{}.", row.who.phrase()));
    paragraph(text, "    Postroad: ", &format!("{}.", by_itself(code)));
}

/// What Postroad does about a fault by itself (core, `RetryPolicy`).
fn by_itself(code: Code) -> &'static str {
    let row = code.row();
    match (row.scope, row.permanence, row.probe) {
        (Scope::Deployment, ..) => "tries again until it works; no mailbox is disabled by it",
        (_, Permanence::Transient, Probe::Growing) => {
            "tries again; after repeated failures it disables the mailbox, probes it, and enables it again by itself"
        }
        (_, Permanence::Permanent, Probe::Growing) => {
            "has disabled the mailbox, probes it with growing distance, and enables it again by itself"
        }
        (_, _, Probe::OnChange) => "has disabled the mailbox, and tries again as soon as it or its profile is changed",
    }
}

/// An hour, in UTC.
fn window(hour: Hour) -> String {
    let (start, end) = (hour.start().to_zoned(TimeZone::UTC), hour.end().to_zoned(TimeZone::UTC));
    format!("{}-{} UTC", start.strftime("%Y-%m-%d %H:%M"), end.strftime("%H:%M"))
}

fn mailboxes(count: u64) -> String {
    if count == 1 { "1 mailbox".to_owned() } else { format!("{count} mailboxes") }
}

/// A name without what could begin another line or header.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// A name as an argument in a shell.
fn quoted(name: &str) -> String {
    let is_plain =
        name.starts_with(char::is_alphanumeric) && name.chars().all(|c| c.is_alphanumeric() || "-_.@".contains(c));
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Words after a label; the lines that follow the first begin under its words.
fn paragraph(text: &mut String, label: &str, words: &str) {
    text.push_str(label);
    let indent = label.chars().count();
    let mut column = indent;
    for word in words.split(' ') {
        let wide = word.chars().count();
        if column > indent && column + 1 + wide > WIDE {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += wide;
    }
    text.push('\n');
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests;
