//! Verdicts and deferrals, with the facts that led to them.

use postroad_core::{
    email::{Correlation, CorrelationMethod},
    mailbox::{
        Acceptance, Decision, Deferral, Disposal, Facts, FilteringMethod, Item, Kind, Reason, Recipient, Verdict,
    },
};
use postroad_proto::journal::v1::verdict::Decision as StoredDecision;
use uuid::Uuid;

use super::{
    at,
    look::{maybe, read_mark, read_place, write_mark, write_place},
    maybe_at, read_report, record, report, some, stored, time,
};

pub fn write_verdict(verdict: &Verdict) -> stored::Verdict {
    let Verdict { item, decision, rule_version, pass, facts, disposal } = verdict;
    stored::Verdict {
        item: Some(write_item(item)),
        rule_version: *rule_version,
        decision: Some(write_decision(decision, *disposal)),
        pass: *pass,
        facts: facts.as_deref().map(write_facts),
        disposal: write_disposal(*disposal),
    }
}

pub fn read_verdict(verdict: stored::Verdict) -> Option<Verdict> {
    let stored::Verdict { item, rule_version, decision, pass, facts, disposal } = verdict;
    let decision = decision?;
    // The first versions moved messages to the folder, or did nothing.
    let was_moved = matches!(&decision, StoredDecision::Undeliverable(undeliverable) if undeliverable.to_move);
    let disposal = read_disposal(disposal)?.or_else(|| was_moved.then_some(Disposal::UndeliverableFolder));
    Some(Verdict {
        item: read_item(item?)?,
        decision: read_decision(decision)?,
        rule_version,
        pass,
        facts: maybe(facts, read_facts)?.map(Box::new),
        disposal,
    })
}

pub fn write_deferral(deferral: &Deferral) -> stored::Deferral {
    let Deferral { item, attempts, report: fault, pass, place, mark } = deferral;
    stored::Deferral {
        item: Some(write_item(item)),
        attempts: *attempts,
        report: Some(report(fault)),
        pass: *pass,
        place: Some(write_place(place)),
        mark: write_mark(*mark),
    }
}

pub fn read_deferral(deferral: stored::Deferral) -> Option<Deferral> {
    let stored::Deferral { item, attempts, report, pass, place, mark } = deferral;
    Some(Deferral {
        item: read_item(item?)?,
        attempts,
        report: read_report(report?),
        pass,
        place: maybe(place, read_place)?.unwrap_or_default(),
        mark: read_mark(mark)?,
    })
}

pub fn write_item(item: &Item) -> stored::Item {
    let Item { id, message_id, received } = item.clone();
    stored::Item { id, message_id: message_id.unwrap_or_default(), received: received.map(time) }
}

pub fn read_item(item: stored::Item) -> Option<Item> {
    let stored::Item { id, message_id, received } = item;
    Some(Item { id, message_id: some(message_id), received: maybe_at(received)? })
}

fn write_disposal(disposal: Option<Disposal>) -> u32 {
    disposal.map_or(0, |disposal| match disposal {
        Disposal::UndeliverableFolder => 1,
        Disposal::UndeliverableCategory => 2,
        Disposal::TrackedCategory => 3,
        Disposal::DeletedItems => 4,
    })
}

const fn read_disposal(disposal: u32) -> Option<Option<Disposal>> {
    Some(match disposal {
        0 => None,
        1 => Some(Disposal::UndeliverableFolder),
        2 => Some(Disposal::UndeliverableCategory),
        3 => Some(Disposal::TrackedCategory),
        4 => Some(Disposal::DeletedItems),
        _ => return None,
    })
}

fn write_decision(decision: &Decision, disposal: Option<Disposal>) -> StoredDecision {
    match decision {
        Decision::Tracked { email_id, created, acceptance } => StoredDecision::Tracked(stored::Tracked {
            email_id: email_id.to_string(),
            created: *created,
            acceptance: acceptance.as_ref().map(write_acceptance),
        }),
        Decision::NotTracked(reason) => StoredDecision::NotTracked(write_reason(reason)),
        Decision::Undeliverable { report: fault, attempts } => StoredDecision::Undeliverable(stored::Undeliverable {
            report: Some(report(fault)),
            attempts: *attempts,
            to_move: disposal == Some(Disposal::UndeliverableFolder),
        }),
    }
}

