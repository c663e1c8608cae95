//! Profiles for the wire.

use std::time::Duration;

use postroad_core::{
    location::Location,
    profile::{Profile, ServerType, Settings, Test, TlsLibrary},
};
use postroad_proto::profile::v1::{
    Profile as WireProfile, ProfileSettings, ProfileTest, ServerType as WireServerType, TlsLibrary as WireTls,
};
use postroad_rig::{status, wire};

use crate::registry::Registry;

/// A profile with what is known around it.
pub fn profile(profile: &Profile, registry: &Registry) -> WireProfile {
    WireProfile {
        id: profile.id.to_string(),
        etag: super::etag(profile),
        settings: Some(settings(&profile.settings)),
        owner_name: profile.settings.owner.name.clone(),
        owner_address: profile.settings.owner.address.to_string(),
        password_set: profile.sealed.is_some(),
        active: profile.active,
        mailboxes: registry.directory.count_of(profile.id),
        last_test: profile.last_test.as_ref().map(test),
        notes: notes(profile, registry.server_allows(profile.id)),
    }
}

/// What an administrator should know.
pub fn notes(profile: &Profile, server_allows: Option<u32>) -> Vec<String> {
    let mut notes = Vec::new();
    if !profile.active {
        notes.push("The profile is inactive: its mailboxes are not processed.".to_owned());
    }
    if profile.sealed.is_none() {
        notes.push("No password is stored for the service account.".to_owned());
    }
    let wanted = profile.settings.maximum_concurrent_connections;
    let allowed = server_allows.and_then(|allows| u16::try_from(allows).ok());
    let effective = profile.effective_connections(allowed);
    if effective < wanted {
        notes.push(format!(
            "The server's version allows {effective} connections by default, so at most {effective} of {wanted} are used."
        ));
    }
    notes
}

fn settings(settings: &Settings) -> ProfileSettings {
    let incoming = settings.locations.as_ref().map(|locations| &locations.incoming);
    let outgoing = settings.locations.as_ref().map(|locations| &locations.outgoing);
    let server_type = match settings.server_type {
        ServerType::ExchangeServerHybrid => WireServerType::ExchangeServerHybrid,
        ServerType::ExchangeServer => WireServerType::ExchangeServer,
        ServerType::ExchangeOnline => WireServerType::ExchangeOnline,
    };
    let client = settings.client_credentials.as_ref();
    ProfileSettings {
        name: settings.name.clone(),
        description: settings.description.clone(),
        owner: settings.owner.address.to_string(),
        server_type: server_type.into(),
        autodiscover: Some(settings.locations.is_none()),
        incoming_location: incoming.map(Location::url).unwrap_or_default(),
        outgoing_location: outgoing.map(Location::url).unwrap_or_default(),
        incoming_port: incoming.map(|location| u32::from(location.port)),
        outgoing_port: outgoing.map(|location| u32::from(location.port)),
        user_name: settings.user_name.clone(),
        password: String::new(),
        process_email_from: settings.process_email_from.map(wire::timestamp),
        minimum_polling_interval_minutes: u32::from(settings.minimum_polling_interval_minutes),
        maximum_concurrent_connections: Some(u32::from(settings.maximum_concurrent_connections)),
        move_failed_emails: settings.move_failed_emails,
        send_alert_email: settings.send_alert_email,
        connection_timeout_ms: Some(settings.connection_timeout_ms),
        trust_anchors: settings.trust_anchors.clone(),
        released_hosts: settings.released_hosts.iter().map(ToString::to_string).collect(),
        allow_internal_addresses: settings.allow_internal_addresses,
        tls: match settings.tls {
            TlsLibrary::Postroad => WireTls::Postroad,
            TlsLibrary::System => WireTls::System,
        }
        .into(),
        token_location: client.map(|client| client.token_location.url()).unwrap_or_default(),
        client_id: client.map(|client| client.client_id.clone()).unwrap_or_default(),
        token_scope: client.map(|client| client.scope.clone()).unwrap_or_default(),
        client_certificate: client.and_then(|client| client.certificate.clone()).unwrap_or_default(),
    }
}

fn test(test: &Test) -> ProfileTest {
    ProfileTest {
        at: Some(wire::timestamp(test.at)),
        fault: test.fault.as_ref().map(status::to_wire),
        elapsed: Some(wire::duration(Duration::from_millis(test.elapsed_ms))),
    }
}
