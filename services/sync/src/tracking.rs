//! From a message and what the CRM knows about it to the facts of the decision, and from the decision to what the CRM is told. Pure.

use postroad_core::{
    email::{self, Alike, Owners, Resolution, conversation, correlate, eligible, is_forward, subject_changed, tokens},
    mailbox::{Acceptance, Facts, Kind, Mailbox, Mark, Place, Recipient, queue_items},
    organization::Settings,
    record::{self, Record as CoreRecord},
};
use postroad_proto::crm::v1::{EmailSource, Party, PartyRole, PromoteHeader, Record, RecordKind};
use uuid::Uuid;

use crate::{
    crm::{Lookup, Matches, wire},
    message::Composed,
};

/// The most message ids and addresses that are asked about (crm.proto).
const MOST: usize = 1000;

/// Where a message was met.
#[derive(Clone, Debug)]
pub struct Met {
    /// The folder.
    pub place: Place,
    /// Whether a person tracked it.
    pub mark: Option<Mark>,
    /// Whether it was forwarded to a forward mailbox as an attachment.
    pub is_unwrapped: bool,
}

/// What a message is looked up by.
pub fn lookup(message: &Composed, settings: &Settings) -> Lookup {
    let email = &message.email;
    let all = addresses(message, |_| true);
    let compared =
        addresses(message, |role| matches!(role, PartyRole::From | PartyRole::To | PartyRole::Cc | PartyRole::Bcc));
    Lookup {
        message_id: email.message_id.clone(),
        in_reply_to: message.in_reply_to.iter().take(MOST).cloned().collect(),
        references: email.references.iter().rev().take(MOST).cloned().collect(),
        tokens: tokens(&email.subject, &settings.token),
        conversation: conversation(&email.conversation_index).map(<[u8]>::to_vec).unwrap_or_default(),
        alike: settings.smart.enabled.then(|| {
            let subject = email::without_tokens(&email.subject, &settings.token);
            Alike::of(&subject, compared.iter().map(String::as_str), &settings.smart)
        }),
        addresses: all.into_iter().take(MOST).collect(),
    }
}

/// The addresses of parties in lower case, each once, in order.
fn addresses(message: &Composed, wanted: impl Fn(PartyRole) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for party in message.email.parties.iter().filter(|party| wanted(party.role())) {
        let address = party.address.trim().to_lowercase();
        if !address.is_empty() && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// The addresses that To and Cc name.
pub fn named(message: &Composed) -> Vec<String> {
    addresses(message, |role| matches!(role, PartyRole::To | PartyRole::Cc))
}

/// What the decision depends on. `others` are the mailboxes that the message names, besides the one being processed.
pub fn facts(
    mailbox: &Mailbox,
    met: &Met,
    message: &Composed,
    matches: &Matches,
    others: Vec<Recipient>,
    settings: &Settings,
) -> Facts {
    let own = mailbox.settings.address.as_str();
    let is_sent = met.place == Place::SentItems;
    let is_named = is_sent || named(message).iter().any(|address| address.eq_ignore_ascii_case(own));
    let own = Recipient {
        address: own.to_owned(),
        method: mailbox.settings.filtering_method,
        is_named,
        kind: Some(mailbox.settings.kind),
        is_forwarding: mailbox.is_forwarding(),
    };
    // What a user sent is for him alone to judge.
    let others = if is_sent { Vec::new() } else { others };
    let (sender, is_sender_ambiguous) = if is_sent {
        (correspondent(message, matches, settings), false)
    } else {
        let lenient = Settings { ambiguous_sender_unresolved: false, ..settings.clone() };
        let candidates = sender_candidates(message, matches);
        let kind = match email::sender(candidates, mailbox_owner(mailbox, matches), &lenient) {
            Resolution::Record(id) => candidates.iter().find(|record| record.id == id).map(|record| record.kind),
            Resolution::Unknown | Resolution::Ambiguous => None,
        };
        (kind, candidates.len() > 1)
    };
    Facts {
        place: met.place.clone(),
        mark: met.mark,
        correlations: matches.emails.iter().map(|found| found.correlation).collect(),
        sender,
        is_sender_ambiguous,
        recipients: std::iter::once(own).chain(others).collect(),
        sent_copy: matches.outgoing,
        is_forward: is_forward(&message.email.subject),
        is_protected: message.is_protected,
        is_unwrapped: met.is_unwrapped,
    }
}

fn candidates<'a>(address: &str, matches: &'a Matches) -> &'a [CoreRecord] {
    matches.records.get(&address.trim().to_lowercase()).map_or(&[], Vec::as_slice)
}

