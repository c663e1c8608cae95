//! The event log of a mailbox as sentences.

use jiff::Timestamp;

use super::{
    Acceptance, Amendment, Approval, Confirmation, Decision, Direction, Disposal, Event, Facts, From, Mark, Place,
    Reason, Recipient, SendEvent, Trigger, Verdict,
};
use crate::email::Correlation;
use crate::fault::Report;

/// What an event says to a person; more than one sentence where messages were decided.
pub fn sentences(event: &Event) -> Vec<String> {
    match event {
        Event::Created { settings, .. } => vec![format!("Created for {}.", settings.address)],
        Event::Changed { settings } => vec![format!("Settings changed; the address is {}.", settings.address)],
        Event::PasswordSet { .. } => vec!["A password of its own was stored.".to_owned()],
        Event::Resealed { sealed } => vec![format!("Its password was sealed with the key `{}`.", sealed.key_id)],
        Event::ApprovalChanged { approval } => vec![approval_sentence(*approval).to_owned()],
        Event::Activated => vec!["Activated.".to_owned()],
        Event::Deactivated => vec!["Deactivated.".to_owned()],
        Event::Tested { .. } => tested(event),
        Event::Deleted => vec!["Deleted.".to_owned()],
        Event::Claimed { worker, epoch, .. } => vec![format!("Worker {worker} took it over (epoch {epoch}).")],
        Event::AttemptStarted { trigger, .. } => vec![format!("Synchronization began, {}.", reason_of(*trigger))],
        Event::AttemptFinished { started_at, at, trigger, verdicts, deferrals, amendments, .. } => {
            let took = at.duration_since(*started_at).as_millis();
            let mut lines = vec![format!(
                "Synchronization succeeded in {took} ms, {}: {} decided, {} to be tried again.",
                reason_of(*trigger),
                count(verdicts.len(), "message"),
                deferrals.len()
            )];
            lines.extend(verdicts.iter().map(verdict_sentence));
            lines.extend(amendments.iter().map(amended));
            lines.extend(deferrals.iter().map(|deferral| {
                let name = name(&deferral.item.message_id, &deferral.item.id);
                format!(
                    "Message {name} failed {} so far: {}.",
                    count_times(deferral.attempts),
                    deferral.report.sentence()
                )
            }));
            lines
        }
        Event::AttemptFailed { .. } => failed(event),
        Event::Throttled { until, report, .. } => {
            vec![format!("{}; nothing is sent before {}.", report.sentence(), second(*until))]
        }
        Event::Recovered { report, since, .. } => {
            vec![format!(
                "Recovered by itself and enabled again. It had been disabled since {}: {}.",
                second(*since),
                report.sentence()
            )]
        }
        Event::Disposed { items, .. } => {
            let failed = items.iter().filter_map(|done| done.fault.as_ref());
            let mut lines: Vec<String> = failed
                .map(|report| format!("A message could not be moved or marked: {}.", report.sentence()))
                .collect();
            let done = items.len() - lines.len();
            if done > 0 {
                lines.insert(0, format!("{} moved, marked or deleted as intended.", count(done, "message")));
            }
            lines
        }
        Event::BackfillPlanned { from, before, total, .. } => {
            let since = from_phrase(*from);
            vec![format!(
                "{} received before {} are read as well, {since}.",
                count_of(*total, "message"),
                second(*before)
            )]
        }
        Event::BackfillPaused { .. } => vec!["Reading older mail was paused.".to_owned()],
        Event::BackfillResumed { .. } => vec!["Reading older mail goes on.".to_owned()],
        Event::RetryAsked { items, .. } => {
            vec![format!("{} that had failed are tried again, as asked.", count(items.len(), "message"))]
        }
        Event::FolderTracked { folder, .. } => {
            vec![format!("The folder {} is tracked; its messages regard {}.", folder.name, folder.regarding)]
        }
        Event::FolderUntracked { .. } => vec!["A folder is not tracked any more.".to_owned()],
        Event::Sending { event, .. } => vec![sending(event)],
    }
}

/// The fault that an event is about; of single messages it is in the sentences.
pub const fn fault_of(event: &Event) -> Option<&Report> {
    match event {
        Event::AttemptFailed { report, .. } | Event::Throttled { report, .. } | Event::Recovered { report, .. } => {
            Some(report)
        }
        _ => None,
    }
}

fn from_phrase(from: From) -> String {
    from.0.map_or_else(|| "back to the oldest".to_owned(), |from| format!("back to {}", second(from)))
}

