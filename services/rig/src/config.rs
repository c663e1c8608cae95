//! The configuration: one TOML file for all roles, with defaults for a single machine.
//!
//! Secrets are never in it: it names files or environment variables that hold them.

use std::{net::SocketAddr, path::Path};

use postroad_core::{autodiscover::Pattern, network::Reach};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{Error, Role};

mod access;
mod alert;
mod limits;
mod nats;
mod sealing;
mod sync;
mod telemetry;
mod tls;

pub use access::{Access, Certificates, Oidc};
pub use alert::{Alert, Smtp, SmtpTls};
pub use limits::Limits;
pub use nats::Nats;
pub use sealing::{Sealing, renew};
pub use sync::Sync;
pub use telemetry::{Listeners, Telemetry};
pub use tls::Tls;

/// The whole configuration. An unknown setting is refused with its name and line.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The NATS server.
    pub nats: Nats,
    /// TLS between roles.
    pub tls: Tls,
    /// Who may call.
    pub access: Access,
    /// What callers may take up.
    pub limits: Limits,
    /// Names and hosts of mail servers.
    pub network: Network,
    /// The keys that seal passwords.
    pub sealing: Sealing,
    /// Where roles find each other.
    pub endpoints: Endpoints,
    /// The profile role.
    pub profile: Profile,
    /// The locator role.
    pub locator: Locator,
    /// The sync role.
    pub sync: Sync,
    /// The alert role.
    pub alert: Alert,
    /// The crm role.
    pub crm: Crm,
    /// What each process tells about itself.
    pub telemetry: Telemetry,
}

/// Names and hosts of mail servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Addresses of hosts that the DNS does not have, or has otherwise, for example
    /// `"mail.contoso.example" = "10.0.0.7:443"`. The port counts for locations that name none.
    pub hosts: std::collections::BTreeMap<String, SocketAddr>,
    /// Hosts beside the mailboxes' own domains that Autodiscover may use in every profile, for example
    /// `mail.hoster.example`, `*.hoster.example` or `mail.hoster.example:8443`. Credentials are sent to no other host.
    pub released_hosts: Vec<Pattern>,
    /// Ranges of addresses that every profile may connect to besides the public ones: `private`, `loopback`, `link-local`.
    pub allowed_ranges: Vec<AllowedRange>,
    /// DNS servers, as `ADDRESS:PORT`; none means the system's.
    #[serde(deserialize_with = "resolvers")]
    pub resolvers: Vec<SocketAddr>,
}

/// A range of addresses that is no public one, as [`Reach`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedRange {
    /// Networks of one organisation.
    Private,
    /// This machine.
    Loopback,
    /// One cable, and the metadata services of clouds.
    LinkLocal,
}

fn resolvers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let read = |text: String| {
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is no ADDRESS:PORT such as 10.0.0.2:53")))
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(read).collect()
}

impl Network {
    /// The ranges that are allowed.
    pub fn reach(&self) -> Reach {
        let has = |range| self.allowed_ranges.contains(&range);
        Reach {
            private: has(AllowedRange::Private),
            loopback: has(AllowedRange::Loopback),
            link_local: has(AllowedRange::LinkLocal),
        }
    }
}

/// Where roles find each other, as `http://HOST:PORT`; `[tls]` alone decides whether TLS is spoken there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoints {
    /// The profile role.
    pub profile: String,
    /// The locator role.
    pub locator: String,
    /// The sync role.
    pub sync: String,
    /// The alert role.
    pub alert: String,
    /// The crm role.
    pub crm: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        Self { profile: at(7401), locator: at(7402), sync: at(7403), alert: at(7404), crm: at(7405) }
    }
}

impl Endpoints {
    /// Where a role is, to change it.
    pub const fn of_mut(&mut self, role: Role) -> &mut String {
        match role {
            Role::Profile => &mut self.profile,
            Role::Locator => &mut self.locator,
            Role::Sync => &mut self.sync,
            Role::Alert => &mut self.alert,
            Role::Crm => &mut self.crm,
        }
    }

    /// Where a role is.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Profile => &self.profile,
            Role::Locator => &self.locator,
            Role::Sync => &self.sync,
            Role::Alert => &self.alert,
            Role::Crm => &self.crm,
        }
    }
}

/// The profile role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether addresses have to be approved before their mail is processed.
    pub require_approval: bool,
    /// Mailboxes that are tested at the same time.
    pub parallel_tests: usize,
    /// What Apply Default Email Settings gives to mailboxes.
    pub defaults: MailboxDefaults,
}

