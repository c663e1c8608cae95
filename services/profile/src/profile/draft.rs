//! From the wire's settings to a draft.

use postroad_core::{
    Refusal,
    fault::Code,
    profile::{Draft, ServerType, TlsLibrary},
};
use postroad_proto::profile::v1::{ProfileSettings, ServerType as WireServerType, TlsLibrary as WireTls};
use postroad_rig::wire;

use crate::mask::Mask;

/// The form's default (setup guide, Additional Settings).
const CONNECTIONS: u32 = 27;
const TIMEOUT_MS: u32 = 100_000;

/// Takes the fields that the mask names, except the owner, which is looked up.
pub fn apply(draft: &mut Draft, settings: &ProfileSettings, mask: &Mask) -> Result<(), Refusal> {
    let text = |field: &str, target: &mut String, value: &String| {
        if mask.has(field) {
            value.clone_into(target);
        }
    };
    text("name", &mut draft.name, &settings.name);
    text("description", &mut draft.description, &settings.description);
    text("user_name", &mut draft.user_name, &settings.user_name);
    if mask.has("server_type") {
        draft.server_type = server_type(settings.server_type());
    }
    locations(draft, settings, mask);
    if mask.has("process_email_from") {
        draft.process_email_from = wire::time("process_email_from", settings.process_email_from.as_ref())?;
    }
    if mask.has("minimum_polling_interval_minutes") {
        draft.minimum_polling_interval_minutes = settings.minimum_polling_interval_minutes;
    }
    if mask.has("maximum_concurrent_connections") {
        draft.maximum_concurrent_connections = settings.maximum_concurrent_connections.unwrap_or(CONNECTIONS);
    }
    if mask.has("move_failed_emails") {
        draft.move_failed_emails = settings.move_failed_emails;
    }
    if mask.has("send_alert_email") {
        draft.send_alert_email = settings.send_alert_email;
    }
    if mask.has("connection_timeout_ms") {
        draft.connection_timeout_ms = settings.connection_timeout_ms.unwrap_or(TIMEOUT_MS);
    }
    if mask.has("trust_anchors") {
        draft.trust_anchors.clone_from(&settings.trust_anchors);
        settings.trust_anchors.iter().enumerate().try_for_each(|(index, pem)| anchor(index, pem))?;
    }
    if mask.has("released_hosts") {
        draft.released_hosts.clone_from(&settings.released_hosts);
    }
    if mask.has("allow_internal_addresses") {
        draft.allow_internal_addresses = settings.allow_internal_addresses;
    }
    if mask.has("tls") {
        draft.tls = match settings.tls() {
            WireTls::Unspecified | WireTls::Postroad => TlsLibrary::Postroad,
            WireTls::System => TlsLibrary::System,
        };
    }
    text("token_location", &mut draft.token_location, &settings.token_location);
    text("client_id", &mut draft.client_id, &settings.client_id);
    text("token_scope", &mut draft.token_scope, &settings.token_scope);
    text("client_certificate", &mut draft.client_certificate, &settings.client_certificate);
    if mask.has("client_certificate") && !settings.client_certificate.trim().is_empty() {
        postroad_ews::count_certificates(&settings.client_certificate)
            .map_err(|error| Refusal::new(Code::TrustAnchorInvalid, "client_certificate", error.to_string()))?;
    }
    Ok(())
}

