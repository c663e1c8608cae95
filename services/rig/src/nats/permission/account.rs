//! The NATS accounts, and what one of them has of another.

use std::collections::BTreeMap;

use postroad_journal::{Kind, SHARED_API, republished};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{API, COMMITS, User, all, commits, commits_to, is_followed, of, owned, parts, prepare, reading, sharing};
use crate::Role;

/// The account of the streams that roles share. Nobody is in it but who makes them.
pub const SHARED: &str = "POSTROAD";

/// A NATS account. Accounts see nothing of each other but what one exports and the other imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    pub account: &'static str,
    /// Whether it has streams and buckets.
    pub jetstream: bool,
    /// What others may have.
    pub exports: Vec<Export>,
    /// What it has of another.
    pub imports: Vec<Import>,
    /// Who is in it.
    pub users: Vec<User>,
}

/// What crosses between two accounts, as NATS calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// A request that is answered.
    Service,
    /// A request that is answered by several messages.
    ServiceOfStream,
    /// What is published in the exporting account.
    Stream,
}

/// A subject that other accounts may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// How.
    pub offer: Offer,
    /// Which.
    pub subject: String,
    /// Who.
    pub accounts: Vec<&'static str>,
}

/// A subject of another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// How.
    pub offer: Offer,
    /// Whose.
    pub account: &'static str,
    /// Which.
    pub subject: String,
    /// What it is called here, if otherwise.
    pub to: Option<String>,
}

/// Every account: that of the shared streams, and one for each role.
pub fn accounts(stream: &str) -> Vec<Account> {
    let shared = Account {
        account: SHARED,
        jetstream: true,
        exports: exports(stream),
        imports: Vec::new(),
        users: vec![prepare(stream), all(stream)],
    };
    let roles = Role::ALL.into_iter().map(|role| {
        let user = of(role, stream);
        Account {
            account: name(role),
            jetstream: user.publish.iter().any(|subject| subject == ">" || subject.starts_with(API)),
            exports: Vec::new(),
            imports: imports(role, stream),
            users: vec![user],
        }
    });
    std::iter::once(shared).chain(roles).collect()
}

pub(super) const fn name(role: Role) -> &'static str {
    match role {
        Role::Profile => "POSTROAD_PROFILE",
        Role::Locator => "POSTROAD_LOCATOR",
        Role::Sync => "POSTROAD_SYNC",
        Role::Alert => "POSTROAD_ALERT",
        Role::Crm => "POSTROAD_CRM",
    }
}

/// What a role has of the shared account.
fn imports(role: Role, stream: &str) -> Vec<Import> {
    let import = |offer: Offer, subject: String| {
        let to = subject.strip_prefix(API).map(|rest| format!("{SHARED_API}{rest}"));
        Import { offer, account: SHARED, subject, to }
    };
    let mut imports = Vec::new();
    for part in parts(role).filter(|part| part.is_shared()) {
        let name = part.stream(stream);
        for subject in reading(API, &name, commits_to(role, part)) {
            // A batch is answered message by message.
            let is_batch = subject.ends_with(&format!("DIRECT.GET.{name}"));
            imports.push(import(if is_batch { Offer::ServiceOfStream } else { Offer::Service }, subject));
        }
        if is_followed(part) {
            imports.push(import(Offer::Stream, republished(&name)));
        }
    }
    let is_shared = |kind: &&str| Kind::ALL.into_iter().any(|one| one.token() == *kind && one.part().is_shared());
    imports.extend(owned(&COMMITS, role).filter(is_shared).map(|kind| import(Offer::Service, commits(kind))));
    if !imports.is_empty() {
        imports.insert(0, import(Offer::Service, format!("{API}.INFO")));
    }
    imports
}

/// What the roles import, each subject once.
fn exports(stream: &str) -> Vec<Export> {
    let mut by_subject: BTreeMap<(String, Offer), Vec<&'static str>> = BTreeMap::new();
    for role in sharing() {
        for Import { offer, subject, .. } in imports(role, stream) {
            by_subject.entry((subject, offer)).or_default().push(name(role));
        }
    }
    by_subject.into_iter().map(|((subject, offer), accounts)| Export { offer, subject, accounts }).collect()
}

impl Offer {
    /// What NATS' configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service | Self::ServiceOfStream => "service",
            Self::Stream => "stream",
        }
    }
}

/// As NATS' configuration has it.
impl Serialize for Export {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.offer.name(), &self.subject)?;
        if self.offer == Offer::ServiceOfStream {
            map.serialize_entry("response_type", "stream")?;
        }
        map.serialize_entry("accounts", &self.accounts)?;
        map.end()
    }
}

/// As NATS' configuration has it.
impl Serialize for Import {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = BTreeMap::from([("account", self.account), ("subject", &self.subject)]);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.offer.name(), &of)?;
        if let Some(to) = &self.to {
            map.serialize_entry("to", to)?;
        }
        map.end()
    }
}
