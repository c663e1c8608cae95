//! What an administrator filled in, before it is checked.

use jiff::Timestamp;

use super::{Locations, Owner, ServerType, Settings};
use crate::{
    Refusal,
    address::user_principal_name,
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
];

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
            user_name: user_principal_name("user_name", &self.user_name)?,
            process_email_from: self.process_email_from,
            minimum_polling_interval_minutes: narrow(self.minimum_polling_interval_minutes),
            maximum_concurrent_connections: narrow(self.maximum_concurrent_connections),
            move_failed_emails: self.move_failed_emails,
            send_alert_email: self.send_alert_email,
            connection_timeout_ms: self.connection_timeout_ms,
            trust_anchors: self.trust_anchors.clone(),
        })
    }

    fn locations(&self) -> Result<Option<Locations>, Refusal> {
        if !self.autodiscover {
            let incoming =
                Location::parse("incoming_location", &self.incoming_location, "incoming_port", self.incoming_port)?;
            let outgoing = if self.outgoing_location.trim().is_empty() && self.outgoing_port.is_none() {
                incoming.clone()
            } else {
                Location::parse("outgoing_location", &self.outgoing_location, "outgoing_port", self.outgoing_port)?
            };
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
        }
    }
}

/// The range was checked before; the fallback cannot be reached.
fn narrow(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
