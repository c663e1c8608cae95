//! Verdicts and deferrals.

use postroad_core::mailbox::{Decision, Deferral, Item, Reason, Verdict};
use postroad_proto::journal::v1::verdict::Decision as StoredDecision;
use uuid::Uuid;

use super::{at, maybe_at, read_report, report, some, stored, time};

pub fn write_verdict(verdict: &Verdict) -> stored::Verdict {
    let Verdict { item, decision, rule_version } = verdict;
    stored::Verdict {
        item: Some(write_item(item)),
        rule_version: *rule_version,
        decision: Some(write_decision(decision)),
    }
}

pub fn read_verdict(verdict: stored::Verdict) -> Option<Verdict> {
    let stored::Verdict { item, rule_version, decision } = verdict;
    Some(Verdict { item: read_item(item?)?, decision: read_decision(decision?)?, rule_version })
}

pub fn write_deferral(deferral: &Deferral) -> stored::Deferral {
    let Deferral { item, attempts, report: fault } = deferral;
    stored::Deferral { item: Some(write_item(item)), attempts: *attempts, report: Some(report(fault)) }
}

pub fn read_deferral(deferral: stored::Deferral) -> Option<Deferral> {
    let stored::Deferral { item, attempts, report } = deferral;
    Some(Deferral { item: read_item(item?)?, attempts, report: read_report(report?) })
}

fn write_item(item: &Item) -> stored::Item {
    let Item { id, message_id, received } = item.clone();
    stored::Item { id, message_id: message_id.unwrap_or_default(), received: received.map(time) }
}

fn read_item(item: stored::Item) -> Option<Item> {
    let stored::Item { id, message_id, received } = item;
    Some(Item { id, message_id: some(message_id), received: maybe_at(received)? })
}

fn write_decision(decision: &Decision) -> StoredDecision {
    match decision {
        Decision::Tracked { email_id, created } => {
            StoredDecision::Tracked(stored::Tracked { email_id: email_id.to_string(), created: *created })
        }
        Decision::NotTracked(reason) => StoredDecision::NotTracked(write_reason(reason)),
        Decision::Undeliverable { report: fault, attempts, to_move } => {
            let (attempts, to_move) = (*attempts, *to_move);
            StoredDecision::Undeliverable(stored::Undeliverable { report: Some(report(fault)), attempts, to_move })
        }
    }
}

fn read_decision(decision: StoredDecision) -> Option<Decision> {
    Some(match decision {
        StoredDecision::Tracked(tracked) => {
            Decision::Tracked { email_id: Uuid::parse_str(&tracked.email_id).ok()?, created: tracked.created }
        }
        StoredDecision::NotTracked(not) => Decision::NotTracked(read_reason(not)?),
        StoredDecision::Undeliverable(undeliverable) => Decision::Undeliverable {
            report: read_report(undeliverable.report?),
            attempts: undeliverable.attempts,
            to_move: undeliverable.to_move,
        },
    })
}

fn write_reason(reason: &Reason) -> stored::NotTracked {
    let plain = |reason| stored::NotTracked { reason, ..stored::NotTracked::default() };
    match reason {
        Reason::FilteringMethod => plain(1),
        Reason::BeforeProcessEmailFrom(from) => {
            stored::NotTracked { process_email_from: Some(time(*from)), ..plain(2) }
        }
        Reason::NotEmail(class) => stored::NotTracked { item_class: class.clone(), ..plain(3) },
        Reason::Gone => plain(4),
    }
}

fn read_reason(not: stored::NotTracked) -> Option<Reason> {
    Some(match not.reason {
        1 => Reason::FilteringMethod,
        2 => Reason::BeforeProcessEmailFrom(at(not.process_email_from)?),
        3 => Reason::NotEmail(not.item_class),
        4 => Reason::Gone,
        _ => return None,
    })
}
