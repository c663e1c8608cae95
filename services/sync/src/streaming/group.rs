//! One group of mailboxes and its hanging connection. The subscriptions of all of them live on the back end that the anchor leads to.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use postroad_core::{
    fault::Report,
    mailbox::{Place as Folder, Trigger},
    streaming::{Next, Trial},
};
use postroad_ews::{
    Affinity, Client, Error, EventStream, EventType, GetStreamingEvents, Kind, StreamFailure, StreamMessage,
    StreamRemedy, Subscribe, Unsubscribe,
};
use postroad_metric::sync::SYNC;
use postroad_rig::clock;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::debug_span;
use uuid::Uuid;

use super::{EXCUSED, Handle, RETRY, Wish};
use crate::{
    pace::{Permit, Route},
    place::Place,
    worker::Worker,
};

/// How long the server keeps a connection, in minutes.
const MINUTES: u8 = 30;
/// It is opened anew before that, so that nothing is missed between two.
const RENEWED: Duration = Duration::from_secs(28 * 60);
/// Newcomers are gathered for so long before the connection is opened with them.
const GATHERED: Duration = Duration::from_millis(300);
/// What a connection that was taken over still says is read for so long.
const DRAINED: Duration = Duration::from_secs(5);
/// A group without members ends after so long.
const EMPTY: Duration = Duration::from_secs(60);

/// One mailbox of the group.
struct Newcomer {
    id: Uuid,
    place: Box<Place>,
    folders: Vec<Folder>,
}

/// The mailbox that stands for all.
struct Anchor {
    id: Uuid,
    client: Client,
}

/// An open connection.
struct Listening {
    stream: EventStream,
    has_heard: bool,
    renewed: Instant,
}

/// Why a connection is not read any more.
enum End {
    /// To be opened with other subscriptions, or since its time is over; what it still says is read.
    Renew,
    /// It ended; events may have been missed.
    Broke,
    /// Nothing was ever heard on it.
    Silent,
    /// The server refuses it.
    Refused(StreamRemedy, String),
    /// The worker ends.
    Shutdown,
}

struct Group {
    worker: Arc<Worker>,
    handle: Arc<Handle>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    anchor: Option<Anchor>,
    affinity: Affinity,
    /// Whose each subscription is.
    subscriptions: HashMap<String, Uuid>,
    newcomers: Vec<Newcomer>,
    /// Mailboxes that are to be looked at once the connection is open.
    unseen: HashSet<Uuid>,
    trial: Trial,
    /// Subscriptions that are being given up.
    farewells: JoinSet<()>,
}

/// Keeps the connection of a group, until it has no members or the worker ends.
pub async fn run(
    worker: Arc<Worker>,
    handle: Arc<Handle>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    shutdown: CancellationToken,
) {
    let mut group = Group {
        worker,
        handle,
        wishes,
        anchor: None,
        affinity: Affinity::default(),
        subscriptions: HashMap::new(),
        newcomers: Vec::new(),
        unseen: HashSet::new(),
        trial: Trial::default(),
        farewells: JoinSet::new(),
    };
    tokio::select! {
        () = group.keep() => {}
        () = shutdown.cancelled() => {}
    }
    group.close();
}

