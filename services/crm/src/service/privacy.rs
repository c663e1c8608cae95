//! Erasing persons, and the keys of contents: the answers as they are worked out.

use std::collections::BTreeMap;

use futures::{
    Stream, StreamExt as _,
    future::join_all,
    stream::{self, BoxStream},
};
use postroad_core::{
    Refusal,
    fault::{Code, Report},
};
use postroad_journal::Actor;
use postroad_proto::crm::v1::{ErasePersonRequest, ErasePersonResponse, FindPersonResponse, ResealContentKeysResponse};
use postroad_rig::{clock, status};
use tonic::Status;
use uuid::Uuid;

use super::{failed, missing, unavailable};
use crate::{
    content::{self, Contents},
    erase::{Eraser, Outcome},
    store::{Person, Store},
    wire,
};

/// How many emails or keys one answer tells of.
const STEP: usize = 50;

/// Erases a person while the stream is read; what a caller who leaves has begun is ended all the same.
pub fn erase(
    eraser: Eraser,
    store: &Store,
    actor: Actor,
    request: &ErasePersonRequest,
) -> Result<BoxStream<'static, Result<ErasePersonResponse, Status>>, Status> {
    let wanted = request.person.trim();
    let person = store.read(|view| view.person(wanted)).ok_or_else(|| missing("person", wanted))?;
    if let Some(insider) = person.insiders.first() {
        let rule = format!(
            "is an address of the {} {}; only contacts, accounts, leads and people without a record are erased",
            insider.kind.label(),
            insider.name
        );
        return Err(status::refused(&Refusal::new(Code::FieldNotApplicable, "person", rule)));
    }
    let emails = store.read(|view| view.naming(&person.addresses));
    let found = ErasePersonResponse {
        addresses: person.addresses.iter().cloned().collect(),
        records: person.records.iter().map(wire::record).collect(),
        emails: emails.len() as u64,
        written: emails.iter().filter(|(_, wrote, _)| *wrote).count() as u64,
        waiting: emails.iter().filter(|(_, _, waits)| *waits).count() as u64,
        erased: 0,
    };
    if request.dry_run {
        return Ok(stream::iter([Ok(found)]).boxed());
    }
    let ids = emails.into_iter().map(|(id, ..)| id).collect();
    Ok(run(eraser, actor, person, ids, ErasePersonResponse { waiting: 0, ..found }).boxed())
}

/// What is held of a person: addresses and records, then the emails.
pub fn find(store: &Store, wanted: &str) -> Result<BoxStream<'static, Result<FindPersonResponse, Status>>, Status> {
    let wanted = wanted.trim();
    let found = store.read(|view| view.person(wanted).map(|person| (view.naming(&person.addresses), person)));
    let (emails, person) = found.ok_or_else(|| missing("person", wanted))?;
    let who = FindPersonResponse {
        addresses: person.addresses.iter().cloned().collect(),
        records: person.records.iter().chain(&person.insiders).map(wire::record).collect(),
        ..FindPersonResponse::default()
    };
    let pages = emails.chunks(STEP).map(|emails| FindPersonResponse {
        email_ids: emails.iter().map(|(id, ..)| id.to_string()).collect(),
        ..FindPersonResponse::default()
    });
    let told: Vec<_> = std::iter::once(who).chain(pages).map(Ok).collect();
    Ok(stream::iter(told).boxed())
}

fn run(
    eraser: Eraser,
    actor: Actor,
    person: Person,
    ids: Vec<Uuid>,
    found: ErasePersonResponse,
) -> impl Stream<Item = Result<ErasePersonResponse, Status>> + Send {
    let begun = (eraser, actor, Some(person), ids, found);
    stream::try_unfold(Some(begun), async |begun| {
        let Some((eraser, actor, person, mut ids, mut told)) = begun else { return Ok(None) };
        if let Some(person) = person {
            eraser.begin(&actor, &person, clock::now()).await.map_err(failed)?;
        }
        let rest = ids.split_off(ids.len().min(STEP));
        for id in ids {
            match eraser.email(&actor, id, clock::now()).await.map_err(failed)? {
                Outcome::Erased => told.erased += 1,
                Outcome::Waiting => told.waiting += 1,
            }
        }
        let next = (!rest.is_empty()).then(|| (eraser, actor, None, rest, told.clone()));
        Ok(Some((told, next)))
    })
}

/// Puts the keys of contents under the present sealing key while the stream is read, or only looks which are under another one.
pub async fn reseal(
    contents: Contents,
    dry_run: bool,
) -> Result<BoxStream<'static, Result<ResealContentKeysResponse, Status>>, Status> {
    let emails = contents.emails().await.map_err(|error| unavailable(&error))?.chunks(STEP);
    let begun =
        ((contents, dry_run), emails, ResealContentKeysResponse::default(), BTreeMap::<Code, Report>::new(), true);
    let told = stream::try_unfold(begun, async |(keys, mut emails, mut told, mut faults, is_first)| {
        let Some(chunk) = emails.next().await else {
            // One answer at least.
            return Ok(is_first.then(|| (told.clone(), (keys, emails, told, faults, false))));
        };
        let ids: Result<Vec<_>, _> = chunk.into_iter().collect();
        let ids = ids.map_err(|error| unavailable(&error))?;
        for changed in join_all(ids.into_iter().map(|id| look(&keys, id))).await {
            told.done += 1;
            match changed {
                Ok(true) => told.changed += 1,
                Ok(false) => {}
                Err(content::Error::Sealing(error)) => {
                    told.failed += 1;
                    let report = error.report();
                    faults.entry(report.code).or_insert(report);
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
        told.faults = faults.values().map(status::to_wire).collect();
        Ok(Some((told.clone(), (keys, emails, told, faults, false))))
    });
    Ok(told.boxed())
}

async fn look((contents, dry_run): &(Contents, bool), email: Uuid) -> Result<bool, content::Error> {
    if *dry_run { contents.is_under_former(email).await } else { contents.reseal(email).await }
}
