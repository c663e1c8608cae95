//! How mailboxes are shown.

use comfy_table::Cell;
use postroad_proto::mailbox::v1::{
    Approval, Condition, DirectionState, FilteringMethod, Mailbox, MailboxKind, MailboxResult, MailboxSettings, Status,
    SynchronizationMethod, TimelineEntry,
};

use crate::{
    command::{profile::view::yes_no, step},
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{Tone, bad, bad_cell, cell, faint, good, good_cell, strong, toned_cell},
        time,
    },
};

fn kind(settings: &MailboxSettings) -> &'static str {
    match settings.kind() {
        MailboxKind::User => "user",
        MailboxKind::Queue => "queue",
        MailboxKind::Forward => "forward",
        MailboxKind::Unspecified => "",
    }
}

fn approval(mailbox: &Mailbox) -> &'static str {
    match mailbox.approval() {
        Approval::Pending => "pending",
        Approval::Approved => "approved",
        Approval::Rejected => "rejected",
        Approval::Unspecified => "",
    }
}

fn method(method: SynchronizationMethod) -> &'static str {
    match method {
        SynchronizationMethod::ServerSideSync => "Server-Side Sync",
        SynchronizationMethod::ForwardMailbox => "Forward Mailbox",
        SynchronizationMethod::None | SynchronizationMethod::Unspecified => "None",
    }
}

fn status(state: Option<&DirectionState>) -> Status {
    state.map_or(Status::Unspecified, DirectionState::status)
}

fn status_text(state: Option<&DirectionState>) -> &'static str {
    match status(state) {
        Status::Success => "Success",
        Status::Failure => "Failure",
        Status::NotRun | Status::Unspecified => "Not Run",
    }
}

fn direction_cell(wanted: SynchronizationMethod, state: Option<&DirectionState>) -> Cell {
    match (wanted, status(state)) {
        (SynchronizationMethod::ForwardMailbox, _) => cell("forwarded"),
        (SynchronizationMethod::None | SynchronizationMethod::Unspecified, _) => cell("-"),
        (_, Status::Success) => good_cell(status_text(state)),
        (_, Status::Failure) => bad_cell(status_text(state)),
        _ => cell(status_text(state)),
    }
}

fn direction_text(wanted: SynchronizationMethod, state: Option<&DirectionState>) -> String {
    let enabled = if state.is_some_and(|state| state.enabled) { "enabled" } else { "not enabled" };
    match wanted {
        SynchronizationMethod::ServerSideSync => format!("{}, {}, {enabled}", method(wanted), status_text(state)),
        SynchronizationMethod::ForwardMailbox | SynchronizationMethod::None | SynchronizationMethod::Unspecified => {
            method(wanted).to_owned()
        }
    }
}

/// How a mailbox does, with what fails.
fn state_cell(mailbox: &Mailbox) -> Cell {
    let (tone, word) = condition(mailbox.condition());
    match &mailbox.fault {
        Some(fault) if mailbox.active => toned_cell(tone, format!("{word}: {}", fault.code)),
        _ => toned_cell(tone, word),
    }
}

/// The words for conditions, as flags have them.
pub const CONDITIONS: &[&str] = &["well", "retrying", "throttled", "disabled", "not_enabled", "inactive"];

/// The word for a condition.
pub const fn condition(condition: Condition) -> (Tone, &'static str) {
    match condition {
        Condition::Well => (Tone::Good, "well"),
        Condition::Retrying => (Tone::Wary, "retrying"),
        Condition::Throttled => (Tone::Wary, "throttled"),
        Condition::Disabled => (Tone::Bad, "disabled"),
        Condition::NotEnabled => (Tone::Plain, "not enabled"),
        Condition::Inactive => (Tone::Plain, "inactive"),
        Condition::Unspecified => (Tone::Plain, ""),
    }
}

