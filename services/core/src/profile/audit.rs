//! The audit history: who changed which field from what to what. Out of the journal, by comparing settings.

use super::{ServerType, Settings};

/// One changed field. Values are printed as a person would enter them; passwords never appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The field, as the API names it.
    pub field: &'static str,
    /// Its value before; empty where it was unset.
    pub from: String,
    /// Its value after.
    pub to: String,
}

/// The fields in which two settings differ, in the form's order.
pub fn changes(before: Option<&Settings>, after: &Settings) -> Vec<FieldChange> {
    let old = before.map(values).unwrap_or_default();
    values(after)
        .into_iter()
        .enumerate()
        .filter_map(|(index, (field, to))| {
            let from = old.get(index).map(|(_, value)| value.clone()).unwrap_or_default();
            (from != to).then_some(FieldChange { field, from, to })
        })
        .collect()
}

fn values(settings: &Settings) -> Vec<(&'static str, String)> {
    let Settings {
        name,
        description,
        owner,
        server_type,
        locations,
        user_name,
        process_email_from,
        minimum_polling_interval_minutes,
        maximum_concurrent_connections,
        move_failed_emails,
        send_alert_email,
        connection_timeout_ms,
        trust_anchors,
        released_hosts,
        allow_internal_addresses,
        tls,
        client_credentials,
    } = settings;
    let location = |pick: fn(&super::Locations) -> String| locations.as_ref().map(pick).unwrap_or_default();
    let client =
        |pick: fn(&super::ClientCredentials) -> String| client_credentials.as_ref().map(pick).unwrap_or_default();
    vec![
        ("name", name.clone()),
        ("description", description.clone()),
        ("owner", format!("{} <{}>", owner.name, owner.address)),
        ("server_type", server_type.label().to_owned()),
        ("autodiscover", yes_no(locations.is_none())),
        ("incoming_location", location(|l| l.incoming.url())),
        ("outgoing_location", location(|l| l.outgoing.url())),
        ("incoming_port", location(|l| l.incoming.port.to_string())),
        ("outgoing_port", location(|l| l.outgoing.port.to_string())),
        ("user_name", user_name.clone()),
        ("process_email_from", process_email_from.map(|at| at.to_string()).unwrap_or_default()),
        ("minimum_polling_interval_minutes", minimum_polling_interval_minutes.to_string()),
        ("maximum_concurrent_connections", maximum_concurrent_connections.to_string()),
        ("move_failed_emails", yes_no(*move_failed_emails)),
        ("send_alert_email", yes_no(*send_alert_email)),
        ("connection_timeout_ms", connection_timeout_ms.to_string()),
        ("trust_anchors", anchors(trust_anchors)),
        ("released_hosts", released_hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ("allow_internal_addresses", yes_no(*allow_internal_addresses)),
        ("tls", tls.label().to_owned()),
        ("token_location", client(|client| client.token_location.url())),
        ("client_id", client(|client| client.client_id.clone())),
        ("token_scope", client(|client| client.scope.clone())),
        ("client_certificate", client(|client| anchors(client.certificate.as_slice()))),
    ]
}

impl ServerType {
    /// The label of the setup guide's form.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ExchangeServerHybrid => "Exchange Server (Hybrid)",
            Self::ExchangeServer => "Exchange Server",
            Self::ExchangeOnline => "Exchange Online",
        }
    }
}

impl super::TlsLibrary {
    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Postroad => "Postroad",
            Self::System => "system",
        }
    }
}

fn yes_no(value: bool) -> String {
    if value { "Yes".to_owned() } else { "No".to_owned() }
}

/// Certificates are long: the history names each by the end of its text, so that a replaced one shows.
fn anchors(anchors: &[String]) -> String {
    let tail = |pem: &String| {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        body.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<String>()
    };
    anchors.iter().map(tail).collect::<Vec<_>>().join(", ")
}
