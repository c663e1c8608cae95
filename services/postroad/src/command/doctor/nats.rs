//! NATS: reachable, new enough, with JetStream, and the journal as the configuration wants it.

use async_nats::Client;
use postroad_core::fault::Code;
use postroad_journal::{Accounts, Denials, Journal, Part};
use postroad_rig::{Config, Role, config::Nats, nats::permission};

use super::{Check, PATIENCE, durability, patiently};
use crate::failure::Failure;

/// All checks of NATS, of which the later ones need the earlier ones; and the journal, if there is one.
pub async fn check(config: &Config) -> (Vec<Check>, Option<Journal>) {
    let nats = &config.nats;
    let denials = Denials::default();
    let denied = denials.any();
    let client = match connect(nats, denials.clone()).await {
        Ok(client) => client,
        Err(check) => return (vec![check], None),
    };
    let info = client.server_info();
    if !client.is_server_compatible(2, 12, 0) {
        let detail = format!("nats-server {} at {}", info.version, nats.url);
        return (vec![Check::fault("nats", Code::NatsTooOld, detail)], None);
    }
    let mut checks = vec![Check::well("nats", format!("nats-server {} answers at {}", info.version, nats.url))];
    checks.extend(exposure(config));
    let parts = parts(nats);
    let mut opened = None;
    let accounts = tokio::select! {
        accounts = patiently(Accounts::find(&client)) => accounts,
        said = denied => {
            checks.push(Check::fault("jetstream", Code::NatsDenied, said));
            return (checks, None);
        }
    };
    let accounts = match accounts {
        Some(Ok(accounts)) => accounts,
        Some(Err(error)) => {
            let report = error.report();
            checks.push(Check::fault("jetstream", report.code, report.detail));
            return (checks, None);
        }
        None => {
            checks.push(Check::fault("jetstream", Code::NatsWithoutJetstream, "it did not answer in time"));
            return (checks, None);
        }
    };
    let account = accounts.of(parts.first().copied().unwrap_or(Part::Mailboxes)).query_account();
    match patiently(account).await {
        Some(Ok(account)) => {
            checks.push(Check::well(
                "jetstream",
                format!("{} streams, {} bytes stored", account.streams, account.storage),
            ));
            let (check, exists) = journal(&accounts, nats, &parts).await;
            checks.push(check);
            checks.push(durability::durability(nats.monitoring.as_deref()).await);
            // Opening makes a stream that is missing, and the doctor changes nothing.
            if exists && let Some(part) = parts.first() {
                checks.extend(durability::clock(&client, accounts.api(*part), &part.stream(&nats.stream)).await);
                if parts.contains(&Part::Mailboxes) {
                    let options = nats.journal([Part::Mailboxes], Denials::default());
                    opened = patiently(Journal::connect(&client, options)).await.and_then(Result::ok);
                }
            }
        }
        Some(Err(error)) => checks.push(Check::fault("jetstream", Code::NatsWithoutJetstream, error.to_string())),
        None => checks.push(Check::fault("jetstream", Code::NatsWithoutJetstream, "it did not answer in time")),
    }
    (checks, opened)
}

/// What is sent to another machine in the clear.
fn exposure(config: &Config) -> Option<Check> {
    config.exposed_nats().map(|(found, remedy)| Check::warning("nats encryption", found, remedy))
}

async fn connect(nats: &Nats, denials: Denials) -> Result<Client, Check> {
    // The same user as the role whose configuration this is, or one of its own.
    let label = postroad_rig::nats::label(nats).unwrap_or_else(|| "doctor".to_owned());
    let advised = |check: Check| {
        // The fault's own remedy is to ask the doctor.
        let remedy =
            "start nats-server 2.12 or newer with JetStream there, correct nats.url, or let the firewall pass it";
        Check { remedy: Some(remedy.to_owned()), ..check }
    };
    // Several addresses may be tried, each for as long.
    let connects = postroad_rig::nats::connect(nats, &label, denials);
    match tokio::time::timeout(PATIENCE * 4, connects).await.ok() {
        Some(Ok(client)) => Ok(client),
        Some(Err(error)) => {
            let report = error.report();
            let check = Check::problem("nats", &Failure::from(&report));
            Err(if report.code == Code::JournalUnavailable { advised(check) } else { check })
        }
        None => {
            let detail = format!("nats.url = \"{}\": it did not answer in time", nats.url);
            Err(advised(Check::fault("nats", Code::JournalUnavailable, detail)))
        }
    }
}