fn sender_candidates<'a>(message: &Composed, matches: &'a Matches) -> &'a [CoreRecord] {
    let from = message.email.parties.iter().find(|party| party.role() == PartyRole::From);
    from.map_or(&[], |party| candidates(&party.address, matches))
}

/// Of a sent message the first recipient that is any record, people before others.
fn correspondent(message: &Composed, matches: &Matches, settings: &Settings) -> Option<record::Kind> {
    let of = |address: &String| {
        let candidates = candidates(address, matches);
        let found = email::recipient(candidates, settings).into_iter().find_map(|resolution| match resolution {
            Resolution::Record(id) => candidates.iter().find(|record| record.id == id),
            Resolution::Unknown | Resolution::Ambiguous => None,
        });
        found.map(|record| record.kind)
    };
    let kinds: Vec<record::Kind> = named(message).iter().filter_map(of).collect();
    let people = [record::Kind::Contact, record::Kind::Account, record::Kind::Lead];
    kinds.iter().find(|kind| people.contains(kind)).or_else(|| kinds.first()).copied()
}

/// The user to whom a mailbox belongs: himself, or the owner of the queue.
fn mailbox_owner(mailbox: &Mailbox, matches: &Matches) -> Option<Uuid> {
    match mailbox.settings.kind {
        Kind::User(id) => Some(id),
        Kind::Queue(id) => {
            let records = candidates(mailbox.settings.address.as_str(), matches);
            records.iter().find(|record| record.id == id).and_then(|record| record.owner_id)
        }
        Kind::Forward => None,
    }
}

