//! Fetching and promoting the wanted messages. A poison message never blocks the others: the batch is shrunk to one.

use std::collections::{HashMap, VecDeque};

use futures::{StreamExt as _, TryStreamExt as _};
use postroad_core::{
    fault::{Code, Report},
    mailbox::{Acceptance, Facts, Item, ItemOutcome, ItemResult, Kind, Mailbox, Place, Reason, judge},
    organization::Settings,
};
use postroad_proto::crm::v1::EmailDirection;

use super::{Stop, incoming::Wanted, seen};
use crate::{
    crm::{Matches, Refused},
    exchange::{Exchange, Failure, ItemFailure, Message},
    message::{Composed, compose, forwarded},
    tracking::{self, Met},
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
    wanted: &[Wanted],
    settings: &Settings,
) -> Result<Vec<ItemOutcome>, Stop> {
    let mut batches: VecDeque<Vec<(Wanted, u32)>> =
        wanted.chunks(BATCH).map(|items| items.iter().map(|item| (item.clone(), 0)).collect()).collect();
    let met: HashMap<&str, &Met> = wanted.iter().map(|one| (one.item.id.as_str(), &one.met)).collect();
    let mut outcomes = Vec::with_capacity(wanted.len());
    while let Some(batch) = batches.pop_front() {
        let ids: Vec<_> = batch.iter().map(|(one, _)| one.item.id.clone()).collect();
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
        for ((one, tries), answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(message) => fetched.push((one, message)),
                Err(ItemFailure::Gone) => outcomes.push(outcome(one.item, ItemResult::Skipped(Reason::Gone))),
                Err(ItemFailure::Failed(report)) => outcomes.push(outcome(one.item, ItemResult::Failed(report))),
                Err(ItemFailure::NotAttempted) if tries + 1 < LEFT_OUT => left_out.push((one, tries + 1)),
                Err(ItemFailure::NotAttempted) => {
                    let report = Report::new(Code::ItemUnreadable, "Exchange leaves the message out of its answers");
                    outcomes.push(outcome(one.item, ItemResult::Failed(report)));
                }
            }
        }
        if !left_out.is_empty() {
            batches.push_front(left_out);
        }
        let promoted: Vec<_> = futures::stream::iter(fetched)
            .map(|(one, message)| seen::message(promote(worker, mailbox, one, message, settings)))
            .buffer_unordered(PROMOTIONS)
            .try_collect()
            .await?;
        outcomes.extend(promoted);
    }
    for outcome in &mut outcomes {
        if let Some(met) = met.get(outcome.item.id.as_str()) {
            outcome.place = met.place.clone();
            outcome.mark = met.mark;
        }
    }
    Ok(outcomes)
}

/// The answer broke on its content: each half is asked for alone, down to the one message that breaks it.
fn split(
    mut batch: Vec<(Wanted, u32)>,
    report: &Report,
    batches: &mut VecDeque<Vec<(Wanted, u32)>>,
    outcomes: &mut Vec<ItemOutcome>,
) {
    if batch.len() > 1 {
        let second = batch.split_off(batch.len() / 2);
        batches.push_front(second);
        batches.push_front(batch);
        return;
    }
    for (one, _) in batch {
        let code = if report.code == Code::ResponseTooLarge { Code::ItemTooLarge } else { Code::ItemUnreadable };
        outcomes.push(outcome(one.item, ItemResult::Failed(Report::new(code, report.sentence()))));
    }
}

/// A message that was read, with what decides about it.
pub struct Read {
    /// The message, with what is known only now.
    pub item: Item,
    /// The activity that it would be.
    pub composed: Composed,
    /// What the CRM knows about it.
    pub matches: Matches,
    /// What the decision depends on.
    pub facts: Facts,
}

