use postroad_core::{
    alert::Level,
    fault::Report,
    mailbox::{PerDirection, Trigger},
};

use super::*;
use crate::fixture::{
    HOUR, Log, at, enabled, failed, mailbox_id, mailbox_settings, profile_created, profile_id, settings, succeeded,
};

fn evidence(view: &View, hour: Hour) -> Option<(u64, u64)> {
    let attempts = view.attempts().find(|(of, profile, _)| *of == hour && *profile == profile_id(1))?;
    let evidence = attempts.2.tally.evidence();
    Some((evidence.processed, evidence.failed))
}

fn subjects(view: &View, filter: &Filter) -> Vec<String> {
    view.wall()
        .list(view, filter)
        .into_iter()
        .map(|entry| format!("{} {}", entry.name, entry.alert.key.subject))
        .collect()
}

#[test]
fn a_mailbox_counts_once_per_hour_by_its_last_outcome() {
    let mut log = Log::with(3);
    log.attempts(3, 2);
    log.mailbox(0, succeeded(at(60)));
    log.mailbox(2, failed(Code::ConnectRefused, at(3600)));
    assert_eq!(evidence(&log.view(), HOUR), Some((3, 1)));
    assert_eq!(evidence(&log.view(), Hour(HOUR.0 + 1)), Some((1, 1)));
}

#[test]
fn an_attempt_counts_for_the_profile_it_was_made_with() {
    let mut log = Log::with(1);
    log.mailbox(0, failed(Code::ConnectRefused, at(1)));
    log.mailbox(0, mailbox::Event::Changed { settings: mailbox_settings(mailbox_id(0), profile_id(2)) });
    log.mailbox(0, succeeded(at(2)));
    let view = log.view();
    let profiles: Vec<_> = view.attempts().map(|(_, id, attempts)| (id, attempts.tally.evidence().failed)).collect();
    assert_eq!(profiles, [(profile_id(1), 1), (profile_id(2), 0)]);
}

#[test]
fn old_hours_are_forgotten_and_late_attempts_of_them_ignored() {
    let mut log = Log::with(1);
    log.mailbox(0, succeeded(at(0)));
    let mut view = log.view();
    log.mailbox(0, succeeded(at(3 * 3600)));
    log.mailbox(0, failed(Code::ConnectRefused, at(1)));
    for late in &log.commits[log.commits.len() - 2..] {
        view.fold(late, at(3 * 3600));
    }
    for view in [view, log.view_at(at(3 * 3600))] {
        assert_eq!(evidence(&view, HOUR), None);
        assert_eq!(view.attempts().count(), 1);
    }
}

#[test]
fn a_worker_whose_clock_is_hours_ahead_moves_no_hour_out_of_the_count() {
    let mut log = Log::with(3);
    log.mailbox(0, succeeded(at(5 * 3600)));
    log.attempts(2, 2);
    log.mailbox(0, succeeded(at(5 * 3600 + 60)));
    log.mailbox(2, failed(Code::ConnectRefused, at(3)));
    let view = log.view();
    // What it did counts in the hour in which it was done.
    assert_eq!(evidence(&view, HOUR), Some((3, 2)));
    assert_eq!(view.attempts().count(), 1);
}

#[test]
fn who_may_be_processed() {
    let mut log = Log::with(5);
    log.mailbox(1, mailbox::Event::Deactivated);
    log.mailbox(2, mailbox::Event::Deleted);
    let mut fault = failed(Code::ImpersonationDenied, at(1));
    if let mailbox::Event::AttemptFailed { disables, .. } = &mut fault {
        *disables = true;
    }
    log.mailbox(3, fault);
    log.mailbox(
        9,
        mailbox::Event::Created { id: mailbox_id(9), settings: mailbox_settings(mailbox_id(9), profile_id(1)) },
    );
    let may = log.view().may_be_processed();
    assert_eq!(may[&profile_id(1)], [0, 3, 4].map(mailbox_id).into());
}

#[test]
fn profiles_and_mailboxes_are_found_by_id_and_name_until_they_are_deleted() {
    let mut log = Log::with(1);
    log.profile(profile_id(1), profile::Event::Changed { settings: settings("Contoso", true) });
    let view = log.view();
    for text in [profile_id(1).to_string().as_str(), "contoso", "CONTOSO"] {
        assert_eq!(view.find_profile(text), Some(profile_id(1)));
    }
    for text in [mailbox_id(0).to_string().as_str(), "Box0@Contoso.example"] {
        assert_eq!(view.find_mailbox(text), Some(mailbox_id(0)));
    }
    log.mailbox(0, mailbox::Event::Deleted);
    log.profile(profile_id(1), profile::Event::Deleted);
    let view = log.view();
    assert_eq!((view.find_profile("contoso"), view.find_profile(&profile_id(1).to_string())), (None, None));
    assert_eq!(
        (view.find_mailbox("box0@contoso.example"), view.find_mailbox(&mailbox_id(0).to_string())),
        (None, None)
    );
}

#[test]
fn cursors_are_not_kept() {
    let mut log = Log::with(1);
    let mut finished = succeeded(at(1));
    if let mailbox::Event::AttemptFinished { cursor, .. } = &mut finished {
        *cursor = Some("large".repeat(1000));
    }
    log.mailbox(0, finished);
    assert_eq!(log.view().mailbox(mailbox_id(0)).unwrap().sync.cursor, None);
}

#[test]
fn failures_of_a_mail_are_counted() {
    let mut log = Log::with(0);
    let hour = HOUR;
    for _ in 0..2 {
        log.notification(
            profile_id(1),
            notification::Event::Intended { hour, at: at(1), evidence: Default::default() },
        );
        let report = Report::new(Code::NotificationFailed, "451");
        log.notification(profile_id(1), notification::Event::Failed { hour, at: at(2), report });
    }
    let view = log.view();
    let mailing = view.mailing(HOUR, profile_id(1)).unwrap();
    assert_eq!((mailing.failures, mailing.at, matches!(mailing.delivery, Delivery::Failed(_))), (2, at(2), true));
}

