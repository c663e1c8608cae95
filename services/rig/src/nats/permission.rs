//! What each role may do in NATS: the one table of subjects. The chart's configuration is generated from it, and a test has a real
//! server enforce it.
//!
//! A role writes what is its own: the subjects of its aggregates, its buckets. It reads the parts of the journal that it needs, each a
//! stream, since a stream is what a server can forbid to read (ARCHITECTURE.md).
//! Streams and buckets are made by the user `prepare` alone: whoever may make or change a stream can have it copy any other.
//! The locator, which talks to hosts that nobody has released yet, shares nothing with the others: it has an account of its own.

use postroad_journal::Part;
use serde::Serialize;

use crate::{Role, peer};

/// A user of NATS, and the subjects that it may use. Everything else is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// The NATS account that it belongs to. Accounts see nothing of each other.
    pub account: &'static str,
    /// Its name: the DNS name that its certificate carries (`verify_and_map`), or the name that goes with its password.
    pub user: String,
    /// What it may publish to, requests included.
    pub publish: Vec<String>,
    /// What it may subscribe to.
    pub subscribe: Vec<String>,
}

/// The user of `postroad all`.
pub const ALL: &str = "all";
/// The user of `postroad nats prepare`.
pub const PREPARE: &str = "prepare";

/// The account of the journal and of all who use it.
const SHARED: &str = "POSTROAD";
/// The locator's account.
const APART: &str = "LOCATOR";

/// KV buckets, by role.
const BUCKETS: [(Role, &[&str]); 2] = [(Role::Sync, &["leases", "partitions"]), (Role::Crm, &[KEYS])];
/// The data keys of contents: they are destroyed for good, message by message.
const KEYS: &str = "content_keys";
/// KV buckets of the locator's own account.
const LOCATIONS: [&str; 2] = ["locations", "autodiscover"];
/// Object stores, by role.
const STORES: [(Role, &[&str]); 2] = [(Role::Sync, &["snapshot"]), (Role::Crm, &["content"])];
/// Kinds of aggregates that a role commits to.
const COMMITS: [(Role, &[&str]); 4] = [
    (Role::Profile, &["profile", "mailbox", "name"]),
    (Role::Sync, &["mailbox"]),
    (Role::Alert, &["notification"]),
    (Role::Crm, &["record", "email", "organization", "name", "erasure"]),
];
/// Parts of the journal that a role reads.
const READS: [(Role, &[Part]); 4] = [
    (Role::Profile, &[Part::Mailboxes, Part::Names]),
    (Role::Sync, &[Part::Mailboxes]),
    (Role::Alert, &[Part::Mailboxes, Part::Notifications]),
    (Role::Crm, &[Part::Crm, Part::Names]),
];
/// What workers tell each other, and nobody else.
const WORKERS: [&str; 2] = ["postroad.sync.>", "postroad.wake.>"];

/// Every user: the roles, `postroad all`, and the one that makes streams and buckets.
pub fn users(stream: &str) -> Vec<Permissions> {
    let mut users: Vec<_> = Role::ALL.into_iter().map(|role| of(role, stream)).collect();
    users.push(all(stream));
    users.push(prepare(stream));
    users
}

/// The subjects of a role.
pub fn of(role: Role, stream: &str) -> Permissions {
    if role == Role::Locator {
        let everything = || vec![">".to_owned()];
        return Permissions {
            account: APART,
            user: peer::name_of(role),
            publish: everything(),
            subscribe: everything(),
        };
    }
    let mut publish = vec!["$JS.API.INFO".to_owned()];
    let mut subscribe = vec![format!("{}.>", inbox(role.name()))];
    publish.extend(parts(role).flat_map(|part| following(part, &part.stream(stream))));
    publish.extend(owned(&COMMITS, role).map(|kind| format!("journal.{kind}.*")));
    for bucket in owned(&BUCKETS, role) {
        publish.extend(storing(&format!("KV_{bucket}")));
        publish.push(format!("$KV.{bucket}.>"));
    }
    for store in owned(&STORES, role) {
        publish.extend(storing(&format!("OBJ_{store}")));
        // The pieces of an object that another one replaces.
        publish.push(format!("$JS.API.STREAM.PURGE.OBJ_{store}"));
        publish.push(format!("$O.{store}.>"));
    }
    if role == Role::Crm {
        publish.push(format!("$JS.API.STREAM.MSG.DELETE.KV_{KEYS}"));
        // What is held of a person is erased from the journal too.
        let erasable = Part::ALL.into_iter().filter(|part| part.is_erasable());
        publish.extend(erasable.map(|part| format!("$JS.API.STREAM.MSG.DELETE.{}", part.stream(stream))));
    }
    if role == Role::Sync {
        publish.extend(WORKERS.map(str::to_owned));
        // Workers answer each other.
        publish.push(format!("{}.>", inbox(role.name())));
        subscribe.extend(WORKERS.map(str::to_owned));
    }
    Permissions { account: SHARED, user: peer::name_of(role), publish, subscribe }
}

