//! Notifications: mailboxes of one server, group and account share a hanging connection, and what comes over it says only that a mailbox
//! is to be looked at. Polls go on underneath, ever less often while nothing comes ([`postroad_core::mailbox::Polling`]).
//!
//! A mailbox joins after a cycle that went well, so that what cannot be reached is not subscribed to; it is looked at once more when its
//! stream is open, since between that cycle and the subscription nobody listened.

use std::{
    collections::{BTreeSet, HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use postroad_core::{
    mailbox::{Health, Kind, Mailbox, Place as Folder},
    streaming::{GROUP, Next, Trial},
};
use postroad_rig::clock;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    lock::lock,
    pace::{Account, server_of},
    place::{self, Place},
    worker::Worker,
};

mod group;

/// What mailboxes must have in common to share a connection (PROTOCOL.md §8.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Host and port.
    pub server: Arc<str>,
    /// Autodiscover's `GroupingInformation`; empty for fixed locations.
    pub grouping: Arc<str>,
    /// Who logs on.
    pub account: Account,
}

/// The notifications of one worker.
pub struct Streams {
    is_on: bool,
    /// A stream that says nothing for so long is dead.
    silence: Duration,
    members: Mutex<HashMap<Uuid, Member>>,
    groups: Mutex<HashMap<Key, Vec<Arc<Handle>>>>,
    /// Groups that are polled for the time being, and why.
    resting: Mutex<HashMap<Key, Resting>>,
    /// Groups that fell apart.
    apart: Mutex<HashMap<Key, Trial>>,
    /// Mailboxes that are polled for the time being.
    excused: Mutex<HashMap<Uuid, Instant>>,
    /// Open connections.
    open: AtomicUsize,
    joining: mpsc::UnboundedSender<Uuid>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Uuid>>>,
}

/// A mailbox with a subscription, or on its way to one.
struct Member {
    /// None while it is on its way.
    group: Option<Arc<Handle>>,
    /// Which folders are listened to.
    folders: u64,
    is_notified: bool,
}

/// A group from outside.
struct Handle {
    key: Key,
    wishes: mpsc::UnboundedSender<Wish>,
    size: AtomicUsize,
}

/// Who comes and goes.
enum Wish {
    Join { id: Uuid, place: Box<Place>, folders: Vec<Folder> },
    Leave(Uuid),
}

struct Resting {
    until: Instant,
    remark: String,
}

/// Streams that did not come through are tried again after so long.
const RETRY: Duration = Duration::from_secs(60 * 60);
/// A mailbox whose subscription was refused, or that found no connection, is polled for so long.
const EXCUSED: Duration = Duration::from_secs(10 * 60);
/// Mailboxes that are located at a time to join.
const JOINING: usize = 16;

