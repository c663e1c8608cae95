use postroad_core::EmailAddress;

use super::*;
use crate::fixture::{HOUR, at, profile_id};

fn profile(name: &str) -> Profile {
    Profile {
        name: name.into(),
        owner: "Ada King".into(),
        owner_address: EmailAddress::trusted("ada@contoso.example"),
        send_alert_email: true,
    }
}

fn notice(faults: &[(Code, u64)]) -> Notice {
    let failed = faults.iter().map(|(_, count)| count).sum();
    let evidence = Evidence { processed: 15, failed, faults: faults.to_vec() };
    Notice { profile: profile_id(1), hour: HOUR, evidence, mailboxes: 20 }
}

fn composed(name: &str, faults: &[(Code, u64)]) -> Mail {
    compose(profile_id(1), &profile(name), &notice(faults), at(3700))
}

/// The text as if it had not been wrapped.
fn unwrapped(mail: &Mail) -> String {
    mail.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_says_what_failed_why_and_what_to_do() {
    let mail = composed("Contoso", &[(Code::ImpersonationDenied, 6), (Code::ConnectRefused, 4)]);
    assert_eq!(
        mail.subject,
        "Postroad: 10 of 15 mailboxes of the profile \"Contoso\" failed (2027-01-15 08:00-09:00 UTC)"
    );
    assert_eq!((mail.recipient.as_str(), mail.recipient_name.as_str()), ("ada@contoso.example", "Ada King"));
    for part in ["Processed:  15 mailboxes", "Failed:     10 mailboxes (66 %)", "2027-01-15 08:00-09:00 UTC\n"] {
        assert!(mail.text.contains(part), "{}", mail.text);
    }
    for (code, count) in [(Code::ImpersonationDenied, "6 mailboxes"), (Code::ConnectRefused, "4 mailboxes")] {
        let row = code.row();
        for part in [count, row.name, row.what, row.cause, row.remedy, row.who.phrase()] {
            assert!(unwrapped(&mail).contains(part), "{part}");
        }
    }
    let (first, second) = (mail.text.find("IMPERSONATION"), mail.text.find("CONNECT_REFUSED"));
    assert!(first < second, "the commonest fault comes first");
    assert!(!mail.text.contains("so far"));
}

#[test]
fn the_same_hour_has_the_same_key() {
    let early = compose(profile_id(1), &profile("Contoso"), &notice(&[(Code::DnsFailed, 10)]), at(60));
    let late = composed("Renamed", &[(Code::ConnectRefused, 9)]);
    assert_eq!(early.key, late.key);
    assert!(early.text.contains("08:00-09:00 UTC, so far"));
    let other = compose(profile_id(2), &profile("Contoso"), &notice(&[]), at(60));
    assert_ne!(early.key, other.key);
}

#[test]
fn many_kinds_of_faults_stay_readable() {
    let codes = [
        Code::DnsFailed,
        Code::ConnectRefused,
        Code::ConnectTimeout,
        Code::ResponseTimeout,
        Code::ResponseTruncated,
        Code::HttpUnavailable,
        Code::ImpersonationDenied,
    ];
    let mail = composed("Contoso", &codes.map(|code| (code, 1)));
    let text = unwrapped(&mail);
    assert!(text.contains("2 mailboxes with other faults: HTTP_UNAVAILABLE, IMPERSONATION_DENIED"), "{text}");
    assert!(!text.contains(Code::ImpersonationDenied.row().cause));
    assert!(mail.text.contains("1 mailbox: "));
}

#[test]
fn a_hostile_name_adds_no_header_line_or_command() {
    let mail = composed("a\r\nBcc: eve@evil.example\u{2028}'; rm -rf /; '", &[(Code::DnsFailed, 10)]);
    assert!(!mail.subject.contains(['\r', '\n', '\u{2028}']));
    assert!(!mail.text.contains("\nBcc:"));
    assert!(mail.text.contains(r"postroad mailbox list --profile 'a  Bcc: eve@evil.example '\''; rm -rf /; '\'''"));
    assert!(composed("-x", &[]).text.contains("--profile '-x'"));
    assert!(composed("Contoso", &[]).text.contains("--profile Contoso\n"));
}

#[test]
fn it_says_what_postroad_does_by_itself() {
    for (code, does) in [
        (Code::ConnectRefused, "after repeated failures it disables the mailbox"),
        (Code::ImpersonationDenied, "has disabled the mailbox, probes it"),
        (Code::CredentialsRejected, "as soon as it or its profile is changed"),
        (Code::CrmUnavailable, "no mailbox is disabled by it"),
    ] {
        assert!(by_itself(code).contains(does), "{code}: {}", by_itself(code));
    }
}

#[test]
fn no_line_is_too_long_to_be_sent_as_it_is() {
    for code in Code::ALL {
        let mail = composed("Contoso", &[(*code, 10)]);
        let longest = mail.text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(76), "{code}:\n{}", mail.text);
    }
    let mail = composed("Contoso", &[(Code::ConnectRefused, 10)]);
    assert!(mail.text.contains("    Cause:    The server or its reverse proxy is down, "), "{}", mail.text);
    assert!(mail.text.contains("\n              "), "what follows is indented:\n{}", mail.text);
}