/// The parts of the journal that a role reads; it opens no others.
pub fn parts(role: Role) -> impl Iterator<Item = Part> {
    owned(&READS, role)
}

/// Where answers to a user arrive.
pub fn inbox(label: &str) -> String {
    format!("_INBOX_{label}")
}

/// The section `accounts` of a NATS configuration.
pub fn conf(users: &[Permissions]) -> String {
    let list =
        |subjects: &[String]| subjects.iter().map(|subject| format!("            \"{subject}\"\n")).collect::<String>();
    let mut text = "accounts {\n".to_owned();
    for account in [SHARED, APART] {
        text.push_str(&format!("  {account} {{\n    jetstream: enabled\n    users: [\n"));
        for Permissions { user, publish, subscribe, .. } in users.iter().filter(|user| user.account == account) {
            text.push_str(&format!(
                "      {{\n        user: \"{user}\"\n        permissions: {{\n          publish: {{ allow: [\n{}          ] }}\n          \
                 subscribe: {{ allow: [\n{}          ] }}\n        }}\n      }}\n",
                list(publish),
                list(subscribe)
            ));
        }
        text.push_str("    ]\n  }\n");
    }
    text.push_str("}\n");
    text
}

/// Every role in one process, which makes its streams and buckets by itself.
fn all(stream: &str) -> Permissions {
    let mut all = prepare(stream);
    all.user = format!("{ALL}.{}", peer::DOMAIN);
    all.subscribe = vec![format!("{}.>", inbox(ALL))];
    for stream in LOCATIONS.map(|bucket| format!("KV_{bucket}")) {
        all.publish.extend(["CREATE", "UPDATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")));
        all.publish.extend(storing(&stream));
    }
    all.publish.extend(LOCATIONS.map(|bucket| format!("$KV.{bucket}.>")));
    all.subscribe.push(format!("{}.>", inbox(Role::Locator.name())));
    for one in Role::ALL.into_iter().map(|role| of(role, stream)).filter(|one| one.account == SHARED) {
        all.publish.extend(one.publish);
        all.subscribe.extend(one.subscribe);
    }
    for subjects in [&mut all.publish, &mut all.subscribe] {
        subjects.sort();
        subjects.dedup();
    }
    all
}

fn prepare(stream: &str) -> Permissions {
    let buckets = BUCKETS.iter().flat_map(|(_, names)| *names).map(|name| format!("KV_{name}"));
    let stores = STORES.iter().flat_map(|(_, names)| *names).map(|name| format!("OBJ_{name}"));
    let journal = Part::ALL.into_iter().map(|part| part.stream(stream));
    let streams: Vec<_> = journal.chain(buckets).chain(stores).collect();
    let verbs = ["INFO", "CREATE", "UPDATE"];
    let publish = streams.iter().flat_map(|stream| verbs.map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")));
    Permissions {
        account: SHARED,
        user: format!("{PREPARE}.{}", peer::DOMAIN),
        publish: std::iter::once("$JS.API.INFO".to_owned()).chain(publish).collect(),
        subscribe: vec![format!("{}.>", inbox(PREPARE))],
    }
}

fn owned<T: Copy>(table: &'static [(Role, &'static [T])], role: Role) -> impl Iterator<Item = T> {
    table.iter().filter(move |(owner, _)| *owner == role).flat_map(|(_, names)| names.iter().copied())
}

/// Reading a part of the journal. Nobody follows names: for them there are no consumers.
fn following(part: Part, stream: &str) -> Vec<String> {
    let info = format!("$JS.API.STREAM.INFO.{stream}");
    match part {
        Part::Names => std::iter::once(info).chain(looking_up(stream)).collect(),
        Part::Mailboxes | Part::Crm | Part::Notifications => std::iter::once(info).chain(reading(stream)).collect(),
    }
}

