//! What each role may do in NATS: the one table of subjects. The chart's configuration is generated from it, and a test has a real
//! server enforce it.
//!
//! A role writes what is its own: the subjects of its aggregates, its buckets. The journal is read whole by those who follow it, since
//! order across aggregates counts for them, and a server cannot restrict a reader to several subjects (ARCHITECTURE.md).
//! Streams and buckets are made by the user `prepare` alone: whoever may make or change a stream can have it copy any other.
//! The locator, which talks to hosts that nobody has released yet, shares nothing with the others: it has an account of its own.

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
const BUCKETS: [(Role, &[&str]); 2] = [(Role::Sync, &["leases", "members"]), (Role::Crm, &[KEYS])];
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
    let mut publish = vec!["$JS.API.INFO".to_owned(), format!("$JS.API.STREAM.INFO.{stream}")];
    let mut subscribe = vec![format!("{}.>", inbox(role.name()))];
    publish.extend(reading(stream));
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
        // What is held of a person is erased from the journal too. NATS cannot confine that to the subjects of one's own.
        publish.push(format!("$JS.API.STREAM.MSG.DELETE.{stream}"));
    }
    if role == Role::Sync {
        publish.extend(WORKERS.map(str::to_owned));
        // Workers answer each other.
        publish.push(format!("{}.>", inbox(role.name())));
        subscribe.extend(WORKERS.map(str::to_owned));
    }
    Permissions { account: SHARED, user: peer::name_of(role), publish, subscribe }
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
    let streams: Vec<_> = std::iter::once(stream.to_owned()).chain(buckets).chain(stores).collect();
    let verbs = ["INFO", "CREATE", "UPDATE"];
    let publish = streams.iter().flat_map(|stream| verbs.map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")));
    Permissions {
        account: SHARED,
        user: format!("{PREPARE}.{}", peer::DOMAIN),
        publish: std::iter::once("$JS.API.INFO".to_owned()).chain(publish).collect(),
        subscribe: vec![format!("{}.>", inbox(PREPARE))],
    }
}

fn owned(table: &'static [(Role, &'static [&'static str])], role: Role) -> impl Iterator<Item = &'static str> {
    table.iter().filter(move |(owner, _)| *owner == role).flat_map(|(_, names)| names.iter().copied())
}

/// Reading a stream: by consumers, and message by message.
fn reading(stream: &str) -> [String; 8] {
    let api = |what: &str| format!("$JS.API.{what}.{stream}");
    [
        api("CONSUMER.CREATE"),
        format!("{}.>", api("CONSUMER.CREATE")),
        format!("{}.*", api("CONSUMER.INFO")),
        format!("{}.*", api("CONSUMER.MSG.NEXT")),
        format!("{}.*", api("CONSUMER.DELETE")),
        api("DIRECT.GET"),
        format!("{}.>", api("DIRECT.GET")),
        format!("$JS.FC.{stream}.>"),
    ]
}

/// Reading a bucket of one's own.
fn storing(stream: &str) -> impl Iterator<Item = String> {
    let api = |what: &str| format!("$JS.API.{what}.{stream}");
    [api("STREAM.INFO"), api("STREAM.MSG.GET")].into_iter().chain(reading(stream))
}

#[cfg(test)]
mod tests {
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
    fn every_kind_of_aggregate_has_a_writer() {
        for kind in postroad_journal::Kind::ALL {
            assert!(COMMITS.iter().any(|(_, kinds)| kinds.contains(&kind.token())), "{}", kind.token());
        }
    }

    #[test]
    fn no_role_makes_changes_or_deletes_a_stream_or_hears_another_role() {
        for role in sharing() {
            let permissions = of(role, "JOURNAL");
            for stream in ["JOURNAL", "KV_leases", "KV_locations", "OBJ_content", "OBJ_snapshot", "NEW"] {
                for verb in ["CREATE", "UPDATE", "DELETE"] {
                    let subject = format!("$JS.API.STREAM.{verb}.{stream}");
                    assert!(!may(&permissions.publish, &subject), "{} {subject}", role.name());
                }
            }
            assert!(!may(&permissions.publish, "$JS.API.STREAM.PURGE.JOURNAL"));
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
