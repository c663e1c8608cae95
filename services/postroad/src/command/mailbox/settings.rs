//! The flags of a mailbox's settings, named like the fields of the contract.

use std::path::PathBuf;

use clap::{Args, ValueHint, builder::BoolishValueParser};
use postroad_proto::mailbox::v1::{FilteringMethod, MailboxKind, MailboxSettings, SynchronizationMethod};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{command::profile::settings::date, contract, failure::Failure, settings_file::Changes};

const METHODS: &[&str] = &["none", "server_side_sync"];
const INCOMING_METHODS: &[&str] = &["none", "server_side_sync", "forward_mailbox"];

/// Settings of a mailbox, without the address, which creation takes as an argument.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Read settings from a TOML file with the flags' names (`incoming_method = "server_side_sync"`); flags override it
    #[arg(short = 'f', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Display name [default: the address]
    #[arg(long)]
    name: Option<String>,
    /// The user or queue of the CRM whose it is, by address or id
    #[arg(long, value_name = "ADDRESS")]
    regarding: Option<String>,
    /// The email server profile, by name or id
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Incoming email
    #[arg(long, value_name = "METHOD", value_parser = contract::choice("SYNCHRONIZATION_METHOD", INCOMING_METHODS, SynchronizationMethod::from_str_name))]
    incoming_method: Option<SynchronizationMethod>,
    /// Outgoing email
    #[arg(long, value_name = "METHOD", value_parser = contract::choice("SYNCHRONIZATION_METHOD", METHODS, SynchronizationMethod::from_str_name))]
    outgoing_method: Option<SynchronizationMethod>,
    /// Appointments, contacts and tasks; user mailboxes only
    #[arg(long, value_name = "METHOD", value_parser = contract::choice("SYNCHRONIZATION_METHOD", METHODS, SynchronizationMethod::from_str_name))]
    appointments_contacts_tasks_method: Option<SynchronizationMethod>,
    /// Which received messages become activities [default: all_messages]
    #[arg(long, value_name = "METHOD", value_parser = contract::choice("FILTERING_METHOD", &["all_messages", "responses", "from_people", "from_records", "no_messages"], FilteringMethod::from_str_name))]
    filtering_method: Option<FilteringMethod>,
    /// Process no email received before: a time, a date (UTC), or `none`; the later of this and the profile's counts
    #[arg(long, value_name = "TIME")]
    process_email_from: Option<String>,
    /// Delete emails after processing; queue and forward mailboxes only
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    delete_after_processing: Option<bool>,
    /// Use the mailbox's own credentials instead of the profile's service account
    #[arg(long, value_name = "YES|NO", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    allow_own_credentials: Option<bool>,
    /// The mailbox's own user name, in the form user@domain
    #[arg(long, value_name = "USER@DOMAIN")]
    user_name: Option<String>,
}

/// A parser of mailbox kinds, for creation.
pub fn kind() -> impl clap::builder::TypedValueParser<Value = MailboxKind> {
    contract::choice("MAILBOX_KIND", &["user", "queue", "forward"], MailboxKind::from_str_name)
}

impl Flags {
    /// What file and flags say together.
    pub fn changes(self, email_address: Option<String>) -> Result<Changes<MailboxSettings>, Failure> {
        let mut changes = Changes::<MailboxSettings>::from_file(self.file.as_deref())?;
        changes.set_if("email_address", email_address, |settings, value| settings.email_address = value);
        changes.set_if("name", self.name, |settings, value| settings.name = value);
        changes.set_if("regarding", self.regarding, |settings, value| settings.regarding = value);
        changes.set_if("profile", self.profile, |settings, value| settings.profile = value);
        changes.set_if("incoming_method", self.incoming_method, |settings, value| settings.set_incoming_method(value));
        changes.set_if("outgoing_method", self.outgoing_method, |settings, value| settings.set_outgoing_method(value));
        changes.set_if(
            "appointments_contacts_tasks_method",
            self.appointments_contacts_tasks_method,
            |settings, value| {
                settings.set_appointments_contacts_tasks_method(value);
            },
        );
        changes
            .set_if("filtering_method", self.filtering_method, |settings, value| settings.set_filtering_method(value));
        let from = self.process_email_from.as_deref().map(|text| date("--process-email-from", text)).transpose()?;
        changes.set_if("process_email_from", from, |settings, value| settings.process_email_from = value);
        changes.set_if("delete_after_processing", self.delete_after_processing, |settings, value| {
            settings.delete_after_processing = value;
        });
        changes.set_if("allow_own_credentials", self.allow_own_credentials, |settings, value| {
            settings.allow_own_credentials = value;
        });
        changes.set_if("user_name", self.user_name, |settings, value| settings.user_name = value);
        Ok(changes)
    }
}

/// Adds the password, where one was given.
pub fn set_password(changes: &mut Changes<MailboxSettings>, password: Option<SecretString>) {
    changes.set_if("password", password, |settings, value| settings.password = value.expose_secret().to_owned());
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

    #[test]
    fn every_field_has_a_flag() {
        let line = [
            "x",
            "--name",
            "n",
            "--regarding",
            "r@x.example",
            "--profile",
            "p",
            "--incoming-method",
            "server_side_sync",
            "--outgoing-method",
            "none",
            "--appointments-contacts-tasks-method",
            "none",
            "--filtering-method",
            "no_messages",
            "--process-email-from",
            "none",
            "--delete-after-processing",
            "yes",
            "--allow-own-credentials",
            "no",
            "--user-name",
            "u@x.example",
        ];
        let mut changes = Line::try_parse_from(line).unwrap().flags.changes(Some("a@x.example".into())).unwrap();
        changes.set("kind", |settings| settings.set_kind(MailboxKind::Queue));
        set_password(&mut changes, Some(SecretString::from("p")));
        let (settings, mask) = changes.into_update().unwrap();
        assert_eq!(settings.incoming_method(), SynchronizationMethod::ServerSideSync);
        let mut given = mask.paths;
        let mut known: Vec<String> =
            contract::descriptor::<MailboxSettings>().unwrap().fields().map(|field| field.name().to_owned()).collect();
        given.sort();
        known.sort();
        assert_eq!(given, known);
    }
}
