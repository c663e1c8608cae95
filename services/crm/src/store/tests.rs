use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    Aggregate as _, EmailAddress,
    email::{self, Command, Delivery, Direction, Email, Party, Promote, Role, Source, Status},
    record::{self, Kind, Record},
};
use postroad_journal::{Actor, Commit};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn person(id: u128, kind: Kind, name: &str, address: &str, active: bool) -> Record {
    let addresses = vec![EmailAddress::parse("address", address).unwrap()];
    Record { id: Uuid::from_u128(id), kind, name: name.into(), addresses, active, owner_id: None }
}

fn save(view: &mut View, record: Record) {
    view.record(record.id, &[record::Event::Saved(record)]);
}

fn message(id: u128, minute: i64, subject: &str, from: &str) -> Email {
    Email {
        id: Uuid::from_u128(id),
        direction: Direction::Incoming,
        message_id: Some(format!("<{id}@mail.example>")),
        in_reply_to: None,
        references: Vec::new(),
        conversation_index: Vec::new(),
        correlation: None,
        subject: subject.into(),
        sent_at: None,
        received_at: Some(Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)),
        parties: vec![Party {
            role: Role::From,
            name: "Ada King".into(),
            address: from.into(),
            record_id: None,
            is_ambiguous: false,
        }],
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

fn promoted(email: &Email, mailbox: u128) -> email::Event {
    let source = Source {
        mailbox_id: Uuid::from_u128(mailbox),
        mailbox_address: format!("m{mailbox}@Contoso.example"),
        folder_id: String::new(),
        is_untracked: false,
    };
    email::Event::Promoted { email: Box::new(email.clone()), source, at: Timestamp::UNIX_EPOCH }
}

fn wanted(query: &str) -> Wanted {
    let words = query.split_whitespace().map(str::to_owned).collect();
    Wanted { words, mailbox: None, after: None, most: 10 }
}

/// A store with so many messages, the last one the newest; the odd ones are of mailbox 1, the others of mailbox 2.
fn store(messages: u128) -> Store {
    let store = Store::default();
    for number in 1..=messages {
        let subject = if number % 10 == 0 { "Invoice ÄRGER" } else { "Hello" };
        let email = message(number, i64::try_from(number).unwrap(), subject, "ada@fabrikam.example");
        store.write(|view| view.email(email.id, 1, &[promoted(&email, if number.is_multiple_of(2) { 2 } else { 1 })]));
    }
    store
}

#[test]
fn an_address_resolves_active_first_then_by_kind() {
    let mut view = View::default();
    save(&mut view, person(1, Kind::User, "Former", "ada@x.example", false));
    save(&mut view, person(2, Kind::Lead, "Lead", "Ada@X.example", true));
    save(&mut view, person(3, Kind::Contact, "Contact", "ada@x.example", true));
    assert_eq!(view.by_address(" ADA@x.example", None).unwrap().id, Uuid::from_u128(3));
    assert_eq!(view.candidates("ada@X.example").len(), 3);
    assert_eq!(view.by_address("ada@x.example", Some(Kind::Lead)).unwrap().name, "Lead");
    assert_eq!(view.by_address("ada@x.example", Some(Kind::Queue)), None);
    view.record(Uuid::from_u128(3), &[record::Event::Deleted]);
    view.record(Uuid::from_u128(2), &[record::Event::Deleted]);
    assert_eq!(view.by_address("ada@x.example", None).unwrap().id, Uuid::from_u128(1));
}

#[test]
fn of_an_address_at_most_a_hundred_records_are_told() {
    let mut view = View::default();
    for id in 0..=100 {
        save(&mut view, person(id, Kind::Contact, "Same", "info@x.example", true));
    }
    assert_eq!(view.candidates("info@x.example").len(), 100);
}

#[test]
fn an_unresolved_party_resolves_when_exactly_one_record_has_its_address() {
    let mut view = View::default();
    let party = message(1, 1, "Hello", "ada@x.example").parties.remove(0);
    assert_eq!(view.resolved(&party), None);
    save(&mut view, person(1, Kind::Contact, "Ada", "ada@x.example", true));
    assert_eq!(view.resolved(&party), Some(Uuid::from_u128(1)));
    save(&mut view, person(2, Kind::Lead, "Ada", "ada@x.example", true));
    assert_eq!(view.resolved(&party), None);
    assert_eq!(view.resolved(&Party { is_ambiguous: true, ..party }), None);
}

#[test]
fn each_method_finds_what_its_key_names() {
    let mut view = View::default();
    let mut sent = message(1, 1, "Your order 42", "ada@x.example");
    sent.tracking_token = "CRM:0001001".into();
    sent.conversation_index = vec![7; 27];
    sent.parties.push(Party { role: Role::To, address: "bob@y.example".into(), ..sent.parties[0].clone() });
    view.email(sent.id, 1, &[promoted(&sent, 1)]);
    let ids = ["<1@mail.example>".to_owned()];
    let tokens = ["CRM:0009009".to_owned(), "CRM:0001001".to_owned()];
    let settings = postroad_core::organization::Settings::default().smart;
    let addresses = ["bob@y.example", "ADA@x.example"];
    let smart =
        Smart { wanted: email::Alike::of("RE: Your order 42", addresses, &settings), delta: 0, least_addresses: 2 };
    let wanted = Answering {
        message_id: "<2@mail.example>",
        in_reply_to: &ids,
        references: &ids,
        tokens: &tokens,
        conversation: Some(&[7; 22]),
        smart: Some(smart),
    };
    let found = view.answered(&wanted);
    assert_eq!(found.iter().map(|one| one.method).collect::<Vec<_>>(), email::CorrelationMethod::ALL);
    assert!(found.iter().all(|one| one.email_id == sent.id));
    let itself = Answering { message_id: "<1@mail.example>", ..wanted };
    assert!(view.answered(&itself).is_empty(), "a message does not answer itself");
}

#[test]
fn a_senders_next_token_is_the_one_after_the_last_also_where_those_before_are_erased() {
    // Given two senders, of whose emails only those with the numbers of later on are left in the journal.
    let mut view = View::default();
    let mut claimed = |number: u128, sender: u128, token: &str, attempts: u32| {
        let mut email = message(number, 1, "Hello", "ada@x.example");
        email.parties[0].record_id = Some(Uuid::from_u128(sender));
        let Command::Queue(queued) = command(2, 0, 1) else { return };
        email.delivery = queued.delivery;
        let at = Timestamp::UNIX_EPOCH;
        view.email(email.id, 1, &[email::Event::Queued { email: Box::new(email.clone()), at }]);
        for attempt in 1..=attempts {
            let (message_id, token) = (format!("<{number}.{attempt}@x.example>"), token.to_owned());
            view.email(email.id, 1, &[email::Event::Claimed { attempt, message_id, token, at }]);
        }
    };
    claimed(1, 8, "CRM:0002007", 1);
    claimed(2, 9, "CRM:0003001", 1);
    claimed(3, 8, "CRM:0002008", 2);
    claimed(1, 8, "CRM:0002007", 1);
    claimed(4, 7, "CRM#4-1", 1);
    // When they get tokens again, then the numbers go on.
    let next = |sender: u128| view.next_token(Uuid::from_u128(sender));
    assert_eq!((next(8), next(9)), ((2, 9), (3, 2)));
    // And one that was given under other settings is counted, and another sender comes after all of them.
    assert_eq!((next(7), next(6)), ((4, 2), (5, 1)));
}

#[test]
fn a_conversation_without_its_first_email_is_found_by_the_next_one() {
    // Given three emails of a conversation.
    let store = Store::default();
    for number in 1..=3 {
        let mut email = message(number, 1, "Hello", "ada@x.example");
        email.conversation_index = vec![7; 27];
        store.write(|view| view.email(email.id, 1, &[promoted(&email, 1)]));
    }
    let found = || {
        let wanted = Answering { conversation: Some(&[7; 22]), ..Answering::default() };
        store.read(|view| view.answered(&wanted).first().map(|one| one.email_id.as_u128()))
    };
    assert_eq!(found(), Some(1));
    // When they are erased one by one, then the next one stands for it, until none is left.
    for (erased, next) in [(1, Some(2)), (3, Some(2)), (2, None)] {
        let at = Timestamp::UNIX_EPOCH;
        store.write(|view| view.email(Uuid::from_u128(erased), 2, &[email::Event::Erased { at }]));
        assert_eq!(found(), next);
    }
}

#[test]
fn the_holder_of_a_content_is_found_among_many() {
    let store = store(5000);
    let mut email = message(1, 1, "Hello", "ada@x.example");
    email.id = Uuid::from_u128(9999);
    email.text = Some(email::Content { digest: "d".into(), size: 1 });
    store.write(|view| view.email(email.id, 1, &[promoted(&email, 1)]));
    assert_eq!((store.holder("d"), store.holder("e")), (Some(email.id), None));
}

#[test]
fn a_changed_record_leaves_no_trace_of_its_former_address() {
    let mut view = View::default();
    save(&mut view, person(1, Kind::User, "Zoe", "old@x.example", true));
    save(&mut view, person(1, Kind::User, "Ada", "new@x.example", true));
    assert_eq!((view.candidates("old@x.example").len(), view.candidates("new@x.example").len()), (0, 1));
    assert_eq!(view.records(None, None).map(|record| record.name.as_str()).collect::<Vec<_>>(), ["Ada"]);
}

#[test]
fn records_are_listed_by_name_from_a_key_on() {
    let mut view = View::default();
    for (id, name) in [(1, "cid"), (2, "Ada"), (3, "Bob")] {
        save(&mut view, person(id, Kind::User, name, &format!("{name}@x.example"), true));
    }
    let names = |after: Option<&(String, Uuid)>| view.records(None, after).map(|r| r.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(None), ["Ada", "Bob", "cid"]);
    assert_eq!(names(Some(&("bob".into(), Uuid::from_u128(3)))), ["cid"]);
}

#[tokio::test]
async fn search_wants_all_words_and_gives_the_newest_first() {
    let store = store(5000);
    let found = store.search(&wanted("invoice ärger FABRIKAM".to_lowercase().as_str())).await;
    assert_eq!((found.total, found.rows.len()), (500, 10));
    assert_eq!(found.rows[0].activity.email.id, Uuid::from_u128(5000));
    assert_eq!(store.search(&wanted("invoice hello")).await.total, 0);
    assert_eq!(store.search(&wanted("<10@mail.example>")).await.total, 1);
}

#[tokio::test]
async fn pages_of_a_search_meet_without_gap_or_overlap() {
    let store = store(95);
    for (query, mailbox, total) in [("", None, 95), ("hello", None, 86), ("", Some("m2@contoso.EXAMPLE"), 47)] {
        let mut wanted = Wanted { mailbox: mailbox.map(str::to_owned), ..wanted(query) };
        let mut seen = Vec::new();
        loop {
            let found = store.search(&wanted).await;
            assert_eq!(found.total, total);
            let Some(last) = found.rows.last() else { break };
            wanted.after = Position::by_key(&last.position.key());
            seen.extend(found.rows.iter().map(|row| row.activity.email.id));
        }
        assert_eq!(seen.len() as u64, total);
        assert!(seen.is_sorted_by(|one, other| one > other));
    }
}

#[test]
fn a_mailbox_is_found_by_id_and_by_address_in_whichever_it_lies() {
    let store = store(1);
    let email = message(1, 1, "Hello", "ada@fabrikam.example");
    let source = Source {
        mailbox_id: Uuid::from_u128(9),
        mailbox_address: "nine@contoso.example".into(),
        folder_id: String::new(),
        is_untracked: false,
    };
    let again = email::Event::FoundAgain { source, at: Timestamp::UNIX_EPOCH };
    store.write(|view| view.email(email.id, 2, &[again]));
    for mailbox in ["m1@contoso.example", "NINE@contoso.example", &Uuid::from_u128(9).to_string()] {
        assert_eq!(store.read(|view| view.count(Some(mailbox))), 1, "{mailbox}");
    }
    assert_eq!(store.read(|view| (view.count(None), view.activity(email.id).unwrap().activity.sources.len())), (1, 2));
}

#[tokio::test]
async fn waiting_for_a_commit_ends_when_it_is_folded() {
    let store = Store::default();
    let record = person(1, Kind::User, "Ada", "ada@x.example", true);
    let id = record.id;
    let events = vec![record::Event::Saved(record)];
    let commit = Commit { id: Uuid::nil(), sequence: 7, at: Timestamp::UNIX_EPOCH, actor: Actor::new("test"), events };
    let (_, ()) = tokio::join!(store.reached(7), async { store.fold(Followed::Record(id, commit)) });
    assert!(store.read(|view| view.by_id(id).is_some()));
    store.fold(Followed::CaughtUp);
    store.caught_up().await;
}

/// A command to one of four emails, the even ones of which are sent.
fn command(number: u128, choice: u8, mailbox: u128) -> Command {
    let mut email = message(number, 1, "Hello", "ada@fabrikam.example");
    email.conversation_index = vec![7; 22];
    let is_sent = number.is_multiple_of(2);
    match choice {
        0 if is_sent => {
            email.direction = Direction::Outgoing;
            email.message_id = None;
            email.received_at = None;
            email.delivery = Some(Delivery {
                status: Status::PendingSend,
                attempt: 1,
                send_after: None,
                queued_at: Timestamp::UNIX_EPOCH,
                sending_mailbox: "m1@contoso.example".into(),
                failure: String::new(),
                failure_code: String::new(),
            });
            Command::Queue(Box::new(email))
        }
        1 => Command::Untrack { mailbox_id: Uuid::from_u128(mailbox) },
        2 => Command::SetRegarding { regarding_id: Some(Uuid::from_u128(mailbox)) },
        3 => {
            let message_id = format!("<{number}@mail.example>");
            Command::Claim { attempt: 1, message_id, token: format!("CRM:000{number}") }
        }
        4 | 5 => {
            let status = if choice == 4 { Status::Sent } else { Status::Failed };
            Command::Report { attempt: 1, status, failure: String::new(), failure_code: String::new() }
        }
        6 => Command::Resend,
        _ => {
            let source = Source {
                mailbox_id: Uuid::from_u128(mailbox),
                mailbox_address: format!("m{mailbox}@contoso.example"),
                folder_id: if choice.is_multiple_of(2) { "F".into() } else { String::new() },
                is_untracked: false,
            };
            let queues = vec![Uuid::from_u128(mailbox)];
            Command::Promote(Box::new(Promote { email, source, queues, adds_queue_items: choice > 8 }))
        }
    }
}

proptest! {
    /// INV-9: a view that folded every commit as it came holds what one has that folds each email's history at once: no
    /// index keeps anything of what was before.
    #[test]
    fn a_view_holds_nothing_of_what_was_before(
        choices in prop::collection::vec((1_u128..5, 0_u8..11, 1_u128..4), 0..60),
    ) {
        let (mut running, mut histories) = (View::default(), Vec::<(Uuid, u64, Vec<email::Event>)>::new());
        for (sequence, (number, choice, mailbox)) in (1_u64..).zip(choices) {
            let id = Uuid::from_u128(number);
            let live = |row: Arc<Row>| email::State::Live(Box::new(row.activity.clone()));
            let state = running.activity(id).map_or(email::State::Absent, live);
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::try_from(sequence).unwrap());
            let decided = email::Rules::decide(&state, &command(number, choice, mailbox), &now);
            let events = decided.unwrap_or_default();
            if events.is_empty() {
                continue;
            }
            running.email(id, sequence, &events);
            match histories.iter_mut().find(|(known, ..)| *known == id) {
                Some((_, last, history)) => {
                    *last = sequence;
                    history.extend(events);
                }
                None => histories.push((id, sequence, events)),
            }
        }
        let mut rebuilt = View::default();
        for (id, sequence, history) in histories {
            rebuilt.email(id, sequence, &history);
        }
        prop_assert_eq!(running, rebuilt);
    }
}

