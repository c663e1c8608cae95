//! Which mailboxes a list has, and how many there are of each kind.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use postroad_core::{
    Refusal,
    fault::{Code, Report},
    mailbox::{Condition, Health, Mailbox},
};
use postroad_proto::mailbox::v1::{
    Condition as WireCondition, ConditionCount, FaultCount, ListMailboxesRequest, SummarizeMailboxesResponse,
};
use postroad_rig::status;
use uuid::Uuid;

use super::view;

/// Which mailboxes are meant; what is empty means all.
#[derive(Debug, Default)]
pub struct Filter {
    /// Of this profile.
    pub profile: Option<Uuid>,
    conditions: Vec<WireCondition>,
    search: String,
    fault: Option<Code>,
}

impl Filter {
    /// From the wire; the profile is looked up by the caller.
    pub fn new(request: &ListMailboxesRequest, profile: Option<Uuid>) -> Result<Self, Refusal> {
        let conditions = request.conditions.iter().map(|number| match WireCondition::try_from(*number) {
            Ok(condition) if condition != WireCondition::Unspecified => Ok(condition),
            _ => Err(Refusal::new(Code::ValueOutOfRange, "conditions", format!("{number} is no condition"))),
        });
        let fault = match request.fault.trim() {
            "" => None,
            name => Some(Code::by_name(&name.to_uppercase()).ok_or_else(|| {
                Refusal::new(
                    Code::NotFound,
                    "fault",
                    format!("there is no fault `{name}`; `postroad fault list` has them"),
                )
            })?),
        };
        Ok(Self {
            profile,
            conditions: conditions.collect::<Result<_, _>>()?,
            search: request.search.trim().to_lowercase(),
            fault,
        })
    }

    /// Whether a mailbox is meant.
    pub fn fits(&self, mailbox: &Mailbox, now: Timestamp) -> bool {
        let settings = &mailbox.settings;
        let has_search = || {
            self.search.is_empty()
                || settings.address.as_str().to_lowercase().contains(&self.search)
                || settings.name.to_lowercase().contains(&self.search)
        };
        (self.profile.is_none() || settings.profile_id == self.profile)
            && (self.conditions.is_empty() || self.conditions.contains(&view::condition(mailbox.condition(now))))
            && (self.fault.is_none() || self.fault == fault(mailbox).map(|report| report.code))
            && has_search()
    }
}

fn fault(mailbox: &Mailbox) -> Option<&Report> {
    match &mailbox.sync.health {
        Health::Failing { report, .. } | Health::Disabled { report, .. } => Some(report),
        Health::Unknown | Health::Healthy => None,
    }
}

/// The first so many by address after a key, and the key after which it goes on.
pub fn page(
    mut found: Vec<(String, Arc<Mailbox>)>,
    start: Option<&str>,
    size: usize,
) -> (Vec<Arc<Mailbox>>, Option<String>) {
    found.retain(|(key, _)| start.is_none_or(|start| key.as_str() > start));
    found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|(key, _)| key.clone());
    (found.into_iter().map(|(_, mailbox)| mailbox).collect(), next)
}

/// Counts mailboxes.
pub fn summarize<'a>(mailboxes: impl Iterator<Item = &'a Mailbox>, now: Timestamp) -> SummarizeMailboxesResponse {
    let mut summary = SummarizeMailboxesResponse::default();
    let mut conditions: BTreeMap<Condition, u32> = BTreeMap::new();
    let mut faults: BTreeMap<&'static str, (Code, u32)> = BTreeMap::new();
    for mailbox in mailboxes {
        summary.total += 1;
        *conditions.entry(mailbox.condition(now)).or_insert(0) += 1;
        if let Some(report) = fault(mailbox).filter(|_| mailbox.active) {
            faults.entry(report.code.row().name).or_insert((report.code, 0)).1 += 1;
        }
        summary.processed += mailbox.sync.processed;
        summary.deferred += mailbox.sync.deferred.len() as u64;
        summary.undeliverable += mailbox.sync.undeliverable.len() as u64;
    }
    let condition = |(condition, mailboxes)| ConditionCount { condition: view::condition(condition).into(), mailboxes };
    summary.conditions = conditions.into_iter().map(condition).collect();
    let count = |(code, mailboxes)| FaultCount { fault: Some(status::to_wire(&Report::new(code, ""))), mailboxes };
    summary.faults = faults.into_values().map(count).collect();
    summary.faults.sort_by_key(|count| std::cmp::Reverse(count.mailboxes));
    summary
}