/// What is not named follows what is: a new incoming location takes its port with it, and Autodiscover empties them all.
fn locations(draft: &mut Draft, settings: &ProfileSettings, mask: &Mask) {
    let was_same = draft.incoming_location == draft.outgoing_location && draft.incoming_port == draft.outgoing_port;
    if mask.has("autodiscover") {
        draft.autodiscover = settings.autodiscover.unwrap_or(true);
        if draft.autodiscover {
            draft.incoming_location.clear();
            draft.outgoing_location.clear();
            (draft.incoming_port, draft.outgoing_port) = (None, None);
        }
    }
    if mask.has("incoming_location") {
        draft.incoming_location.clone_from(&settings.incoming_location);
        draft.incoming_port = None;
        if was_same {
            draft.outgoing_location.clear();
            draft.outgoing_port = None;
        }
    }
    if mask.has("outgoing_location") {
        draft.outgoing_location.clone_from(&settings.outgoing_location);
        draft.outgoing_port = None;
    }
    if mask.has("incoming_port") {
        change_port(
            &mut draft.incoming_location,
            &mut draft.incoming_port,
            settings.incoming_port,
            mask.has("incoming_location"),
        );
        if was_same && !mask.has("outgoing_location") && !mask.has("outgoing_port") {
            draft.outgoing_location.clear();
            draft.outgoing_port = None;
        }
    }
    if mask.has("outgoing_port") {
        change_port(
            &mut draft.outgoing_location,
            &mut draft.outgoing_port,
            settings.outgoing_port,
            mask.has("outgoing_location"),
        );
    }
}

/// A stored location names its port itself: a new port alone has to take it out there.
fn change_port(location: &mut String, port: &mut Option<u32>, wanted: Option<u32>, location_is_new: bool) {
    let old = port.map(|port| format!(":{port}"));
    if let Some(old) = old.filter(|_| !location_is_new)
        && let Some(at) = location.find(&old)
    {
        location.replace_range(at..at + old.len(), "");
    }
    *port = wanted;
}

const fn server_type(wire: WireServerType) -> Option<ServerType> {
    match wire {
        WireServerType::Unspecified => None,
        WireServerType::ExchangeServerHybrid => Some(ServerType::ExchangeServerHybrid),
        WireServerType::ExchangeServer => Some(ServerType::ExchangeServer),
        WireServerType::ExchangeOnline => Some(ServerType::ExchangeOnline),
    }
}

fn anchor(index: usize, pem: &str) -> Result<(), Refusal> {
    match postroad_ews::count_certificates(pem) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Refusal::new(Code::TrustAnchorInvalid, "trust_anchors", format!("number {}: {error}", index + 1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(fields: &[&str]) -> Mask {
        Mask::all(fields)
    }

    fn fixed() -> Draft {
        Draft {
            autodiscover: false,
            incoming_location: "https://mail.contoso.example:8443/EWS/Exchange.asmx".into(),
            outgoing_location: "https://mail.contoso.example:8443/EWS/Exchange.asmx".into(),
            incoming_port: Some(8443),
            outgoing_port: Some(8443),
            ..Draft::default()
        }
    }

    #[test]
    fn autodiscover_empties_the_locations() {
        let mut draft = fixed();
        let settings = ProfileSettings { autodiscover: Some(true), ..ProfileSettings::default() };
        apply(&mut draft, &settings, &mask(&["autodiscover"])).unwrap();
        assert_eq!((draft.incoming_location.as_str(), draft.incoming_port, draft.outgoing_port), ("", None, None));
    }

    #[test]
    fn an_outgoing_location_that_was_the_same_follows() {
        let mut draft = fixed();
        let settings =
            ProfileSettings { incoming_location: "https://new.contoso.example".into(), ..ProfileSettings::default() };
        apply(&mut draft, &settings, &mask(&["incoming_location"])).unwrap();
        assert_eq!((draft.incoming_port, draft.outgoing_location.as_str(), draft.outgoing_port), (None, "", None));
    }

    #[test]
    fn a_new_port_alone_replaces_the_one_in_the_location() {
        let mut draft = fixed();
        let settings = ProfileSettings { incoming_port: Some(443), ..ProfileSettings::default() };
        apply(&mut draft, &settings, &mask(&["incoming_port"])).unwrap();
        assert_eq!(draft.incoming_location, "https://mail.contoso.example/EWS/Exchange.asmx");
        assert_eq!((draft.incoming_port, draft.outgoing_location.as_str()), (Some(443), ""));
    }

    #[test]
    fn what_the_mask_does_not_name_stays() {
        let mut draft = Draft { name: "Contoso".into(), move_failed_emails: true, ..Draft::default() };
        apply(&mut draft, &ProfileSettings::default(), &mask(&["description"])).unwrap();
        assert_eq!((draft.name.as_str(), draft.move_failed_emails), ("Contoso", true));
    }
}
