//! How email activities and verdicts are shown.

use postroad_core::fault::Code;
use postroad_proto::{
    crm::v1::{Content, CorrelationMethod, Email, EmailDirection, EmailStatus, Omission, Party, PartyRole},
    sync::v1::MessageVerdict,
};

use crate::{
    failure::Failure,
    output::{
        Output,
        paint::{cell, faint, good, strong, wary},
        time,
    },
};

fn direction(email: &Email) -> &'static str {
    match email.direction() {
        EmailDirection::Incoming => "incoming",
        EmailDirection::Outgoing => "outgoing",
        EmailDirection::Unspecified => "",
    }
}

fn party(party: &Party) -> String {
    if party.name.is_empty() { party.address.clone() } else { format!("{} <{}>", party.name, party.address) }
}

fn parties(email: &Email, role: PartyRole) -> String {
    let all: Vec<String> = email.parties.iter().filter(|found| found.role() == role).map(party).collect();
    all.join(", ")
}

/// Activities, one in a row, and how many more there are.
pub fn table(output: &mut Output, emails: &[Email], total: u64) -> Result<(), Failure> {
    if emails.is_empty() {
        return output.line(faint("no email activity matches"));
    }
    let rows = emails.iter().map(|email| {
        vec![
            cell(time::short(email.received_at.as_ref().or(email.sent_at.as_ref()))),
            cell(direction(email)),
            cell(parties(email, PartyRole::From)),
            cell(&email.subject),
            cell(if email.attachments.is_empty() { String::new() } else { email.attachments.len().to_string() }),
            cell(&email.id),
        ]
    });
    output.table(&["RECEIVED", "DIRECTION", "FROM", "SUBJECT", "FILES", "ID"], rows.collect())?;
    let shown = u64::try_from(emails.len()).unwrap_or(u64::MAX);
    if total > shown {
        output.line(faint(format!("{shown} of {total}; show more with --limit")))?;
    }
    Ok(())
}

/// The activity that an activity answers, and how that was found.
fn answers(email: &Email) -> String {
    let how = match email.correlation_method() {
        CorrelationMethod::Unspecified => return String::new(),
        CorrelationMethod::InReplyTo => "In-Reply-To",
        CorrelationMethod::References => "References",
        CorrelationMethod::TrackingToken => "tracking token",
        CorrelationMethod::ConversationIndex => "conversation index",
        CorrelationMethod::SmartMatching => "smart matching",
    };
    format!("{} ({how})", email.correlated_email_id)
}

fn status(email: &Email) -> &'static str {
    match email.status() {
        EmailStatus::Unspecified => "",
        EmailStatus::Received => "received",
        EmailStatus::PendingSend => "pending send",
        EmailStatus::Sending => "sending",
        EmailStatus::Sent => "sent",
        EmailStatus::Failed => "failed",
    }
}

/// Why it was not sent, and what to do about it.
fn failure(email: &Email) -> String {
    if email.failure.is_empty() {
        return String::new();
    }
    match Code::by_name(&email.failure_code) {
        Some(code) => format!("{} [{}]\n{}", email.failure, code.name(), code.row().remedy),
        None => email.failure.clone(),
    }
}

/// An activity with its parties and contents.
pub fn facts(output: &mut Output, email: &Email) -> Result<(), Failure> {
    let sources: Vec<&str> = email.sources.iter().map(|source| source.email_address.as_str()).collect();
    output.line(strong(if email.subject.is_empty() { "(no subject)" } else { &email.subject }))?;
    output.facts(vec![
        ("id", email.id.clone()),
        ("message id", email.message_id.clone()),
        ("in reply to", email.in_reply_to.clone()),
        ("answers", answers(email)),
        ("token", email.tracking_token.clone()),
        ("status", status(email).to_owned()),
        ("failure", failure(email)),
        ("send after", time::full(email.send_after.as_ref())),
        ("regarding", email.regarding_id.clone()),
        ("owner", email.owner_id.clone()),
        ("accepted by", email.accepted_by.clone()),
        ("direction", direction(email).to_owned()),
        ("from", parties(email, PartyRole::From)),
        ("sender", parties(email, PartyRole::Sender)),
        ("to", parties(email, PartyRole::To)),
        ("cc", parties(email, PartyRole::Cc)),
        ("bcc", parties(email, PartyRole::Bcc)),
        ("reply to", parties(email, PartyRole::ReplyTo)),
        ("sent", time::full(email.sent_at.as_ref())),
        ("received", time::full(email.received_at.as_ref())),
        ("tracked", time::full(email.promoted_at.as_ref())),
        ("found in", sources.join(", ")),
        ("text", size(email.text.as_ref())),
        ("html", size(email.html.as_ref())),
        ("original", size(email.mime.as_ref())),
        ("attachments", attachments(email)),
    ])
}