#[test]
fn the_wall_is_filtered_and_newest_first() {
    let mut log = Log::with(0);
    log.profile(profile_id(2), profile_created(profile_id(2), true));
    for (number, profile, code, second) in [
        (0, 1, Code::MailboxNotFound, 10),
        (1, 1, Code::ConnectRefused, 20),
        (2, 2, Code::ConnectRefused, 30),
        (3, 1, Code::ConnectRefused, 40),
    ] {
        let id = mailbox_id(number);
        let [created, _] = enabled(id, profile_id(profile)).try_into().unwrap();
        log.mailbox(number, created);
        log.mailbox(number, failed(code, at(second)));
    }
    let view = log.view();
    let of = |profile| format!("Profile {}", profile_id(profile).as_u128());
    let all = [
        format!("{} CONNECT_REFUSED", of(1)),
        format!("{} CONNECT_REFUSED", of(2)),
        format!("box0@contoso.example {}", Code::MailboxNotFound.name()),
    ];
    assert_eq!(subjects(&view, &Filter::default()), all);
    let least = |least| Filter { least: Some(least), ..Filter::default() };
    assert_eq!(subjects(&view, &least(Level::Error)), all[2..]);
    assert_eq!(subjects(&view, &Filter { profile: Some(profile_id(2)), ..Filter::default() }), all[1..2]);
    assert_eq!(subjects(&view, &Filter { mailbox: Some(mailbox_id(3)), ..Filter::default() }), all[..1]);

    log.mailbox(2, succeeded(at(50)));
    let (view, filter) = (log.view(), Filter { profile: Some(profile_id(2)), ..Filter::default() });
    assert!(subjects(&view, &filter).is_empty());
    assert_eq!(subjects(&view, &Filter { resolved: true, ..filter }), all[1..2]);
}

#[test]
fn watchers_are_told_what_changed_even_of_what_is_deleted() {
    let mut log = Log::with(1);
    let before = log.view().folded();
    log.mailbox(0, failed(Code::MailboxNotFound, at(1)));
    let view = log.view();
    let changed = view.wall().changes(&view, before);
    assert_eq!(changed.len(), 1);
    assert!(view.wall().changes(&view, view.folded()).is_empty());

    let before = view.folded();
    log.mailbox(0, mailbox::Event::Deleted);
    let view = log.view();
    let gone = view.wall().changes(&view, before);
    let gone = gone.iter().find(|entry| entry.alert.key == changed[0].alert.key).unwrap();
    assert_eq!((gone.name.as_str(), gone.alert.resolved_at), ("box0@contoso.example", Some(at(0))));
    assert!(view.wall().list(&view, &Filter { resolved: true, ..Filter::default() }).is_empty());
}

/// Notifications are in another part of the journal than profiles and mailboxes: between the two there is no order.
#[test]
fn the_view_is_the_same_wherever_notifications_lie_among_the_others() {
    let mut log = Log::with(2);
    log.attempts(2, 2);
    log.profile(profile_id(2), profile_created(profile_id(2), true));
    for profile in [1, 2].map(profile_id) {
        log.notification(
            profile,
            notification::Event::Intended { hour: HOUR, at: at(5), evidence: Default::default() },
        );
        log.notification(profile, notification::Event::Unknown { hour: HOUR, at: at(6) });
    }
    log.profile(profile_id(2), profile::Event::Deleted);
    log.mailbox(0, succeeded(at(60)));
    let (told, others): (Vec<_>, Vec<_>) =
        log.commits.into_iter().partition(|followed| matches!(followed, Followed::Notification(..)));
    let seen = |place: usize| {
        let mut view = View::default();
        let (before, after) = others.split_at(place);
        before.iter().chain(&told).chain(after).for_each(|followed| view.fold(followed, at(60)));
        let filter = Filter { resolved: true, ..Filter::default() };
        let mailings: Vec<_> = view.mailings().map(|(hour, id, mailing)| (hour, id, mailing.clone())).collect();
        (view.wall().list(&view, &filter), mailings, evidence(&view, HOUR), view.may_be_processed(), view.folded())
    };
    let wanted = seen(0);
    assert!(wanted.0.iter().any(|entry| entry.alert.key.subject == "NOTIFICATION_UNKNOWN"));
    assert!(wanted.0.iter().all(|entry| entry.profile != Some(profile_id(2))), "{:?}", wanted.0);
    for place in 1..=others.len() {
        assert_eq!(seen(place), wanted, "{place}");
    }
}

/// INV-9: replaying gives equal views, wherever the role stopped in between.
#[test]
fn replaying_gives_an_equal_view() {
    let mut log = Log::with(4);
    log.attempts(4, 3);
    log.mailbox(1, mailbox::Event::AttemptStarted { epoch: 1, at: at(2), trigger: Trigger::Timer });
    let outcomes = PerDirection { incoming: Some(Err(Report::new(Code::ConnectRefused, ""))), ..Default::default() };
    log.mailbox(1, mailbox::Event::Tested { at: at(3), outcomes, next_probe: None, profile_revision: 1 });
    let shown = |view: &View| {
        let filter = Filter { resolved: true, ..Filter::default() };
        (view.wall().list(view, &filter), evidence(view, HOUR), view.may_be_processed(), view.folded())
    };
    assert_eq!(shown(&log.view()), shown(&log.view()));
    assert_eq!(evidence(&log.view(), HOUR), Some((4, 3)));
}
