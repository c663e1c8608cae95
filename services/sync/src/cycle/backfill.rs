//! Reading older mail because Process Email From was lowered: page by page, the newest first, and only while no live mail waits.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    mailbox::{BackfillStep, From, ItemOutcome, ItemResult, Listed, Mark, Page, Place, Reason, judge_listed},
    organization::Settings,
};

use super::{Cycle, End, Stop, fetching, incoming::Wanted, incoming::is_users};
use crate::{exchange::Exchange, tracking::Met};

/// Messages of one page.
const PAGE: u32 = 50;

/// Reads one page, if there is a backfill and it is not paused.
pub async fn advance(cycle: &mut Cycle<'_>, exchange: &dyn Exchange, settings: &Settings) -> Result<End, Stop> {
    let mailbox = cycle.mailbox()?;
    let Some(backfill) = mailbox.sync.backfill.clone().filter(|backfill| !backfill.is_paused) else {
        return Ok(End::Done);
    };
    let (listed, next_before, is_last) = page(exchange, backfill.from, backfill.before).await?;
    cycle.start().await?;
    let mailbox = cycle.mailbox()?;
    let mut seen = HashSet::new();
    let mut skipped = Vec::new();
    let mut wanted = Vec::new();
    for one in listed.iter().filter(|one| seen.insert(one.item.id.clone())) {
        let mark = (one.is_categorized(settings) && is_users(&mailbox)).then_some(Mark::Category);
        match judge_listed(one, mark.is_some(), mailbox.settings.filtering_method, backfill.from.0) {
            Some(reason) => skipped.push(skip(one.item.clone(), reason)),
            None => wanted
                .push(Wanted { item: one.item.clone(), met: Met { place: Place::Inbox, mark, is_unwrapped: false } }),
        }
    }
    let mut outcomes = skipped;
    outcomes.extend(fetching::promote_all(cycle.worker, exchange, &mailbox, &wanted, settings).await?);
    let step = BackfillStep { before: next_before, read: outcomes.len() as u64, is_last };
    cycle.finish(Page { outcomes, backfill: Some(step), ..Page::default() }).await?;
    super::disposal::dispose(cycle, exchange, settings).await?;
    Ok(if is_last { End::Done } else { End::Older })
}

/// The newest messages before a time, where to go on, and whether these were the last. Several may have come in one instant: they are
/// read together, or those beyond the page's end would be lost.
async fn page(exchange: &dyn Exchange, from: From, before: Timestamp) -> Result<(Vec<Listed>, Timestamp, bool), Stop> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut offset = 0;
    loop {
        let found = exchange.older(from, before, offset, PAGE).await.map_err(Stop::Exchange)?;
        listed.extend(found.listed);
        let times = || listed.iter().filter_map(|one| one.item.received);
        let Some((oldest, newest)) = times().min().zip(times().max()) else { return Ok((listed, before, true)) };
        match found.next {
            None => return Ok((listed, oldest, true)),
            Some(next) if oldest == newest => offset = next,
            Some(_) => {
                // The oldest instant is read again with the next page, whole.
                listed.retain(|one| one.item.received.is_none_or(|received| received > oldest));
                let boundary = oldest.checked_add(SignedDuration::from_millis(1)).unwrap_or(oldest);
                return Ok((listed, boundary, false));
            }
        }
    }
}

const fn skip(item: postroad_core::mailbox::Item, reason: Reason) -> ItemOutcome {
    ItemOutcome::new(item, ItemResult::Skipped(reason))
}
