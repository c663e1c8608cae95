//! NATS: reachable, new enough, with JetStream, and the journal as the configuration wants it.

use async_nats::{Client, jetstream};
use postroad_core::fault::Code;
use postroad_journal::{Denials, Journal};
use postroad_rig::{Config, config::Nats};

use super::{Check, durability, patiently};
use crate::failure::Failure;

/// All checks of NATS, of which the later ones need the earlier ones; and the journal, if there is one.
pub async fn check(config: &Config) -> (Vec<Check>, Option<Journal>) {
    let nats = &config.nats;
    let client = match connect(nats).await {
        Ok(client) => client,
        Err(check) => return (vec![check], None),
    };
    let info = client.server_info();
    if !client.is_server_compatible(2, 12, 0) {
        let detail = format!("nats-server {} at {}", info.version, nats.url);
        return (vec![Check::fault("nats", Code::NatsTooOld, detail)], None);
    }
    let mut checks = vec![Check::well("nats", format!("nats-server {} answers at {}", info.version, nats.url))];
    let context = jetstream::new(client.clone());
    let mut opened = None;
    match patiently(context.query_account()).await {
        Some(Ok(account)) => {
            checks.push(Check::well(
                "jetstream",
                format!("{} streams, {} bytes stored", account.streams, account.storage),
            ));
            let (check, exists) = journal(&context, nats).await;
            checks.push(check);
            checks.push(durability::durability(nats.monitoring.as_deref()).await);
            // Opening makes a stream that is missing, and the doctor changes nothing.
            if exists {
                checks.extend(durability::clock(&client, &nats.stream).await);
                let options = nats.journal(Denials::default());
                opened = patiently(Journal::connect(&client, options)).await.and_then(Result::ok);
            }
        }
        Some(Err(error)) => checks.push(Check::fault("jetstream", Code::NatsWithoutJetstream, error.to_string())),
        None => checks.push(Check::fault("jetstream", Code::NatsWithoutJetstream, "it did not answer in time")),
    }
    (checks, opened)
}

async fn connect(nats: &Nats) -> Result<Client, Check> {
    // The same user as the role whose configuration this is, or one of its own.
    let label = postroad_rig::nats::label(nats).unwrap_or_else(|| "doctor".to_owned());
    let advised = |check: Check| {
        // The fault's own remedy is to ask the doctor.
        let remedy =
            "start nats-server 2.12 or newer with JetStream there, correct nats.url, or let the firewall pass it";
        Check { remedy: Some(remedy.to_owned()), ..check }
    };
    match patiently(postroad_rig::nats::connect(nats, &label, Denials::default())).await {
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

/// What is to be said about the stream, and whether it exists.
async fn journal(context: &jetstream::Context, nats: &Nats) -> (Check, bool) {
    match patiently(context.get_stream(&nats.stream)).await {
        Some(Ok(stream)) => {
            let info = stream.cached_info();
            let (found, wanted) = (info.config.num_replicas, nats.replicas);
            let text = format!("the stream {} holds {} commits, {found} replicas", nats.stream, info.state.messages);
            if found == wanted {
                return (Check::well("journal", text), true);
            }
            let remedy = format!(
                "set them with: nats stream edit {} --replicas {wanted}; or correct nats.replicas",
                nats.stream
            );
            (Check::warning("journal", format!("{text} instead of {wanted}"), remedy), true)
        }
        // The first role that starts makes it.
        Some(Err(_)) => {
            let found = format!("there is no stream {} yet", nats.stream);
            (
                Check::warning(
                    "journal",
                    found,
                    "start the roles: they make it where NATS lets them; otherwise run: postroad nats prepare",
                ),
                false,
            )
        }
        None => (Check::fault("journal", Code::JournalUnavailable, "it did not answer in time"), false),
    }
}