/// Mailboxes, one in a row.
pub fn table(output: &mut Output, mailboxes: &[Mailbox]) -> Result<(), Failure> {
    if mailboxes.is_empty() {
        return output.line("no mailboxes; create one with: postroad mailbox create ADDRESS");
    }
    let header = ["ADDRESS", "KIND", "PROFILE", "APPROVAL", "INCOMING", "OUTGOING", "A/C/T", "LAST SUCCESS", "STATE"];
    output.table(&header, mailboxes.iter().map(row).collect())
}

fn row(mailbox: &Mailbox) -> Vec<Cell> {
    let settings = mailbox.settings.clone().unwrap_or_default();
    vec![
        cell(&settings.email_address),
        cell(kind(&settings)),
        cell(&mailbox.profile_name),
        cell(approval(mailbox)),
        direction_cell(settings.incoming_method(), mailbox.incoming.as_ref()),
        direction_cell(settings.outgoing_method(), mailbox.outgoing.as_ref()),
        direction_cell(settings.appointments_contacts_tasks_method(), mailbox.appointments_contacts_tasks.as_ref()),
        cell(time::short(mailbox.last_success_at.as_ref())),
        state_cell(mailbox),
    ]
}

/// A mailbox with its settings, how it does, and what fails.
pub fn facts(output: &mut Output, mailbox: &Mailbox) -> Result<(), Failure> {
    let settings = mailbox.settings.clone().unwrap_or_default();
    let act =
        direction_text(settings.appointments_contacts_tasks_method(), mailbox.appointments_contacts_tasks.as_ref());
    let name = if settings.name == settings.email_address { String::new() } else { settings.name.clone() };
    let filtering = match settings.filtering_method() {
        FilteringMethod::Responses => "responses to email of the CRM",
        FilteringMethod::FromPeople => "from leads, contacts and accounts",
        FilteringMethod::FromRecords => "from records of the CRM",
        FilteringMethod::NoMessages => "no messages",
        FilteringMethod::AllMessages | FilteringMethod::Unspecified => "all messages",
    };
    let own = if settings.allow_own_credentials {
        format!("its own: {}", settings.user_name)
    } else {
        "the profile's".to_owned()
    };
    output.line(strong(&settings.email_address))?;
    output.facts(vec![
        ("id", mailbox.id.clone()),
        ("etag", mailbox.etag.clone()),
        ("name", name),
        ("kind", kind(&settings).to_owned()),
        ("regarding", settings.regarding.clone()),
        ("profile", mailbox.profile_name.clone()),
        ("approval", approval(mailbox).to_owned()),
        ("active", yes_no(mailbox.active)),
        ("incoming email", direction_text(settings.incoming_method(), mailbox.incoming.as_ref())),
        ("outgoing email", direction_text(settings.outgoing_method(), mailbox.outgoing.as_ref())),
        ("appointments, contacts, tasks", act),
        ("tracks", filtering.to_owned()),
        ("process email from", time::full(settings.process_email_from.as_ref())),
        ("delete after processing", yes_no(settings.delete_after_processing)),
        ("credentials", own),
        ("test completed on", time::full(mailbox.test_completed_on.as_ref())),
        ("last attempt", time::full(mailbox.last_attempt_at.as_ref())),
        ("last success", time::full(mailbox.last_success_at.as_ref())),
        ("messages decided", mailbox.processed.to_string()),
        ("messages tried again", mailbox.deferred.to_string()),
        ("throttled until", time::full(mailbox.throttled_until.as_ref())),
    ])?;
    trouble(output, mailbox)
}

fn trouble(output: &mut Output, mailbox: &Mailbox) -> Result<(), Failure> {
    let Some(fault) = &mailbox.fault else { return Ok(()) };
    output.line("")?;
    for line in step::explanation(fault, "") {
        output.line(line)?;
    }
    let state = if mailbox.disabled_by_fault { "disabled" } else { "failing" };
    let next = match time::full(mailbox.next_attempt_at.as_ref()) {
        next if next.is_empty() => "tried again when the mailbox or its profile changes".to_owned(),
        next => format!("tried again {next}"),
    };
    output.line(format!("  {} {state}, {} failures in a row, {next}", faint("state  "), mailbox.failures))
}

