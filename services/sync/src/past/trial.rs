//! Changed settings, tried on past messages.

use jiff::Timestamp;
use postroad_core::{
    fault::Report,
    mailbox::{
        Acceptance, Decision, FilteringMethod, From, Reason, Reconsidered, Trial, Verdict, reason_sentence, reconsider,
        retry, verdict_sentence,
    },
    organization::Settings,
};
use postroad_proto::sync::v1::{RuleChange, RuleTotals};
use postroad_rig::wire;
use uuid::Uuid;

use crate::{
    cycle::{Read, Wanted, read},
    exchange::ItemFailure,
    past,
    tracking::Met,
    worker::Worker,
};

/// Messages read at a time.
const BATCH: usize = 10;

/// The changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The settings with the changes in them.
    pub settings: Settings,
    /// The mailbox's filtering method, where it is changed.
    pub method: Option<FilteringMethod>,
    /// Its Process Email From, where it is changed.
    pub from: Option<Timestamp>,
    /// Only messages received since.
    pub since: Option<Timestamp>,
}

/// Tries the changes on one mailbox; gives what would change, and adds to the totals.
pub async fn run(
    worker: &Worker,
    id: Uuid,
    changes: &Changes,
    totals: &mut RuleTotals,
) -> Result<Vec<RuleChange>, Report> {
    let Some((mailbox, profile)) = past::mailbox(worker, id) else { return Ok(Vec::new()) };
    let verdicts = past::last_verdicts(worker, id).await.map_err(|error| error.report())?;
    let own = changes.from.or(mailbox.settings.process_email_from);
    let method = |address: &str| worker.directory.recipients(&[address.to_owned()]).first().map(|found| found.method);
    let trial = Trial {
        settings: &changes.settings,
        from: From(own.max(profile.settings.process_email_from)),
        method: &method,
        own_method: changes.method.unwrap_or(mailbox.settings.filtering_method),
    };
    let address = mailbox.settings.address.as_str();
    let mut found = Vec::new();
    let mut unread = Vec::new();
    for verdict in verdicts.into_values() {
        if changes.since.is_some_and(|since| verdict.item.received.is_some_and(|received| received < since)) {
            continue;
        }
        totals.examined += 1;
        match reconsider(&verdict, &trial) {
            Reconsidered::Kept => {}
            Reconsidered::Decided(outcome) => found.extend(compare(address, &verdict, &outcome, totals)),
            Reconsidered::Unread => unread.push(verdict),
        }
    }
    if unread.is_empty() {
        return Ok(found);
    }
    let exchange = past::open(worker, &mailbox, &profile).await?;
    for batch in unread.chunks(BATCH) {
        let ids: Vec<String> = batch.iter().map(|verdict| verdict.item.id.clone()).collect();
        let answers = exchange.fetch(&ids).await.map_err(|failure| failure.report().clone())?;
        for (verdict, answer) in batch.iter().zip(answers) {
            let message = match answer {
                Ok(message) => message,
                Err(ItemFailure::Gone | ItemFailure::NotAttempted | ItemFailure::Failed(_)) => {
                    totals.gone += 1;
                    continue;
                }
            };
            let met = Met { place: postroad_core::mailbox::Place::Inbox, mark: None, is_unwrapped: false };
            let wanted = Wanted { item: verdict.item.clone(), met };
            match read(worker, &mailbox, wanted, message, &changes.settings).await {
                Ok(Ok(Read { facts, .. })) => {
                    found.extend(compare(address, verdict, &retry(&facts, &trial), totals));
                }
                Ok(Err(_)) => {}
                Err((_, refused)) => return Err(refused.report()),
            }
        }
    }
    Ok(found)
}

/// The change, if tracked becomes not tracked or the other way round.
fn compare(
    address: &str,
    verdict: &Verdict,
    outcome: &Result<Acceptance, Reason>,
    totals: &mut RuleTotals,
) -> Option<RuleChange> {
    let was_tracked = matches!(verdict.decision, Decision::Tracked { .. });
    if was_tracked == outcome.is_ok() {
        return None;
    }
    let after = match outcome {
        Ok(acceptance) => {
            totals.added += 1;
            let by = acceptance
                .correlation
                .map(|found| format!(", as it answers {} ({})", found.email_id, found.method.name()));
            format!(
                "{} would accept it: \"{}\"{}.",
                acceptance.address,
                acceptance.method.label(),
                by.unwrap_or_default()
            )
        }
        Err(reason) => {
            totals.removed += 1;
            format!("It would not be tracked: {}.", reason_sentence(reason))
        }
    };
    Some(RuleChange {
        email_address: address.to_owned(),
        message_id: verdict.item.message_id.clone().unwrap_or_default(),
        received_at: verdict.item.received.map(wire::timestamp),
        tracked: outcome.is_ok(),
        before: verdict_sentence(verdict),
        after,
    })
}
