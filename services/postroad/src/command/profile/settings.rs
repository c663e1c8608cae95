//! The flags of a profile's settings, named like the fields of the contract.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint, builder::BoolishValueParser};
use postroad_core::fault::Code;
use postroad_proto::profile::v1::{ProfileSettings, ServerType, TlsLibrary};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    contract,
    failure::Failure,
    settings_file::{self, Changes},
};

/// Settings of a profile.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Read settings from a TOML file with the flags' names (`server_type = "exchange_server"`); flags override it
    #[arg(short = 'f', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The owner: a user of the CRM, by address or id
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// The kind of mail server
    #[arg(long, value_name = "TYPE", value_parser = contract::choice("SERVER_TYPE", &["exchange_server_hybrid", "exchange_server", "exchange_online"], ServerType::from_str_name))]
    server_type: Option<ServerType>,
    /// Whether Autodiscover finds the server [default: yes]
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    autodiscover: Option<bool>,
    /// The EWS location, https; needed where Autodiscover is off
    #[arg(long, value_name = "URL")]
    incoming_location: Option<String>,
    /// The EWS location for outgoing email [default: the incoming one]
    #[arg(long, value_name = "URL")]
    outgoing_location: Option<String>,
    /// Port of the incoming location [default: 443]
    #[arg(long, value_name = "PORT")]
    incoming_port: Option<u32>,
    /// Port of the outgoing location [default: 443]
    #[arg(long, value_name = "PORT")]
    outgoing_port: Option<u32>,
    /// The service account with impersonation, in the form user@domain
    #[arg(long, value_name = "USER@DOMAIN")]
    user_name: Option<String>,
    /// Process no email received before: a time, a date (UTC), or `none`
    #[arg(long, value_name = "TIME")]
    process_email_from: Option<String>,
    /// Minutes between polls of a mailbox, 0-1440; 0 is as often as the deployment does
    #[arg(long, value_name = "MINUTES")]
    minimum_polling_interval_minutes: Option<u32>,
    /// Connections to the server at a time, 1-300 [default: 27]
    #[arg(long, value_name = "NUMBER")]
    maximum_concurrent_connections: Option<u32>,
    /// Move failed emails to the Undeliverable folder
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    move_failed_emails: Option<bool>,
    /// Mail the owner when more than half of the mailboxes failed in an hour
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    send_alert_email: Option<bool>,
    /// Connection timeout in milliseconds, 1-100000 [default: 100000]
    #[arg(long, value_name = "MS")]
    connection_timeout_ms: Option<u32>,
    /// Trust the certificates of this PEM file besides the public authorities; may be repeated
    #[arg(long = "trust-anchors", value_name = "PEM-FILE", value_hint = ValueHint::FilePath)]
    trust_anchors: Vec<PathBuf>,
    /// Let Autodiscover use this host besides the mailboxes' domains: HOST, *.HOST, with :PORT if not 443; may be repeated
    #[arg(long = "released-hosts", value_name = "HOST")]
    released_hosts: Vec<String>,
    /// Whether Autodiscover may lead to internal hosts and private addresses [default: no]
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    allow_internal_addresses: Option<bool>,
    /// Whose TLS is used: Postroad's own, or the system's for old servers [default: postroad]
    #[arg(long, value_name = "LIBRARY", value_parser = contract::choice("TLS_LIBRARY", &["postroad", "system"], TlsLibrary::from_str_name))]
    tls: Option<TlsLibrary>,
    /// Modern authentication: where tokens are issued, https
    #[arg(long, value_name = "URL")]
    token_location: Option<String>,
    /// Modern authentication: the application's id; the password is its secret, or its certificate's private key
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Modern authentication: the scope [default: https://outlook.office365.com/.default]
    #[arg(long, value_name = "SCOPE")]
    token_scope: Option<String>,
    /// Modern authentication: the application's certificate, a PEM file
    #[arg(long, value_name = "PEM-FILE", value_hint = ValueHint::FilePath)]
    client_certificate: Option<PathBuf>,
}

impl Flags {
    /// What file and flags say together.
    pub fn changes(self, name: Option<String>) -> Result<Changes<ProfileSettings>, Failure> {
        let mut changes = Changes::<ProfileSettings>::from_file(self.file.as_deref())?;
        changes.set_if("name", name, |settings, value| settings.name = value);
        changes.set_if("description", self.description, |settings, value| settings.description = value);
        changes.set_if("owner", self.owner, |settings, value| settings.owner = value);
        changes.set_if("server_type", self.server_type, |settings, value| settings.set_server_type(value));
        changes.set_if("autodiscover", self.autodiscover, |settings, value| settings.autodiscover = Some(value));
        changes
            .set_if("incoming_location", self.incoming_location, |settings, value| settings.incoming_location = value);
        changes
            .set_if("outgoing_location", self.outgoing_location, |settings, value| settings.outgoing_location = value);
        changes.set_if("incoming_port", self.incoming_port, |settings, value| settings.incoming_port = Some(value));
        changes.set_if("outgoing_port", self.outgoing_port, |settings, value| settings.outgoing_port = Some(value));
        changes.set_if("user_name", self.user_name, |settings, value| settings.user_name = value);
        let from = self.process_email_from.as_deref().map(|text| date("--process-email-from", text)).transpose()?;
        changes.set_if("process_email_from", from, |settings, value| settings.process_email_from = value);
        changes.set_if("minimum_polling_interval_minutes", self.minimum_polling_interval_minutes, |settings, value| {
            settings.minimum_polling_interval_minutes = value;
        });
        changes.set_if("maximum_concurrent_connections", self.maximum_concurrent_connections, |settings, value| {
            settings.maximum_concurrent_connections = Some(value);
        });
        changes.set_if("move_failed_emails", self.move_failed_emails, |settings, value| {
            settings.move_failed_emails = value
        });
        changes.set_if("send_alert_email", self.send_alert_email, |settings, value| settings.send_alert_email = value);
        changes.set_if("connection_timeout_ms", self.connection_timeout_ms, |settings, value| {
            settings.connection_timeout_ms = Some(value);
        });
        let anchors = anchors(&self.trust_anchors)?;
        let hosts = (!self.released_hosts.is_empty()).then_some(self.released_hosts);
        changes.set_if("released_hosts", hosts, |settings, value| settings.released_hosts = value);
        changes.set_if("allow_internal_addresses", self.allow_internal_addresses, |settings, value| {
            settings.allow_internal_addresses = value;
        });
        changes.set_if("tls", self.tls, |settings, value| settings.set_tls(value));
        changes.set_if("token_location", self.token_location, |settings, value| settings.token_location = value);
        changes.set_if("client_id", self.client_id, |settings, value| settings.client_id = value);
        changes.set_if("token_scope", self.token_scope, |settings, value| settings.token_scope = value);
        let certificate =
            self.client_certificate.as_deref().map(|file| read("--client-certificate", file)).transpose()?;
        changes.set_if("client_certificate", certificate, |settings, value| settings.client_certificate = value);
        changes.set_if("trust_anchors", anchors, |settings, value| settings.trust_anchors = value);
        Ok(changes)
    }
}

