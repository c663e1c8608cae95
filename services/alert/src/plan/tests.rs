use std::collections::BTreeMap;

use postroad_core::{
    Aggregate as _,
    fault::{Code, Report},
    notification::{self, Command, Facts, Rules},
};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::fixture::{HOUR, Log, at, failed, mailbox_id, profile_id, succeeded};

const SENDING: Sending = Sending { can_send: true, limit: SignedDuration::from_secs(60) };
/// When the hour has ended and is judged.
const JUDGED: i64 = 3600 + GRACE.as_secs();

fn is_due(log: &Log, second: i64) -> bool {
    !plan(&log.view_at(at(second)), at(second), SENDING).notices.is_empty()
}

fn mailing(log: &mut Log, second: i64, fault: Option<Report>) {
    let hour = HOUR;
    log.notification(
        profile_id(1),
        notification::Event::Intended { hour, at: at(second), evidence: Evidence::default() },
    );
    if let Some(report) = fault {
        log.notification(profile_id(1), notification::Event::Failed { hour, at: at(second), report });
    }
}

fn refused() -> Option<Report> {
    Some(Report::new(Code::NotificationFailed, "451 later"))
}

/// The three rows of the setup guide's table, and the edge.
#[rstest]
#[case(15, 10, true)]
#[case(40, 30, true)]
#[case(1000, 300, false)]
#[case(30, 15, false)]
fn the_guides_table(#[case] processed: u128, #[case] failures: u128, #[case] due: bool) {
    let mut log = Log::with(processed);
    log.attempts(processed, failures);
    assert_eq!(is_due(&log, JUDGED), due);
}

#[test]
fn while_the_hour_runs_it_is_due_once_others_cannot_change_it() {
    let mut log = Log::with(10);
    log.attempts(5, 5);
    assert!(!is_due(&log, 5), "five untried mailboxes may still succeed");
    log.mailbox(5, failed(Code::DnsFailed, at(6)));
    assert!(is_due(&log, 7));
    let notice = plan(&log.view(), at(7), SENDING).notices.remove(0);
    assert_eq!((notice.mailboxes, notice.evidence.processed, notice.evidence.failed), (10, 6, 6));
}

#[test]
fn an_ended_hour_waits_for_stragglers() {
    let mut log = Log::with(10);
    log.attempts(5, 5);
    let early = plan(&log.view(), at(3601), SENDING);
    assert!(early.notices.is_empty());
    assert_eq!(early.look_again, at(JUDGED));
    assert!(is_due(&log, JUDGED));
}

#[test]
fn deactivated_mailboxes_are_not_waited_for() {
    let mut log = Log::with(3);
    log.attempts(1, 1);
    assert!(!is_due(&log, 2));
    log.mailbox(1, postroad_core::mailbox::Event::Deactivated);
    log.mailbox(2, postroad_core::mailbox::Event::Deactivated);
    assert!(is_due(&log, 3));
}

#[test]
fn switched_off_deleted_or_old_means_no_mail() {
    let mut log = Log::with(3);
    log.attempts(3, 3);
    assert!(is_due(&log, 2));
    assert!(!is_due(&log, 2 * 3600), "the hour before the last is not reported");
    log.profile(
        profile_id(1),
        postroad_core::profile::Event::Changed { settings: crate::fixture::settings("Contoso", false) },
    );
    assert!(!is_due(&log, 2));
    log.profile(profile_id(1), postroad_core::profile::Event::Deleted);
    assert!(!is_due(&log, 2));
}

#[test]
fn a_mail_that_was_refused_is_tried_again_with_growing_distance() {
    let mut log = Log::with(3);
    log.attempts(3, 3);
    mailing(&mut log, 10, refused());
    assert!(!is_due(&log, 39));
    assert_eq!(plan(&log.view(), at(39), SENDING).look_again, at(40));
    assert!(is_due(&log, 40));
    assert!(plan(&log.view(), at(40), Sending { can_send: false, ..SENDING }).notices.is_empty());
    mailing(&mut log, 40, refused());
    assert!(!is_due(&log, 99) && is_due(&log, 100));
    assert_eq!(retry(u32::MAX), LAST_RETRY);
}