fn read_decision(decision: StoredDecision) -> Option<Decision> {
    Some(match decision {
        StoredDecision::Tracked(tracked) => Decision::Tracked {
            email_id: Uuid::parse_str(&tracked.email_id).ok()?,
            created: tracked.created,
            acceptance: maybe(tracked.acceptance, read_acceptance)?,
        },
        StoredDecision::NotTracked(not) => Decision::NotTracked(read_reason(not)?),
        StoredDecision::Undeliverable(undeliverable) => {
            Decision::Undeliverable { report: read_report(undeliverable.report?), attempts: undeliverable.attempts }
        }
    })
}

fn write_facts(facts: &Facts) -> stored::Facts {
    let Facts {
        place,
        mark,
        correlations,
        sender,
        is_sender_ambiguous,
        recipients,
        sent_copy,
        is_forward,
        is_protected,
        is_unwrapped,
    } = facts;
    stored::Facts {
        place: Some(write_place(place)),
        mark: write_mark(*mark),
        correlations: correlations.iter().map(write_correlation).collect(),
        sender: sender.map_or(0, record::write_kind),
        is_sender_ambiguous: *is_sender_ambiguous,
        recipients: recipients.iter().map(write_recipient).collect(),
        sent_copy: sent_copy.map(|id| id.to_string()).unwrap_or_default(),
        is_forward: *is_forward,
        is_protected: *is_protected,
        is_unwrapped: *is_unwrapped,
    }
}

fn read_facts(facts: stored::Facts) -> Option<Facts> {
    Some(Facts {
        place: read_place(facts.place?)?,
        mark: read_mark(facts.mark)?,
        correlations: facts.correlations.iter().map(read_one_correlation).collect::<Option<_>>()?,
        sender: if facts.sender == 0 { None } else { Some(record::read_kind(facts.sender)?) },
        is_sender_ambiguous: facts.is_sender_ambiguous,
        recipients: facts.recipients.into_iter().map(read_recipient).collect::<Option<_>>()?,
        sent_copy: read_id(&facts.sent_copy)?,
        is_forward: facts.is_forward,
        is_protected: facts.is_protected,
        is_unwrapped: facts.is_unwrapped,
    })
}

/// The outer `None` is one that cannot be read.
fn read_id(text: &str) -> Option<Option<Uuid>> {
    if text.is_empty() { Some(None) } else { Uuid::parse_str(text).ok().map(Some) }
}

fn write_correlation(correlation: &Correlation) -> stored::Correlation {
    let email_id = correlation.email_id.to_string();
    stored::Correlation { method: correlation_number(Some(*correlation)), email_id }
}

fn read_one_correlation(correlation: &stored::Correlation) -> Option<Correlation> {
    read_correlation(correlation.method, &correlation.email_id)?
}

fn write_acceptance(acceptance: &Acceptance) -> stored::Acceptance {
    let Acceptance { address, method, correlation, mark } = acceptance.clone();
    stored::Acceptance {
        address,
        filtering_method: method.number(),
        correlation_method: correlation_number(correlation),
        correlated_email_id: correlation.map(|correlation| correlation.email_id.to_string()).unwrap_or_default(),
        mark: write_mark(mark),
    }
}

fn read_acceptance(acceptance: stored::Acceptance) -> Option<Acceptance> {
    let correlation = read_correlation(acceptance.correlation_method, &acceptance.correlated_email_id)?;
    let method = FilteringMethod::by_number(acceptance.filtering_method)?;
    Some(Acceptance { address: acceptance.address, method, correlation, mark: read_mark(acceptance.mark)? })
}

