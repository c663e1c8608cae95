//! Email server profiles.

use postroad_core::{
    autodiscover::Pattern,
    location::Location,
    profile::{ClientCredentials, Event, Locations, Owner, Rules, ServerType, Settings, TlsLibrary},
};

use crate::sample::{ID, OTHER, Sample, address, at, report, sample, sealed};

pub fn samples() -> Vec<Sample> {
    let location = |host: &str| Location { host: host.into(), port: 8443, path: "/EWS/Exchange.asmx".into() };
    let full = Settings {
        name: "Contoso".into(),
        description: "The headquarters".into(),
        owner: Owner { user_id: OTHER, name: "Ada King".into(), address: address() },
        server_type: ServerType::ExchangeServer,
        locations: Some(Locations {
            incoming: location("in.contoso.example"),
            outgoing: location("out.contoso.example"),
        }),
        user_name: "crm@contoso.example".into(),
        process_email_from: Some(at(2)),
        minimum_polling_interval_minutes: 5,
        maximum_concurrent_connections: 27,
        move_failed_emails: true,
        send_alert_email: true,
        connection_timeout_ms: 60_000,
        trust_anchors: vec!["-----BEGIN CERTIFICATE-----".into()],
        released_hosts: vec![Pattern::try_from("*.hoster.example".to_owned()).unwrap()],
        allow_internal_addresses: true,
        tls: TlsLibrary::System,
        client_credentials: Some(ClientCredentials {
            token_location: Location { host: "login.example".into(), port: 443, path: "/token".into() },
            client_id: "c1".into(),
            scope: "https://outlook.office365.com/.default".into(),
            certificate: Some("-----BEGIN CERTIFICATE-----".into()),
        }),
    };
    let bare = Settings {
        server_type: ServerType::ExchangeServerHybrid,
        locations: None,
        process_email_from: None,
        trust_anchors: Vec::new(),
        released_hosts: Vec::new(),
        allow_internal_addresses: false,
        tls: TlsLibrary::Postroad,
        client_credentials: None,
        ..full.clone()
    };
    let online = Settings { server_type: ServerType::ExchangeOnline, ..bare.clone() };
    let event = sample::<Rules>;
    vec![
        event("profile_created", Event::Created { id: ID, settings: full }),
        event("profile_created_bare", Event::Created { id: ID, settings: bare }),
        event("profile_changed", Event::Changed { settings: online }),
        event("password_set", Event::PasswordSet { sealed: sealed() }),
        event("password_resealed", Event::Resealed { sealed: sealed() }),
        event("activated", Event::Activated),
        event("deactivated", Event::Deactivated),
        event("profile_tested", Event::Tested { at: at(3), fault: Some(report()), elapsed_ms: 41 }),
        event("profile_tested_well", Event::Tested { at: at(3), fault: None, elapsed_ms: 41 }),
        event("deleted", Event::Deleted),
    ]
}