fn sending(event: &SendEvent) -> String {
    match event {
        SendEvent::Intended { email_id, message_id, .. } => {
            format!("Email {email_id} is going to be sent as {message_id}.")
        }
        SendEvent::DraftReady { email_id, .. } => format!("The draft of email {email_id} is complete."),
        SendEvent::Sent { email_id, confirmation } => {
            let how = match confirmation {
                Confirmation::Answered => "Exchange confirmed it",
                Confirmation::CopyFound => "its copy was found in Sent Items after an answer was lost",
                Confirmation::DraftGone => "its draft is gone, which only sending does",
            };
            format!("Email {email_id} was sent: {how}.")
        }
        SendEvent::Failed { email_id, report, next_try: Some(at), .. } => {
            format!("Email {email_id} was not sent: {} It is tried again at {}.", explained(report), second(*at))
        }
        SendEvent::Failed { email_id, report, next_try: None, .. } => {
            format!("Email {email_id} was given up: {}", explained(report))
        }
        SendEvent::Reported { email_id } => format!("The CRM knows what became of email {email_id}."),
    }
}

fn amended(amendment: &Amendment) -> String {
    match amendment {
        Amendment::Tracked { item, email_id, mark } => {
            let name = name(&item.message_id, &item.id);
            format!("Message {name} was tracked by a person ({}) as {email_id}.", mark_phrase(*mark))
        }
        Amendment::Untracked { item, email_id } => {
            let name = name(&item.message_id, &item.id);
            format!("Message {name} was untracked by a person; the email activity {email_id} stays.")
        }
    }
}

const fn mark_phrase(mark: Mark) -> &'static str {
    match mark {
        Mark::Category => "by the category",
        Mark::Folder => "by the folder it lies in",
    }
}

/// What was decided about a message, and why.
pub fn verdict_sentence(verdict: &Verdict) -> String {
    let name = name(&verdict.item.message_id, &verdict.item.id);
    match &verdict.decision {
        Decision::Tracked { created, acceptance, .. } => {
            let what = if *created {
                "was tracked as a new email activity"
            } else {
                "is tracked; the CRM had it already, from another mailbox or an earlier attempt"
            };
            let why = acceptance.as_ref().map(acceptance_sentence).unwrap_or_default();
            format!("Message {name} {what}{why}.")
        }
        Decision::NotTracked(reason) => format!("Message {name} was not tracked: {}.", reason_sentence(reason)),
        Decision::Undeliverable { report, attempts } => {
            let then = match verdict.disposal {
                Some(Disposal::UndeliverableFolder) => "It is moved to the Undeliverable folder",
                Some(Disposal::UndeliverableCategory) => "It gets the category of undeliverable messages",
                _ => "It stays where it is",
            };
            let times = count_times(*attempts);
            format!("Message {name} could not be tracked after {times}: {}. {then}.", report.sentence())
        }
    }
}

fn acceptance_sentence(acceptance: &Acceptance) -> String {
    let by = match acceptance.mark {
        Some(mark) => format!(": a person tracked it {} in {}", mark_phrase(mark), acceptance.address),
        None => format!(": {} accepts \"{}\"", acceptance.address, acceptance.method.label()),
    };
    match acceptance.correlation {
        None => by,
        Some(Correlation { method, email_id }) => {
            format!("{by}; it answers the email activity {email_id} ({})", method.name())
        }
    }
}

fn recipient_phrase(recipient: &Recipient) -> String {
    let hidden = if recipient.is_named { "" } else { ", and is named neither in To nor in Cc" };
    format!("{} accepts \"{}\"{hidden}", recipient.address, recipient.method.label())
}

/// Why a message is not tracked, as a clause.
pub fn reason_sentence(reason: &Reason) -> String {
    match reason {
        Reason::FilteringMethod => "the mailbox's filtering method is No email messages".to_owned(),
        Reason::NotAccepted(recipients) => {
            let asked: Vec<String> = recipients.iter().map(recipient_phrase).collect();
            format!("no recipient accepts it ({})", asked.join("; "))
        }
        Reason::NotNamed(recipients) => {
            let asked: Vec<String> = recipients.iter().map(recipient_phrase).collect();
            format!("To and Cc name no mailbox of the CRM, as by Bcc or a distribution list ({})", asked.join("; "))
        }
        Reason::Internal(Some(email_id)) => {
            format!("it is internal, and the CRM has it as the sent email activity {email_id}")
        }
        Reason::Internal(None) => "it is internal: a user or queue sent it".to_owned(),
        Reason::Protected => "it is protected (IRM)".to_owned(),
        Reason::InvalidForward => {
            "it was not forwarded as an attachment to this forward mailbox (InvalidForwardMailItem)".to_owned()
        }
        Reason::NotForwarded => {
            "no mailbox that the forwarded message names has the incoming method Forward Mailbox (InvalidForwardMailItem)"
                .to_owned()
        }
        Reason::BeforeProcessEmailFrom(from) => format!("it was received before Process Email From, {from}"),
        Reason::NotEmail(class) => format!("it is no email but an item of class {class}"),
        Reason::Gone => "it was deleted or moved before it could be read".to_owned(),
        Reason::Erased => "it concerns a person who was erased, and is of before that".to_owned(),
    }
}

