//! What an administrator filled in, before it is checked.

use jiff::Timestamp;

use super::{ClientCredentials, Locations, Owner, ServerType, Settings, TlsLibrary};
use crate::{
    Refusal,
    address::user_principal_name,
    autodiscover::{Pattern, is_online},
    fault::Code,
    location::Location,
    refusal::{length, required, within},
};

/// The names of the fields, as API, files and audit history have them.
pub const FIELDS: &[&str] = &[
    "name",
    "description",
    "owner",
    "server_type",
    "autodiscover",
    "incoming_location",
    "outgoing_location",
    "incoming_port",
    "outgoing_port",
    "user_name",
    "process_email_from",
    "minimum_polling_interval_minutes",
    "maximum_concurrent_connections",
    "move_failed_emails",
    "send_alert_email",
    "connection_timeout_ms",
    "trust_anchors",
    "released_hosts",
    "allow_internal_addresses",
    "tls",
    "token_location",
    "client_id",
    "token_scope",
    "client_certificate",
];

/// The scope of Exchange Online.
const SCOPE: &str = "https://outlook.office365.com/.default";
/// The most hosts that a profile releases.
const HOSTS: usize = 100;

/// Unchecked settings. Numbers are wide so that a value out of range is refused with its name, not cut.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The owner, looked up in the CRM; `None` if there is no such user.
    pub owner: Option<Owner>,
    /// The kind of server.
    pub server_type: Option<ServerType>,
    /// Auto Discover Server Location.
    pub autodiscover: bool,
    /// Required where Autodiscover is No, refused where it is Yes.
    pub incoming_location: String,
    /// As incoming; empty means the same as incoming.
    pub outgoing_location: String,
    /// Filled in with 443 where not given.
    pub incoming_port: Option<u32>,
    /// As incoming.
    pub outgoing_port: Option<u32>,
    /// The service account.
    pub user_name: String,
    /// Process Email From.
    pub process_email_from: Option<Timestamp>,
    /// 0-1440, default 0.
    pub minimum_polling_interval_minutes: u32,
    /// 1-300, default 27 (setup guide, Additional Settings).
    pub maximum_concurrent_connections: u32,
    /// Move Failed Emails to Undeliverable Folder.
    pub move_failed_emails: bool,
    /// Send an alert email to the owner.
    pub send_alert_email: bool,
    /// 1-100000, default 100000.
    pub connection_timeout_ms: u32,
    /// PEM texts; the shell has checked that each is a certificate.
    pub trust_anchors: Vec<String>,
    /// Hosts and patterns.
    pub released_hosts: Vec<String>,
    /// Whether Autodiscover may lead to internal addresses.
    pub allow_internal_addresses: bool,
    /// Whose TLS is used.
    pub tls: TlsLibrary,
    /// Required with a client id, refused without.
    pub token_location: String,
    /// Empty means Basic.
    pub client_id: String,
    /// Empty means that of Exchange Online.
    pub token_scope: String,
    /// PEM; the shell has checked it. Empty means a client secret.
    pub client_certificate: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            owner: None,
            server_type: None,
            autodiscover: true,
            incoming_location: String::new(),
            outgoing_location: String::new(),
            incoming_port: None,
            outgoing_port: None,
            user_name: String::new(),
            process_email_from: None,
            minimum_polling_interval_minutes: 0,
            maximum_concurrent_connections: 27,
            move_failed_emails: false,
            send_alert_email: false,
            connection_timeout_ms: 100_000,
            trust_anchors: Vec::new(),
            released_hosts: Vec::new(),
            allow_internal_addresses: false,
            tls: TlsLibrary::default(),
            token_location: String::new(),
            client_id: String::new(),
            token_scope: String::new(),
            client_certificate: String::new(),
        }
    }
}