/// Adds the password, where one was given.
pub fn set_password(changes: &mut Changes<ProfileSettings>, password: Option<SecretString>) {
    changes.set_if("password", password, |settings, value| settings.password = value.expose_secret().to_owned());
}

/// A flag's time; `none` takes it away.
pub fn date(flag: &str, text: &str) -> Result<Option<prost_types::Timestamp>, Failure> {
    if matches!(text, "" | "none") {
        return Ok(None);
    }
    settings_file::time(text).map(Some).map_err(|rule| Failure::refused(Code::TimeInvalid, flag, rule))
}

fn anchors(files: &[PathBuf]) -> Result<Option<Vec<String>>, Failure> {
    if files.is_empty() {
        return Ok(None);
    }
    files.iter().map(|file| read("--trust-anchors", file)).collect::<Result<Vec<_>, _>>().map(Some)
}

fn read(flag: &str, file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::file(flag, file, "read", &error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn flags(line: &[&str]) -> Flags {
        Line::try_parse_from(std::iter::once(&"x").chain(line)).unwrap().flags
    }

    #[test]
    fn the_mask_is_exactly_the_given_flags() {
        let line = ["--autodiscover", "no", "--incoming-location", "https://m/EWS", "--process-email-from", "none"];
        let (settings, mask) = flags(&line).changes(None).unwrap().into_update().unwrap();
        assert_eq!(mask.paths, ["autodiscover", "incoming_location", "process_email_from"]);
        assert_eq!((settings.autodiscover, settings.process_email_from), (Some(false), None));
    }

    #[test]
    fn every_field_has_a_flag() {
        let pem = tempfile::NamedTempFile::new().unwrap();
        let pem = pem.path().to_str().unwrap();
        let line = [
            "--description",
            "d",
            "--owner",
            "o@x.example",
            "--server-type",
            "exchange_online",
            "--autodiscover",
            "yes",
            "--incoming-location",
            "a",
            "--outgoing-location",
            "b",
            "--incoming-port",
            "1",
            "--outgoing-port",
            "2",
            "--user-name",
            "u@x.example",
            "--process-email-from",
            "2026-01-31",
            "--minimum-polling-interval-minutes",
            "5",
            "--maximum-concurrent-connections",
            "3",
            "--move-failed-emails",
            "on",
            "--send-alert-email",
            "off",
            "--connection-timeout-ms",
            "9",
            "--trust-anchors",
            pem,
            "--released-hosts",
            "mail.x.example",
            "--allow-internal-addresses",
            "yes",
            "--tls",
            "system",
            "--token-location",
            "https://login.x.example/token",
            "--client-id",
            "i",
            "--token-scope",
            "s",
            "--client-certificate",
            pem,
        ];
        let mut changes = flags(&line).changes(Some("n".into())).unwrap();
        set_password(&mut changes, Some(SecretString::from("p")));
        let mut given = changes.into_update().unwrap().1.paths;
        let mut known: Vec<String> =
            contract::descriptor::<ProfileSettings>().unwrap().fields().map(|field| field.name().to_owned()).collect();
        given.sort();
        known.sort();
        assert_eq!(given, known);
    }

    #[test]
    fn flags_override_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "name = \"Contoso\"\nincoming_port = 443\n").unwrap();
        let line = ["-f", file.path().to_str().unwrap(), "--incoming-port", "8443"];
        let settings = flags(&line).changes(None).unwrap().into_settings();
        assert_eq!((settings.name.as_str(), settings.incoming_port), ("Contoso", Some(8443)));
    }

    #[test]
    fn wrong_values_name_the_flag() {
        let failure = flags(&["--process-email-from", "yesterday"]).changes(None).unwrap_err();
        assert!(failure.to_string().starts_with("--process-email-from: `yesterday`"));
        let failure = flags(&["--trust-anchors", "no/such.pem"]).changes(None).unwrap_err();
        assert!(failure.to_string().starts_with("--trust-anchors: no/such.pem cannot be read"));
        assert!(Line::try_parse_from(["x", "--server-type", "pop3"]).is_err());
    }
}