/// What became of each of many; the exit code says whether any was refused.
pub fn results(output: &mut Output, what: &str, results: &[MailboxResult]) -> Result<Exit, Failure> {
    let refused = results.iter().filter(|result| result.fault.is_some()).count();
    if output.is_json() {
        output.messages(results)?;
    } else {
        if results.is_empty() {
            output.line("no mailbox is meant by that")?;
        }
        for result in results {
            match &result.fault {
                None => output.line(format!("{} {what} {}", good("✓"), result.mailbox))?,
                Some(fault) => {
                    output.line(format!("{} {}", bad("✗"), result.mailbox))?;
                    for line in step::explanation(fault, "    ") {
                        output.line(line)?;
                    }
                }
            }
        }
    }
    Ok(if refused == 0 { Exit::Success } else { Exit::Failed })
}

/// The event log as sentences.
pub fn timeline(output: &mut Output, entries: &[TimelineEntry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return output.line(faint("no events"));
    }
    for entry in entries {
        let when = time::of(entry.at.as_ref()).map_or_else(String::new, time::stamp);
        let ago = time::short(entry.at.as_ref());
        output.line(format!("{when}  {}  {}", faint(format!("{ago:<12}")), strong(&entry.actor)))?;
        for sentence in &entry.sentences {
            output.line(format!("    {sentence}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report};
    use postroad_rig::status::to_wire;

    use super::*;
    use crate::output::tests::captured;

    fn mailbox() -> Mailbox {
        let mut settings = MailboxSettings { email_address: "ada@contoso.example".into(), ..Default::default() };
        settings.set_kind(MailboxKind::User);
        settings.set_incoming_method(SynchronizationMethod::ServerSideSync);
        let incoming = DirectionState { enabled: true, status: Status::Success.into() };
        let condition = Condition::Well.into();
        Mailbox { settings: Some(settings), active: true, incoming: Some(incoming), condition, ..Default::default() }
    }

    #[test]
    fn mailboxes_are_one_in_a_row_with_their_state() {
        let mut failing = mailbox();
        failing.fault = Some(to_wire(&Report::new(Code::CredentialsRejected, "")));
        failing.disabled_by_fault = true;
        failing.set_condition(Condition::Disabled);
        let (mut output, captured) = captured(false);
        table(&mut output, &[mailbox()]).unwrap();
        facts(&mut output, &failing).unwrap();
        let text = captured.text();
        assert!(text.contains("Success") && text.contains("well"), "{text}");
        assert!(text.contains("Server-Side Sync, Success, enabled"), "{text}");
        assert!(
            text.contains(Code::CredentialsRejected.row().remedy) && text.contains("disabled, 0 failures"),
            "{text}"
        );
    }

    #[test]
    fn a_refused_one_of_many_is_explained_and_fails_the_command() {
        let fault = Some(to_wire(&Report::new(Code::NotFound, "mailbox: no such")));
        let many = [
            MailboxResult { mailbox: "a@x.example".into(), after: Some(mailbox()), fault: None },
            MailboxResult { mailbox: "b@x.example".into(), after: None, fault },
        ];
        let (mut output, captured) = captured(false);
        assert_eq!(results(&mut output, "approved", &many).unwrap(), Exit::Failed);
        assert_eq!(results(&mut output, "approved", &many[..1]).unwrap(), Exit::Success);
        let text = captured.text();
        assert!(text.contains("✓ approved a@x.example") && text.contains(Code::NotFound.row().remedy), "{text}");
    }

    #[test]
    fn the_timeline_tells_when_who_and_what() {
        let entry = TimelineEntry {
            at: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            actor: "admin ada".into(),
            sentences: vec!["The mailbox was created".into()],
            sequence: 7,
            fault: None,
        };
        let (mut output, captured) = captured(false);
        timeline(&mut output, &[entry]).unwrap();
        let text = captured.text();
        assert!(
            text.starts_with("2027-01-15 08:00:00 UTC") && text.contains("admin ada\n    The mailbox was created"),
            "{text}"
        );
    }
}
