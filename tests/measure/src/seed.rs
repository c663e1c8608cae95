//! Many mailboxes at once: written into the journal as the roles would have written them, without asking anybody.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    Aggregate as _, Refusal,
    mailbox::{
        AdminCommand, AdminFacts, Administration, Approval, CycleCommand, CycleFacts, Cycles, Draft, Event,
        FilteringMethod, From, Kind, Method, Page, PerDirection, ProfileFacts, RetryPolicy, State, Trigger,
    },
};
use postroad_journal::{Actor, Journal, Snapshot};
use uuid::Uuid;

use crate::Error;

/// Appends that are under way at a time.
const AT_A_TIME: usize = 512;

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The numbers of the mailboxes; each has its own address and user.
    pub numbers: std::ops::Range<usize>,
    /// The profile they use.
    pub profile_id: Uuid,
    /// The length of their cursor, and how many successes of idle attempts are in the journal, an hour apart; none: never polled.
    pub idle: Option<(usize, usize)>,
}

/// The address of a number.
pub fn address(number: usize) -> String {
    format!("box{number}@contoso.example")
}

/// The id of a number.
pub fn id(number: usize) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, address(number).as_bytes())
}

/// Writes the mailboxes: approved, tested, enabled for incoming email; gives the number of commits.
pub async fn mailboxes(journal: &Journal, seed: &Seed) -> Result<usize, Error> {
    let write = |number: usize| one(journal, seed, number);
    let commits = stream::iter(seed.numbers.clone()).map(write).buffer_unordered(AT_A_TIME).try_collect::<Vec<_>>();
    Ok(commits.await?.iter().sum())
}

async fn one(journal: &Journal, seed: &Seed, number: usize) -> Result<usize, Error> {
    let (id, actor) = (id(number), Actor::new("measure"));
    let mut known = Snapshot::<Cycles>::default();
    let start = Timestamp::from_second(postroad_rig::clock::now().as_second()).unwrap_or_default();
    let hours = i64::try_from(seed.idle.map_or(0, |(_, attempts)| attempts)).unwrap_or(0);
    let mut at = start - SignedDuration::from_hours(hours);
    let created = |state: &State| set_up(state, id, number, seed.profile_id, at);
    let failed = |error: &dyn std::fmt::Display| Error::Run(format!("seeding: {error}"));
    journal.execute_on(id, &actor, &mut known, created).await.map_err(|error| failed(&error))?;
    let Some((length, attempts)) = seed.idle else { return Ok(1) };
    for attempt in 0..attempts {
        at += SignedDuration::from_hours(1);
        let cursor = (attempt == 0).then(|| "c".repeat(length));
        let finished = |state: &State| {
            let page = Page { cursor: cursor.clone(), ..Page::default() };
            let command =
                CycleCommand::Finish { epoch: 1, started_at: at, trigger: Trigger::Timer, page: Box::new(page) };
            Cycles::decide(state, &command, &cycle_facts(at))
        };
        journal.execute_on(id, &actor, &mut known, finished).await.map_err(|error| failed(&error))?;
    }
    Ok(1 + attempts)
}

fn set_up(state: &State, id: Uuid, number: usize, profile_id: Uuid, at: Timestamp) -> Result<Vec<Event>, Refusal> {
    let draft = Draft {
        name: String::new(),
        kind: Some(Kind::User(Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()))),
        address: address(number),
        profile_id: Some(profile_id),
        methods: PerDirection { incoming: Method::ServerSideSync, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    };
    let facts = AdminFacts {
        now: at,
        address_taken: false,
        regarding_taken: false,
        regarding_known: true,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        retry: RetryPolicy::default(),
    };
    let tested = PerDirection { incoming: Some(Ok(())), ..PerDirection::default() };
    let commands = [
        AdminCommand::Create { id, draft, sealed: None },
        AdminCommand::SetApproval(Approval::Approved),
        AdminCommand::RecordTest(tested),
    ];
    let (mut state, mut all) = (state.clone(), Vec::new());
    for command in &commands {
        let events = Administration::decide(&state, command, &facts)?;
        state = Administration::fold(state, &events);
        all.extend(events);
    }
    all.extend(Cycles::decide(&state, &CycleCommand::Claim { worker: "measure".into() }, &cycle_facts(at))?);
    Ok(all)
}

fn cycle_facts(now: Timestamp) -> CycleFacts {
    CycleFacts {
        now,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        move_failed_emails: true,
        from: From(None),
        marks_tracked: true,
        retry: RetryPolicy::default(),
    }
}
