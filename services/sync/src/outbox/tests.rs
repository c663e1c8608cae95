//! Sending exactly once (INV-10), killed at every point: between any two calls of journal, CRM and mail server, before the call has an
//! effect and after it, which is a lost answer. Whoever goes on is a new owner with a new epoch; now and then the old one wakes up again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use postroad_core::{
    Aggregate as _,
    invariant::{sent_at_most_once, stale_owner_cannot_append},
    mailbox::{
        AdminCommand, AdminFacts, Administration, Approval, CycleCommand, CycleFacts, Cycles, Draft as Settings, Event,
        FilteringMethod, From, Kind, Listed, Method, PerDirection, Place, ProfileFacts, RetryPolicy, State,
    },
    organization,
};
use postroad_proto::crm::v1::{Attachment, Content, Email, Party, PartyRole, PromoteHeader};

use super::*;
use crate::{
    crm::{Lookup, Matches},
    exchange::{Changes, Done, FolderName, ItemFailure, Listing, Message, NewAttachment, NewDraft},
};

/// The world outlives workers: what the journal, the CRM and the mail server hold.
#[derive(Default)]
struct World {
    state: State,
    history: Vec<Event>,
    queued: Vec<Queued>,
    claimed: HashMap<Uuid, String>,
    done: HashMap<Uuid, EmailStatus>,
    drafts: BTreeMap<String, (Uuid, usize)>,
    sent: Vec<(Uuid, String, usize)>,
    last_id: u64,
    keeps_copies: bool,
}

/// A worker that dies at its n-th call, before or after its effect.
#[derive(Clone)]
struct Worker {
    world: Arc<Mutex<World>>,
    epoch: u64,
    calls: Arc<Mutex<Fate>>,
}

#[derive(Clone, Copy, Default)]
struct Fate {
    made: u32,
    dies_at: Option<(u32, bool)>,
    is_dead: bool,
}

impl Worker {
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap())
    }

    /// One call: whoever dies in it never comes back.
    async fn call<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (before, after) = {
            let mut fate = self.calls.lock().unwrap();
            fate.made += 1;
            let (made, dies_at) = (fate.made, fate.dies_at);
            let dies = |late| dies_at == Some((made, late));
            fate.is_dead |= dies(false) || dies(true);
            (dies(false), dies(true))
        };
        if before {
            std::future::pending::<()>().await;
        }
        let done = self.with(act);
        if after {
            std::future::pending::<()>().await;
        }
        done
    }
}

fn facts() -> CycleFacts {
    CycleFacts {
        now: Timestamp::UNIX_EPOCH,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        move_failed_emails: false,
        from: From(None),
        marks_tracked: false,
        retry: RetryPolicy::default(),
    }
}

#[async_trait]
impl Ledger for Worker {
    fn mailbox(&self) -> Option<Mailbox> {
        self.with(|world| world.state.live().cloned())
    }