/// The parts of the journal that can be looked at: those of the role that this configuration is for, those that are prepared, or all.
fn parts(nats: &Nats) -> Vec<Part> {
    let label = postroad_rig::nats::label(nats);
    if label.as_deref() == Some(permission::PREPARE) {
        return Part::ALL.into_iter().filter(|part| part.is_shared()).collect();
    }
    match Role::ALL.into_iter().find(|role| label.as_deref() == Some(role.name())) {
        Some(role) => permission::parts(role).collect(),
        None => Part::ALL.to_vec(),
    }
}

/// What is to be said about the streams, and whether they exist and are what they have to be.
async fn journal(accounts: &Accounts, nats: &Nats, parts: &[Part]) -> (Check, bool) {
    let (mut found, mut missing, mut others, mut is_told) = (Vec::new(), Vec::new(), Vec::new(), true);
    for part in parts {
        let name = part.stream(&nats.stream);
        match patiently(accounts.of(*part).get_stream(&name)).await {
            Some(Ok(stream)) => {
                let info = stream.cached_info();
                if let Err(error) = postroad_journal::fits(*part, &nats.stream, &info.config.subjects) {
                    let report = error.report();
                    return (Check::fault("journal", report.code, report.detail), false);
                }
                is_told &= postroad_journal::is_told(&info.config);
                if info.config.num_replicas != nats.replicas {
                    others.push((name.clone(), info.config.num_replicas));
                }
                found.push(format!("{name} holds {} commits", info.state.messages));
            }
            Some(Err(_)) => missing.push(name),
            None => return (Check::fault("journal", Code::JournalUnavailable, "it did not answer in time"), false),
        }
    }
    if parts.is_empty() {
        return (Check::not_checked("journal", "this role reads none of it"), false);
    }
    // The first role that starts makes them.
    if !missing.is_empty() {
        let remedy = "start the roles: they make it where NATS lets them; otherwise run: postroad nats prepare";
        return (Check::warning("journal", format!("there is no stream {} yet", missing.join(", ")), remedy), false);
    }
    let (found, wanted) = (found.join(", "), nats.replicas);
    if !is_told {
        let found = format!("{found}; not all tell of their commits, so that roles learn of them a second late");
        // A stream that is opened is changed, and the doctor changes nothing.
        return (Check::warning("journal", found, "run: postroad nats prepare; and restart the roles"), false);
    }
    let Some((name, _)) = others.first() else {
        return (Check::well("journal", format!("{found}; {wanted} replicas")), true);
    };
    let told: Vec<_> = others.iter().map(|(name, replicas)| format!("{name} has {replicas} replicas")).collect();
    let remedy = format!("set them with: nats stream edit {name} --replicas {wanted}; or correct nats.replicas");
    (Check::warning("journal", format!("{found}; {} instead of {wanted}", told.join(", ")), remedy), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nats_elsewhere_without_tls_is_warned_of() {
        let exposure = |text: &str| exposure(&Config::parse(&format!("[nats]\nurl = \"{text}")).unwrap());
        assert!(exposure("nats://nats.example:4222\"").unwrap().found.contains("nats.example"));
        for well in
            ["nats://localhost\"", "tls://nats.example\"", "nats://nats.example\"\n[tls]\nallow_plaintext = true"]
        {
            assert!(exposure(well).is_none(), "{well}");
        }
    }
}