fn attachments(email: &Email) -> String {
    let line = |(index, attachment): (usize, &postroad_proto::crm::v1::Attachment)| {
        let inline = if attachment.inline { ", inline" } else { "" };
        let size = size(attachment.content.as_ref());
        let omitted = match attachment.omission() {
            Omission::Unspecified => "",
            Omission::Blocked => ", not kept: files of this kind are blocked",
            Omission::TooLarge => ", not kept: it is too large",
        };
        format!("{}. {} ({}, {size}{inline}{omitted})", index + 1, attachment.name, attachment.content_type)
    };
    email.attachments.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

fn size(content: Option<&Content>) -> String {
    content.map_or_else(String::new, |content| match content.size {
        bytes @ 0..10_000 => format!("{bytes} bytes"),
        bytes @ 10_000..10_000_000 => format!("{} kB", bytes / 1000),
        bytes => format!("{} MB", bytes / 1_000_000),
    })
}

/// What was decided about a message, mailbox by mailbox.
pub fn verdicts(output: &mut Output, message_id: &str, verdicts: &[MessageVerdict]) -> Result<(), Failure> {
    if verdicts.is_empty() {
        output.line(format!("no mailbox has met the message {message_id}"))?;
        return output.line(
            "It may not have arrived yet, may lie outside the Inbox, or may be older than \"process email from\" allows. \
             Ask for a cycle with `postroad mailbox sync ADDRESS`, and look at `postroad mailbox timeline ADDRESS`.",
        );
    }
    for (index, verdict) in verdicts.iter().enumerate() {
        if index > 0 {
            output.line("")?;
        }
        let state = match (verdict.tracked, verdict.pending) {
            (true, _) => good("tracked"),
            (false, true) => wary("tried again"),
            (false, false) => "not tracked".to_owned(),
        };
        output.line(format!("{}  {state}  {}", strong(&verdict.email_address), time::full(verdict.at.as_ref())))?;
        output.line(format!("    {}", verdict.sentence))?;
        let activity =
            if verdict.email_id.is_empty() { String::new() } else { format!("activity {}, ", verdict.email_id) };
        let position =
            format!("    {activity}rules of version {}, journal position {}", verdict.rule_version, verdict.sequence);
        output.line(faint(position))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use postroad_proto::crm::v1::Attachment;

    use super::*;
    use crate::output::tests::captured;

    fn email() -> Email {
        let role = PartyRole::From.into();
        let content = Some(Content { digest: "00".into(), size: 12_345 });
        Email {
            id: "e1".into(),
            subject: "Quarterly report".into(),
            direction: EmailDirection::Incoming.into(),
            parties: vec![Party { role, name: "Ada".into(), address: "ada@x.example".into(), ..Default::default() }],
            attachments: vec![Attachment {
                name: "r.pdf".into(),
                content_type: "application/pdf".into(),
                content,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn activities_are_listed_and_shown() {
        let (mut output, captured) = captured(false);
        table(&mut output, &[email()], 7).unwrap();
        facts(&mut output, &email()).unwrap();
        let text = captured.text();
        assert!(text.contains("1 of 7; show more with --limit"), "{text}");
        assert!(
            text.contains("from         Ada <ada@x.example>") && text.contains("1. r.pdf (application/pdf, 12 kB)"),
            "{text}"
        );
    }

    #[test]
    fn verdicts_are_told_by_mailbox() {
        let verdict = MessageVerdict {
            email_address: "ada@x.example".into(),
            tracked: true,
            email_id: "e1".into(),
            sentence: "Tracked, since all messages are".into(),
            rule_version: 1,
            sequence: 47,
            ..Default::default()
        };
        let (mut output, captured) = captured(false);
        verdicts(&mut output, "<a@b>", &[verdict]).unwrap();
        verdicts(&mut output, "<a@b>", &[]).unwrap();
        let text = captured.text();
        assert!(
            text.contains("ada@x.example  tracked")
                && text.contains("activity e1, rules of version 1, journal position 47"),
            "{text}"
        );
        assert!(text.contains("no mailbox has met the message <a@b>"), "{text}");
    }
}