/// What the CRM is told about an accepted message. `regarding` is what its folder imposes.
pub fn header(
    mailbox: &Mailbox,
    message: &Composed,
    matches: &Matches,
    (facts, acceptance): (&Facts, &Acceptance),
    regarding: Option<Uuid>,
    settings: &Settings,
) -> PromoteHeader {
    let mut email = message.email.clone();
    let correlation = correlate(&facts.correlations, facts.is_forward, settings);
    let answered =
        correlation.and_then(|correlation| matches.emails.iter().find(|found| found.correlation == correlation));
    email.parties = parties(mailbox, message, matches, settings);
    if let Some(answered) = answered {
        email.correlated_email_id = answered.correlation.email_id.to_string();
        email.correlation_method = wire::method(answered.correlation.method).into();
        email.is_correlated_parent = answered.correlation.method.finds_parent();
        email.has_correlated_subject_changed = subject_changed(&email.subject, &answered.subject, settings);
    }
    let regarding = regarding.or_else(|| answered.and_then(|answered| answered.regarding));
    email.regarding_id = text(regarding);
    let owner = owner(mailbox, message, matches, answered.and_then(|answered| answered.owner), facts, settings);
    email.owner_id = text(owner);
    if acceptance.mark.is_none() {
        email.accepted_by.clone_from(&acceptance.address);
    }
    let folder_id = match &facts.place {
        Place::Folder(id) => id.clone(),
        Place::Inbox | Place::SentItems => String::new(),
    };
    let source = EmailSource {
        mailbox_id: mailbox.id.to_string(),
        email_address: mailbox.settings.address.as_str().to_owned(),
        folder_id,
        is_untracked: false,
    };
    PromoteHeader {
        create_sender: new_sender(&email.parties, owner, facts, settings),
        queue_ids: queue_items(facts, settings).iter().map(Uuid::to_string).collect(),
        adds_queue_items: settings.queue_items_for_tracked,
        email: Some(email),
        source: Some(source),
    }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Each party as the record that it is; a recipient that is several records becomes several parties.
fn parties(mailbox: &Mailbox, message: &Composed, matches: &Matches, settings: &Settings) -> Vec<Party> {
    let owner = mailbox_owner(mailbox, matches);
    let mut resolved = Vec::with_capacity(message.email.parties.len());
    for party in &message.email.parties {
        let candidates = candidates(&party.address, matches);
        let resolutions = match party.role() {
            PartyRole::From | PartyRole::Sender | PartyRole::ReplyTo => {
                vec![email::sender(candidates, owner, settings)]
            }
            _ => email::recipient(candidates, settings),
        };
        resolved.extend(resolutions.into_iter().map(|resolution| match resolution {
            Resolution::Record(id) => Party { record_id: id.to_string(), ..party.clone() },
            Resolution::Unknown => party.clone(),
            Resolution::Ambiguous => Party { is_ambiguous: true, ..party.clone() },
        }));
    }
    resolved
}

fn owner(
    mailbox: &Mailbox,
    message: &Composed,
    matches: &Matches,
    answered_owner: Option<Uuid>,
    facts: &Facts,
    settings: &Settings,
) -> Option<Uuid> {
    if facts.place == Place::SentItems {
        return mailbox_owner(mailbox, matches);
    }
    let eligible_of = |role: PartyRole| {
        let parties = message.email.parties.iter().filter(move |party| party.role() == role);
        let records = parties.flat_map(|party| {
            let candidates = candidates(&party.address, matches);
            let resolutions = email::recipient(candidates, settings);
            resolutions.into_iter().filter_map(|resolution| match resolution {
                Resolution::Record(id) => candidates.iter().find(|record| record.id == id),
                Resolution::Unknown | Resolution::Ambiguous => None,
            })
        });
        let mut owners: Vec<Uuid> = Vec::new();
        for owner in records.filter_map(eligible) {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        owners
    };
    // By Bcc or a list no header names the mailbox: it stands for itself.
    let hidden = mailbox_owner(mailbox, matches).into_iter().collect();
    let owners = Owners { to: eligible_of(PartyRole::To), cc: eligible_of(PartyRole::Cc), bcc: hidden };
    let sender = match email::sender(sender_candidates(message, matches), None, settings) {
        Resolution::Record(id) => sender_candidates(message, matches).iter().find(|record| record.id == id),
        Resolution::Unknown | Resolution::Ambiguous => None,
    };
    email::owner(&owners, answered_owner, sender.and_then(|record| record.owner_id))
}

/// The contact or lead to create for a sender that nobody knows, if that is switched on.
fn new_sender(parties: &[Party], owner: Option<Uuid>, facts: &Facts, settings: &Settings) -> Option<Record> {
    let kind = match settings.create_sender? {
        record::Kind::Lead => RecordKind::Lead,
        _ => RecordKind::Contact,
    };
    let from = parties.iter().find(|party| party.role() == PartyRole::From)?;
    let is_known = !from.record_id.is_empty() || from.is_ambiguous || facts.place == Place::SentItems;
    if is_known || postroad_core::EmailAddress::parse("address", &from.address).is_err() {
        return None;
    }
    let name = if from.name.trim().is_empty() { from.address.trim() } else { from.name.trim() };
    Some(Record {
        kind: kind.into(),
        name: name.chars().take(200).collect(),
        addresses: vec![from.address.trim().to_owned()],
        owner_id: text(owner),
        ..Record::default()
    })
}
