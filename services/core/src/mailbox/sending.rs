//! Sending an email of the outbox exactly once (INV-10): each step is in the journal before the next one is done, so that after a
//! crash or a lost answer it is known what may have happened, and looked up before anything is repeated (PROTOCOL.md §7.5).
//!
//! Intended: a draft may exist; what is found under the email's id is removed and made anew, since nothing but a *ready* draft is ever
//! sent. The intent is committed once more between finding and removing: a draft that was found may be ready by a commit that came late
//! or was another owner's, and would count as sent once it is gone (tests/model has the ways to lose an email without this). Ready: the draft is complete and may have been sent; while it is there it was not. Sent or given up: the CRM is told.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CycleFacts, Direction, Mailbox};
use crate::{
    Refusal,
    fault::{Code, Report},
};

/// How far an email is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It is going to be sent; a draft may exist.
    Intended,
    /// The draft is complete, and may have been sent.
    Ready {
        /// Exchange's item id.
        draft_id: String,
    },
    /// It was sent; the CRM is to be told.
    Sent,
    /// It was given up; the CRM is to be told.
    Failed(Report),
}

/// An email on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// The CRM's count of attempts; queueing it again makes another one.
    pub attempt: u32,
    /// Its message id.
    pub message_id: String,
    /// How far it is.
    pub stage: Stage,
    /// How often it failed.
    pub failures: u32,
    /// It is not tried before.
    pub next_try: Option<Timestamp>,
}

/// How it is known that an email was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Exchange said so.
    Answered,
    /// Its copy was found in Sent Items after the answer was lost.
    CopyFound,
    /// The draft is gone, which only sending does.
    DraftGone,
}

/// What happened to an email of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendEvent {
    /// It is going to be sent.
    Intended { email_id: Uuid, attempt: u32, message_id: String },
    /// Its draft is complete.
    DraftReady { email_id: Uuid, draft_id: String },
    /// It was sent.
    Sent { email_id: Uuid, confirmation: Confirmation },
    /// It failed; without a next try it is given up.
    Failed { email_id: Uuid, report: Report, failures: u32, next_try: Option<Timestamp> },
    /// The CRM knows what became of it.
    Reported { email_id: Uuid },
}

/// What a worker wants to note about an email of the outbox.
#[derive(Clone, Debug)]
pub enum SendCommand {
    /// It is going to be sent. Committed even where that is known already: it proves that who makes the next draft owns the mailbox, and
    /// that none of the drafts that were found before has been made ready by a commit that nobody here had heard of.
    Intend { email_id: Uuid, attempt: u32, message_id: String },
    /// Its draft is complete.
    RecordDraft { email_id: Uuid, draft_id: String },
    /// It was sent.
    RecordSent { email_id: Uuid, confirmation: Confirmation },
    /// It failed.
    RecordFailure { email_id: Uuid, report: Report },
    /// The CRM knows.
    RecordReport { email_id: Uuid },
}

impl SendEvent {
    /// The email.
    pub const fn email_id(&self) -> Uuid {
        match self {
            Self::Intended { email_id, .. }
            | Self::DraftReady { email_id, .. }
            | Self::Sent { email_id, .. }
            | Self::Failed { email_id, .. }
            | Self::Reported { email_id } => *email_id,
        }
    }
}