/// What was known about a message when it was decided.
pub fn fact_sentences(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match &facts.place {
        Place::Inbox => "It was found in the Inbox.".to_owned(),
        Place::SentItems => "It was found in Sent Items.".to_owned(),
        Place::Folder(_) => "It was found in a tracked folder.".to_owned(),
    });
    lines.extend(facts.mark.map(|mark| format!("A person tracked it {}.", mark_phrase(mark))));
    lines.push(match facts.sender {
        Some(kind) if facts.is_sender_ambiguous => {
            format!("Its sender resolves to a {}; several records have the address.", kind.label())
        }
        Some(kind) => format!("Its sender is a {} of the CRM.", kind.label()),
        None => "Its sender is no record of the CRM.".to_owned(),
    });
    lines.extend(
        facts
            .correlations
            .iter()
            .map(|found| format!("By {} it answers the email activity {}.", found.method.name(), found.email_id)),
    );
    lines.extend(facts.sent_copy.map(|id| format!("The CRM has it as the sent email activity {id}.")));
    lines.extend(facts.recipients.iter().map(|recipient| format!("{}.", recipient_phrase(recipient))));
    lines
}

fn approval_sentence(approval: Approval) -> &'static str {
    match approval {
        Approval::Pending => "The address waits for approval.",
        Approval::Approved => "The address was approved.",
        Approval::Rejected => "The address was rejected.",
    }
}

fn tested(event: &Event) -> Vec<String> {
    let Event::Tested { outcomes, next_probe, .. } = event else { return Vec::new() };
    let mut lines = Vec::new();
    for direction in Direction::ALL {
        match outcomes.get(direction) {
            Some(Ok(())) => lines.push(format!("Test passed; {} enabled.", direction.label())),
            Some(Err(report)) => lines.push(format!(
                "Test failed; {} not enabled: {} {}",
                direction.label(),
                explained(report),
                probe_sentence(*next_probe)
            )),
            None => {}
        }
    }
    lines
}

fn failed(event: &Event) -> Vec<String> {
    let Event::AttemptFailed { report, failures, next_attempt, disables, .. } = event else { return Vec::new() };
    let then = match (disables, next_attempt) {
        (true, next) => format!("The mailbox is disabled. {}", probe_sentence(*next)),
        (false, Some(at)) => format!("Failure {failures} in a row; next attempt at {}.", second(*at)),
        (false, None) => probe_sentence(None),
    };
    vec![format!("Synchronization failed: {} {then}", explained(report))]
}

fn explained(report: &Report) -> String {
    let row = report.code.row();
    format!("{} [{}]. {}.", report.sentence(), row.name, row.remedy)
}

fn probe_sentence(next: Option<Timestamp>) -> String {
    match next {
        Some(at) => format!("It is probed at {} and enabled again when the cause is gone.", second(at)),
        None => "It is probed again when its profile or the mailbox is changed.".to_owned(),
    }
}

/// A time as people read it: to the second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn reason_of(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Timer => "by schedule",
        Trigger::Asked => "as asked",
        Trigger::Probe => "as a probe",
        Trigger::Continuation => "as more was left",
        Trigger::Notified => "on a notification",
    }
}

fn name<'a>(message_id: &'a Option<String>, item_id: &'a str) -> &'a str {
    message_id.as_deref().unwrap_or(item_id)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn count_of(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn count_times(number: u32) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;
    use crate::mailbox::{FilteringMethod, Item, RULE_VERSION};

    fn recipient(is_named: bool) -> Recipient {
        Recipient {
            address: "ada@contoso.example".into(),
            method: FilteringMethod::Responses,
            is_named,
            kind: None,
            is_forwarding: false,
        }
    }

    /// An example of each reason.
    #[rstest]
    #[case(Reason::FilteringMethod, "No email messages")]
    #[case(Reason::NotAccepted(vec![recipient(true)]), "ada@contoso.example accepts \"Email messages in response to CRM email\"")]
    #[case(Reason::NotNamed(vec![recipient(false)]), "Bcc or a distribution list")]
    #[case(Reason::Internal(Some(Uuid::nil())), "the CRM has it as the sent email activity")]
    #[case(Reason::Internal(None), "a user or queue sent it")]
    #[case(Reason::Protected, "protected (IRM)")]
    #[case(Reason::InvalidForward, "not forwarded as an attachment")]
    #[case(Reason::NotForwarded, "no mailbox that the forwarded message names")]
    #[case(Reason::BeforeProcessEmailFrom(Timestamp::UNIX_EPOCH), "before Process Email From, 1970-01-01")]
    #[case(Reason::NotEmail("IPM.Post".into()), "class IPM.Post")]
    #[case(Reason::Gone, "deleted or moved")]
    #[case(Reason::Erased, "a person who was erased")]
    fn each_reason_is_told(#[case] reason: Reason, #[case] told: &str) {
        let item = Item { id: "a".into(), message_id: Some("<a@x>".into()), received: None };
        let decision = Decision::NotTracked(reason);
        let verdict = Verdict { item, decision, rule_version: RULE_VERSION, pass: 0, facts: None, disposal: None };
        let sentence = verdict_sentence(&verdict);
        assert!(sentence.contains("<a@x> was not tracked") && sentence.contains(told), "{sentence}");
    }
}
