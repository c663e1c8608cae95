//! What happens to emails of the outbox.

use jiff::Timestamp;
use postroad_core::mailbox::{Confirmation, SendEvent};
use uuid::Uuid;

use super::{maybe_at, read_report, report, stored, time};

pub fn write(epoch: u64, at: Timestamp, event: &SendEvent) -> stored::EmailSending {
    let email_id = event.email_id().to_string();
    let bare = stored::EmailSending { epoch, at: Some(time(at)), email_id, ..stored::EmailSending::default() };
    match event {
        SendEvent::Intended { email_id: _, attempt, message_id } => {
            stored::EmailSending { event: 1, attempt: *attempt, message_id: message_id.clone(), ..bare }
        }
        SendEvent::DraftReady { email_id: _, draft_id } => {
            stored::EmailSending { event: 2, draft_id: draft_id.clone(), ..bare }
        }
        SendEvent::Sent { email_id: _, confirmation } => {
            let confirmation = match confirmation {
                Confirmation::Answered => 1,
                Confirmation::CopyFound => 2,
                Confirmation::DraftGone => 3,
            };
            stored::EmailSending { event: 3, confirmation, ..bare }
        }
        SendEvent::Failed { email_id: _, report: fault, failures, next_try } => stored::EmailSending {
            event: 4,
            report: Some(report(fault)),
            failures: *failures,
            next_try: next_try.map(time),
            ..bare
        },
        SendEvent::Reported { email_id: _ } => stored::EmailSending { event: 5, ..bare },
    }
}

pub fn read(event: stored::EmailSending) -> Option<SendEvent> {
    let email_id = Uuid::parse_str(&event.email_id).ok()?;
    Some(match event.event {
        1 => SendEvent::Intended { email_id, attempt: event.attempt, message_id: event.message_id },
        2 => SendEvent::DraftReady { email_id, draft_id: event.draft_id },
        3 => SendEvent::Sent {
            email_id,
            confirmation: match event.confirmation {
                1 => Confirmation::Answered,
                2 => Confirmation::CopyFound,
                3 => Confirmation::DraftGone,
                _ => return None,
            },
        },
        4 => SendEvent::Failed {
            email_id,
            report: read_report(event.report?),
            failures: event.failures,
            next_try: maybe_at(event.next_try)?,
        },
        5 => SendEvent::Reported { email_id },
        _ => return None,
    })
}
