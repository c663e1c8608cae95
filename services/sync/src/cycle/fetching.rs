//! Fetching and promoting the wanted messages. A poison message never blocks the others: the batch is shrunk to one.

use std::collections::VecDeque;

use futures::{StreamExt as _, TryStreamExt as _};
use postroad_core::{
    fault::{Code, Report},
    mailbox::{Acceptance, Item, ItemOutcome, ItemResult, Known, Mailbox, Reason, Recipient, accept},
};
use postroad_proto::crm::v1::{EmailSource, PartyRole};

use super::Stop;
use crate::{
    crm::Refused,
    exchange::{Exchange, Failure, ItemFailure, Message},
    message::{Composed, compose},
    worker::Worker,
};

/// Messages in one request; Microsoft recommends ten for synchronizing clients (PROTOCOL.md §5).
const BATCH: usize = 10;
/// Promotions under way at a time for one mailbox.
const PROMOTIONS: usize = 4;
/// How often a message may be left out of an answer before it counts as failed.
const LEFT_OUT: u32 = 3;

/// Fetches and promotes; one outcome for each wanted message.
pub async fn promote_all(
    worker: &Worker,
    exchange: &dyn Exchange,
    mailbox: &Mailbox,
    wanted: &[Item],
) -> Result<Vec<ItemOutcome>, Stop> {
    let mut batches: VecDeque<Vec<(Item, u32)>> =
        wanted.chunks(BATCH).map(|items| items.iter().map(|item| (item.clone(), 0)).collect()).collect();
    let mut outcomes = Vec::with_capacity(wanted.len());
    while let Some(batch) = batches.pop_front() {
        let ids: Vec<_> = batch.iter().map(|(item, _)| item.id.clone()).collect();
        let answers = match exchange.fetch(&ids).await {
            Ok(answers) => answers,
            Err(Failure::Content(report)) => {
                split(batch, &report, &mut batches, &mut outcomes);
                continue;
            }
            Err(failure) => return Err(Stop::Exchange(failure)),
        };
        let mut fetched = Vec::new();
        let mut left_out = Vec::new();
        for ((item, tries), answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(message) => fetched.push((item, message)),
                Err(ItemFailure::Gone) => outcomes.push(outcome(item, ItemResult::Skipped(Reason::Gone))),
                Err(ItemFailure::Failed(report)) => outcomes.push(outcome(item, ItemResult::Failed(report))),
                Err(ItemFailure::NotAttempted) if tries + 1 < LEFT_OUT => left_out.push((item, tries + 1)),
                Err(ItemFailure::NotAttempted) => {
                    let report = Report::new(Code::ItemUnreadable, "Exchange leaves the message out of its answers");
                    outcomes.push(outcome(item, ItemResult::Failed(report)));
                }
            }
        }
        if !left_out.is_empty() {
            batches.push_front(left_out);
        }
        let promoted: Vec<_> = futures::stream::iter(fetched)
            .map(|(item, message)| promote(worker, mailbox, item, message))
            .buffer_unordered(PROMOTIONS)
            .try_collect()
            .await?;
        outcomes.extend(promoted);
    }
    Ok(outcomes)
}

/// The answer broke on its content: each half is asked for alone, down to the one message that breaks it.
fn split(
    mut batch: Vec<(Item, u32)>,
    report: &Report,
    batches: &mut VecDeque<Vec<(Item, u32)>>,
    outcomes: &mut Vec<ItemOutcome>,
) {
    if batch.len() > 1 {
        let second = batch.split_off(batch.len() / 2);
        batches.push_front(second);
        batches.push_front(batch);
        return;
    }
    for (item, _) in batch {
        let code = if report.code == Code::ResponseTooLarge { Code::ItemTooLarge } else { Code::ItemUnreadable };
        outcomes.push(outcome(item, ItemResult::Failed(Report::new(code, report.sentence()))));
    }
}

async fn promote(worker: &Worker, mailbox: &Mailbox, item: Item, message: Message) -> Result<ItemOutcome, Stop> {
    let source =
        EmailSource { mailbox_id: mailbox.id.to_string(), email_address: mailbox.settings.address.as_str().to_owned() };
    let composed = compose(&message);
    let item = Item {
        message_id: item.message_id.or_else(|| Some(composed.email.message_id.clone()).filter(|id| !id.is_empty())),
        received: item.received.or(message.received),
        ..item
    };
    let acceptance = match accepted(worker, mailbox, &composed).await {
        Ok(Ok(acceptance)) => acceptance,
        Ok(Err(reason)) => return Ok(outcome(item, ItemResult::Skipped(reason))),
        Err(refused) => return refusal(item, refused),
    };
    match worker.crm.promote(composed, source).await {
        Ok((email_id, created)) => Ok(outcome(item, ItemResult::Promoted { email_id, created, acceptance })),
        Err(refused) => refusal(item, refused),
    }
}

fn refusal(item: Item, refused: Refused) -> Result<ItemOutcome, Stop> {
    match refused {
        Refused::Message(report) => Ok(outcome(item, ItemResult::Failed(report))),
        Refused::Unavailable(report) => Err(Stop::Fault(report)),
    }
}

/// By whom a message is accepted: this mailbox, or another one that it names (spec §3.3).
async fn accepted(
    worker: &Worker,
    mailbox: &Mailbox,
    message: &Composed,
) -> Result<Result<Acceptance, Reason>, Refused> {
    let own = mailbox.settings.address.as_str();
    let roles = [PartyRole::To, PartyRole::Cc];
    let named = message.email.parties.iter().filter(|party| roles.contains(&party.role()));
    let mut named: Vec<String> = named.map(|party| party.address.to_lowercase()).collect();
    named.sort();
    named.dedup();
    let is_named = named.iter().any(|address| address.eq_ignore_ascii_case(own));
    let mut recipients =
        vec![Recipient { address: own.to_owned(), method: mailbox.settings.filtering_method, is_named }];
    named.retain(|address| !address.eq_ignore_ascii_case(own));
    recipients.extend(worker.directory.recipients(&named));
    // What accepts everything needs no question.
    let known = match accept(&recipients, &Known::default()) {
        Some(acceptance) if acceptance.method.accepts_everything() => return Ok(Ok(acceptance)),
        _ => worker.crm.known(message).await?,
    };
    Ok(accept(&recipients, &known).ok_or(Reason::NotAccepted(recipients)))
}

const fn outcome(item: Item, result: ItemResult) -> ItemOutcome {
    ItemOutcome { item, result }
}
