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
}

/// `None` until it is promoted or queued.
pub type State = Option<Activity>;

/// The aggregate.
pub struct Rules;

impl Aggregate for Rules {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Facts = Timestamp;
    type Refusal = Refusal;

    fn decide(state: &State, command: &Command, now: &Timestamp) -> Result<Vec<Event>, Refusal> {
        let missing = || Refusal::new(Code::NotFound, "email", "does not exist");
        match command {
            Command::Promote(wanted) => Ok(promote(state.as_ref(), wanted, *now)),
            Command::Untrack { mailbox_id } => {
                let sources = &state.as_ref().ok_or_else(missing)?.sources;
                let is_tracked = sources.iter().any(|one| one.mailbox_id == *mailbox_id && !one.is_untracked);
                let (mailbox_id, at) = (*mailbox_id, *now);
                Ok(is_tracked.then_some(Event::Untracked { mailbox_id, at }).into_iter().collect())
            }
            Command::SetRegarding { regarding_id } => {
                let known = state.as_ref().ok_or_else(missing)?.email.regarding_id;
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
                let (email, delivery) = delivery(state.as_ref(), *attempt)?;
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
                let (_, delivery) = delivery(state.as_ref(), *attempt)?;
                // Tried again by itself: only the reason is new.
                let is_status_known = *status == Status::PendingSend || delivery.status == *status;
                let is_known =
                    is_status_known && delivery.failure == *failure && delivery.failure_code == *failure_code;
                // What was sent stays sent, whoever says something else later.
                if is_known || delivery.status == Status::Sent {
                    return Ok(Vec::new());
                }
                let (attempt, status) = (*attempt, *status);
                let (failure, failure_code) = (failure.clone(), failure_code.clone());
                Ok(vec![Event::Reported { attempt, status, failure, failure_code, at: *now }])
            }
            Command::Resend => {
                let activity = state.as_ref().ok_or_else(missing)?;
                match &activity.email.delivery {
                    Some(Delivery { status: Status::Failed, attempt, .. }) => {
                        Ok(vec![Event::Resent { attempt: attempt + 1, at: *now }])
                    }
                    _ => Err(Refusal::new(
                        Code::StateConflict,
                        "email_id",
                        "did not fail: only failed email is sent again",
                    )),
                }
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (None, Event::Promoted { email, source, at }) => Some(Activity {
                email: (**email).clone(),
                sources: vec![source.clone()],
                promoted_at: *at,
                queues: Vec::new(),
            }),
            (None, Event::Queued { email, at }) => {
                Some(Activity { email: (**email).clone(), sources: Vec::new(), promoted_at: *at, queues: Vec::new() })
            }
            (Some(mut activity), event) => {
                apply(&mut activity, event);
                Some(activity)
            }
            (None, _) => None,
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
        Event::Queued { .. } => {}
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::email::{Direction, activity_id};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn email() -> Email {
        Email {
            id: activity_id(Some("<a@x>"), ""),
            direction: Direction::Incoming,
            message_id: Some("<a@x>".into()),
            in_reply_to: None,
            references: Vec::new(),
            conversation_index: Vec::new(),
            correlation: None,
            subject: "Hello".into(),
            sent_at: None,
            received_at: None,
            parties: Vec::new(),
            text: None,
            html: None,
            mime: None,
            attachments: Vec::new(),
            display_html: None,
            is_subject_changed: false,
            regarding_id: None,
            owner_id: None,
            accepted_by: String::new(),
            tracking_token: String::new(),
            delivery: None,
        }
    }

    fn outgoing() -> Email {
        let delivery = Delivery {
            status: Status::PendingSend,
            attempt: 1,
            send_after: None,
            queued_at: NOW,
            sending_mailbox: "ada@contoso.example".into(),
            failure: String::new(),
            failure_code: String::new(),
        };
        Email { direction: Direction::Outgoing, message_id: None, delivery: Some(delivery), ..email() }
    }

    fn promote(mailbox: u128, queues: &[u128]) -> Promote {
        let source = Source {
            mailbox_id: Uuid::from_u128(mailbox),
            mailbox_address: "a@x".into(),
            folder_id: String::new(),
            is_untracked: false,
        };
        let queues = queues.iter().copied().map(Uuid::from_u128).collect();
        Promote { email: email(), source, queues, adds_queue_items: false }
    }

    fn done(state: State, command: Command) -> State {
        let events = Rules::decide(&state, &command, &NOW).unwrap();
        Rules::fold(state, &events)
    }

    fn claim(attempt: u32) -> Command {
        Command::Claim { attempt, message_id: format!("<{attempt}@x>"), token: "CRM:0001001".into() }
    }

    fn report(attempt: u32, status: Status) -> Command {
        Command::Report { attempt, status, failure: "why".into(), failure_code: "CODE".into() }
    }

    fn status(state: &State) -> Status {
        state.as_ref().unwrap().email.delivery.as_ref().unwrap().status
    }

    /// Spec §12, check 12: the same message in three mailboxes is one record.
    #[test]
    fn check_12_promoting_again_adds_the_mailbox_and_nothing_else() {
        let mut state = None;
        for mailbox in [1, 1, 2, 3, 2] {
            state = done(state, Command::Promote(Box::new(promote(mailbox, &[]))));
        }
        assert_eq!(state.unwrap().sources.len(), 3);
    }

    #[test]
    fn a_queue_gets_one_item() {
        let state = done(None, Command::Promote(Box::new(promote(1, &[7]))));
        let again = Promote { adds_queue_items: true, ..promote(2, &[7, 8]) };
        let state = done(state, Command::Promote(Box::new(again)));
        let state = done(state, Command::Promote(Box::new(promote(3, &[9]))));
        let queues: Vec<_> = state.unwrap().queues.iter().map(|(queue, _)| queue.as_u128()).collect();
        assert_eq!(queues, [7, 8]);
    }

    #[test]
    fn untracking_keeps_the_activity_and_tracking_again_undoes_it() {
        let state = done(None, Command::Promote(Box::new(promote(1, &[]))));
        let state = done(state, Command::Untrack { mailbox_id: Uuid::from_u128(1) });
        assert!(state.as_ref().unwrap().sources[0].is_untracked);
        let state = done(state, Command::Promote(Box::new(promote(1, &[]))));
        assert!(!state.unwrap().sources[0].is_untracked);
    }

    #[test]
    fn claiming_twice_keeps_message_id_and_token() {
        let state = done(None, Command::Queue(Box::new(outgoing())));
        let state = done(state, claim(1));
        let other = Command::Claim { attempt: 1, message_id: "<other@x>".into(), token: "CRM:0001002".into() };
        let state = done(state, other);
        let email = state.unwrap().email;
        assert_eq!((email.message_id.as_deref(), email.tracking_token.as_str()), (Some("<1@x>"), "CRM:0001001"));
    }

    #[test]
    fn what_was_sent_stays_sent() {
        let state = done(None, Command::Queue(Box::new(outgoing())));
        let state = done(done(state, claim(1)), report(1, Status::Sent));
        let state = done(state, report(1, Status::Failed));
        assert_eq!(status(&state), Status::Sent);
        assert!(Rules::decide(&state, &claim(1), &NOW).is_err());
        assert!(Rules::decide(&state, &Command::Resend, &NOW).is_err());
    }

    #[test]
    fn failed_email_is_sent_again_as_another_attempt_with_its_token() {
        let state = done(done(None, Command::Queue(Box::new(outgoing()))), claim(1));
        let state = done(state, report(1, Status::PendingSend));
        assert_eq!(status(&state), Status::Sending);
        let state = done(done(state, report(1, Status::Failed)), Command::Resend);
        assert!(Rules::decide(&state, &report(1, Status::Sent), &NOW).is_err());
        let other = Command::Claim { attempt: 2, message_id: "<2@x>".into(), token: "CRM:0001009".into() };
        let email = done(state, other).unwrap().email;
        assert_eq!((email.message_id.as_deref(), email.tracking_token.as_str()), (Some("<2@x>"), "CRM:0001001"));
    }

    #[test]
    fn delayed_email_waits() {
        let later = Timestamp::from_second(60).unwrap();
        let mut email = outgoing();
        email.delivery.as_mut().unwrap().send_after = Some(later);
        let state = done(None, Command::Queue(Box::new(email)));
        assert!(Rules::decide(&state, &claim(1), &NOW).is_err());
        assert!(Rules::decide(&state, &claim(1), &later).is_ok());
    }

    #[test]
    fn a_tracked_folder_imposes_what_it_regards() {
        let state = done(None, Command::Promote(Box::new(promote(1, &[]))));
        let mut moved = promote(1, &[]);
        moved.source.folder_id = "F".into();
        moved.email.regarding_id = Some(Uuid::from_u128(5));
        let state = done(state, Command::Promote(Box::new(moved)));
        assert_eq!(state.unwrap().email.regarding_id, Some(Uuid::from_u128(5)));
    }

    fn any_command() -> impl Strategy<Value = Command> {
        prop_oneof![
            (1_u128..4, prop::collection::vec(1_u128..4, 0..3), any::<bool>()).prop_map(|(mailbox, queues, adds)| {
                Command::Promote(Box::new(Promote { adds_queue_items: adds, ..promote(mailbox, &queues) }))
            }),
            (1_u128..4).prop_map(|mailbox| Command::Untrack { mailbox_id: Uuid::from_u128(mailbox) }),
            prop::option::of(1_u128..4).prop_map(|id| Command::SetRegarding { regarding_id: id.map(Uuid::from_u128) }),
            Just(Command::Queue(Box::new(outgoing()))),
            (1_u32..3).prop_map(claim),
            (1_u32..3, prop::sample::select(vec![Status::Sent, Status::Failed, Status::PendingSend]))
                .prop_map(|(attempt, status)| report(attempt, status)),
            Just(Command::Resend),
        ]
    }

    proptest! {
        /// Whoever repeats what he has no answer to changes nothing by it; only queueing again is another attempt.
        #[test]
        fn every_command_is_idempotent(commands in prop::collection::vec(any_command(), 0..40)) {
            let mut state = None;
            for command in commands {
                let Ok(events) = Rules::decide(&state, &command, &NOW) else { continue };
                state = Rules::fold(state, &events);
                match (&command, Rules::decide(&state, &command, &NOW)) {
                    (Command::Resend, again) => prop_assert!(again.is_err()),
                    (_, again) => prop_assert!(again.is_ok_and(|events| events.is_empty())),
                }
                let activity = state.as_ref().unwrap();
                let mailboxes: BTreeSet<_> =
                    activity.sources.iter().map(|source| source.mailbox_id).collect();
                prop_assert_eq!(mailboxes.len(), activity.sources.len());
            }
        }
    }
}
