//! How profiles are shown.

use comfy_table::Cell;
use postroad_proto::profile::v1::{Profile, ProfileChange, ProfileSettings, ProfileTest, ServerType, TlsLibrary};
use postroad_rig::wire;

use crate::{
    failure::Failure,
    output::{
        Output,
        paint::{bad_cell, cell, faint, good_cell, strong, wary},
        time,
    },
};

/// The server type as the setup guide's form says it.
fn server_type(settings: &ProfileSettings) -> &'static str {
    match settings.server_type() {
        ServerType::ExchangeServerHybrid => "Exchange Server (Hybrid)",
        ServerType::ExchangeServer => "Exchange Server",
        ServerType::ExchangeOnline => "Exchange Online",
        ServerType::Unspecified => "",
    }
}

pub fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// Profiles, one in a row.
pub fn table(output: &mut Output, profiles: &[Profile]) -> Result<(), Failure> {
    if profiles.is_empty() {
        return output.line("no profiles yet; create one with: postroad profile create NAME");
    }
    output.table(
        &["NAME", "SERVER TYPE", "LOCATION", "OWNER", "MAILBOXES", "ACTIVE", "LAST TEST"],
        profiles.iter().map(row).collect(),
    )
}

fn row(profile: &Profile) -> Vec<Cell> {
    let settings = profile.settings.clone().unwrap_or_default();
    let location = if settings.incoming_location.is_empty() { "Autodiscover" } else { &settings.incoming_location };
    vec![
        cell(&settings.name),
        cell(server_type(&settings)),
        cell(location),
        cell(&profile.owner_name),
        cell(profile.mailboxes),
        cell(yes_no(profile.active)),
        match &profile.last_test {
            None => cell("not run"),
            Some(ProfileTest { fault: None, at, .. }) => good_cell(format!("passed {}", time::short(at.as_ref()))),
            Some(ProfileTest { fault: Some(fault), .. }) => bad_cell(&fault.code),
        },
    ]
}

/// A profile with all its settings.
pub fn facts(output: &mut Output, profile: &Profile) -> Result<(), Failure> {
    let settings = profile.settings.clone().unwrap_or_default();
    let number = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
    let fixed = settings.autodiscover == Some(false);
    let port = |value: Option<u32>| if fixed { number(value) } else { String::new() };
    let owner = if profile.owner_address.is_empty() {
        String::new()
    } else {
        format!("{} <{}>", profile.owner_name, profile.owner_address)
    };
    output.line(strong(&settings.name))?;
    output.facts(vec![
        ("id", profile.id.clone()),
        ("etag", profile.etag.clone()),
        ("description", settings.description.clone()),
        ("server type", server_type(&settings).to_owned()),
        ("owner", owner),
        ("active", yes_no(profile.active)),
        ("mailboxes", profile.mailboxes.to_string()),
        ("autodiscover", yes_no(!fixed)),
        ("incoming location", settings.incoming_location.clone()),
        ("incoming port", port(settings.incoming_port)),
        ("outgoing location", settings.outgoing_location.clone()),
        ("outgoing port", port(settings.outgoing_port)),
        ("user name", settings.user_name.clone()),
        ("password", if profile.password_set { "stored".to_owned() } else { "missing".to_owned() }),
        ("process email from", time::full(settings.process_email_from.as_ref())),
        ("minimum polling interval", format!("{} min", settings.minimum_polling_interval_minutes)),
        ("maximum concurrent connections", number(settings.maximum_concurrent_connections)),
        ("move failed emails", yes_no(settings.move_failed_emails)),
        ("send alert email", yes_no(settings.send_alert_email)),
        ("connection timeout", settings.connection_timeout_ms.map_or_else(String::new, |value| format!("{value} ms"))),
        ("trust anchors", trust_anchors(&settings)),
        ("released hosts", settings.released_hosts.join(", ")),
        ("allow internal addresses", yes_no(settings.allow_internal_addresses)),
        ("tls", if settings.tls() == TlsLibrary::System { "the system's" } else { "Postroad's own" }.to_owned()),
        ("authentication", authentication(&settings)),
        ("last test", last_test(profile.last_test.as_ref())),
    ])?;
    notes(output, profile)
}

/// What an administrator should know about a profile.
pub fn notes(output: &mut Output, profile: &Profile) -> Result<(), Failure> {
    profile.notes.iter().try_for_each(|note| output.line(format!("{} {note}", wary("note:"))))
}

fn authentication(settings: &ProfileSettings) -> String {
    if settings.client_id.is_empty() {
        return "Basic".to_owned();
    }
    let proof = if settings.client_certificate.is_empty() { "a secret" } else { "a certificate" };
    format!(
        "modern: {} with {proof}, tokens of {} for {}",
        settings.client_id, settings.token_location, settings.token_scope
    )
}

fn trust_anchors(settings: &ProfileSettings) -> String {
    match settings.trust_anchors.len() {
        0 => "the public authorities".to_owned(),
        1 => "the public authorities and 1 certificate file".to_owned(),
        count => format!("the public authorities and {count} certificate files"),
    }
}

fn last_test(test: Option<&ProfileTest>) -> String {
    let Some(test) = test else { return "not run".to_owned() };
    let when = time::full(test.at.as_ref());
    match &test.fault {
        None => format!("passed {when} in {}", time::elapsed(wire::elapsed(test.elapsed.as_ref()))),
        Some(fault) => format!("failed {when}: {}", Failure::from(fault)),
    }
}

/// The audit history, one change in a row.
pub fn history(output: &mut Output, changes: &[ProfileChange]) -> Result<(), Failure> {
    if changes.is_empty() {
        return output.line(faint("no changes"));
    }
    let rows = changes.iter().map(|change| {
        let when = time::of(change.at.as_ref()).map_or_else(String::new, time::stamp);
        vec![cell(when), cell(&change.actor), cell(&change.field), cell(&change.from), cell(&change.to)]
    });
    output.table(&["WHEN", "WHO", "WHAT", "FROM", "TO"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    fn profile() -> Profile {
        let mut settings = ProfileSettings {
            name: "Contoso".into(),
            autodiscover: Some(true),
            incoming_port: Some(443),
            maximum_concurrent_connections: Some(27),
            ..Default::default()
        };
        settings.set_server_type(ServerType::ExchangeServerHybrid);
        Profile {
            settings: Some(settings),
            notes: vec!["Exchange 2010 allows 10".into()],
            mailboxes: 3,
            ..Default::default()
        }
    }

    #[test]
    fn a_profile_is_shown_in_the_guides_words() {
        let (mut output, captured) = captured(false);
        facts(&mut output, &profile()).unwrap();
        let text = captured.text();
        for part in [
            "Contoso\n",
            "Exchange Server (Hybrid)",
            "maximum concurrent connections  27",
            "note: Exchange 2010 allows 10",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("incoming port"), "ports belong to fixed locations:\n{text}");
    }

    #[test]
    fn profiles_are_one_in_a_row() {
        let (mut output, captured) = captured(false);
        table(&mut output, &[profile()]).unwrap();
        let text = captured.text();
        assert!(text.contains("Autodiscover") && text.contains("not run") && text.lines().count() == 2, "{text}");
    }
}