/// Reading a stream message by message.
fn looking_up(stream: &str) -> [String; 2] {
    let get = format!("$JS.API.DIRECT.GET.{stream}");
    [get.clone(), format!("{get}.>")]
}

/// Reading a stream: by consumers, and message by message.
fn reading(stream: &str) -> impl Iterator<Item = String> + use<> {
    let api = |what: &str| format!("$JS.API.{what}.{stream}");
    let consumers = [
        api("CONSUMER.CREATE"),
        format!("{}.>", api("CONSUMER.CREATE")),
        format!("{}.*", api("CONSUMER.INFO")),
        format!("{}.*", api("CONSUMER.MSG.NEXT")),
        format!("{}.*", api("CONSUMER.DELETE")),
        format!("$JS.FC.{stream}.>"),
    ];
    consumers.into_iter().chain(looking_up(stream))
}

/// Reading a bucket of one's own.
fn storing(stream: &str) -> impl Iterator<Item = String> {
    let api = |what: &str| format!("$JS.API.{what}.{stream}");
    [api("STREAM.INFO"), api("STREAM.MSG.GET")].into_iter().chain(reading(stream))
}

#[cfg(test)]
mod tests {
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

    fn sharing() -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(|role| of(*role, "JOURNAL").account == SHARED)
    }

    #[test]
    fn the_locator_alone_is_apart() {
        assert_eq!(sharing().map(Role::name).collect::<Vec<_>>(), ["profile", "sync", "alert", "crm"]);
    }

    #[test]
    fn each_aggregate_is_committed_by_those_who_own_it() {
        let writers = |kind: &str| {
            let subject = format!("journal.{kind}.0198c1aa");
            let may = |role: &Role| may(&of(*role, "JOURNAL").publish, &subject);
            sharing().filter(may).map(Role::name).collect::<Vec<_>>()
        };
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
        let readers = |part: Part, what: &str| {
            let subject = format!("$JS.API.{what}").replace("STREAM_NAME", &part.stream("JOURNAL"));
            let may = |role: &Role| may(&of(*role, "JOURNAL").publish, &subject);
            sharing().filter(may).map(Role::name).collect::<Vec<_>>()
        };
        for (part, roles, is_followed) in [
            (Part::Mailboxes, &["profile", "sync", "alert"][..], true),
            (Part::Crm, &["crm"], true),
            (Part::Names, &["profile", "crm"], false),
            (Part::Notifications, &["alert"], true),
        ] {
            for way in ["STREAM.INFO.STREAM_NAME", "DIRECT.GET.STREAM_NAME", "DIRECT.GET.STREAM_NAME.journal.x.1"] {
                assert_eq!(readers(part, way), roles, "{way} of {part:?}");
            }
            let ways = ["CONSUMER.CREATE.STREAM_NAME", "CONSUMER.CREATE.STREAM_NAME.a.journal.x.1"];
            for way in ways.into_iter().chain(["CONSUMER.INFO.STREAM_NAME.a", "CONSUMER.MSG.NEXT.STREAM_NAME.a"]) {
                assert_eq!(readers(part, way), if is_followed { roles } else { &[] }, "{way} of {part:?}");
            }
            let erasers: &[_] = if part == Part::Crm { &["crm"] } else { &[] };
            assert_eq!(readers(part, "STREAM.MSG.DELETE.STREAM_NAME"), erasers, "{part:?}");
            assert!(readers(part, "STREAM.MSG.GET.STREAM_NAME").is_empty(), "{part:?}");
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
    fn no_role_makes_changes_or_deletes_a_stream_or_hears_another_role() {
        for role in sharing() {
            let permissions = of(role, "JOURNAL");
            let journal = Part::ALL.map(|part| part.stream("JOURNAL"));
            let others = ["KV_leases", "KV_locations", "OBJ_content", "OBJ_snapshot", "NEW"].map(str::to_owned);
            for stream in journal.iter().chain(&others) {
                for verb in ["CREATE", "UPDATE", "DELETE"] {
                    let subject = format!("$JS.API.STREAM.{verb}.{stream}");
                    assert!(!may(&permissions.publish, &subject), "{} {subject}", role.name());
                }
            }
            for stream in &journal {
                assert!(!may(&permissions.publish, &format!("$JS.API.STREAM.PURGE.{stream}")), "{stream}");
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
}
