//! What the CRM's messages mean.

use postroad_core::{
    EmailAddress,
    email::{Correlation, CorrelationMethod},
    organization::Settings,
    record::{Kind, Record},
};
use postroad_proto::crm::v1::{
    CorrelationMethod as WireMethod, EmailMatch, MatchEmailRequest, MatchEmailResponse, Record as WireRecord,
    RecordKind, SmartMatch,
};
use uuid::Uuid;

use super::{Answered, Lookup, Matches, Refused, unavailable};

/// An id that must be one.
pub fn id(text: &str) -> Result<Uuid, Refused> {
    Uuid::parse_str(text).map_err(|_| unavailable(format!("the CRM answered with the id `{text}`")))
}

fn maybe(text: &str) -> Result<Option<Uuid>, Refused> {
    if text.is_empty() { Ok(None) } else { id(text).map(Some) }
}

pub fn lookup(lookup: &Lookup, settings: &Settings) -> MatchEmailRequest {
    let Lookup { message_id, in_reply_to, references, tokens, conversation, alike, addresses } = lookup.clone();
    let smart = alike.map(|alike| SmartMatch {
        words: alike.words.into_iter().collect(),
        addresses: alike.addresses.into_iter().collect(),
        delta: settings.smart.subject_delta,
        least_addresses: settings.smart.least_addresses,
    });
    MatchEmailRequest { in_reply_to, references, addresses, conversation, message_id, tokens, smart }
}

pub fn matches(answer: MatchEmailResponse) -> Result<Matches, Refused> {
    let records = answer.addresses.into_iter().map(|found| {
        let records = found.records.into_iter().filter_map(|record| self::record(record).transpose());
        Ok((found.address.to_lowercase(), records.collect::<Result<_, _>>()?))
    });
    Ok(Matches {
        emails: answer.emails.into_iter().filter_map(|email| answered(email).transpose()).collect::<Result<_, _>>()?,
        records: records.collect::<Result<_, _>>()?,
        outgoing: maybe(&answer.outgoing_email_id)?,
    })
}

/// Nothing for a method that this version does not know.
fn answered(email: EmailMatch) -> Result<Option<Answered>, Refused> {
    let method = match email.method() {
        WireMethod::Unspecified => return Ok(None),
        WireMethod::InReplyTo => CorrelationMethod::InReplyTo,
        WireMethod::References => CorrelationMethod::References,
        WireMethod::TrackingToken => CorrelationMethod::TrackingToken,
        WireMethod::ConversationIndex => CorrelationMethod::ConversationIndex,
        WireMethod::SmartMatching => CorrelationMethod::SmartMatching,
    };
    Ok(Some(Answered {
        correlation: Correlation { method, email_id: id(&email.email_id)? },
        regarding: maybe(&email.regarding_id)?,
        owner: maybe(&email.owner_id)?,
        subject: email.subject,
    }))
}

/// How a correlation is told.
pub const fn method(method: CorrelationMethod) -> WireMethod {
    match method {
        CorrelationMethod::InReplyTo => WireMethod::InReplyTo,
        CorrelationMethod::References => WireMethod::References,
        CorrelationMethod::TrackingToken => WireMethod::TrackingToken,
        CorrelationMethod::ConversationIndex => WireMethod::ConversationIndex,
        CorrelationMethod::SmartMatching => WireMethod::SmartMatching,
    }
}

/// Nothing for a kind that this version does not know.
fn record(record: WireRecord) -> Result<Option<Record>, Refused> {
    let kind = match record.kind() {
        RecordKind::Unspecified => return Ok(None),
        RecordKind::User => Kind::User,
        RecordKind::Queue => Kind::Queue,
        RecordKind::Contact => Kind::Contact,
        RecordKind::Account => Kind::Account,
        RecordKind::Lead => Kind::Lead,
    };
    Ok(Some(Record {
        id: id(&record.id)?,
        kind,
        name: record.name,
        addresses: record.addresses.into_iter().map(EmailAddress::trusted).collect(),
        active: !record.inactive,
        owner_id: maybe(&record.owner_id)?,
    }))
}
