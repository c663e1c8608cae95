//! The invariants of DESIGN.md as functions, used alike by tests, chaos runs and debug assertions.

use std::collections::HashMap;

use crate::{
    fault::Probe,
    mailbox::{Event, Health, Mailbox, SendEvent},
};

mod outside;

pub use outside::{
    at_most_one_activity, at_most_one_notification, credentials_only_where_released, nothing_passed_over,
    notifications_arrive_once, replay_is_equal, sent_exactly_once,
};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id} is broken: {evidence}")]
pub struct Broken {
    /// Its name, such as `INV-1`.
    pub id: &'static str,
    /// What was seen.
    pub evidence: String,
}

/// INV-1: one verdict per item, rule version and pass, over the history of one mailbox. A later pass is a backfill or a retry that a
/// person asked for.
pub fn one_verdict_per_item<'a>(history: impl IntoIterator<Item = &'a Event>) -> Result<(), Broken> {
    let mut seen = HashMap::new();
    for event in history {
        let Event::AttemptFinished { verdicts, .. } = event else { continue };
        for verdict in verdicts {
            let count = seen.entry((verdict.item.id.clone(), verdict.rule_version, verdict.pass)).or_insert(0_u32);
            *count += 1;
            if *count > 1 {
                let evidence =
                    format!("item {} has {count} verdicts of version {}", verdict.item.id, verdict.rule_version);
                return Err(Broken { id: "INV-1", evidence });
            }
        }
    }
    Ok(())
}

/// INV-4: no attempt begins within a back-off window, over the history of one mailbox.
pub fn no_attempt_within_back_off<'a>(history: impl IntoIterator<Item = &'a Event>) -> Result<(), Broken> {
    let mut until = None;
    for event in history {
        match event {
            Event::Throttled { until: next, .. } => until = Some(*next),
            Event::AttemptStarted { at, .. } if until.is_some_and(|until| *at < until) => {
                return Err(Broken { id: "INV-4", evidence: format!("an attempt began at {at} within a back-off") });
            }
            Event::Tested { .. } => until = None,
            _ => {}
        }
    }
    Ok(())
}

/// INV-6: epochs never go back, over the history of one mailbox.
pub fn stale_owner_cannot_append<'a>(history: impl IntoIterator<Item = &'a Event>) -> Result<(), Broken> {
    let mut current = 0;
    for event in history {
        let epoch = match event {
            Event::Claimed { epoch, .. } => {
                current = *epoch;
                continue;
            }
            Event::AttemptStarted { epoch, .. }
            | Event::AttemptFinished { epoch, .. }
            | Event::AttemptFailed { epoch, .. }
            | Event::Throttled { epoch, .. }
            | Event::Disposed { epoch, .. }
            | Event::BackfillPlanned { epoch, .. }
            | Event::Sending { epoch, .. } => *epoch,
            _ => continue,
        };
        if epoch != current {
            return Err(Broken {
                id: "INV-6",
                evidence: format!("epoch {epoch} wrote while {current} owned the mailbox"),
            });
        }
    }
    Ok(())
}

/// INV-10: a queued mail is sent exactly once, over the history of one mailbox: an attempt is confirmed at most once, only after its
/// draft was ready, and gets no draft after that. Who heard of the outbox before may still mean to send it: the CRM refuses that.
pub fn sent_at_most_once<'a>(history: impl IntoIterator<Item = &'a Event>) -> Result<(), Broken> {
    let mut attempts: HashMap<uuid::Uuid, (u32, Option<bool>)> = HashMap::new();
    for event in history {
        let Event::Sending { event, .. } = event else { continue };
        let id = event.email_id();
        let broken = |what: &str| Err(Broken { id: "INV-10", evidence: format!("email {id} {what}") });
        // The attempt, and whether its draft is ready (false) or it was sent (true).
        let known = attempts.get(&id).copied();
        match (event, known) {
            (SendEvent::Intended { attempt, .. }, Some((last, Some(true)))) if *attempt == last => {}
            (SendEvent::Intended { attempt, .. }, _) => drop(attempts.insert(id, (*attempt, None))),
            (SendEvent::DraftReady { .. }, Some((_, Some(true)))) => return broken("got a draft after it was sent"),
            (SendEvent::DraftReady { .. }, Some((attempt, _))) => drop(attempts.insert(id, (attempt, Some(false)))),
            (SendEvent::Sent { .. }, Some((attempt, Some(false)))) => drop(attempts.insert(id, (attempt, Some(true)))),
            (SendEvent::Sent { .. }, _) => return broken("was sent twice, or without a draft"),
            _ => {}
        }
    }
    Ok(())
}

/// INV-7: a disabled mailbox has a cause, a remedy and a next probe, or somebody who has to act.
pub fn disabled_has_a_way_back(mailbox: &Mailbox) -> Result<(), Broken> {
    let Health::Disabled { report, next_probe, .. } = &mailbox.sync.health else { return Ok(()) };
    let row = report.code.row();
    if row.remedy.is_empty() || (next_probe.is_none() && row.probe == Probe::Growing) {
        let evidence = format!("{} is disabled by {} without a way back", mailbox.settings.address, row.name);
        return Err(Broken { id: "INV-7", evidence });
    }
    Ok(())
}
