//! The event log of a mailbox as sentences.

use postroad_core::{
    Refusal,
    fault::Code,
    mailbox::{fault_of, sentences},
};
use postroad_proto::mailbox::v1::{ListTimelineRequest, ListTimelineResponse, TimelineEntry};
use postroad_rig::{status, wire};
use tonic::Status;
use uuid::Uuid;

use crate::registry::{Mailboxes, Registry};

/// A page, the oldest first.
pub async fn list(
    registry: &Registry,
    id: Uuid,
    request: &ListTimelineRequest,
) -> Result<ListTimelineResponse, Status> {
    let after = after(registry, id, request).map_err(|refusal| status::refused(&refusal))?;
    let size = wire::page_size(request.page_size);
    let read = registry.journal.history::<Mailboxes>(id, after, size + 1).await;
    let mut commits = read.map_err(|error| status::failed(&error.report()))?;
    let has_more = commits.len() > size;
    commits.truncate(size);
    let next = commits.last().filter(|_| has_more).map(|last| wire::page_token(&last.sequence.to_string()));
    let entries = commits.into_iter().map(|commit| TimelineEntry {
        at: Some(wire::timestamp(commit.at)),
        actor: commit.actor.as_str().to_owned(),
        sentences: commit.events.iter().flat_map(sentences).collect(),
        sequence: commit.sequence,
        fault: commit.events.iter().rev().find_map(fault_of).map(status::to_wire),
    });
    Ok(ListTimelineResponse { entries: entries.collect(), next_page_token: next.unwrap_or_default() })
}

fn after(registry: &Registry, id: Uuid, request: &ListTimelineRequest) -> Result<u64, Refusal> {
    let refused = |_| Refusal::new(Code::PageTokenInvalid, "page_token", "was not issued by this call");
    if let Some(start) = wire::page_start(&request.page_token)? {
        return start.parse().map_err(refused);
    }
    let newest = usize::try_from(request.newest).unwrap_or(usize::MAX);
    let bound = if newest > 0 { registry.directory.before_newest(id, newest) } else { 0 };
    Ok(request.after.max(bound))
}
