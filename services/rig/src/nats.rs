//! Connecting to NATS: as whom, by TLS or not, and what happens when something is not allowed there.

use std::path::Path;

use async_nats::{Auth, AuthError, Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use postroad_core::fault::{Code, Report};
use postroad_journal::Denials;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    Error,
    config::Nats,
    peer,
    refusal::{self, Sides},
};

pub mod permission;

/// Connects as the user of `config`; `label` is `ROLE`, or another user of the permission table. Certificates and passwords are
/// read again with each connection that is made. What NATS refuses later is logged, and noted in `denials`.
pub async fn connect(config: &Nats, label: &str, denials: Denials) -> Result<Client, Error> {
    let mut options = ConnectOptions::new();
    if let (Some(user), Some(file)) = (config.user_name.clone(), config.password_file.clone()) {
        readable("password_file", &file)?;
        options = ConnectOptions::with_auth_callback(move |_| {
            let (user, file) = (user.clone(), file.clone());
            async move {
                let password = tokio::fs::read_to_string(file).await.map_err(AuthError::new)?;
                let mut auth = Auth::new();
                auth.username = Some(user);
                auth.password = Some(password.trim_end_matches(['\r', '\n']).to_owned());
                Ok(auth)
            }
        });
    }
    if let Some(file) = &config.authority_file {
        readable("authority_file", file)?;
        options = options.add_root_certificates(file.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) {
        readable("certificate_file", certificate)?;
        readable("key_file", key)?;
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    if let Some(file) = &config.credentials_file {
        options = options.credentials_file(file).await.map_err(|error| {
            Error::Configuration(format!("nats.credentials_file = \"{}\": {error}", file.display()))
        })?;
    }
    let told = (user(config).unwrap_or_else(|| label.to_owned()), denials);
    options
        .name(format!("postroad {label}"))
        // Answers to one user must not be heard by another.
        .custom_inbox_prefix(permission::inbox(label))
        .connection_timeout(std::time::Duration::from_secs(5))
        // A server whose address is gone says nothing: two pings without an answer, and another connection is made.
        .ping_interval(std::time::Duration::from_secs(5))
        // A role that is up outlives an absence of NATS of any length.
        .max_reconnects(None)
        .event_callback(move |event| {
            let (user, denials) = told.clone();
            async move { tell(&event, &user, &denials) }
        })
        .connect(config.url.as_str())
        .await
        .map_err(|error| refused(config, &error))
}

/// The account that a connection is in, as the server says; `None` where it does not.
pub async fn account(client: &Client) -> Option<String> {
    let answer = client.request("$SYS.REQ.USER.INFO", bytes::Bytes::new()).await.ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).ok()?;
    Some(answer.pointer("/data/account")?.as_str()?.to_owned())
}

/// Whom a configuration connects as, if it is a user of the permission table.
pub fn label(config: &Nats) -> Option<String> {
    let user = user(config)?;
    user.strip_suffix(&format!(".{}", peer::DOMAIN)).map(str::to_owned)
}

/// The user's name, as far as it can be seen from here.
fn user(config: &Nats) -> Option<String> {
    if let Some(name) = &config.user_name {
        return Some(name.clone());
    }
    let first = CertificateDer::from_pem_file(config.certificate_file.as_deref()?).ok()?;
    peer::Names::read(&first)?.dns.into_iter().next()
}

fn tell(event: &Event, user: &str, denials: &Denials) {
    let Event::ServerError(ServerError::Other(said)) = event else { return };
    if said.to_lowercase().contains("permissions violation") {
        let report = denied(user, said);
        tracing::error!(fault = %report.code, "{}. {}", report.sentence(), report.code.row().remedy);
        denials.note(report.detail);
    }
}

fn denied(user: &str, said: &str) -> Report {
    Report::new(Code::NatsDenied, format!("the NATS user {user}: {said}"))
}

fn refused(config: &Nats, error: &async_nats::ConnectError) -> Error {
    Error::Fault(refusal_of(config, error))
}

fn refusal_of(config: &Nats, error: &async_nats::ConnectError) -> Report {
    let url = &config.url;
    if matches!(error.kind(), ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication) {
        return Report::new(Code::NatsDenied, format!("nats.url = \"{url}\" does not let in {}", shown(config)));
    }
    if let Some(found) = refusal::found(error) {
        let sides = Sides {
            there: &format!("NATS (nats.url = \"{url}\")"),
            authority: &refusal::setting("nats.authority_file", config.authority_file.as_deref()),
            own: &refusal::setting("nats.certificate_file", config.certificate_file.as_deref()),
            name: &config.host().unwrap_or_default(),
        };
        return refusal::explain(found, &sides);
    }
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // Some say themselves what their cause is.
        let said = cause.to_string();
        if !why.contains(&said) {
            why = format!("{why}: {said}");
        }
        source = cause.source();
    }
    Report::new(Code::JournalUnavailable, format!("nats.url = \"{url}\": {why}"))
}

/// What NATS was shown to say who connects, with the settings that it comes from. A credentials file counts before a user name.
fn shown(config: &Nats) -> String {
    if let Some(file) = &config.credentials_file {
        return format!("the user of nats.credentials_file = \"{}\"", file.display());
    }
    if let (Some(name), Some(file)) = (&config.user_name, &config.password_file) {
        return format!("the user {name} with the password in nats.password_file = \"{}\"", file.display());
    }
    match (user(config), &config.certificate_file) {
        (Some(name), Some(file)) => {
            format!("the user {name} of nats.certificate_file = \"{}\"", file.display())
        }
        _ => "anybody who does not say who he is: nats.user_name, nats.certificate_file and nats.credentials_file are not set"
            .to_owned(),
    }
}

/// The client library would say of a missing file only that there is no TLS.
fn readable(setting: &str, file: &Path) -> Result<(), Error> {
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::Configuration(format!("nats.{setting} = \"{}\" cannot be read: {error}", file.display())))
        }
    }
}