impl Streams {
    /// Nobody is subscribed to yet.
    pub fn new(is_on: bool, silence: Duration) -> Self {
        let (joining, waiting) = mpsc::unbounded_channel();
        Self {
            is_on,
            silence,
            members: Mutex::default(),
            groups: Mutex::default(),
            resting: Mutex::default(),
            apart: Mutex::default(),
            excused: Mutex::default(),
            open: AtomicUsize::new(0),
            joining,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// Whether notifications of a mailbox arrive.
    pub fn is_notified(&self, id: Uuid) -> bool {
        self.is_on && lock(&self.members).get(&id).is_some_and(|member| member.is_notified)
    }

    /// How many mailboxes notifications arrive of.
    pub fn notified(&self) -> usize {
        lock(&self.members).values().filter(|member| member.is_notified).count()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// What a person should know: where polling takes the place of notifications, and why.
    pub fn remarks(&self) -> Vec<String> {
        let now = clock::instant();
        let mut resting = lock(&self.resting);
        resting.retain(|_, resting| resting.until > now);
        let remarks: BTreeSet<String> = resting.values().map(|resting| resting.remark.clone()).collect();
        remarks.into_iter().collect()
    }

    /// A cycle of a mailbox went well: it joins a group, unless it is in one that listens to its folders.
    pub fn consider(&self, id: Uuid, folders: u64) {
        if !self.is_on {
            return;
        }
        let mut members = lock(&self.members);
        if members.get(&id).is_some_and(|member| member.folders == folders) {
            return;
        }
        let is_excused = {
            let now = clock::instant();
            let mut excused = lock(&self.excused);
            excused.get(&id).is_some_and(|until| *until > now) || excused.remove(&id).is_some_and(|_| false)
        };
        if is_excused {
            return;
        }
        let before = members.insert(id, Member { group: None, folders, is_notified: false });
        drop(members);
        before.into_iter().for_each(|member| Self::part(id, member));
        let _closed = self.joining.send(id);
    }

    /// A mailbox is no longer to be listened to.
    pub fn leave(&self, id: Uuid) {
        let member = lock(&self.members).remove(&id);
        member.into_iter().for_each(|member| Self::part(id, member));
    }

    fn part(id: Uuid, member: Member) {
        if let Some(group) = member.group {
            group.size.fetch_sub(1, Ordering::Relaxed);
            drop(group.wishes.send(Wish::Leave(id)));
        }
    }

    /// A mailbox is no longer of its group, as the group knows.
    fn release(&self, id: Uuid) {
        if let Some(group) = lock(&self.members).remove(&id).and_then(|member| member.group) {
            group.size.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How long to wait until the mailboxes of a group that fell apart are looked at again.
    fn apart(&self, key: &Key) -> Duration {
        match lock(&self.apart).entry(key.clone()).or_default().broke() {
            Next::Reopen(pause) => pause,
            Next::Poll => EXCUSED,
        }
    }

    /// Streams of a key work.
    fn heard(&self, key: &Key) {
        lock(&self.apart).remove(key);
    }

    /// A mailbox is polled for a while.
    fn excuse(&self, id: Uuid, until: Instant) {
        lock(&self.members).remove(&id);
        lock(&self.excused).insert(id, until);
    }

    /// Notes whether notifications of mailboxes arrive now.
    fn set_notified(&self, ids: impl IntoIterator<Item = Uuid>, is_notified: bool) {
        let mut members = lock(&self.members);
        for id in ids {
            if let Some(member) = members.get_mut(&id) {
                member.is_notified = is_notified;
            }
        }
    }

    /// Notifications do not work for a group: its mailboxes are polled, and it is said once.
    fn rest(&self, key: &Key, lasting: Duration, why: &str, ids: impl IntoIterator<Item = Uuid>) {
        let until = clock::instant() + lasting;
        let remark = format!("{}: {why}; its mailboxes are polled", key.server);
        tracing::warn!(server = %key.server, remark, "no notifications");
        lock(&self.resting).insert(key.clone(), Resting { until, remark });
        ids.into_iter().for_each(|id| self.excuse(id, until));
    }

    fn rests_until(&self, key: &Key) -> Option<Instant> {
        let now = clock::instant();
        lock(&self.resting).get(key).map(|resting| resting.until).filter(|until| *until > now)
    }

    /// The group of a key that has room, with a place taken in it; the receiver of a new one.
    fn group(&self, key: &Key) -> (Arc<Handle>, Option<mpsc::UnboundedReceiver<Wish>>) {
        let mut groups = lock(&self.groups);
        let known = groups.entry(key.clone()).or_default();
        if let Some(handle) = known.iter().find(|handle| handle.size.load(Ordering::Relaxed) < GROUP) {
            handle.size.fetch_add(1, Ordering::Relaxed);
            return (Arc::clone(handle), None);
        }
        let (wishes, receiver) = mpsc::unbounded_channel();
        let handle = Arc::new(Handle { key: key.clone(), wishes, size: AtomicUsize::new(1) });
        known.push(Arc::clone(&handle));
        (handle, Some(receiver))
    }

    /// Takes a group out of the list: nobody joins it any more.
    fn dissolve(&self, handle: &Arc<Handle>) {
        let mut groups = lock(&self.groups);
        if let Some(known) = groups.get_mut(&handle.key) {
            known.retain(|one| !Arc::ptr_eq(one, handle));
            if known.is_empty() {
                groups.remove(&handle.key);
            }
        }
    }
}

/// Which folders a mailbox is listened to in, as one number.
pub fn folders_of(mailbox: &Mailbox, tracks_sent: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (matches!(mailbox.settings.kind, Kind::User(_)) && tracks_sent).hash(&mut hasher);
    mailbox.folders.keys().for_each(|id| id.hash(&mut hasher));
    hasher.finish()
}

/// Whether a mailbox is well enough to be listened to.
pub fn is_well(mailbox: &Mailbox) -> bool {
    mailbox.sync.health == Health::Healthy
}

/// Lets mailboxes join their groups, until shutdown.
pub async fn run(worker: Arc<Worker>, shutdown: CancellationToken) -> Result<(), String> {
    let Some(waiting) = lock(&worker.streams.waiting).take() else { return Err("it runs already".to_owned()) };
    let waiting = futures::stream::unfold(waiting, |mut waiting| async {
        let id = waiting.recv().await?;
        Some((id, waiting))
    });
    let (sender, mut begun) = mpsc::unbounded_channel();
    let joining = waiting.for_each_concurrent(JOINING, |id| join(&worker, id, &sender));
    tokio::pin!(joining);
    let mut groups = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut joining => break,
            () = shutdown.cancelled() => break,
            Some((handle, wishes)) = begun.recv() => {
                groups.spawn(group::run(Arc::clone(&worker), handle, wishes, shutdown.clone()));
            }
            Some(ended) = groups.join_next(), if !groups.is_empty() => {
                ended.map_err(|error| format!("a group of notifications panicked: {error}"))?;
            }
        }
    }
    while groups.join_next().await.is_some() {}
    Ok(())
}

/// A new group, to be run.
type Begun = (Arc<Handle>, mpsc::UnboundedReceiver<Wish>);

async fn join(worker: &Worker, id: Uuid, begun: &mpsc::UnboundedSender<Begun>) {
    let streams = &worker.streams;
    let Some((key, place, folders)) = whereabouts(worker, id).await else {
        // Its next cycle will say what is wrong, or bring it back.
        return streams.excuse(id, clock::instant());
    };
    if let Some(until) = streams.rests_until(&key) {
        return streams.excuse(id, until);
    }
    let (handle, created) = streams.group(&key);
    if let Some(wishes) = created {
        let _closed = begun.send((Arc::clone(&handle), wishes));
    }
    let mut members = lock(&streams.members);
    // It may have left meanwhile.
    match members.get_mut(&id).filter(|member| member.group.is_none()) {
        Some(member) => member.group = Some(Arc::clone(&handle)),
        None => {
            handle.size.fetch_sub(1, Ordering::Relaxed);
            return;
        }
    }
    drop(members);
    if handle.wishes.send(Wish::Join { id, place: Box::new(place), folders }).is_err() {
        // The group has just ended: another one takes it after its next cycle.
        streams.excuse(id, clock::instant());
    }
}

async fn whereabouts(worker: &Worker, id: Uuid) -> Option<(Key, Place, Vec<Folder>)> {
    if !worker.ownership.holds(id) {
        return None;
    }
    let (mailbox, profile) = worker
        .directory
        .with_mailbox(id, |mailbox, profile| profile.map(|profile| (mailbox.clone(), profile.clone())))??;
    let settings = worker.settings().await.ok()?;
    let mut locator = worker.locator.clone();
    let domains = || worker.directory.domains_of(profile.id);
    let place = place::find(&worker.places, &mut locator, &worker.keyring, &mailbox, &profile, domains, None);
    let place = place.await.ok()?;
    let folders = crate::cycle::places(&mailbox, &settings);
    let key = Key {
        server: worker.pace.interned(&server_of(&place.url)),
        grouping: place.grouping.as_str().into(),
        account: crate::worker::account(&mailbox, &profile),
    };
    Some((key, place, folders))
}