impl Group {
    async fn keep(&mut self) {
        let mut before: Option<EventStream> = None;
        loop {
            self.hear_wishes();
            if self.subscriptions.is_empty() && self.newcomers.is_empty() {
                match timeout(EMPTY, self.wishes.recv()).await {
                    Ok(Some(wish)) => self.note(wish),
                    Ok(None) | Err(_) => return,
                }
                tokio::time::sleep(GATHERED).await;
                self.hear_wishes();
            }
            self.subscribe_newcomers().await;
            if self.subscriptions.is_empty() {
                continue;
            }
            let Some(anchor) = &self.anchor else { return self.disperse().await };
            let opened = self.open(anchor).await;
            if let Some(stream) = before.take() {
                self.drain(stream).await;
            }
            let end = match opened {
                Ok(stream) => {
                    let mut listening = Listening { stream, has_heard: false, renewed: Instant::now() + RENEWED };
                    self.worker.streams.open.fetch_add(1, Ordering::Relaxed);
                    let end = self.listen(&mut listening).await;
                    self.worker.streams.open.fetch_sub(1, Ordering::Relaxed);
                    if matches!(end, End::Renew) {
                        before = Some(listening.stream);
                    }
                    end
                }
                Err(error) => refusal(&error),
            };
            match end {
                End::Renew => {}
                End::Shutdown => return,
                End::Broke => {
                    let next = self.trial.broke();
                    self.pause(next).await;
                }
                End::Silent => match self.trial.silent() {
                    Next::Poll => {
                        let why = "streams of notifications do not come through, something on the way holds them back";
                        return self.give_up(RETRY, why);
                    }
                    next => self.pause(next).await,
                },
                End::Refused(StreamRemedy::Poll, what) => {
                    return self.give_up(RETRY, &format!("the server does not stream ({what})"));
                }
                End::Refused(StreamRemedy::Fewer, what) => {
                    return self.give_up(EXCUSED, &format!("no more hanging connections are allowed ({what})"));
                }
                End::Refused(..) => {
                    // Whatever it is, the subscriptions are in doubt: made anew after the next cycle of each.
                    return self.disperse().await;
                }
            }
        }
    }

    async fn listen(&mut self, listening: &mut Listening) -> End {
        let silence = self.worker.streams.silence;
        let mut changed: Option<Instant> = None;
        loop {
            let renewed = changed.map_or(listening.renewed, |changed| changed.min(listening.renewed));
            tokio::select! {
                message = listening.stream.next(silence) => {
                    match message {
                        Ok(Some(message)) => {
                            let lives = !matches!(message, StreamMessage::Failed(_));
                            if lives && !listening.has_heard {
                                listening.has_heard = true;
                                self.trial.heard();
                                self.worker.streams.heard(&self.handle.key);
                                self.catch_up();
                            }
                            if let Some(end) = self.hear(message) {
                                return end;
                            }
                            if !self.newcomers.is_empty() {
                                changed.get_or_insert_with(|| Instant::now() + GATHERED);
                            }
                        }
                        Ok(None) => return End::Broke,
                        Err(error) => {
                            tracing::debug!(server = %self.handle.key.server, error = %error, "a stream of notifications ended");
                            let is_silent = !listening.has_heard && matches!(error.kind(), Kind::Timeout(_));
                            return if is_silent { End::Silent } else { End::Broke };
                        }
                    }
                }
                wish = self.wishes.recv() => {
                    let Some(wish) = wish else { return End::Shutdown };
                    self.note(wish);
                    if self.anchor.is_none() {
                        return End::Refused(StreamRemedy::Wait, String::new());
                    }
                    if !self.newcomers.is_empty() {
                        changed.get_or_insert_with(|| Instant::now() + GATHERED);
                    }
                }
                () = sleep_until(renewed), if listening.has_heard => return End::Renew,
            }
        }
    }

    /// One message of the stream; ends it where it says so.
    fn hear(&mut self, message: StreamMessage) -> Option<End> {
        match message {
            StreamMessage::Alive => None,
            StreamMessage::Notifications(notifications) => {
                for notification in notifications {
                    if let Some(id) = self.subscriptions.get(&notification.subscription) {
                        SYNC.notifications.inc();
                        let span = debug_span!(
                            "notification",
                            otel.kind = "consumer",
                            mailbox.id = %id,
                            exchange.server = %self.handle.key.server,
                        );
                        // What the cycle does that follows belongs to this trace.
                        span.in_scope(|| self.worker.ask(*id, Trigger::Notified));
                    }
                }
                None
            }
            // Its time is over; what happens until the next one is open is looked for then.
            StreamMessage::Closed => {
                self.miss();
                Some(End::Renew)
            }
            StreamMessage::Failed(failure) => self.failed(&failure),
        }
    }

    fn failed(&mut self, failure: &StreamFailure) -> Option<End> {
        let remedy = StreamRemedy::of(failure.error.effective_code());
        let code = failure.error.effective_code().to_string();
        if failure.subscriptions.is_empty() || remedy == StreamRemedy::TakenOver {
            return Some(match remedy {
                StreamRemedy::TakenOver => End::Broke,
                remedy => End::Refused(remedy, code),
            });
        }
        // Only these: each joins again after a look, the others go on.
        for subscription in &failure.subscriptions {
            if let Some(id) = self.subscriptions.remove(subscription) {
                tracing::debug!(mailbox.id = %id, code, "a subscription is replaced");
                self.release(id, remedy == StreamRemedy::Rediscover);
            }
        }
        None
    }

