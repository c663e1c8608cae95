//! The aggregate of an email activity: promoted from mailboxes, or queued, claimed and sent.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Activity, Delivery, Email, Source, Status};
use crate::{Aggregate, Refusal, fault::Code};

/// What happened to an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be.
    Promoted { email: Box<Email>, source: Source, at: Timestamp },
    /// The message lies in another mailbox as well, or in another folder of one.
    FoundAgain { source: Source, at: Timestamp },
    /// Queues got items for it.
    QueueItemsAdded { queues: Vec<Uuid>, at: Timestamp },
    /// It is not tracked any more in a mailbox.
    Untracked { mailbox_id: Uuid, at: Timestamp },
    /// It regards something else.
    RegardingSet { regarding_id: Option<Uuid>, at: Timestamp },
    /// It waits to be sent.
    Queued { email: Box<Email>, at: Timestamp },
    /// It is being sent.
    Claimed { attempt: u32, message_id: String, token: String, at: Timestamp },
    /// What became of it.
    Reported { attempt: u32, status: Status, failure: String, failure_code: String, at: Timestamp },
    /// It waits to be sent again.
    Resent { attempt: u32, at: Timestamp },
    /// A person whom it concerned was erased: nothing of it is kept, and it does not come back.
    Erased { at: Timestamp },
}

/// A message to be promoted.
#[derive(Clone, Debug)]
pub struct Promote {
    /// The message.
    pub email: Email,
    /// Where it was found.
    pub source: Source,
    /// The queues that get an item.
    pub queues: Vec<Uuid>,
    /// Whether they get it also where the email was there before.
    pub adds_queue_items: bool,
}

/// What is asked of an activity.
#[derive(Clone, Debug)]
pub enum Command {
    /// Be this message.
    Promote(Box<Promote>),
    /// Be untracked in a mailbox.
    Untrack { mailbox_id: Uuid },
    /// Regard this.
    SetRegarding { regarding_id: Option<Uuid> },
    /// Wait to be sent.
    Queue(Box<Email>),
    /// Be sent now, with this message id and token unless the attempt has them already.
    Claim { attempt: u32, message_id: String, token: String },
    /// Note what became of it.
    Report { attempt: u32, status: Status, failure: String, failure_code: String },
    /// Wait to be sent again.
    Resend,
    /// Be nothing any more, for good, also where nothing is yet; not while it is being sent.
    Erase,
}

/// What it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Neither promoted nor queued.
    #[default]
    Absent,
    /// An activity.
    Live(Box<Activity>),
    /// Erased for good.
    Erased,
}

impl State {
    /// The activity, if it is one.
    pub const fn live(&self) -> Option<&Activity> {
        match self {
            Self::Live(activity) => Some(activity),
            Self::Absent | Self::Erased => None,
        }
    }
}

/// The aggregate.
pub struct Rules;

impl Aggregate for Rules {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Facts = Timestamp;
    type Refusal = Refusal;

    fn decide(state: &State, command: &Command, now: &Timestamp) -> Result<Vec<Event>, Refusal> {
        match state {
            State::Absent => decide(None, command, now),
            State::Live(activity) => decide(Some(activity), command, now),
            State::Erased => decide_erased(command),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        let new = |email: &Email, sources, promoted_at| {
            State::Live(Box::new(Activity { email: email.clone(), sources, promoted_at, queues: Vec::new() }))
        };
        match (state, event) {
            (State::Erased, _) | (_, Event::Erased { .. }) => State::Erased,
            (State::Absent, Event::Promoted { email, source, at }) => new(email, vec![source.clone()], *at),
            (State::Absent, Event::Queued { email, at }) => new(email, Vec::new(), *at),
            (State::Live(mut activity), event) => {
                apply(&mut activity, event);
                State::Live(activity)
            }
            (State::Absent, _) => State::Absent,
        }
    }
}

/// What is repeated about an erased activity is done already; what would need it is refused.
fn decide_erased(command: &Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Erase | Command::Untrack { .. } | Command::SetRegarding { .. } | Command::Report { .. } => {
            Ok(Vec::new())
        }
        Command::Promote(_) | Command::Queue(_) | Command::Claim { .. } | Command::Resend => {
            Err(Refusal::new(Code::EmailErased, "email", "was erased with a person whom it concerned"))
        }
    }
}

