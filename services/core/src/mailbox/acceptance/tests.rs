use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::email::CorrelationMethod;

const QUEUE: Uuid = Uuid::from_u128(77);

fn user(address: &str, method: FilteringMethod) -> Recipient {
    let kind = Some(Kind::User(Uuid::from_u128(5)));
    Recipient { address: address.to_owned(), method, is_named: true, kind, is_forwarding: false }
}

fn queue(method: FilteringMethod) -> Recipient {
    Recipient { kind: Some(Kind::Queue(QUEUE)), ..user("sales@contoso.example", method) }
}

fn answer() -> Vec<Correlation> {
    vec![Correlation { method: CorrelationMethod::InReplyTo, email_id: Uuid::from_u128(1) }]
}

fn to(recipients: Vec<Recipient>) -> Facts {
    Facts { recipients, ..Facts::default() }
}

fn with(entries: &[(&str, &str)]) -> Settings {
    let (settings, refusals) = Settings::read(entries.iter().copied());
    assert!(refusals.is_empty(), "{refusals:?}");
    settings
}

#[rstest]
#[case(FilteringMethod::AllMessages, false, None, true)]
#[case(FilteringMethod::Responses, false, None, false)]
#[case(FilteringMethod::Responses, false, Some(record::Kind::Contact), false)]
#[case(FilteringMethod::Responses, true, None, true)]
#[case(FilteringMethod::FromPeople, false, None, false)]
#[case(FilteringMethod::FromPeople, false, Some(record::Kind::Contact), true)]
#[case(FilteringMethod::FromPeople, false, Some(record::Kind::Lead), true)]
#[case(FilteringMethod::FromPeople, false, Some(record::Kind::Account), true)]
#[case(FilteringMethod::FromPeople, false, Some(record::Kind::User), false)]
#[case(FilteringMethod::FromPeople, true, None, true)]
#[case(FilteringMethod::FromRecords, false, Some(record::Kind::User), true)]
#[case(FilteringMethod::FromRecords, false, Some(record::Kind::Queue), true)]
#[case(FilteringMethod::FromRecords, false, None, false)]
#[case(FilteringMethod::NoMessages, true, Some(record::Kind::Contact), false)]
fn each_method_accepts_what_the_table_says(
    #[case] method: FilteringMethod,
    #[case] is_answer: bool,
    #[case] sender: Option<record::Kind>,
    #[case] accepted: bool,
) {
    let correlations = if is_answer { answer() } else { Vec::new() };
    let facts = Facts { correlations, sender, ..to(vec![user("ada@contoso.example", method)]) };
    assert_eq!(judge(&facts, &Settings::default()).is_ok(), accepted);
}

/// Spec §12, check 9 (and §3.3): Paul takes answers only, the queue Sales takes everything; both received it. The restriction
/// flips it.
#[test]
fn check_09_the_accepting_mailbox_may_differ_from_the_receiving_one() {
    let facts = to(vec![user("paul@contoso.example", FilteringMethod::Responses), queue(FilteringMethod::AllMessages)]);
    let accepted = judge(&facts, &Settings::default()).unwrap();
    assert_eq!(accepted.address, "sales@contoso.example");
    let restricted = with(&[("only-syncing-mailbox-filters", "yes")]);
    let Err(Rejection::NotAccepted(asked)) = judge(&facts, &restricted) else { panic!("accepted") };
    assert_eq!(asked.len(), 1);
}

#[test]
fn mail_by_bcc_or_list_is_for_those_who_take_everything() {
    let hidden = |method| Recipient { is_named: false, ..user("ada@contoso.example", method) };
    let facts = |method| Facts { correlations: answer(), ..to(vec![hidden(method)]) };
    let settings = Settings::default();
    assert!(matches!(judge(&facts(FilteringMethod::Responses), &settings), Err(Rejection::NotNamed(_))));
    assert!(judge(&facts(FilteringMethod::AllMessages), &settings).is_ok());
}

#[test]
fn a_forced_method_is_for_users_and_not_for_queues() {
    let forced = with(&[("forced-filtering-method", "4")]);
    assert!(judge(&to(vec![user("ada@contoso.example", FilteringMethod::AllMessages)]), &forced).is_err());
    assert!(judge(&to(vec![queue(FilteringMethod::AllMessages)]), &forced).is_ok());
}

/// Spec §3.7: internal mail with all its settings.
#[rstest]
#[case(&[], true, false, false, true)]
#[case(&[("ignore-internal-email", "yes")], true, false, false, false)]
#[case(&[("ignore-internal-email", "yes")], false, false, false, true)]
#[case(&[("ignore-internal-email", "yes")], true, true, false, true)]
#[case(&[("ignore-internal-email", "yes"), ("internal-email-to-queues", "no")], true, true, false, false)]
#[case(&[("ignore-internal-email", "yes")], true, false, true, true)]
#[case(&[("ignore-internal-email", "yes"), ("ignore-internal-email-from-queues", "yes")], true, false, true, false)]
#[case(&[("ignore-internal-email", "yes"), ("internal-email-needs-sent-copy", "no")], false, false, false, false)]
fn internal_mail_is_tracked_or_not_as_set(
    #[case] entries: &[(&str, &str)],
    #[case] is_sent_known: bool,
    #[case] to_queue: bool,
    #[case] from_queue: bool,
    #[case] accepted: bool,
) {
    let all = FilteringMethod::AllMessages;
    let recipient = if to_queue { queue(all) } else { user("ada@contoso.example", all) };
    let sender = Some(if from_queue { record::Kind::Queue } else { record::Kind::User });
    let facts = Facts { sender, sent_copy: is_sent_known.then(|| Uuid::from_u128(3)), ..to(vec![recipient]) };
    assert_eq!(judge(&facts, &with(entries)).is_ok(), accepted);
}