/// Gathers what decides about a message; the outer error is the CRM's, the inner one a message that cannot be judged.
pub async fn read(
    worker: &Worker,
    mailbox: &Mailbox,
    wanted: Wanted,
    message: Message,
    settings: &Settings,
) -> Result<Result<Read, ItemOutcome>, (Item, Refused)> {
    let Wanted { item, mut met } = wanted;
    let unwrapped = if mailbox.settings.kind == Kind::Forward { Some(forwarded(&message)) } else { None };
    let message = match unwrapped {
        None => message,
        Some(Some(inner)) => {
            met.is_unwrapped = true;
            inner
        }
        Some(None) => return Ok(Err(outcome(item, ItemResult::Skipped(Reason::InvalidForward)))),
    };
    let direction = if met.place == Place::SentItems { EmailDirection::Outgoing } else { EmailDirection::Incoming };
    let composed = compose(&message, direction);
    let own_id = || Some(composed.email.message_id.clone()).filter(|id| !id.is_empty());
    // Of a forwarded message its own id counts, so that it is found again by it.
    let message_id = if met.is_unwrapped { own_id().or(item.message_id) } else { item.message_id.or_else(own_id) };
    let item = Item { message_id, received: item.received.or(message.received), ..item };
    let matches = match worker.crm.matches(&tracking::lookup(&composed, settings), settings).await {
        Ok(matches) => matches,
        Err(refused) => return Err((item, refused)),
    };
    let facts = gather(worker, mailbox, &met, &composed, &matches, settings);
    Ok(Ok(Read { item, composed, matches, facts }))
}

fn gather(
    worker: &Worker,
    mailbox: &Mailbox,
    met: &Met,
    composed: &Composed,
    matches: &Matches,
    settings: &Settings,
) -> Facts {
    let own = mailbox.settings.address.as_str();
    let others: Vec<String> =
        tracking::named(composed).into_iter().filter(|address| !address.eq_ignore_ascii_case(own)).collect();
    tracking::facts(mailbox, met, composed, matches, worker.directory.recipients(&others), settings)
}

async fn promote(
    worker: &Worker,
    mailbox: &Mailbox,
    wanted: Wanted,
    message: Message,
    settings: &Settings,
) -> Result<ItemOutcome, Stop> {
    let read = match read(worker, mailbox, wanted, message, settings).await {
        Ok(Ok(read)) => read,
        Ok(Err(outcome)) => return Ok(outcome),
        Err((item, refused)) => return refusal(item, None, refused),
    };
    let Read { item, composed, matches, facts } = read;
    let acceptance: Acceptance = match judge(&facts, settings) {
        Ok(acceptance) => acceptance,
        Err(rejection) => return Ok(decided(item, ItemResult::Skipped(rejection.into()), facts)),
    };
    let regarding = match &facts.place {
        Place::Folder(id) => mailbox.folders.get(id).map(|folder| folder.regarding),
        Place::Inbox | Place::SentItems => None,
    };
    let header = tracking::header(mailbox, &composed, &matches, (&facts, &acceptance), regarding, settings);
    // Side effects end with the lease, also those in the CRM: whoever has the mailbox now promotes it.
    if !worker.ownership.holds(mailbox.id) {
        return Err(Stop::Fault(Report::new(Code::NotOwner, "the lease of the mailbox is not held any more")));
    }
    match worker.crm.promote(header, composed.contents).await {
        Ok((email_id, created)) => Ok(decided(item, ItemResult::Promoted { email_id, created, acceptance }, facts)),
        Err(refused) => refusal(item, Some(facts), refused),
    }
}

fn refusal(item: Item, facts: Option<Facts>, refused: Refused) -> Result<ItemOutcome, Stop> {
    match refused {
        Refused::Message(report) => {
            Ok(ItemOutcome { facts: facts.map(Box::new), ..ItemOutcome::new(item, ItemResult::Failed(report)) })
        }
        Refused::Unavailable(report) => Err(Stop::Fault(report)),
        Refused::Erased => {
            let result = ItemResult::Skipped(Reason::Erased);
            Ok(ItemOutcome { facts: facts.map(Box::new), ..ItemOutcome::new(item, result) })
        }
    }
}

fn decided(item: Item, result: ItemResult, facts: Facts) -> ItemOutcome {
    ItemOutcome { facts: Some(Box::new(facts)), ..ItemOutcome::new(item, result) }
}

const fn outcome(item: Item, result: ItemResult) -> ItemOutcome {
    ItemOutcome::new(item, result)
}