/// The stored number of how a correlation was found; 0 for none.
pub fn correlation_number(correlation: Option<Correlation>) -> u32 {
    correlation.map_or(0, |correlation| match correlation.method {
        CorrelationMethod::InReplyTo => 1,
        CorrelationMethod::References => 2,
        CorrelationMethod::ConversationIndex => 3,
        CorrelationMethod::TrackingToken => 4,
        CorrelationMethod::SmartMatching => 5,
    })
}

/// `None` where it cannot be read, `Some(None)` where there is none.
pub fn read_correlation(method: u32, email_id: &str) -> Option<Option<Correlation>> {
    let method = match method {
        0 => return Some(None),
        1 => CorrelationMethod::InReplyTo,
        2 => CorrelationMethod::References,
        3 => CorrelationMethod::ConversationIndex,
        4 => CorrelationMethod::TrackingToken,
        5 => CorrelationMethod::SmartMatching,
        _ => return None,
    };
    Some(Some(Correlation { method, email_id: Uuid::parse_str(email_id).ok()? }))
}

fn write_recipient(recipient: &Recipient) -> stored::Recipient {
    let Recipient { address, method, is_named, kind, is_forwarding } = recipient.clone();
    let (kind, regarding_id) = match kind {
        None => (0, String::new()),
        Some(Kind::User(id)) => (1, id.to_string()),
        Some(Kind::Queue(id)) => (2, id.to_string()),
        Some(Kind::Forward) => (3, String::new()),
    };
    stored::Recipient { address, filtering_method: method.number(), is_named, kind, regarding_id, is_forwarding }
}

fn read_recipient(recipient: stored::Recipient) -> Option<Recipient> {
    let stored::Recipient { address, filtering_method, is_named, kind, regarding_id, is_forwarding } = recipient;
    let id = || Uuid::parse_str(&regarding_id).ok();
    let kind = match kind {
        0 => None,
        1 => Some(Kind::User(id()?)),
        2 => Some(Kind::Queue(id()?)),
        3 => Some(Kind::Forward),
        _ => return None,
    };
    Some(Recipient { address, method: FilteringMethod::by_number(filtering_method)?, is_named, kind, is_forwarding })
}

fn write_reason(reason: &Reason) -> stored::NotTracked {
    let plain = |reason| stored::NotTracked { reason, ..stored::NotTracked::default() };
    let asked = |recipients: &[Recipient]| recipients.iter().map(write_recipient).collect();
    match reason {
        Reason::FilteringMethod => plain(1),
        Reason::BeforeProcessEmailFrom(from) => {
            stored::NotTracked { process_email_from: Some(time(*from)), ..plain(2) }
        }
        Reason::NotEmail(class) => stored::NotTracked { item_class: class.clone(), ..plain(3) },
        Reason::Gone => plain(4),
        Reason::NotAccepted(recipients) => stored::NotTracked { recipients: asked(recipients), ..plain(5) },
        Reason::NotNamed(recipients) => stored::NotTracked { recipients: asked(recipients), ..plain(6) },
        Reason::Internal(copy) => {
            stored::NotTracked { sent_copy: copy.map(|id| id.to_string()).unwrap_or_default(), ..plain(7) }
        }
        Reason::Protected => plain(8),
        Reason::InvalidForward => plain(9),
        Reason::NotForwarded => plain(10),
        Reason::Erased => plain(11),
    }
}

fn read_reason(not: stored::NotTracked) -> Option<Reason> {
    let asked = |recipients: Vec<stored::Recipient>| recipients.into_iter().map(read_recipient).collect::<Option<_>>();
    Some(match not.reason {
        1 => Reason::FilteringMethod,
        2 => Reason::BeforeProcessEmailFrom(at(not.process_email_from)?),
        3 => Reason::NotEmail(not.item_class),
        4 => Reason::Gone,
        5 => Reason::NotAccepted(asked(not.recipients)?),
        6 => Reason::NotNamed(asked(not.recipients)?),
        7 => Reason::Internal(read_id(&not.sent_copy)?),
        8 => Reason::Protected,
        9 => Reason::InvalidForward,
        10 => Reason::NotForwarded,
        11 => Reason::Erased,
        _ => return None,
    })
}