proptest! {
    /// Smart matching finds the newest like email, as comparing with every one would.
    #[test]
    fn smart_matching_misses_nothing(
        emails in prop::collection::vec(("[ab]( [cd])?", prop::sample::subsequence(vec!["a@x", "b@x", "c@x", "d@x"], 0..4)), 1..20),
        least_addresses in 1_usize..4,
    ) {
        let mut view = View::default();
        let settings = view.settings().smart.clone();
        let known = |(number, (subject, addresses)): (u128, &(String, Vec<&str>))| {
            (Uuid::from_u128(number), email::Alike::of(subject, addresses.iter().copied(), &settings))
        };
        let known: Vec<_> = (1_u128..).zip(&emails).map(known).collect();
        let (_, last) = known.last().unwrap();
        for (number, (subject, addresses)) in (1_u128..).zip(&emails) {
            let mut email = message(number, 1, subject, "");
            let from = email.parties.remove(0);
            email.parties.extend(addresses.iter().map(|&address| Party { address: address.into(), ..from.clone() }));
            view.email(email.id, 1, &[promoted(&email, 1)]);
        }
        let smart = Smart { wanted: last.clone(), delta: 0, least_addresses };
        let found = view.answered(&Answering { smart: Some(smart), ..Answering::default() });
        let expected = known.iter().rev().find(|(_, alike)| last.is_like(alike, 0, least_addresses));
        prop_assert_eq!(found.first().map(|one| one.email_id), expected.map(|(id, _)| *id));
    }
}
