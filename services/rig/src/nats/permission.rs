//! What each role may do in NATS: the one table of subjects. The chart's configuration is generated from it, and a test has a real
//! server enforce it.
//!
//! Each role has a NATS account of its own, with what is its own in it. The streams that several roles share are in one more, of which
//! each role's account imports what the role needs (`account`): NATS sends its answers where a request says, but only within the account
//! that the request comes from (ARCHITECTURE.md).
//! Within its account too, a user may do what its role does, and no more.

use postroad_journal::{Part, SHARED_API, republished};
use serde::Serialize;

use crate::{Role, peer};

mod account;
mod conf;

pub use account::{Account, Export, Import, Offer, SHARED, accounts};
pub use conf::conf;

/// A user of NATS, and the subjects that it may use. Everything else is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
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

/// JetStream's API of one's own account.
const API: &str = "$JS.API";
/// KV buckets, by role.
const BUCKETS: [(Role, &[&str]); 2] = [(Role::Sync, &["leases", "partitions"]), (Role::Crm, &[KEYS])];
/// The data keys of contents: they are destroyed for good, message by message.
const KEYS: &str = "content_keys";
/// KV buckets of the locator's.
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

/// The user of a role.
pub fn of(role: Role, stream: &str) -> User {
    let everything = || vec![">".to_owned()];
    let (publish, subscribe) = match role {
        // It shares nothing.
        Role::Locator => (everything(), everything()),
        Role::Profile | Role::Sync | Role::Alert | Role::Crm => subjects(role, stream, SHARED_API),
    };
    User { user: peer::name_of(role), publish, subscribe }
}

/// The parts of the journal that a role reads; it opens no others.
pub fn parts(role: Role) -> impl Iterator<Item = Part> {
    owned(&READS, role)
}

/// Where answers to a user arrive.
pub fn inbox(label: &str) -> String {
    format!("_INBOX_{label}")
}

/// What a role publishes and subscribes to; `shared` is what requests about the parts begin with that roles share.
fn subjects(role: Role, stream: &str, shared: &str) -> (Vec<String>, Vec<String>) {
    let mut publish = vec![format!("{shared}.INFO")];
    let mut subscribe = vec![format!("{}.>", inbox(role.name()))];
    for part in parts(role) {
        let name = part.stream(stream);
        let api = if part.is_shared() { shared } else { API };
        publish.extend(reading(api, &name, commits_to(role, part)));
        if !part.is_shared() {
            publish.extend(making(&name));
        }
        if is_followed(part) {
            subscribe.push(republished(&name));
        }
    }
    publish.extend(owned(&COMMITS, role).map(commits));
    for bucket in owned(&BUCKETS, role) {
        publish.extend(storing(&format!("KV_{bucket}")));
        publish.push(format!("$KV.{bucket}.>"));
    }
    for store in owned(&STORES, role) {
        let changing = format!("{API}.STREAM.UPDATE.OBJ_{store}");
        publish.extend(storing(&format!("OBJ_{store}")).filter(|subject| *subject != changing));
        // The pieces of an object that another one replaces.
        publish.push(format!("{API}.STREAM.PURGE.OBJ_{store}"));
        publish.push(format!("$O.{store}.>"));
    }
    if role == Role::Crm {
        publish.push(format!("{API}.STREAM.MSG.DELETE.KV_{KEYS}"));
        // What is held of a person is erased from the journal too.
        let erasable = Part::ALL.into_iter().filter(|part| part.is_erasable());
        publish.extend(erasable.map(|part| format!("{API}.STREAM.MSG.DELETE.{}", part.stream(stream))));
    }
    if role == Role::Sync {
        publish.extend(WORKERS.map(str::to_owned));
        // Workers answer each other.
        publish.push(format!("{}.>", inbox(role.name())));
        subscribe.extend(WORKERS.map(str::to_owned));
    }
    // Who makes a stream or bucket looks whether there is JetStream.
    if publish.iter().any(|subject| subject.starts_with(API)) {
        publish.push(format!("{API}.INFO"));
    }
    publish.sort();
    publish.dedup();
    (publish, subscribe)
}

