//! Verdicts and deferrals.

use postroad_core::{
    email::{Correlation, CorrelationMethod},
    mailbox::{Acceptance, Decision, Deferral, FilteringMethod, Item, Reason, Recipient, Verdict},
};
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
        Decision::Tracked { email_id, created, acceptance } => StoredDecision::Tracked(stored::Tracked {
            email_id: email_id.to_string(),
            created: *created,
            acceptance: acceptance.as_ref().map(write_acceptance),
        }),
        Decision::NotTracked(reason) => StoredDecision::NotTracked(write_reason(reason)),
        Decision::Undeliverable { report: fault, attempts, to_move } => {
            let (attempts, to_move) = (*attempts, *to_move);
            StoredDecision::Undeliverable(stored::Undeliverable { report: Some(report(fault)), attempts, to_move })
        }
    }
}

fn read_decision(decision: StoredDecision) -> Option<Decision> {
    Some(match decision {
        StoredDecision::Tracked(tracked) => Decision::Tracked {
            email_id: Uuid::parse_str(&tracked.email_id).ok()?,
            created: tracked.created,
            acceptance: match tracked.acceptance {
                None => None,
                Some(acceptance) => Some(read_acceptance(acceptance)?),
            },
        },
        StoredDecision::NotTracked(not) => Decision::NotTracked(read_reason(not)?),
        StoredDecision::Undeliverable(undeliverable) => Decision::Undeliverable {
            report: read_report(undeliverable.report?),
            attempts: undeliverable.attempts,
            to_move: undeliverable.to_move,
        },
    })
}

fn write_acceptance(acceptance: &Acceptance) -> stored::Acceptance {
    let Acceptance { address, method, correlation } = acceptance.clone();
    stored::Acceptance {
        address,
        filtering_method: method.number(),
        correlation_method: correlation_number(correlation),
        correlated_email_id: correlation.map(|correlation| correlation.email_id.to_string()).unwrap_or_default(),
    }
}

fn read_acceptance(acceptance: stored::Acceptance) -> Option<Acceptance> {
    let correlation = read_correlation(acceptance.correlation_method, &acceptance.correlated_email_id)?;
    let method = FilteringMethod::by_number(acceptance.filtering_method)?;
    Some(Acceptance { address: acceptance.address, method, correlation })
}

/// The stored number of how a correlation was found; 0 for none.
pub fn correlation_number(correlation: Option<Correlation>) -> u32 {
    correlation.map_or(0, |correlation| match correlation.method {
        CorrelationMethod::InReplyTo => 1,
        CorrelationMethod::References => 2,
        CorrelationMethod::ConversationIndex => 3,
    })
}

/// `None` where it cannot be read, `Some(None)` where there is none.
pub fn read_correlation(method: u32, email_id: &str) -> Option<Option<Correlation>> {
    let method = match method {
        0 => return Some(None),
        1 => CorrelationMethod::InReplyTo,
        2 => CorrelationMethod::References,
        3 => CorrelationMethod::ConversationIndex,
        _ => return None,
    };
    Some(Some(Correlation { method, email_id: Uuid::parse_str(email_id).ok()? }))
}

fn write_recipient(recipient: &Recipient) -> stored::Recipient {
    let Recipient { address, method, is_named } = recipient.clone();
    stored::Recipient { address, filtering_method: method.number(), is_named }
}

fn read_recipient(recipient: stored::Recipient) -> Option<Recipient> {
    let stored::Recipient { address, filtering_method, is_named } = recipient;
    Some(Recipient { address, method: FilteringMethod::by_number(filtering_method)?, is_named })
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
        Reason::NotAccepted(recipients) => {
            stored::NotTracked { recipients: recipients.iter().map(write_recipient).collect(), ..plain(5) }
        }
    }
}

fn read_reason(not: stored::NotTracked) -> Option<Reason> {
    Some(match not.reason {
        1 => Reason::FilteringMethod,
        2 => Reason::BeforeProcessEmailFrom(at(not.process_email_from)?),
        3 => Reason::NotEmail(not.item_class),
        4 => Reason::Gone,
        5 => Reason::NotAccepted(not.recipients.into_iter().map(read_recipient).collect::<Option<_>>()?),
        _ => return None,
    })
}