    /// A mailbox goes; a look at it brings it back.
    fn release(&mut self, id: Uuid, is_elsewhere: bool) {
        self.worker.streams.release(id);
        self.unseen.remove(&id);
        if is_elsewhere && self.anchor.as_ref().is_some_and(|anchor| anchor.id == id) {
            self.anchor = None;
        }
        self.worker.ask(id, Trigger::Notified);
    }

    fn hear_wishes(&mut self) {
        while let Ok(wish) = self.wishes.try_recv() {
            self.note(wish);
        }
    }

    fn note(&mut self, wish: Wish) {
        match wish {
            Wish::Join { id, place, folders } => self.newcomers.push(Newcomer { id, place, folders }),
            Wish::Leave(id) => {
                self.newcomers.retain(|newcomer| newcomer.id != id);
                self.unseen.remove(&id);
                let known = self.subscriptions.iter().find(|(_, owner)| **owner == id).map(|(key, _)| key.clone());
                let client = self.anchor.as_ref().map(|anchor| anchor.client.clone());
                if let (Some(subscription), Some(client)) = (known, client) {
                    self.subscriptions.remove(&subscription);
                    self.unsubscribe(client, subscription);
                }
                if self.anchor.as_ref().is_some_and(|anchor| anchor.id == id) {
                    self.anchor = None;
                }
            }
        }
    }

    /// Best effort: what is not told is forgotten by the server in half an hour.
    fn unsubscribe(&mut self, client: Client, subscription: String) {
        let mut affinity = self.affinity.clone();
        while self.farewells.try_join_next().is_some() {}
        self.farewells.spawn(async move {
            let told = client.ask_with(&Unsubscribe { id: subscription }, &mut affinity).await;
            told.unwrap_or_else(|error| tracing::debug!(error = %error, "not unsubscribed"));
        });
    }

