//! What happens to an activity, by example and by property.

use proptest::prelude::*;

use super::*;
use crate::email::{Direction, example};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

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
    Email { direction: Direction::Outgoing, message_id: None, delivery: Some(delivery), ..example() }
}

fn promote(mailbox: u128, queues: &[u128]) -> Promote {
    let source = Source {
        mailbox_id: Uuid::from_u128(mailbox),
        mailbox_address: "a@x".into(),
        folder_id: String::new(),
        is_untracked: false,
    };
    let queues = queues.iter().copied().map(Uuid::from_u128).collect();
    Promote { email: example(), source, queues, adds_queue_items: false }
}

fn live(state: &State) -> &Activity {
    state.live().unwrap()
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
    live(state).email.delivery.as_ref().unwrap().status
}

/// Spec §12, check 12: the same message in three mailboxes is one record.
#[test]
fn check_12_promoting_again_adds_the_mailbox_and_nothing_else() {
    let mut state = State::Absent;
    for mailbox in [1, 1, 2, 3, 2] {
        state = done(state, Command::Promote(Box::new(promote(mailbox, &[]))));
    }
    assert_eq!(live(&state).sources.len(), 3);
}

#[test]
fn a_queue_gets_one_item() {
    let state = done(State::Absent, Command::Promote(Box::new(promote(1, &[7]))));
    let again = Promote { adds_queue_items: true, ..promote(2, &[7, 8]) };
    let state = done(state, Command::Promote(Box::new(again)));
    let state = done(state, Command::Promote(Box::new(promote(3, &[9]))));
    let queues: Vec<_> = live(&state).queues.iter().map(|(queue, _)| queue.as_u128()).collect();
    assert_eq!(queues, [7, 8]);
}

#[test]
fn untracking_keeps_the_activity_and_tracking_again_undoes_it() {
    let state = done(State::Absent, Command::Promote(Box::new(promote(1, &[]))));
    let state = done(state, Command::Untrack { mailbox_id: Uuid::from_u128(1) });
    assert!(live(&state).sources[0].is_untracked);
    let state = done(state, Command::Promote(Box::new(promote(1, &[]))));
    assert!(!live(&state).sources[0].is_untracked);
}

#[test]
fn claiming_twice_keeps_message_id_and_token() {
    let state = done(State::Absent, Command::Queue(Box::new(outgoing())));
    let state = done(state, claim(1));
    let other = Command::Claim { attempt: 1, message_id: "<other@x>".into(), token: "CRM:0001002".into() };
    let state = done(state, other);
    let email = live(&state).email.clone();
    assert_eq!((email.message_id.as_deref(), email.tracking_token.as_str()), (Some("<1@x>"), "CRM:0001001"));
}

#[test]
fn what_was_sent_stays_sent() {
    let state = done(State::Absent, Command::Queue(Box::new(outgoing())));
    let state = done(done(state, claim(1)), report(1, Status::Sent));
    let state = done(state, report(1, Status::Failed));
    assert_eq!(status(&state), Status::Sent);
    assert!(Rules::decide(&state, &claim(1), &NOW).is_err());
    assert!(Rules::decide(&state, &Command::Resend, &NOW).is_err());
}

#[test]
fn failed_email_is_sent_again_as_another_attempt_with_its_token() {
    let state = done(done(State::Absent, Command::Queue(Box::new(outgoing()))), claim(1));
    let state = done(state, report(1, Status::PendingSend));
    assert_eq!(status(&state), Status::Sending);
    let state = done(done(state, report(1, Status::Failed)), Command::Resend);
    assert!(Rules::decide(&state, &report(1, Status::Sent), &NOW).is_err());
    let other = Command::Claim { attempt: 2, message_id: "<2@x>".into(), token: "CRM:0001009".into() };
    let email = done(state, other).live().unwrap().email.clone();
    assert_eq!((email.message_id.as_deref(), email.tracking_token.as_str()), (Some("<2@x>"), "CRM:0001001"));
}

#[test]
fn delayed_email_waits() {
    let later = Timestamp::from_second(60).unwrap();
    let mut email = outgoing();
    email.delivery.as_mut().unwrap().send_after = Some(later);
    let state = done(State::Absent, Command::Queue(Box::new(email)));
    assert!(Rules::decide(&state, &claim(1), &NOW).is_err());
    assert!(Rules::decide(&state, &claim(1), &later).is_ok());
}

#[test]
fn a_tracked_folder_imposes_what_it_regards() {
    let state = done(State::Absent, Command::Promote(Box::new(promote(1, &[]))));
    let mut moved = promote(1, &[]);
    moved.source.folder_id = "F".into();
    moved.email.regarding_id = Some(Uuid::from_u128(5));
    let state = done(state, Command::Promote(Box::new(moved)));
    assert_eq!(live(&state).email.regarding_id, Some(Uuid::from_u128(5)));
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
        Just(Command::Erase),
    ]
}

proptest! {
    /// Whoever repeats what he has no answer to changes nothing by it; only queueing again is another attempt.
    #[test]
    fn every_command_is_idempotent(commands in prop::collection::vec(any_command(), 0..40)) {
        let mut state = State::Absent;
        for command in commands {
            let Ok(events) = Rules::decide(&state, &command, &NOW) else { continue };
            state = Rules::fold(state, &events);
            match (&command, Rules::decide(&state, &command, &NOW)) {
                (Command::Resend, again) => prop_assert!(again.is_err()),
                (_, again) => prop_assert!(again.is_ok_and(|events| events.is_empty())),
            }
            let Some(activity) = state.live() else { continue };
            let mailboxes: BTreeSet<_> =
                activity.sources.iter().map(|source| source.mailbox_id).collect();
            prop_assert_eq!(mailboxes.len(), activity.sources.len());
        }
    }
}

#[test]
fn an_erased_activity_keeps_nothing_and_does_not_come_back() {
    let state = done(State::Absent, Command::Promote(Box::new(promote(1, &[7]))));
    let erased = done(state, Command::Erase);
    assert_eq!(erased, State::Erased);
    let again = Rules::decide(&erased, &Command::Promote(Box::new(promote(2, &[]))), &NOW).unwrap_err();
    assert_eq!(again.code, Code::EmailErased);
    // The tombstone alone says so, when what came before it is gone from the journal.
    assert_eq!(Rules::fold(State::Absent, &[Event::Erased { at: NOW }]), State::Erased);
    for late in [Command::Erase, Command::Untrack { mailbox_id: Uuid::from_u128(1) }, report(1, Status::Sent)] {
        assert_eq!(Rules::decide(&erased, &late, &NOW).unwrap(), []);
    }
}

#[test]
fn what_was_erased_before_it_came_does_not_come() {
    // Given the tombstone of an activity that never was.
    let erased = done(State::Absent, Command::Erase);
    assert_eq!(erased, State::Erased);
    // When its message is found, then it is refused.
    let found = Rules::decide(&erased, &Command::Promote(Box::new(promote(1, &[]))), &NOW).unwrap_err();
    assert_eq!(found.code, Code::EmailErased);
}

#[test]
fn what_is_being_sent_is_not_erased_before_it_is_known_what_became_of_it() {
    let state = done(done(State::Absent, Command::Queue(Box::new(outgoing()))), claim(1));
    assert_eq!(Rules::decide(&state, &Command::Erase, &NOW).unwrap_err().code, Code::StateConflict);
    let state = done(state, report(1, Status::Sent));
    assert_eq!(done(state, Command::Erase), State::Erased);
}