impl Default for Profile {
    fn default() -> Self {
        Self { listen: loopback(7401), require_approval: true, parallel_tests: 8, defaults: MailboxDefaults::default() }
    }
}

/// What Apply Default Email Settings gives to mailboxes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailboxDefaults {
    /// The profile's name; empty leaves the mailbox's profile as it is.
    pub profile: String,
    /// Whether incoming email is synchronized.
    pub incoming: bool,
    /// Whether outgoing email is synchronized; ignored for forward mailboxes.
    pub outgoing: bool,
    /// Whether appointments, contacts and tasks are; ignored for queue and forward mailboxes.
    pub appointments_contacts_tasks: bool,
}

impl Default for MailboxDefaults {
    fn default() -> Self {
        Self { profile: String::new(), incoming: true, outgoing: false, appointments_contacts_tasks: false }
    }
}

/// The locator role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Locator {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The shortest time, in milliseconds, between two questions to Autodiscover about a mailbox whose location failed.
    pub ask_again_ms: u64,
    /// The most discoveries that begin within a second for the mailboxes of one domain.
    pub discoveries_per_second: u32,
}

impl Default for Locator {
    fn default() -> Self {
        Self { listen: loopback(7402), ask_again_ms: 3_600_000, discoveries_per_second: 5 }
    }
}

/// The crm role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crm {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The largest message, in bytes of all its contents together.
    pub max_message_bytes: u64,
    /// The largest attachment that is kept, in bytes; the email is kept without a larger one, and says so.
    pub max_attachment_bytes: u64,
    /// Attachments that are not kept, by the end of their names.
    pub blocked_attachments: Vec<String>,
}

/// Files that a double click runs, and links that lead to some.
const BLOCKED: [&str; 30] = [
    "bat", "chm", "cmd", "com", "cpl", "dll", "exe", "hlp", "hta", "inf", "jar", "js", "jse", "ksh", "lnk", "msc",
    "msi", "msp", "pif", "ps1", "reg", "scf", "scr", "sct", "url", "vb", "vbe", "vbs", "wsf", "wsh",
];

impl Default for Crm {
    fn default() -> Self {
        Self {
            listen: loopback(7405),
            max_message_bytes: 150 * 1024 * 1024,
            max_attachment_bytes: 128 * 1024 * 1024,
            blocked_attachments: BLOCKED.map(str::to_owned).into(),
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::Configuration(format!("{} cannot be read: {error}", file.display())))?;
        Self::parse(&text).map_err(|error| match error {
            Error::Configuration(why) => Error::Configuration(format!("{}: {why}", file.display())),
            other => other,
        })
    }

