//! The table against what is wanted of it.

use postroad_journal::Kind;

use super::*;

/// As NATS matches: `*` is one token, `>` the rest.
fn may(subjects: &[String], subject: &str) -> bool {
    subjects.iter().any(|pattern| {
        let (mut tokens, mut wanted) = (subject.split('.'), pattern.split('.'));
        loop {
            match (tokens.next(), wanted.next()) {
                (Some(_), Some(">")) | (None, None) => return true,
                (Some(_), Some("*")) => {}
                (Some(token), Some(want)) if token == want => {}
                _ => return false,
            }
        }
    })
}

/// The accounts that a subject of the shared account can be used from, or that of a role's own.
fn publishers(subject: &str) -> Vec<&'static str> {
    let may = |role: &Role| {
        let user = of(*role, "JOURNAL");
        may(&user.publish, subject)
    };
    sharing().filter(may).map(Role::name).collect()
}

fn account(name: &str) -> Account {
    accounts("JOURNAL").into_iter().find(|account| account.account == name).unwrap()
}

#[test]
fn each_role_is_alone_in_its_account_and_the_locator_has_nothing_of_others() {
    let users = |account: Account| {
        let names: Vec<_> = account.users.iter().map(|user| user.user.split('.').next().unwrap().to_owned()).collect();
        (account.account, account.jetstream, names.join(" "))
    };
    let found: Vec<_> = accounts("JOURNAL").into_iter().map(users).collect();
    assert_eq!(
        found.iter().map(|(account, jetstream, users)| (*account, *jetstream, users.as_str())).collect::<Vec<_>>(),
        [
            ("POSTROAD", true, "prepare all"),
            ("POSTROAD_PROFILE", false, "profile"),
            ("POSTROAD_LOCATOR", true, "locator"),
            ("POSTROAD_SYNC", true, "sync"),
            ("POSTROAD_ALERT", true, "alert"),
            ("POSTROAD_CRM", true, "crm"),
        ]
    );
    assert!(account("POSTROAD_LOCATOR").imports.is_empty());
}

/// What a role may do to another account it may do also by what NATS answers, wherever that is sent: only its imports hold it.
#[test]
fn a_role_imports_what_it_does_and_nothing_that_makes_changes_or_delivers() {
    for role in sharing() {
        let user = of(role, "JOURNAL");
        for import in account(account::name(role)).imports {
            let here = import.to.as_ref().unwrap_or(&import.subject);
            let used = if import.offer == Offer::Stream { &user.subscribe } else { &user.publish };
            assert!(used.contains(here), "{} imports {here} and does not use it", role.name());
            let harmless = ["$JS.API.INFO", "$JS.API.STREAM.INFO.", "$JS.API.DIRECT.GET.", "journal.", "republished."];
            assert!(harmless.iter().any(|one| import.subject.starts_with(one)), "{}: {}", role.name(), import.subject);
        }
        let own = |subject: &&String| subject.starts_with("journal.") || subject.starts_with(SHARED_API);
        let imports = account(account::name(role)).imports;
        for subject in user.publish.iter().filter(own) {
            let is_imported = imports.iter().any(|one| one.to.as_ref().unwrap_or(&one.subject) == subject);
            let kind = Kind::ALL.into_iter().find(|kind| *subject == kind.subjects());
            assert!(is_imported || kind.is_some_and(|kind| !kind.part().is_shared()), "{} {subject}", role.name());
        }
    }
    let shared = account("POSTROAD");
    for export in &shared.exports {
        for role in sharing() {
            let imports = account(account::name(role)).imports;
            let is_imported = imports.iter().any(|import| import.subject == export.subject);
            assert_eq!(
                export.accounts.contains(&account::name(role)),
                is_imported,
                "{} {}",
                role.name(),
                export.subject
            );
        }
    }
}

#[test]
fn each_aggregate_is_committed_by_those_who_own_it() {
    let writers = |kind: &str| publishers(&format!("journal.{kind}.0198c1aa"));
    assert_eq!(writers("profile"), ["profile"]);
    assert_eq!(writers("mailbox"), ["profile", "sync"]);
    assert_eq!(writers("email"), ["crm"]);
    assert_eq!(writers("record"), ["crm"]);
    assert_eq!(writers("organization"), ["crm"]);
    assert_eq!(writers("erasure"), ["crm"]);
    assert_eq!(writers("name"), ["profile", "crm"]);
    assert_eq!(writers("notification"), ["alert"]);
}