    async fn note(&mut self, command: SendCommand) -> Result<(), Stopped> {
        let epoch = self.epoch;
        let noted = self.call(|world| {
            let command = CycleCommand::Send { epoch, command };
            let events = Cycles::decide(&world.state, &command, &facts())?;
            world.state = Cycles::fold(std::mem::take(&mut world.state), &events);
            world.history.extend(events);
            Ok::<_, postroad_core::Refusal>(())
        });
        noted.await.map_err(|_| Stopped::Refused)
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn distance(&self) -> SignedDuration {
        SignedDuration::from_mins(5)
    }
}

fn unused<T>() -> T {
    unreachable!("sending does not ask for this")
}

#[async_trait]
impl Exchange for Worker {
    async fn changes(&self, _: &Place, _: Option<&str>, _: u32) -> Result<Changes, Failure> {
        unused()
    }
    async fn fetch(&self, _: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure> {
        unused()
    }
    async fn move_to_undeliverable(&self, _: &str) -> Done<Option<String>> {
        unused()
    }
    async fn delete(&self, _: &str) -> Done<()> {
        unused()
    }
    async fn categorize(&self, _: &[String], _: &str) -> Result<Vec<Result<(), Report>>, Failure> {
        unused()
    }
    async fn older(&self, _: From, _: Timestamp, _: u32, _: u32) -> Result<Listing, Failure> {
        unused()
    }
    async fn list(&self, _: &Place, _: u32) -> Result<Listing, Failure> {
        unused::<Result<Vec<Listed>, Failure>>().map(|listed| Listing { listed, ..Listing::default() })
    }
    async fn folders(&self) -> Result<Vec<FolderName>, Failure> {
        unused()
    }

    async fn drafts(&self, email_id: Uuid) -> Result<Vec<Draft>, Failure> {
        let found = self.call(|world| {
            let of_email = world.drafts.iter().filter(|(_, (email, _))| *email == email_id);
            of_email.map(|(id, _)| Draft { id: id.clone(), change_key: None }).collect()
        });
        Ok(found.await)
    }

    async fn make_draft(&self, draft: &NewDraft) -> Done<Draft> {
        let made = self.call(|world| {
            world.last_id += 1;
            let id = format!("draft{}", world.last_id);
            world.drafts.insert(id.clone(), (draft.email_id, 0));
            Draft { id, change_key: None }
        });
        Ok(Ok(made.await))
    }

    async fn attach(&self, draft: &Draft, _: &NewAttachment) -> Done<Draft> {
        self.call(|world| world.drafts.get_mut(&draft.id).map(|known| known.1 += 1)).await;
        Ok(Ok(draft.clone()))
    }

    async fn draft(&self, id: &str) -> Result<Option<Draft>, Failure> {
        let is_there = self.call(|world| world.drafts.contains_key(id)).await;
        Ok(is_there.then(|| Draft { id: id.to_owned(), change_key: None }))
    }

    async fn is_sent(&self, email_id: Uuid) -> Result<bool, Failure> {
        Ok(self.call(|world| world.keeps_copies && world.sent.iter().any(|(sent, ..)| *sent == email_id)).await)
    }

    async fn send(&self, draft: &Draft, _: bool) -> Result<SendAnswer, Failure> {
        let answer = self.call(|world| match world.drafts.remove(&draft.id) {
            Some((email, files)) => {
                world.sent.push((email, draft.id.clone(), files));
                SendAnswer::Sent
            }
            None => SendAnswer::Changed,
        });
        Ok(answer.await)
    }

    async fn discard(&self, drafts: &[Draft]) -> Result<(), Failure> {
        self.call(|world| {
            drafts.iter().for_each(|draft| {
                world.drafts.remove(&draft.id);
            })
        })
        .await;
        Ok(())
    }
}

#[async_trait]
impl Crm for Worker {
    async fn settings(&self) -> Result<organization::Settings, Refused> {
        unused()
    }
    async fn matches(&self, _: &Lookup, _: &organization::Settings) -> Result<Matches, Refused> {
        unused()
    }
    async fn promote(&self, _: PromoteHeader, _: Vec<Bytes>) -> Result<(Uuid, bool), Refused> {
        unused()
    }
    async fn untrack(&self, _: Uuid, _: Uuid) -> Result<(), Refused> {
        unused()
    }
    async fn impose(&self, _: Uuid, _: &str, _: Uuid) -> Result<u32, Refused> {
        unused()
    }
    async fn has(&self, _: Uuid) -> Result<bool, Refused> {
        unused()
    }
    async fn has_record(&self, _: Uuid) -> Result<bool, Refused> {
        unused()
    }

    async fn queued(&self) -> Result<Option<BoxStream<'static, Result<Vec<String>, Refused>>>, Refused> {
        unused()
    }

    async fn outbox(&self, _: &str, _: u32) -> Result<Vec<Queued>, Refused> {
        let waiting = self.call(|world| {
            let is_waiting = |queued: &&Queued| !world.done.contains_key(&queued.email_id);
            world.queued.iter().filter(is_waiting).copied().collect()
        });
        Ok(waiting.await)
    }

    async fn claim(&self, queued: Queued, message_id: &str) -> Result<Email, Refused> {
        let message_id =
            self.call(|world| world.claimed.entry(queued.email_id).or_insert_with(|| message_id.to_owned()).clone());
        let message_id = message_id.await;
        let party = |role: PartyRole, address: &str| Party {
            role: role.into(),
            address: address.to_owned(),
            ..Party::default()
        };
        // Larger than what goes into the message itself.
        let large = Attachment {
            name: "plan.bin".into(),
            content_type: "application/octet-stream".into(),
            content: Some(Content { digest: "large".into(), size: 5 << 20 }),
            ..Attachment::default()
        };
        Ok(Email {
            id: queued.email_id.to_string(),
            message_id,
            parties: vec![party(PartyRole::From, "ada@contoso.example"), party(PartyRole::To, "bob@fabrikam.example")],
            attachments: vec![large],
            ..Email::default()
        })
    }

    async fn report(&self, delivery: &Delivery) -> Result<(), Refused> {
        self.call(|world| world.done.insert(delivery.queued.email_id, delivery.status)).await;
        Ok(())
    }