#[test]
fn an_intention_nobody_confirms_is_given_up_and_never_sent() {
    let mut log = Log::with(3);
    log.attempts(3, 3);
    mailing(&mut log, 10, None);
    let before = plan(&log.view(), at(69), SENDING);
    assert_eq!((before.give_up.len(), before.notices.len(), before.look_again), (0, 0, at(70)));
    let after = plan(&log.view(), at(70), SENDING);
    assert_eq!((after.give_up, after.notices.len()), (vec![(profile_id(1), HOUR)], 0));
}

#[derive(Clone, Debug)]
enum Step {
    Attempt {
        mailbox: u128,
        fails: bool,
    },
    /// The notifier looks; what becomes of a mail: 0 sent, 1 refused, 2 unknown, 3 the role is killed.
    Look {
        fate: u8,
    },
    Wait {
        seconds: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let attempt = (0..6_u128, any::<bool>()).prop_map(|(mailbox, fails)| Step::Attempt { mailbox, fails });
    let look = (0..4_u8).prop_map(|fate| Step::Look { fate });
    let wait = (1..2000_i64).prop_map(|seconds| Step::Wait { seconds });
    prop::collection::vec(prop_oneof![4 => attempt, 3 => look, 2 => wait], 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// INV-8 from attempts to relay: whatever happens to mails and role, a profile's owner gets at most one an hour, and none
    /// where half or fewer of the mailboxes failed.
    #[test]
    fn at_most_one_mail_an_hour_and_none_at_half(steps in steps()) {
        let (mut log, mut now, mut journal) = (Log::with(6), 0, notification::State::default());
        let mut handed_over = BTreeMap::<Hour, u32>::new();
        let mut last = BTreeMap::<(Hour, u128), bool>::new();
        for step in steps {
            match step {
                Step::Wait { seconds } => now += seconds,
                Step::Attempt { mailbox, fails } => {
                    let event = if fails { failed(Code::DnsFailed, at(now)) } else { succeeded(at(now)) };
                    log.mailbox(mailbox, event);
                    last.insert((Hour::of(at(now)), mailbox), fails);
                }
                Step::Look { fate } => {
                    let due = plan(&log.view_at(at(now)), at(now), SENDING);
                    let mut commands: Vec<_> = due.give_up.iter().map(|(_, hour)| Command::GiveUp { hour: *hour }).collect();
                    for Notice { hour, evidence, mailboxes, .. } in due.notices {
                        let outcomes: Vec<_> = last.iter().filter(|((of, _), _)| *of == hour).map(|(_, fails)| *fails).collect();
                        let failures = outcomes.iter().filter(|fails| **fails).count();
                        prop_assert!(failures * 2 > outcomes.len());
                        commands.push(Command::Notify { hour, evidence, mailboxes });
                        // A refused mail did not reach the owner; all others may have.
                        *handed_over.entry(hour).or_default() += u32::from(fate != 1);
                        match fate {
                            0 => commands.push(Command::ConfirmSent { hour, recipient: "ada@contoso.example".into() }),
                            1 => commands.extend(refused().map(|report| Command::ConfirmFailed { hour, report })),
                            2 => commands.push(Command::GiveUp { hour }),
                            _ => {}
                        }
                    }
                    for command in commands {
                        let facts = Facts { now: at(now), switched_on: true };
                        let events = Rules::decide(&journal, &command, &facts).unwrap();
                        prop_assert!(!events.is_empty(), "the journal disagrees with the plan: {command:?}");
                        for event in &events {
                            log.notification(profile_id(1), event.clone());
                        }
                        journal = Rules::fold(journal, &events);
                    }
                }
            }
        }
        prop_assert!(handed_over.values().all(|count| *count <= 1), "{handed_over:?}");
    }
}

#[test]
fn untried_mailboxes_count_once() {
    let mut log = Log::with(2);
    log.attempts(2, 2);
    let notice = plan(&log.view(), at(2), SENDING).notices.remove(0);
    assert_eq!((notice.mailboxes, notice.profile), (2, profile_id(1)));
    assert!(log.view().may_be_processed()[&profile_id(1)].contains(&mailbox_id(1)));
}
