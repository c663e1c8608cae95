//! Proving that no message was passed over: every message in a folder has a verdict, waits for one, or is a gap; and every tracked one is
//! in the CRM.

use std::collections::HashSet;

use postroad_core::{
    fault::Report,
    mailbox::{Amendment, Decision, Event, From, Listed, Place},
    organization::Settings,
};
use postroad_proto::sync::v1::{AuditGap, AuditProgress, AuditTotals};
use postroad_rig::wire;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{exchange::Exchange, past, worker::Worker};

/// What is told while it runs.
pub enum Step {
    /// How far it is.
    Progress(AuditProgress),
    /// Something is missing.
    Gap(AuditGap),
}

/// What the journal knows of a mailbox.
#[derive(Default)]
struct Known {
    decided: HashSet<String>,
    tracked: HashSet<Uuid>,
}

/// Audits a mailbox; `tell` hears what is found.
pub async fn run(
    worker: &Worker,
    id: Uuid,
    settings: &Settings,
    tell: mpsc::Sender<Step>,
) -> Result<AuditTotals, Report> {
    let Some((mailbox, profile)) = past::mailbox(worker, id) else { return Ok(AuditTotals::default()) };
    let exchange = past::open(worker, &mailbox, &profile).await?;
    let mut totals = AuditTotals::default();
    let mut places = vec![Place::Inbox];
    places.extend(settings.track_sent_items.then_some(Place::SentItems));
    places.extend(mailbox.folders.keys().cloned().map(Place::Folder));
    // The folders first: what is decided meanwhile is in the journal when that is read.
    let mut lying = Vec::new();
    for place in &places {
        let mut offset = 0;
        let mut compared = 0;
        loop {
            let page = exchange.list(place, offset).await.map_err(|failure| failure.report().clone())?;
            compared += page.listed.len() as u64;
            lying.extend(page.listed.into_iter().map(|listed| (place.clone(), listed)));
            let folder = name(place, &mailbox.folders);
            let _ = tell.send(Step::Progress(AuditProgress { folder, compared, total: page.total })).await;
            match page.next {
                Some(next) => offset = next,
                None => break,
            }
        }
    }
    let known = known(worker, id).await?;
    // As of now, not of the beginning.
    let mailbox = past::mailbox(worker, id).map_or(mailbox, |(mailbox, _)| mailbox);
    let waiting = waiting(&*exchange, &mailbox, &places).await?;
    let from = From(mailbox.process_email_from(profile.settings.process_email_from));
    for (place, listed) in &lying {
        totals.examined += 1;
        let item = &listed.item;
        let is_waiting = waiting.contains(&item.id)
            || mailbox.sync.deferred.contains_key(&item.id)
            || mailbox.sync.undeliverable.contains_key(&item.id);
        let is_old = *place == Place::Inbox && is_older(listed, from);
        if known.decided.contains(&item.id) {
            totals.decided += 1;
        } else if is_waiting {
            totals.waiting += 1;
        } else if is_old {
            totals.older += 1;
        } else {
            totals.gaps += 1;
            let _ = tell
                .send(Step::Gap(gap(listed, "it lies in the folder, has no verdict and does not wait for one")))
                .await;
        }
    }
    for email_id in &known.tracked {
        if worker.crm.has(*email_id).await.map_err(crate::crm::Refused::report)? {
            totals.in_crm += 1;
        } else {
            totals.gaps += 1;
            let what = format!("it is tracked as {email_id}, which the CRM does not have");
            let _ = tell.send(Step::Gap(AuditGap { what, ..AuditGap::default() })).await;
        }
    }
    Ok(totals)
}

fn name(place: &Place, folders: &std::collections::BTreeMap<String, postroad_core::mailbox::TrackedFolder>) -> String {
    match place {
        Place::Inbox => "Inbox".to_owned(),
        Place::SentItems => "Sent Items".to_owned(),
        Place::Folder(id) => folders.get(id).map_or_else(|| id.clone(), |folder| folder.name.clone()),
    }
}

async fn known(worker: &Worker, id: Uuid) -> Result<Known, Report> {
    let mut known = Known::default();
    past::each(worker, id, |_, event| {
        let Event::AttemptFinished { verdicts, amendments, .. } = event else { return };
        for verdict in verdicts {
            known.decided.insert(verdict.item.id.clone());
            if let Decision::Tracked { email_id, .. } = &verdict.decision {
                known.tracked.insert(*email_id);
            }
        }
        for amendment in amendments {
            if let Amendment::Tracked { item, email_id, .. } = amendment {
                known.decided.insert(item.id.clone());
                known.tracked.insert(*email_id);
            }
        }
    })
    .await
    .map_err(|error| error.report())?;
    Ok(known)
}

/// What the next cycle will find by itself: the changes after the stored states.
async fn waiting(
    exchange: &dyn Exchange,
    mailbox: &postroad_core::mailbox::Mailbox,
    places: &[Place],
) -> Result<HashSet<String>, Report> {
    let mut waiting = HashSet::new();
    for place in places {
        let mut cursor = match place {
            Place::Inbox => mailbox.sync.cursor.clone(),
            other => mailbox.sync.folder_cursors.get(other).cloned(),
        };
        loop {
            let changes = exchange.changes(place, cursor.as_deref(), 512).await;
            let changes = changes.map_err(|failure| failure.report().clone())?;
            waiting.extend(changes.listed.into_iter().map(|listed| listed.item.id));
            if !changes.more {
                break;
            }
            cursor = Some(changes.cursor);
        }
    }
    Ok(waiting)
}

fn is_older(listed: &Listed, from: From) -> bool {
    from.0.is_some_and(|from| listed.item.received.is_some_and(|received| received < from))
}

fn gap(listed: &Listed, what: &str) -> AuditGap {
    AuditGap {
        message_id: listed.item.message_id.clone().unwrap_or_default(),
        received_at: listed.item.received.map(wire::timestamp),
        what: what.to_owned(),
    }
}