fn decide(state: Option<&Activity>, command: &Command, now: &Timestamp) -> Result<Vec<Event>, Refusal> {
    let missing = || Refusal::new(Code::NotFound, "email", "does not exist");
    match command {
        Command::Promote(wanted) => Ok(promote(state, wanted, *now)),
        Command::Untrack { mailbox_id } => {
            let sources = &state.ok_or_else(missing)?.sources;
            let is_tracked = sources.iter().any(|one| one.mailbox_id == *mailbox_id && !one.is_untracked);
            let (mailbox_id, at) = (*mailbox_id, *now);
            Ok(is_tracked.then_some(Event::Untracked { mailbox_id, at }).into_iter().collect())
        }
        Command::SetRegarding { regarding_id } => {
            let known = state.ok_or_else(missing)?.email.regarding_id;
            let (regarding_id, at) = (*regarding_id, *now);
            Ok((known != regarding_id).then_some(Event::RegardingSet { regarding_id, at }).into_iter().collect())
        }
        Command::Queue(email) => match state {
            // Asked again with the same id: it is queued already.
            Some(known) if known.email.delivery.is_some() => Ok(Vec::new()),
            Some(_) => Err(Refusal::new(Code::StateConflict, "request_id", "is the id of another email")),
            None => Ok(vec![Event::Queued { email: email.clone(), at: *now }]),
        },
        Command::Claim { attempt, message_id, token } => {
            let (email, delivery) = delivery(state, *attempt)?;
            match delivery.status {
                Status::PendingSend if delivery.send_after.is_some_and(|at| *now < at) => {
                    Err(Refusal::new(Code::StateConflict, "email_id", "is to be sent later"))
                }
                Status::PendingSend => {
                    let token = if email.tracking_token.is_empty() { token } else { &email.tracking_token };
                    let (attempt, message_id, token) = (*attempt, message_id.clone(), token.clone());
                    Ok(vec![Event::Claimed { attempt, message_id, token, at: *now }])
                }
                Status::Sending => Ok(Vec::new()),
                Status::Sent | Status::Failed => {
                    Err(Refusal::new(Code::StateConflict, "email_id", "is not waiting to be sent"))
                }
            }
        }
        Command::Report { attempt, status, failure, failure_code } => {
            let (_, delivery) = delivery(state, *attempt)?;
            // Tried again by itself: only the reason is new.
            let is_status_known = *status == Status::PendingSend || delivery.status == *status;
            let is_known = is_status_known && delivery.failure == *failure && delivery.failure_code == *failure_code;
            // What was sent stays sent, whoever says something else later.
            if is_known || delivery.status == Status::Sent {
                return Ok(Vec::new());
            }
            let (attempt, status) = (*attempt, *status);
            let (failure, failure_code) = (failure.clone(), failure_code.clone());
            Ok(vec![Event::Reported { attempt, status, failure, failure_code, at: *now }])
        }
        Command::Erase => {
            let delivery = state.and_then(|activity| activity.email.delivery.as_ref());
            if delivery.is_some_and(|delivery| delivery.status.is_waiting()) {
                return Err(Refusal::new(Code::StateConflict, "email", "is being sent; erase it when that has ended"));
            }
            Ok(vec![Event::Erased { at: *now }])
        }
        Command::Resend => {
            let activity = state.ok_or_else(missing)?;
            match &activity.email.delivery {
                Some(Delivery { status: Status::Failed, attempt, .. }) => {
                    Ok(vec![Event::Resent { attempt: attempt + 1, at: *now }])
                }
                _ => {
                    Err(Refusal::new(Code::StateConflict, "email_id", "did not fail: only failed email is sent again"))
                }
            }
        }
    }
}