#[test]
fn each_part_of_the_journal_is_read_by_those_who_need_it_and_whoever_commits_reads_what_it_commits_to() {
    for (part, roles) in [
        (Part::Mailboxes, &["profile", "sync", "alert"][..]),
        (Part::Crm, &["crm"]),
        (Part::Names, &["profile", "crm"]),
        (Part::Notifications, &["alert"]),
    ] {
        let api = if part.is_shared() { SHARED_API } else { API };
        let name = part.stream("JOURNAL");
        let who = |way: &str| publishers(&format!("{api}.{}", way.replace("STREAM_NAME", &name)));
        for way in ["STREAM.INFO.STREAM_NAME", "DIRECT.GET.STREAM_NAME"] {
            assert_eq!(who(way), roles, "{way} of {part:?}");
        }
        // Who commits looks for the last commit.
        let committers: Vec<_> =
            roles.iter().copied().filter(|role| !(part == Part::Mailboxes && *role == "alert")).collect();
        assert_eq!(who("DIRECT.GET.STREAM_NAME.journal.x.1"), committers, "{part:?}");
        for way in
            ["CONSUMER.CREATE.STREAM_NAME", "CONSUMER.CREATE.STREAM_NAME.a.journal.x.1", "STREAM.MSG.GET.STREAM_NAME"]
        {
            assert!(who(way).is_empty(), "{way} of {part:?}");
        }
        let erasers: &[_] = if part == Part::Crm { &["crm"] } else { &[] };
        assert_eq!(who("STREAM.MSG.DELETE.STREAM_NAME"), erasers, "{part:?}");
        let listens = |role: &Role| may(&of(*role, "JOURNAL").subscribe, &format!("republished.{name}.journal.x.1"));
        let listeners: Vec<_> = sharing().filter(listens).map(Role::name).collect();
        assert_eq!(listeners, if is_followed(part) { roles } else { &[] }, "{part:?}");
    }
    for (role, kind) in COMMITS.into_iter().flat_map(|(role, kinds)| kinds.iter().map(move |kind| (role, *kind))) {
        let part = Kind::ALL.into_iter().find(|one| one.token() == kind).map(Kind::part);
        assert!(parts(role).any(|one| Some(one) == part), "{} {kind}", role.name());
    }
}

#[test]
fn every_kind_of_aggregate_has_a_writer() {
    for kind in Kind::ALL {
        assert!(COMMITS.iter().any(|(_, kinds)| kinds.contains(&kind.token())), "{}", kind.token());
    }
}

#[test]
fn a_role_makes_its_own_streams_and_no_role_deletes_one_or_hears_another_role() {
    let owners =
        [("JOURNAL_CRM", "crm"), ("JOURNAL_NOTIFICATIONS", "alert"), ("KV_leases", "sync"), ("KV_partitions", "sync")];
    let more = [("OBJ_snapshot", "sync"), ("KV_content_keys", "crm"), ("OBJ_content", "crm")];
    for (stream, owner) in owners.into_iter().chain(more) {
        assert_eq!(publishers(&format!("$JS.API.STREAM.CREATE.{stream}")), [owner], "{stream}");
        let changers: &[_] = if stream.starts_with("OBJ_") { &[] } else { &[owner] };
        assert_eq!(publishers(&format!("$JS.API.STREAM.UPDATE.{stream}")), changers, "{stream}");
    }
    for role in sharing() {
        let permissions = of(role, "JOURNAL");
        for part in Part::ALL {
            let stream = part.stream("JOURNAL");
            for (api, verb) in [(API, "DELETE"), (API, "PURGE"), (SHARED_API, "CREATE"), (SHARED_API, "DELETE")] {
                let subject = format!("{api}.STREAM.{verb}.{stream}");
                assert!(!may(&permissions.publish, &subject), "{} {subject}", role.name());
            }
        }
        for subject in ["$JS.API.STREAM.DELETE.KV_leases", "$JS.API.STREAM.CREATE.NEW", "$JS.API.STREAM.CREATE.JOURNAL"]
        {
            assert!(!may(&permissions.publish, subject), "{} {subject}", role.name());
        }
        for other in Role::ALL.into_iter().filter(|other| *other != role) {
            let heard = format!("{}.a.b", inbox(other.name()));
            assert!(!may(&permissions.subscribe, &heard), "{} hears {}", role.name(), other.name());
        }
        for subject in ["journal.mailbox.x", "$KV.leases.p1", "$SYS.ACCOUNT.x", "_INBOX.x"] {
            assert!(!may(&permissions.subscribe, subject), "{} subscribes {subject}", role.name());
        }
    }
}

#[test]
fn who_prepares_sees_whether_a_role_would_miss_anything() {
    let prepare = prepare("JOURNAL");
    let missed: Vec<_> = missed("JOURNAL").collect();
    assert_eq!(missed, ["JOURNAL_CRM", "JOURNAL_NOTIFICATIONS", "KV_content_keys", "OBJ_content"]);
    for stream in missed {
        assert!(may(&prepare.publish, &format!("$JS.API.STREAM.INFO.{stream}")), "{stream}");
        assert!(!may(&prepare.publish, &format!("$JS.API.STREAM.CREATE.{stream}")), "{stream}");
    }
}
