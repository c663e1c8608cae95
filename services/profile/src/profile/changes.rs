//! The audit history: who changed which field from what to what, out of the journal.

use postroad_core::{
    Aggregate as _, Refusal,
    fault::Code,
    profile::{Event, FieldChange, Rules, State, changes},
};
use postroad_journal::{Commit, Journal};
use postroad_proto::profile::v1::{ListProfileChangesRequest, ListProfileChangesResponse, ProfileChange};
use postroad_rig::{status, wire};
use tonic::Status;
use uuid::Uuid;

/// Commits read at a time.
const BATCH: usize = 500;

/// A page of the history, the newest first.
pub async fn list(
    journal: &Journal,
    id: Uuid,
    request: &ListProfileChangesRequest,
) -> Result<ListProfileChangesResponse, Status> {
    let skip = skipped(&request.page_token).map_err(|refusal| status::refused(&refusal))?;
    let mut all = read(journal, id).await?;
    all.reverse();
    let size = wire::page_size(request.page_size);
    let next = (all.len() > skip + size).then(|| wire::page_token(&(skip + size).to_string()));
    let page = all.into_iter().skip(skip).take(size).collect();
    Ok(ListProfileChangesResponse { changes: page, next_page_token: next.unwrap_or_default() })
}

/// Pages are counted from the newest change at the time of the call; changes in between shift them.
fn skipped(token: &str) -> Result<usize, Refusal> {
    let start = wire::page_start(token)?;
    let refused = |_| Refusal::new(Code::PageTokenInvalid, "page_token", "was not issued by this call");
    start.map_or(Ok(0), |start| start.parse().map_err(refused))
}

async fn read(journal: &Journal, id: Uuid) -> Result<Vec<ProfileChange>, Status> {
    let mut state = State::default();
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let commits =
            journal.history::<Rules>(id, after, BATCH).await.map_err(|error| status::failed(&error.report()))?;
        let Some(last) = commits.last() else { return Ok(found) };
        after = last.sequence;
        for commit in &commits {
            for event in &commit.events {
                let before = state.live().map(|profile| profile.settings.clone());
                found.extend(changed(before.as_ref(), event).into_iter().map(|change| to_wire(commit, change)));
                state = Rules::evolve(state, event);
            }
        }
    }
}

fn changed(before: Option<&postroad_core::profile::Settings>, event: &Event) -> Vec<FieldChange> {
    let act = |field, from: &str, to: &str| vec![FieldChange { field, from: from.to_owned(), to: to.to_owned() }];
    match event {
        Event::Created { settings, .. } | Event::Changed { settings } => changes(before, settings),
        // Never the password itself, in neither form.
        Event::PasswordSet { .. } => act("password", "", "(changed)"),
        Event::Resealed { sealed } => act("sealing key", "", &sealed.key_id),
        Event::Activated => act("active", "No", "Yes"),
        Event::Deactivated => act("active", "Yes", "No"),
        Event::Deleted => act("deleted", "No", "Yes"),
        Event::Tested { .. } => Vec::new(),
    }
}

fn to_wire(commit: &Commit<Event>, change: FieldChange) -> ProfileChange {
    ProfileChange {
        at: Some(wire::timestamp(commit.at)),
        actor: commit.actor.as_str().to_owned(),
        field: change.field.to_owned(),
        from: change.from,
        to: change.to,
    }
}