impl Draft {
    /// Checks every field (spec §1.3) and gives the settings.
    pub fn settings(&self) -> Result<Settings, Refusal> {
        required("name", &self.name, 100)?;
        length("description", &self.description, 2000)?;
        let owner = self.owner.clone().ok_or_else(|| Refusal::new(Code::FieldRequired, "owner", "is required"))?;
        let server_type =
            self.server_type.ok_or_else(|| Refusal::new(Code::FieldRequired, "server_type", "is required"))?;
        within("minimum_polling_interval_minutes", u64::from(self.minimum_polling_interval_minutes), 0, 1440)?;
        within("maximum_concurrent_connections", u64::from(self.maximum_concurrent_connections), 1, 300)?;
        within("connection_timeout_ms", u64::from(self.connection_timeout_ms), 1, 100_000)?;
        Ok(Settings {
            name: self.name.trim().to_owned(),
            description: self.description.clone(),
            owner,
            server_type,
            locations: self.locations()?,
            user_name: self.user_name()?,
            process_email_from: self.process_email_from,
            minimum_polling_interval_minutes: narrow(self.minimum_polling_interval_minutes),
            maximum_concurrent_connections: narrow(self.maximum_concurrent_connections),
            move_failed_emails: self.move_failed_emails,
            send_alert_email: self.send_alert_email,
            connection_timeout_ms: self.connection_timeout_ms,
            trust_anchors: self.trust_anchors.clone(),
            released_hosts: self.released_hosts()?,
            allow_internal_addresses: self.allow_internal_addresses,
            tls: self.tls,
            client_credentials: self.client_credentials()?,
        })
    }

    /// An application logs on as itself, so modern authentication needs no account.
    fn user_name(&self) -> Result<String, Refusal> {
        if !self.client_id.trim().is_empty() && self.user_name.trim().is_empty() {
            return Ok(String::new());
        }
        user_principal_name("user_name", &self.user_name)
    }