#[test]
fn what_a_person_tracks_goes_past_every_filter() {
    let facts = Facts {
        mark: Some(Mark::Category),
        is_protected: true,
        ..to(vec![user("ada@contoso.example", FilteringMethod::NoMessages)])
    };
    let accepted = judge(&facts, &with(&[("restrict-protected-email", "yes")])).unwrap();
    assert_eq!(accepted.mark, Some(Mark::Category));
}

#[test]
fn protected_mail_is_passed_over_if_so_set() {
    let facts = Facts { is_protected: true, ..to(vec![user("ada@contoso.example", FilteringMethod::AllMessages)]) };
    assert!(judge(&facts, &Settings::default()).is_ok());
    assert_eq!(judge(&facts, &with(&[("restrict-protected-email", "yes")])), Err(Rejection::Protected));
}

#[test]
fn a_forwarded_message_needs_a_recipient_who_forwards() {
    let own = Recipient {
        kind: Some(Kind::Forward),
        is_named: false,
        ..user("all@contoso.example", FilteringMethod::AllMessages)
    };
    let ada = user("ada@contoso.example", FilteringMethod::AllMessages);
    let settings = Settings::default();
    let facts = |ada| Facts { is_unwrapped: true, ..to(vec![own.clone(), ada]) };
    assert_eq!(judge(&facts(ada.clone()), &settings), Err(Rejection::NotForwarded));
    let accepted = judge(&facts(Recipient { is_forwarding: true, ..ada }), &settings).unwrap();
    assert_eq!(accepted.address, "ada@contoso.example");
}

#[test]
fn queues_get_items_as_set() {
    let responses = FilteringMethod::Responses;
    let syncing = to(vec![queue(responses), user("ada@contoso.example", FilteringMethod::AllMessages)]);
    let named =
        to(vec![user("ada@contoso.example", FilteringMethod::AllMessages), queue(FilteringMethod::AllMessages)]);
    let other = to(vec![user("ada@contoso.example", FilteringMethod::AllMessages), queue(responses)]);
    let settings = Settings::default();
    assert_eq!(queue_items(&syncing, &settings), [QUEUE]);
    assert_eq!(queue_items(&named, &settings), [QUEUE]);
    assert!(queue_items(&other, &settings).is_empty());
    let neither = with(&[("queue-items-for-accepting-queues", "no"), ("queue-item-for-syncing-mailbox", "no")]);
    assert!(queue_items(&syncing, &neither).is_empty() && queue_items(&named, &neither).is_empty());
}

#[test]
fn an_ambiguous_sender_is_nobody_if_so_set() {
    let facts = Facts {
        sender: Some(record::Kind::Contact),
        is_sender_ambiguous: true,
        ..to(vec![user("ada@contoso.example", FilteringMethod::FromPeople)])
    };
    assert!(judge(&facts, &Settings::default()).is_ok());
    assert!(judge(&facts, &with(&[("unresolve-ambiguous-sender", "yes")])).is_err());
}

fn methods() -> impl Strategy<Value = FilteringMethod> {
    prop::sample::select(FilteringMethod::ALL.to_vec())
}

proptest! {
    #[test]
    fn one_more_recipient_never_takes_a_message_away(
        recipients in prop::collection::vec((methods(), any::<bool>()), 0..5),
        more in methods(),
        is_answer in any::<bool>(),
        is_contact in any::<bool>(),
    ) {
        let settings = Settings::default();
        let recipients = recipients
            .into_iter()
            .map(|(method, is_named)| Recipient { is_named, ..user("x@contoso.example", method) })
            .collect();
        let mut facts = Facts {
            correlations: if is_answer { answer() } else { Vec::new() },
            sender: Some(record::Kind::Contact).filter(|_| is_contact),
            ..to(recipients)
        };
        let before = judge(&facts, &settings);
        facts.recipients.push(user("more@contoso.example", more));
        let after = judge(&facts, &settings);
        prop_assert!(before.is_err() || after == before);
        let takes_all = facts.recipients.iter().any(|one| one.method == FilteringMethod::AllMessages);
        prop_assert!(takes_all <= after.is_ok());
    }

    #[test]
    fn restricting_to_the_mailbox_never_accepts_more(
        own in methods(), other in methods(), is_answer in any::<bool>(),
    ) {
        let facts = Facts {
            correlations: if is_answer { answer() } else { Vec::new() },
            ..to(vec![user("ada@contoso.example", own), user("bob@contoso.example", other)])
        };
        let restricted = Settings { only_syncing_mailbox: true, ..Settings::default() };
        prop_assert!(judge(&facts, &restricted).is_err() || judge(&facts, &Settings::default()).is_ok());
    }
}