/// Every role in one process and one account, and what makes the streams there.
fn all(stream: &str) -> User {
    let prepare = prepare(stream);
    let mut publish = Vec::new();
    let mut subscribe = vec![format!("{}.>", inbox(ALL)), format!("{}.>", inbox(Role::Locator.name()))];
    publish.extend(prepare.publish);
    for bucket in LOCATIONS {
        publish.extend(storing(&format!("KV_{bucket}")));
        publish.push(format!("$KV.{bucket}.>"));
    }
    for role in sharing() {
        let own = subjects(role, stream, API);
        publish.extend(own.0);
        subscribe.extend(own.1);
    }
    for subjects in [&mut publish, &mut subscribe] {
        subjects.sort();
        subjects.dedup();
    }
    User { user: format!("{ALL}.{}", peer::DOMAIN), publish, subscribe }
}

/// Who makes the streams that roles share, in the account that they are in.
fn prepare(stream: &str) -> User {
    let mut publish = vec![format!("{API}.INFO"), format!("{SHARED_API}.INFO"), "$SYS.REQ.USER.INFO".to_owned()];
    publish.extend(Part::ALL.into_iter().filter(|part| part.is_shared()).flat_map(|part| making(&part.stream(stream))));
    publish.extend(missed(stream).map(|stream| format!("{API}.STREAM.INFO.{stream}")));
    User { user: format!("{PREPARE}.{}", peer::DOMAIN), publish, subscribe: vec![format!("{}.>", inbox(PREPARE))] }
}

/// The streams that a role would miss if they were in the account that roles share; all others it makes anew.
pub fn missed(stream: &str) -> impl Iterator<Item = String> {
    let parts =
        Part::ALL.into_iter().filter(|part| !part.is_shared()).map(|part| part.stream(stream)).collect::<Vec<_>>();
    parts.into_iter().chain([format!("KV_{KEYS}"), "OBJ_content".to_owned()])
}

/// The roles that need anything of each other.
fn sharing() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| *role != Role::Locator)
}

fn owned<T: Copy>(table: &'static [(Role, &'static [T])], role: Role) -> impl Iterator<Item = T> {
    table.iter().filter(move |(owner, _)| *owner == role).flat_map(|(_, names)| names.iter().copied())
}

/// Whether a role commits to a part: it looks for the last commit of an aggregate then.
fn commits_to(role: Role, part: Part) -> bool {
    part.kinds().any(|kind| owned(&COMMITS, role).any(|own| own == kind.token()))
}

/// Names are looked up, and followed by nobody.
const fn is_followed(part: Part) -> bool {
    !matches!(part, Part::Names)
}

fn commits(kind: &str) -> String {
    format!("journal.{kind}.*")
}

/// Reading a part of the journal: by batches, and the last message of a subject. There are no consumers: whoever makes one says where it delivers.
fn reading(api: &str, stream: &str, is_last_wanted: bool) -> impl Iterator<Item = String> + use<> {
    let get = format!("{api}.DIRECT.GET.{stream}");
    let last = is_last_wanted.then(|| format!("{get}.>"));
    [format!("{api}.STREAM.INFO.{stream}"), get].into_iter().chain(last)
}

/// Making a stream, and changing it.
fn making(stream: &str) -> [String; 3] {
    ["INFO", "CREATE", "UPDATE"].map(|verb| format!("{API}.STREAM.{verb}.{stream}"))
}

/// A bucket of one's own: made, and read by consumers too.
fn storing(stream: &str) -> impl Iterator<Item = String> {
    let api = |what: &str| format!("{API}.{what}.{stream}");
    let consumers = [
        api("STREAM.MSG.GET"),
        api("CONSUMER.CREATE"),
        format!("{}.>", api("CONSUMER.CREATE")),
        format!("{}.*", api("CONSUMER.INFO")),
        format!("{}.*", api("CONSUMER.DELETE")),
        format!("$JS.FC.{stream}.>"),
    ];
    consumers.into_iter().chain(reading(API, stream, true)).chain(making(stream))
}

#[cfg(test)]
mod tests;