    /// Reads and checks a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self =
            toml::from_str(text).map_err(|error| Error::Configuration(error.to_string().trim().to_owned()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |setting: &str, rule: &str| Err(Error::Configuration(format!("{setting}: {rule}")));
        self.nats.check()?;
        if !(1..=1000).contains(&self.locator.discoveries_per_second) {
            return wrong("locator.discoveries_per_second", "must be between 1 and 1000");
        }
        if self.profile.parallel_tests == 0 {
            return wrong("profile.parallel_tests", "must be at least 1");
        }
        self.access.check()?;
        self.sync.check()?;
        self.telemetry.check()?;
        self.alert.check()?;
        self.tls.check()?;
        self.limits.check()?;
        self.sealing.check()?;
        self.nats.check_exposure(self.tls.allow_plaintext)?;
        self.check_exposure()
    }

    /// Passwords and mail must not cross a network in the clear because a setting was forgotten.
    fn check_exposure(&self) -> Result<(), Error> {
        if self.tls.serves() || self.tls.allow_plaintext {
            return Ok(());
        }
        match Role::ALL.into_iter().find(|role| !self.listen(*role).ip().is_loopback()) {
            None => Ok(()),
            Some(role) => Err(Error::Configuration(format!(
                "{}.listen = \"{}\": without TLS roles listen on loopback only; set certificate_file, key_file and authority_file \
                 under [tls], or allow_plaintext = true there if something else encrypts",
                role.name(),
                self.listen(role)
            ))),
        }
    }

    /// That mail goes to NATS in the clear, over a network, and what to do: nothing that is refused, as something else may encrypt.
    pub fn exposed_nats(&self) -> Option<(String, &'static str)> {
        let url = &self.nats.url;
        let found = format!(
            "nats.url = \"{url}\" is another machine, and nothing sees to it that mail is encrypted on its way there"
        );
        let remedy = "make it tls://, and set nats.authority_file where the authority is not the system's; if something else encrypts, \
                      such as a service mesh, say so by allow_plaintext = true under [tls]";
        (self.nats.is_exposed() && !self.tls.allow_plaintext).then_some((found, remedy))
    }

    /// Where a role listens.
    pub const fn listen(&self, role: Role) -> SocketAddr {
        match role {
            Role::Profile => self.profile.listen,
            Role::Locator => self.locator.listen,
            Role::Sync => self.sync.listen,
            Role::Alert => self.alert.listen,
            Role::Crm => self.crm.listen,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_single_machine() {
        let config = Config::parse("").unwrap();
        assert_eq!((config.nats.replicas, config.profile.listen.port()), (1, 7401));
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let error = Config::parse("[nats]\nurl = \"nats://x\"\nreplica = 3\n").unwrap_err().to_string();
        assert!(error.contains("replica") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn ranges_are_checked() {
        for (text, setting) in [
            ("[nats]\nreplicas = 0", "nats.replicas"),
            ("[nats]\nurl = \"x\"", "nats.url"),
            ("[nats]\nurl = \"nats://ada:s3cret@127.0.0.1\"", "nats.url"),
            ("[nats]\nurl = \"nats://s3cret@127.0.0.1\"", "nats.url"),
            ("[nats]\nmonitoring = \"http://ada:s3cret@127.0.0.1\"", "nats.monitoring"),
            ("[nats]\ncertificate_file = \"x\"", "nats.key_file"),
            ("[nats]\nuser_name = \"x\"", "nats.password_file"),
            ("[nats]\nurl = \"nats://nats.example\"\nuser_name = \"x\"\npassword_file = \"p\"", "nats.url"),
            ("[sealing]\nkeys_directory = \"k\"\nkey_file = \"f\"", "sealing.keys_directory"),
            ("[sync]\nconcurrency = 0", "sync.concurrency"),
            ("[sync]\nlease_ms = 10", "sync.lease_ms"),
            ("[limits]\ncall_ms = 1", "limits.call_ms"),
            ("[tls]\ncertificate_file = \"c\"\nauthority_file = \"a\"", "tls.key_file"),
            ("[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"", "tls.authority_file"),
            ("[crm]\nlisten = \"0.0.0.0:7405\"", "crm.listen"),
            ("[crm]\nlisten = \"0.0.0.0:7405\"\n[tls]\nauthority_file = \"a\"", "crm.listen"),
            ("[telemetry]\nsample_ratio = 2.0", "telemetry.sample_ratio"),
            ("[telemetry]\notlp_endpoint = \"localhost:4317\"", "telemetry.otlp_endpoint"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(setting) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_name_or_address_is_told_with_those_that_are() {
        for (text, parts) in [
            ("allowed_ranges = [\"public\"]", &["allowed_ranges", "`private`, `loopback`, `link-local`"][..]),
            ("resolvers = [\"10.0.0.2\"]", &["resolvers", "10.0.0.2", "ADDRESS:PORT"]),
            ("released_hosts = [\"https://mail.contoso.com\"]", &["released_hosts", "no URL", "mail.contoso.com"]),
        ] {
            let error = Config::parse(&format!("[network]\n{text}")).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn beyond_loopback_there_is_tls_or_a_word_of_the_operator() {
        for tls in ["allow_plaintext = true", "certificate_file = \"c\"\nkey_file = \"k\"\nauthority_file = \"a\""] {
            Config::parse(&format!("[crm]\nlisten = \"0.0.0.0:7405\"\n[tls]\n{tls}")).unwrap();
        }
    }

    #[test]
    fn a_password_for_nats_stays_on_this_machine_or_is_encrypted() {
        let user = "user_name = \"x\"\npassword_file = \"p\"";
        for (rest, is_exposed) in [
            ("url = \"tls://nats.example\"", false),
            ("url = \"nats://127.0.0.1:4222\"", false),
            ("url = \"nats://[::1]:4222\"", false),
            ("url = \"nats://nats.example:4222\"\nauthority_file = \"a\"", false),
            ("url = \"nats://nats.example:4222\"\n[tls]\nallow_plaintext = true", true),
        ] {
            let config = Config::parse(&format!("[nats]\n{user}\n{rest}")).unwrap();
            assert_eq!(config.nats.is_exposed(), is_exposed, "{rest}");
        }
        // Nothing that is secret goes there: the doctor warns.
        assert!(Config::parse("[nats]\nurl = \"nats://nats.example\"").unwrap().nats.is_exposed());
    }

    #[test]
    fn the_configuration_survives_writing() {
        let text = toml::to_string(&Config::default()).unwrap();
        Config::parse(&text).unwrap();
    }
}
