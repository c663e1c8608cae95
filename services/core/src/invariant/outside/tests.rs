use super::*;
use crate::{
    autodiscover::Pattern,
    fault::{Code, Report},
    mailbox::{Decision, Deferral, Item, Place, RULE_VERSION, Reason, Trigger, Verdict},
    notification::Evidence,
};
use jiff::Timestamp;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const HOUR: Hour = Hour(7);

fn item(id: &str) -> Item {
    Item { id: id.to_owned(), message_id: None, received: None }
}

fn finished(verdicts: &[&str], deferrals: &[&str]) -> Event {
    let verdict = |id: &&str| Verdict {
        item: item(id),
        decision: Decision::NotTracked(Reason::Protected),
        rule_version: RULE_VERSION,
        pass: 0,
        facts: None,
        disposal: None,
    };
    let deferral = |id: &&str| Deferral {
        item: item(id),
        attempts: 1,
        report: Report::new(Code::HttpUnavailable, ""),
        pass: 0,
        place: Place::Inbox,
        mark: None,
    };
    Event::AttemptFinished {
        epoch: 1,
        started_at: AT,
        at: AT,
        trigger: Trigger::Timer,
        cursor: Some("2".to_owned()),
        verdicts: verdicts.iter().map(verdict).collect(),
        deferrals: deferrals.iter().map(deferral).collect(),
        folders: Vec::new(),
        judged_from: None,
        backfill: None,
        amendments: Vec::new(),
        relisted: Vec::new(),
    }
}

fn id(result: Result<(), Broken>) -> Option<&'static str> {
    result.err().map(|broken| broken.id)
}

#[test]
fn inv_2_finds_a_message_with_two_activities() {
    assert_eq!(id(at_most_one_activity(["<a@x>", "<b@x>"])), None);
    assert_eq!(id(at_most_one_activity(["<a@x>", " a@x"])), Some("INV-2"));
}

#[test]
fn inv_3_finds_an_item_that_was_passed_over() {
    let history = [finished(&["a"], &[]), finished(&[], &["b"])];
    assert_eq!(id(nothing_passed_over(["a", "b"], &history)), None);
    assert_eq!(id(nothing_passed_over(["a", "b", "c"], &history)), Some("INV-3"));
    assert_eq!(id(nothing_passed_over(["a"], &[])), Some("INV-3"));
}

#[test]
fn inv_5_finds_a_credential_at_a_strangers() {
    let patterns = vec![Pattern::parse("released_hosts", "*.contoso.example:*").unwrap()];
    let release = Release { domains: vec!["contoso.example".to_owned()], patterns, ..Release::default() };
    let shown = |text: &str| id(credentials_only_where_released([&Url::parse(text).unwrap()], &release));
    assert_eq!(shown("https://mail.contoso.example:8443/EWS/Exchange.asmx"), None);
    assert_eq!(shown("https://mail.stranger.example/EWS/Exchange.asmx"), Some("INV-5"));
    assert_eq!(shown("http://mail.contoso.example/EWS/Exchange.asmx"), Some("INV-5"), "in the clear");
}

#[test]
fn inv_8_finds_a_second_mail_and_one_at_half() {
    let intended = |failed: u64| notification::Event::Intended {
        hour: HOUR,
        at: AT,
        evidence: Evidence { processed: 10, failed, faults: Vec::new() },
    };
    let sent = notification::Event::Sent { hour: HOUR, at: AT, recipient: "o@x".to_owned() };
    let report = Report::new(Code::NotificationFailed, "");
    let failed = notification::Event::Failed { hour: HOUR, at: AT, report };
    let unknown = notification::Event::Unknown { hour: HOUR, at: AT };
    let check = |history: &[&notification::Event]| id(at_most_one_notification(history.iter().copied()));
    assert_eq!(check(&[&intended(6), &failed, &intended(7), &sent]), None);
    assert_eq!(check(&[&intended(5), &sent]), Some("INV-8"), "at half");
    assert_eq!(check(&[&intended(6), &sent, &intended(7)]), Some("INV-8"));
    assert_eq!(check(&[&intended(6), &unknown, &intended(7)]), Some("INV-8"), "it may have been sent");
    assert_eq!(check(&[&intended(6), &intended(7)]), Some("INV-8"));
    assert_eq!(check(&[&sent]), Some("INV-8"), "nobody meant it");
}

#[test]
fn inv_8_finds_a_mail_that_came_twice_or_unmeant() {
    assert_eq!(id(notifications_arrive_once(["p.1", "p.2"], ["p.1", "p.2", "p.3"])), None);
    assert_eq!(id(notifications_arrive_once(["p.1", "p.1"], ["p.1"])), Some("INV-8"));
    assert_eq!(id(notifications_arrive_once(["p.4"], ["p.1"])), Some("INV-8"));
}

#[test]
fn inv_9_finds_a_view_that_differs() {
    assert_eq!(id(replay_is_equal("view", &[1, 2], &[1, 2])), None);
    assert_eq!(id(replay_is_equal("view", &[1, 2], &[1, 3])), Some("INV-9"));
}

#[test]
fn inv_10_finds_an_email_that_was_sent_twice_or_not_at_all() {
    assert_eq!(id(sent_exactly_once(["a", "b"], ["b", "a"])), None);
    assert_eq!(id(sent_exactly_once(["a"], ["a", "a"])), Some("INV-10"));
    assert_eq!(id(sent_exactly_once(["a", "b"], ["a"])), Some("INV-10"));
    assert_eq!(id(sent_exactly_once(["a"], ["a", "c"])), Some("INV-10"), "nobody queued it");
}