    fn released_hosts(&self) -> Result<Vec<Pattern>, Refusal> {
        let given = || self.released_hosts.iter().filter(|text| !text.trim().is_empty());
        if !self.autodiscover && given().next().is_some() {
            let rule = "is used only with Autodiscover; leave it empty, or set autodiscover to true";
            return Err(Refusal::new(Code::FieldNotApplicable, "released_hosts", rule));
        }
        within("released_hosts", given().count() as u64, 0, HOSTS as u64)?;
        let mut hosts: Vec<Pattern> = Vec::new();
        for text in given() {
            let host = Pattern::parse("released_hosts", text)?;
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Ok(hosts)
    }

    fn client_credentials(&self) -> Result<Option<ClientCredentials>, Refusal> {
        let client_id = self.client_id.trim();
        if client_id.is_empty() {
            let filled = [
                ("token_location", &self.token_location),
                ("token_scope", &self.token_scope),
                ("client_certificate", &self.client_certificate),
            ];
            return match filled.iter().find(|(_, text)| !text.trim().is_empty()) {
                None => Ok(None),
                Some((field, _)) => {
                    let rule = "is used only with modern authentication; leave it empty, or give a client_id";
                    Err(Refusal::new(Code::FieldNotApplicable, *field, rule))
                }
            };
        }
        length("client_id", client_id, 250)?;
        length("token_scope", &self.token_scope, 500)?;
        if self.token_location.trim().is_empty() {
            let rule =
                "is required with a client_id, for example https://login.microsoftonline.com/TENANT/oauth2/v2.0/token";
            return Err(Refusal::new(Code::FieldRequired, "token_location", rule));
        }
        let scope = self.token_scope.trim();
        let certificate = self.client_certificate.trim();
        Ok(Some(ClientCredentials {
            token_location: Location::parse("token_location", &self.token_location, "token_location", None)?,
            client_id: client_id.to_owned(),
            scope: if scope.is_empty() { self.default_scope() } else { scope.to_owned() },
            certificate: (!certificate.is_empty()).then(|| format!("{certificate}\n")),
        }))
    }

    /// Tokens for an on-premises server of a known location are issued for its host (hybrid modern authentication).
    fn default_scope(&self) -> String {
        let fixed = Location::parse("incoming_location", &self.incoming_location, "incoming_port", self.incoming_port);
        match fixed {
            Ok(location) if !self.autodiscover && self.server_type != Some(ServerType::ExchangeOnline) => {
                format!("https://{}/.default", location.host)
            }
            _ => SCOPE.to_owned(),
        }
    }

    /// The password of an on-premises account never goes to Exchange Online (AUTODISCOVER.md §6, 5).
    fn is_in_scope(&self, field: &str, location: &Location) -> Result<(), Refusal> {
        let is_on_premises = self.server_type != Some(ServerType::ExchangeOnline);
        if is_on_premises && self.client_id.trim().is_empty() && is_online(&location.host) {
            let rule = format!("{} belongs to Exchange Online; use the server type exchange_online", location.host);
            return Err(Refusal::new(Code::LocationInvalid, field, rule));
        }
        Ok(())
    }

    fn locations(&self) -> Result<Option<Locations>, Refusal> {
        if !self.autodiscover {
            let incoming =
                Location::parse("incoming_location", &self.incoming_location, "incoming_port", self.incoming_port)?;
            self.is_in_scope("incoming_location", &incoming)?;
            let outgoing = if self.outgoing_location.trim().is_empty() && self.outgoing_port.is_none() {
                incoming.clone()
            } else {
                Location::parse("outgoing_location", &self.outgoing_location, "outgoing_port", self.outgoing_port)?
            };
            self.is_in_scope("outgoing_location", &outgoing)?;
            return Ok(Some(Locations { incoming, outgoing }));
        }
        let filled = [
            ("incoming_location", !self.incoming_location.trim().is_empty()),
            ("outgoing_location", !self.outgoing_location.trim().is_empty()),
            ("incoming_port", self.incoming_port.is_some()),
            ("outgoing_port", self.outgoing_port.is_some()),
        ];
        match filled.iter().find(|(_, is_filled)| *is_filled) {
            None => Ok(None),
            Some((field, _)) => Err(Refusal::new(
                Code::FieldNotApplicable,
                *field,
                "is used only where autodiscover is false; leave it empty, or set autodiscover to false",
            )),
        }
    }
}

impl From<&Settings> for Draft {
    fn from(settings: &Settings) -> Self {
        let incoming = settings.locations.as_ref().map(|locations| &locations.incoming);
        let outgoing = settings.locations.as_ref().map(|locations| &locations.outgoing);
        let client = settings.client_credentials.as_ref();
        Self {
            name: settings.name.clone(),
            description: settings.description.clone(),
            owner: Some(settings.owner.clone()),
            server_type: Some(settings.server_type),
            autodiscover: settings.locations.is_none(),
            incoming_location: incoming.map(Location::url).unwrap_or_default(),
            outgoing_location: outgoing.map(Location::url).unwrap_or_default(),
            incoming_port: incoming.map(|location| u32::from(location.port)),
            outgoing_port: outgoing.map(|location| u32::from(location.port)),
            user_name: settings.user_name.clone(),
            process_email_from: settings.process_email_from,
            minimum_polling_interval_minutes: u32::from(settings.minimum_polling_interval_minutes),
            maximum_concurrent_connections: u32::from(settings.maximum_concurrent_connections),
            move_failed_emails: settings.move_failed_emails,
            send_alert_email: settings.send_alert_email,
            connection_timeout_ms: settings.connection_timeout_ms,
            trust_anchors: settings.trust_anchors.clone(),
            released_hosts: settings.released_hosts.iter().map(ToString::to_string).collect(),
            allow_internal_addresses: settings.allow_internal_addresses,
            tls: settings.tls,
            token_location: client.map(|client| client.token_location.url()).unwrap_or_default(),
            client_id: client.map(|client| client.client_id.clone()).unwrap_or_default(),
            token_scope: client.map(|client| client.scope.clone()).unwrap_or_default(),
            client_certificate: client.and_then(|client| client.certificate.clone()).unwrap_or_default(),
        }
    }
}

/// The range was checked before; the fallback cannot be reached.
fn narrow(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