    async fn content(&self, _: &str, _: &str) -> Result<Bytes, Refused> {
        Ok(self.call(|_| Bytes::from(vec![7; 5 << 20])).await)
    }
}

const EMAILS: u128 = 3;

fn world(keeps_copies: bool) -> Arc<Mutex<World>> {
    let draft = Settings {
        name: String::new(),
        kind: Some(Kind::User(Uuid::from_u128(5))),
        address: "ada@contoso.example".into(),
        profile_id: Some(Uuid::from_u128(1)),
        methods: PerDirection { outgoing: Method::ServerSideSync, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    };
    let facts = AdminFacts {
        now: Timestamp::UNIX_EPOCH,
        address_taken: false,
        regarding_taken: false,
        regarding_known: true,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        retry: RetryPolicy::default(),
    };
    let mut state = State::Absent;
    for command in [
        AdminCommand::Create { id: Uuid::from_u128(9), draft, sealed: None },
        AdminCommand::SetApproval(Approval::Approved),
        AdminCommand::RecordTest(PerDirection { outgoing: Some(Ok(())), ..PerDirection::default() }),
    ] {
        let events = Administration::decide(&state, &command, &facts).unwrap();
        state = Administration::fold(state, &events);
    }
    let queued = (1..=EMAILS).map(|id| Queued { email_id: Uuid::from_u128(id), attempt: 1 }).collect();
    Arc::new(Mutex::new(World { state, queued, keeps_copies, ..World::default() }))
}

/// A new owner.
fn claim(world: &Arc<Mutex<World>>, dies_at: Option<(u32, bool)>) -> Worker {
    let mut locked = world.lock().unwrap();
    let events = Cycles::decide(&locked.state, &CycleCommand::Claim { worker: "w".into() }, &facts()).unwrap();
    locked.state = Cycles::fold(std::mem::take(&mut locked.state), &events);
    locked.history.extend(events);
    let epoch = locked.state.live().unwrap().sync.epoch;
    let calls = Arc::new(Mutex::new(Fate { dies_at, ..Fate::default() }));
    Worker { world: Arc::clone(world), epoch, calls }
}

/// Runs one cycle of a worker until it ends or dies; gives whether it died.
fn run(worker: &Worker) -> bool {
    let mut ledger = worker.clone();
    let settings = organization::Settings::default();
    let mut outbox = Outbox { ledger: &mut ledger, exchange: worker, crm: worker, settings: &settings };
    let mut sending = Box::pin(outbox.send());
    // Nothing here waits for anything but death.
    let polled = futures::FutureExt::now_or_never(&mut sending);
    let is_dead = worker.calls.lock().unwrap().is_dead;
    assert!(polled.is_some() || is_dead, "sending waits for nobody");
    is_dead
}

fn check(world: &Arc<Mutex<World>>, what: &str) {
    let world = world.lock().unwrap();
    for id in (1..=EMAILS).map(Uuid::from_u128) {
        let sent: Vec<_> = world.sent.iter().filter(|(email, ..)| *email == id).collect();
        assert_eq!(sent.len(), 1, "{what}: email {id} was sent {} times", sent.len());
        assert_eq!(sent[0].2, 1, "{what}: email {id} lost its attachment");
        assert_eq!(world.done.get(&id), Some(&EmailStatus::Sent), "{what}: the CRM was not told of {id}");
    }
    let order: Vec<_> = world.sent.iter().map(|(email, ..)| email.as_u128()).collect();
    assert!(order.is_sorted(), "{what}: {order:?}");
    assert!(world.drafts.is_empty(), "{what}: drafts are left: {:?}", world.drafts);
    sent_at_most_once(&world.history).unwrap();
    stale_owner_cannot_append(&world.history).unwrap();
}

/// How many calls a cycle without any trouble makes.
fn calls() -> u32 {
    let world = world(true);
    let worker = claim(&world, None);
    assert!(!run(&worker));
    check(&world, "without trouble");
    let fate = *worker.calls.lock().unwrap();
    fate.made
}

#[test]
fn killed_once_at_every_point_nothing_is_lost_or_sent_twice() {
    for dies_at in (1..=calls()).flat_map(|call| [(call, false), (call, true)]) {
        for keeps_copies in [true, false] {
            let world = world(keeps_copies);
            assert!(run(&claim(&world, Some(dies_at))));
            assert!(!run(&claim(&world, None)));
            check(&world, &format!("killed at {dies_at:?}"));
        }
    }
}

/// Thousands of kills: each pair of points, the second owner dying too, and a third one finishing.
#[test]
fn killed_twice_at_every_pair_of_points_nothing_is_lost_or_sent_twice() {
    let calls = calls();
    let points = || (1..=calls).flat_map(|call| [(call, false), (call, true)]);
    let mut kills = 0;
    for first in points() {
        for second in points() {
            let world = world(true);
            kills += u32::from(run(&claim(&world, Some(first))));
            kills += u32::from(run(&claim(&world, Some(second))));
            assert!(!run(&claim(&world, None)));
            check(&world, &format!("killed at {first:?} and {second:?}"));
        }
    }
    assert!(kills > 4000, "{kills}");
}

/// A worker that slept while another one took over, and goes on at any point: the journal refuses it, or Exchange does.
#[test]
fn a_worker_that_wakes_late_sends_nothing_twice() {
    for sleeps_at in 1..=calls() {
        let world = world(true);
        let old = claim(&world, Some((sleeps_at, true)));
        let mut ledger = old.clone();
        let settings = organization::Settings::default();
        let mut outbox = Outbox { ledger: &mut ledger, exchange: &old, crm: &old, settings: &settings };
        let mut sending = Box::pin(outbox.send());
        assert!(futures::FutureExt::now_or_never(&mut sending).is_none());
        drop(sending);
        assert!(!run(&claim(&world, None)));
        // It does not know what happened meanwhile, and has the old epoch.
        let woken = Worker { calls: Arc::default(), ..old };
        run(&woken);
        check(&world, &format!("asleep at {sleeps_at}"));
    }
}