    async fn subscribe_newcomers(&mut self) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        if self.anchor.is_none() {
            // The alphabetically first stands for all (PROTOCOL.md §8.3).
            newcomers.sort_by(|one, other| one.place.address.cmp(&other.place.address));
        }
        for newcomer in newcomers {
            match self.subscribe(&newcomer).await {
                Ok(subscription) => {
                    self.subscriptions.insert(subscription, newcomer.id);
                    self.unseen.insert(newcomer.id);
                }
                Err(Some(remedy)) => {
                    tracing::debug!(mailbox.id = %newcomer.id, ?remedy, "not subscribed to: it is polled");
                    self.excuse(newcomer.id);
                }
                Err(None) => self.excuse(newcomer.id),
            }
        }
    }

    fn excuse(&self, id: Uuid) {
        self.handle.size.fetch_sub(1, Ordering::Relaxed);
        self.worker.streams.excuse(id, clock::instant() + EXCUSED);
    }

    async fn subscribe(&mut self, newcomer: &Newcomer) -> Result<String, Option<StreamRemedy>> {
        let client = self.worker.exchange.client(&newcomer.place).map_err(|_: Report| None)?;
        let route = self.route();
        self.permitted(&route, newcomer.id).await.ok_or(None)?;
        if self.anchor.is_none() {
            self.affinity = Affinity::around(newcomer.place.address.clone());
        }
        let folders = newcomer.folders.iter().map(crate::exchange::folder).collect();
        let subscribe = Subscribe { folders, events: EventType::CHANGES.to_vec() };
        let answer = client.ask_with(&subscribe, &mut self.affinity).await;
        match answer {
            Ok(subscription) => {
                self.worker.pace.answered(&route, newcomer.id);
                self.anchor.get_or_insert_with(|| Anchor { id: newcomer.id, client });
                Ok(subscription)
            }
            Err(error) => {
                if error.class() == postroad_ews::Class::Throttled {
                    let report = Report::new(error.fault(), error.to_string());
                    self.worker.pace.refused(&route, newcomer.id, error.back_off(), &report);
                }
                Err(Some(error.code().map_or(StreamRemedy::Wait, StreamRemedy::of)))
            }
        }
    }

    async fn open(&self, anchor: &Anchor) -> Result<EventStream, Error> {
        let route = self.route();
        // A server that is down or that asked for patience is not asked for a stream either.
        while self.permitted(&route, anchor.id).await.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let subscriptions = self.subscriptions.keys().cloned().collect();
        let operation = GetStreamingEvents { subscriptions, minutes: MINUTES };
        anchor.client.stream(operation, &self.affinity).await
    }

    /// Waits for the pace; `None` where nothing may be sent now.
    async fn permitted(&self, route: &Route, id: Uuid) -> Option<()> {
        loop {
            match self.worker.pace.permit(route, Some(id)) {
                Permit::Now => break,
                Permit::Later(pause) => tokio::time::sleep(pause).await,
                Permit::Rest(_) | Permit::Down(_) => return None,
            }
        }
        self.worker.pace.sent(route);
        Some(())
    }

    fn route(&self) -> Route {
        Route { server: Arc::clone(&self.handle.key.server), account: self.handle.key.account }
    }

    /// Reads what an old connection still has to say: it ends when the new one has taken over.
    async fn drain(&mut self, mut stream: EventStream) {
        let until = Instant::now() + DRAINED;
        loop {
            let message = tokio::time::timeout_at(until, stream.next(DRAINED)).await;
            match message {
                Ok(Ok(Some(message @ (StreamMessage::Notifications(_) | StreamMessage::Alive)))) => {
                    self.hear(message);
                }
                Ok(Ok(Some(StreamMessage::Failed(failure))))
                    if StreamRemedy::of(failure.error.effective_code()) == StreamRemedy::TakenOver =>
                {
                    return;
                }
                // It ended in another way than it should.
                Ok(Ok(Some(_) | None) | Err(_)) | Err(_) => return self.miss(),
            }
        }
    }

    /// Events may have been missed.
    fn miss(&mut self) {
        self.unseen.extend(self.subscriptions.values());
    }

    /// The connection is open: whoever was not listened to is looked at once.
    fn catch_up(&mut self) {
        let unseen: Vec<Uuid> = self.unseen.drain().collect();
        self.worker.streams.set_notified(self.subscriptions.values().copied(), true);
        for id in unseen {
            self.worker.ask(id, Trigger::Notified);
        }
    }

    /// The connection is gone: polls take its place until it is back.
    async fn pause(&mut self, next: Next) {
        self.miss();
        let ids: Vec<Uuid> = self.subscriptions.values().copied().collect();
        self.worker.streams.set_notified(ids.iter().copied(), false);
        self.worker.reconsider(ids);
        if let Next::Reopen(pause) = next {
            tokio::time::sleep(pause).await;
        }
    }

    fn give_up(&mut self, lasting: Duration, why: &str) {
        let ids: Vec<Uuid> = self.all();
        self.worker.streams.dissolve(&self.handle);
        self.worker.streams.rest(&self.handle.key, lasting, why, ids.iter().copied());
        self.subscriptions.clear();
        self.worker.reconsider(ids);
    }

    /// The group falls apart: whoever was in it joins another one after its next look.
    async fn disperse(&mut self) {
        self.worker.streams.dissolve(&self.handle);
        self.worker.streams.set_notified(self.all(), false);
        self.worker.reconsider(self.all());
        tokio::time::sleep(self.worker.streams.apart(&self.handle.key)).await;
    }

    fn all(&self) -> Vec<Uuid> {
        self.subscriptions.values().copied().chain(self.newcomers.iter().map(|newcomer| newcomer.id)).collect()
    }

    /// The group ends: whoever is still in it is looked at, and joins another one.
    fn close(&mut self) {
        self.worker.streams.dissolve(&self.handle);
        self.wishes.close();
        self.hear_wishes();
        for id in self.all() {
            self.worker.streams.leave(id);
            self.worker.ask(id, Trigger::Notified);
        }
    }
}

fn refusal(error: &Error) -> End {
    match (error.code(), error.kind()) {
        (Some(code), _) => match StreamRemedy::of(code) {
            StreamRemedy::Wait => End::Broke,
            remedy => End::Refused(remedy, code.to_string()),
        },
        // A proxy that keeps the first byte back keeps everything back.
        (None, Kind::Timeout(_)) => End::Silent,
        (None, _) => End::Broke,
    }
}