/// Decides what follows; nothing where it holds already.
pub fn decide(mailbox: &Mailbox, command: &SendCommand, facts: &CycleFacts) -> Result<Option<SendEvent>, Refusal> {
    let conflict = |rule: &str| Err(Refusal::new(Code::StateConflict, "email", rule));
    let sending = &mailbox.sync.sending;
    match command {
        SendCommand::Intend { email_id, attempt, message_id } => {
            may_send(mailbox, facts)?;
            match sending.get(email_id) {
                // What may have been sent is looked up, never begun anew.
                Some(known) if !matches!(known.stage, Stage::Intended) => conflict("is on its way"),
                _ => {
                    let (email_id, attempt, message_id) = (*email_id, *attempt, message_id.clone());
                    Ok(Some(SendEvent::Intended { email_id, attempt, message_id }))
                }
            }
        }
        SendCommand::RecordDraft { email_id, draft_id } => match sending.get(email_id).map(|known| &known.stage) {
            Some(Stage::Intended) => {
                may_send(mailbox, facts)?;
                Ok(Some(SendEvent::DraftReady { email_id: *email_id, draft_id: draft_id.clone() }))
            }
            _ => conflict("is not being prepared"),
        },
        SendCommand::RecordSent { email_id, confirmation } => match sending.get(email_id).map(|known| &known.stage) {
            Some(Stage::Ready { .. }) => Ok(Some(SendEvent::Sent { email_id: *email_id, confirmation: *confirmation })),
            Some(Stage::Sent) => Ok(None),
            _ => conflict("has no draft that could have been sent"),
        },
        SendCommand::RecordFailure { email_id, report } => match sending.get(email_id) {
            Some(known) if matches!(known.stage, Stage::Intended | Stage::Ready { .. }) => {
                Ok(Some(failure(*email_id, known, report, facts)))
            }
            _ => conflict("is not on its way"),
        },
        SendCommand::RecordReport { email_id } => match sending.get(email_id).map(|known| &known.stage) {
            Some(Stage::Sent | Stage::Failed(_)) => Ok(Some(SendEvent::Reported { email_id: *email_id })),
            None => Ok(None),
            Some(Stage::Intended | Stage::Ready { .. }) => conflict("is still on its way"),
        },
    }
}

fn failure(email_id: Uuid, known: &Sending, report: &Report, facts: &CycleFacts) -> SendEvent {
    let failures = known.failures + 1;
    let gives_up = report.code.is_permanent() || failures >= facts.retry.attempts;
    let later = |distance: SignedDuration| facts.now.checked_add(distance).unwrap_or(Timestamp::MAX);
    let next_try = (!gives_up).then(|| later(facts.retry.interval));
    SendEvent::Failed { email_id, report: report.clone(), failures, next_try }
}

fn may_send(mailbox: &Mailbox, facts: &CycleFacts) -> Result<(), Refusal> {
    super::cycle::may_work(mailbox, facts)?;
    if mailbox.directions.get(Direction::Outgoing).enabled {
        return Ok(());
    }
    Err(Refusal::new(Code::StateConflict, "mailbox", "is not enabled for outgoing email; test and enable it first"))
}

/// How an event changes what is on its way.
pub fn evolve(sending: &mut std::collections::BTreeMap<Uuid, Sending>, event: &SendEvent) {
    match event {
        SendEvent::Intended { email_id, attempt, message_id } => {
            let before = sending.get(email_id).filter(|known| known.attempt == *attempt);
            let failures = before.map_or(0, |known| known.failures);
            let (attempt, message_id, stage) = (*attempt, message_id.clone(), Stage::Intended);
            sending.insert(*email_id, Sending { attempt, message_id, stage, failures, next_try: None });
        }
        SendEvent::DraftReady { email_id, draft_id } => {
            if let Some(known) = sending.get_mut(email_id) {
                known.stage = Stage::Ready { draft_id: draft_id.clone() };
            }
        }
        SendEvent::Sent { email_id, .. } => {
            if let Some(known) = sending.get_mut(email_id) {
                known.stage = Stage::Sent;
            }
        }
        SendEvent::Failed { email_id, report, failures, next_try } => {
            if let Some(known) = sending.get_mut(email_id) {
                known.failures = *failures;
                known.next_try = *next_try;
                // A ready draft stays ready: it is looked for before anything else is done.
                if next_try.is_none() {
                    known.stage = Stage::Failed(report.clone());
                }
            }
        }
        SendEvent::Reported { email_id } => {
            sending.remove(email_id);
        }
    }
}
