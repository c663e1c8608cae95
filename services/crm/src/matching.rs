//! What is known about a message before it is decided: plain lookups.

use postroad_core::email::{Alike, Direction};
use postroad_proto::crm::v1::{AddressMatch, EmailMatch, MatchEmailRequest, MatchEmailResponse};

use crate::{
    store::{Answering, Smart, View},
    wire,
};

/// Looks a message up.
pub fn matches(request: &MatchEmailRequest, view: &View) -> MatchEmailResponse {
    let smart = request.smart.as_ref().map(|smart| Smart {
        wanted: Alike {
            words: smart.words.iter().cloned().collect(),
            addresses: smart.addresses.iter().map(|address| address.to_lowercase()).collect(),
        },
        delta: smart.delta as usize,
        least_addresses: smart.least_addresses as usize,
    });
    let found = view.answered(&Answering {
        message_id: &request.message_id,
        in_reply_to: &request.in_reply_to,
        references: &request.references,
        tokens: &request.tokens,
        conversation: Some(request.conversation.as_slice()),
        smart,
    });
    let emails = found.into_iter().filter_map(|correlation| {
        let row = view.activity(correlation.email_id)?;
        let email = &row.activity.email;
        Some(EmailMatch {
            method: wire::correlation_method(correlation).into(),
            email_id: email.id.to_string(),
            subject: email.subject.clone(),
            regarding_id: wire::text_of(email.regarding_id),
            owner_id: wire::text_of(email.owner_id),
        })
    });
    let addresses = request.addresses.iter().filter_map(|address| {
        let records: Vec<_> = view.candidates(address).into_iter().map(wire::record).collect();
        (!records.is_empty()).then(|| AddressMatch { address: address.clone(), records })
    });
    let own = |direction| wire::text_of(view.by_message_id(direction, &request.message_id));
    MatchEmailResponse {
        emails: emails.collect(),
        addresses: addresses.collect(),
        incoming_email_id: own(Direction::Incoming),
        outgoing_email_id: own(Direction::Outgoing),
    }
}