fn promote(state: Option<&Activity>, wanted: &Promote, at: Timestamp) -> Vec<Event> {
    let source = wanted.source.clone();
    let items = |known: &[(Uuid, Timestamp)]| {
        let new = wanted.queues.iter().filter(|queue| known.iter().all(|(other, _)| other != *queue));
        let queues: Vec<Uuid> = new.copied().collect::<BTreeSet<_>>().into_iter().collect();
        (!queues.is_empty()).then_some(Event::QueueItemsAdded { queues, at })
    };
    let Some(activity) = state else {
        let promoted = Event::Promoted { email: Box::new(wanted.email.clone()), source, at };
        return std::iter::once(promoted).chain(items(&[])).collect();
    };
    let known = activity.sources.iter().find(|known| known.mailbox_id == source.mailbox_id);
    let is_new = known.is_none_or(|known| known.folder_id != source.folder_id || known.is_untracked);
    let found = is_new.then_some(Event::FoundAgain { source, at });
    // The folder imposes what the email regards, also on one that was tracked before.
    let regarding_id = wanted.email.regarding_id;
    let is_imposed = !wanted.source.folder_id.is_empty() && regarding_id != activity.email.regarding_id;
    let imposed = is_imposed.then_some(Event::RegardingSet { regarding_id, at });
    let items = if wanted.adds_queue_items { items(&activity.queues) } else { None };
    found.into_iter().chain(imposed).chain(items).collect()
}

fn delivery(state: Option<&Activity>, attempt: u32) -> Result<(&Email, &Delivery), Refusal> {
    let missing = || Refusal::new(Code::NotFound, "email_id", "is no email that is sent");
    let email = &state.ok_or_else(missing)?.email;
    let delivery = email.delivery.as_ref().ok_or_else(missing)?;
    if delivery.attempt != attempt {
        let rule = format!("is {}, not {attempt}", delivery.attempt);
        return Err(Refusal::new(Code::StateConflict, "attempt", rule));
    }
    Ok((email, delivery))
}

fn apply(activity: &mut Activity, event: &Event) {
    match event {
        Event::FoundAgain { source, .. } | Event::Promoted { source, .. } => {
            activity.sources.retain(|known| known.mailbox_id != source.mailbox_id);
            activity.sources.push(source.clone());
        }
        Event::QueueItemsAdded { queues, at } => activity.queues.extend(queues.iter().map(|queue| (*queue, *at))),
        Event::Untracked { mailbox_id, .. } => {
            for source in activity.sources.iter_mut().filter(|source| source.mailbox_id == *mailbox_id) {
                source.is_untracked = true;
            }
        }
        Event::RegardingSet { regarding_id, .. } => activity.email.regarding_id = *regarding_id,
        Event::Queued { .. } | Event::Erased { .. } => {}
        Event::Claimed { message_id, token, at, .. } => {
            activity.email.message_id = Some(message_id.clone());
            activity.email.tracking_token.clone_from(token);
            activity.email.sent_at = Some(*at);
            if let Some(delivery) = &mut activity.email.delivery {
                delivery.status = Status::Sending;
            }
        }
        Event::Reported { status, failure, failure_code, .. } => {
            if let Some(delivery) = &mut activity.email.delivery {
                // Tried again by itself: who had claimed it still has.
                if *status != Status::PendingSend {
                    delivery.status = *status;
                }
                delivery.failure.clone_from(failure);
                delivery.failure_code.clone_from(failure_code);
            }
        }
        Event::Resent { attempt, at } => {
            if let Some(delivery) = &mut activity.email.delivery {
                delivery.status = Status::PendingSend;
                delivery.attempt = *attempt;
                delivery.queued_at = *at;
                delivery.failure.clear();
                delivery.failure_code.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests;
