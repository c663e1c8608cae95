//! Runs the cycles of the own mailboxes: each is looked at when its time has come, takes its turn at the desk, and reads one page.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    mailbox::{Due, Trigger},
    pace::Lane,
};
use postroad_rig::clock;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cycle::{self, End},
    desk::Room,
    directory::Change,
    lock::lock,
    pace::Route,
    worker::Worker,
};

/// When each mailbox is looked at next.
#[derive(Default)]
struct Agenda {
    times: BTreeSet<(Timestamp, Uuid)>,
    by_mailbox: HashMap<Uuid, Timestamp>,
}

impl Agenda {
    fn set(&mut self, id: Uuid, at: Option<Timestamp>) {
        if let Some(before) = self.by_mailbox.remove(&id) {
            self.times.remove(&(before, id));
        }
        if let Some(at) = at {
            self.times.insert((at, id));
            self.by_mailbox.insert(id, at);
        }
    }

    fn next(&self) -> Option<Timestamp> {
        self.times.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Timestamp) -> Option<Uuid> {
        let (_, id) = *self.times.first().filter(|(at, _)| *at <= now)?;
        self.set(id, None);
        Some(id)
    }
}

/// A turn that ended.
struct Ended {
    id: Uuid,
    route: Route,
    end: End,
}

struct Scheduler {
    worker: Arc<Worker>,
    agenda: Agenda,
    /// Mailboxes that come back for more of the same: the next page, or older mail.
    more: HashSet<Uuid>,
    cycles: JoinSet<Ended>,
    hands: Hands,
}

/// The time of day beside the monotonic one, to notice when somebody sets it.
struct Hands {
    instant: Instant,
    now: Timestamp,
}

/// Less is how clocks are kept right.
const SET: SignedDuration = SignedDuration::from_secs(1);

impl Hands {
    /// By how much the clock was set since the last time, if it was.
    fn turned(&mut self, instant: Instant, now: Timestamp) -> Option<SignedDuration> {
        let passed = SignedDuration::try_from(instant.saturating_duration_since(self.instant)).unwrap_or_default();
        let by = now.duration_since(self.now).saturating_sub(passed);
        *self = Self { instant, now };
        (by.abs() > SET).then_some(by)
    }
}

/// Runs cycles until shutdown, then lets those that run come to their end.
pub async fn run(worker: Arc<Worker>, shutdown: CancellationToken) -> Result<(), String> {
    let Some(mut changes) = lock(&worker.changes).take() else { return Err("the scheduler runs already".to_owned()) };
    let mut owned = worker.ownership.watch();
    let mut scheduler = Scheduler {
        worker: Arc::clone(&worker),
        agenda: Agenda::default(),
        more: HashSet::new(),
        cycles: JoinSet::new(),
        hands: Hands { instant: clock::instant(), now: clock::now() },
    };
    scheduler.look_at_all();
    loop {
        scheduler.notice_clock();
        scheduler.call_due();
        scheduler.start();
        let sleep = scheduler.pause();
        tokio::select! {
            () = shutdown.cancelled() => break,
            change = changes.recv() => scheduler.note(change, &mut changes),
            _ = owned.changed() => scheduler.look_at_all(),
            () = worker.wake.notified() => scheduler.look_at_asked(),
            () = worker.pace.freed.notified() => scheduler.take_up_returned(),
            Some(ended) = scheduler.cycles.join_next(), if !scheduler.cycles.is_empty() => {
                scheduler.finish(ended.map_err(|error| format!("a cycle panicked: {error}"))?);
            }
            () = tokio::time::sleep(sleep) => {}
        }
    }
    while scheduler.cycles.join_next().await.is_some() {}
    Ok(())
}

impl Scheduler {
    /// What the agenda has by a clock that was ahead may lie hours away.
    fn notice_clock(&mut self) {
        if let Some(by) = self.hands.turned(clock::instant(), clock::now()) {
            tracing::warn!(seconds = by.as_secs(), "the clock was set; all mailboxes are looked at again");
            self.look_at_all();
        }
    }

    fn call_due(&mut self) {
        while let Some(id) = self.agenda.take_due(clock::now()) {
            self.look_at(id);
        }
    }

    /// Starts whoever is next, as long as there is room.
    fn start(&mut self) {
        let worker = Arc::clone(&self.worker);
        loop {
            let free = worker.concurrency.saturating_sub(self.cycles.len());
            if free == 0 {
                return;
            }
            // The last places are kept for what is urgent.
            let least = if free <= worker.concurrency / 8 { Lane::Live } else { Lane::Refresh };
            let turn = lock(&worker.desk).pop(|route| room(&worker, route, least));
            let Some((id, route, _)) = turn else { return };
            self.begin(id, route);
        }
    }

    fn begin(&mut self, id: Uuid, route: Route) {
        let now = clock::now();
        let trigger = match self.worker.due(id, now) {
            Due::Now(trigger) => trigger,
            _ if self.more.contains(&id) && self.worker.may_go_on(id, now) => Trigger::Continuation,
            Due::At(at) => return self.agenda.set(id, Some(at)),
            Due::Never => return self.agenda.set(id, None),
        };
        self.more.remove(&id);
        if lock(&self.worker.running).contains(&id) {
            return;
        }
        let Some(turn) = self.worker.ownership.begin(id) else { return self.agenda.set(id, None) };
        lock(&self.worker.running).insert(id);
        let cause = self.worker.heard(id);
        let connection = self.worker.pace.take(&route);
        let worker = Arc::clone(&self.worker);
        self.cycles.spawn(async move {
            let end = cycle::run(&worker, id, trigger, cause).await;
            drop((connection, turn));
            Ended { id, route, end }
        });
    }

    fn finish(&mut self, ended: Ended) {
        let Ended { id, route, end } = ended;
        let worker = Arc::clone(&self.worker);
        lock(&worker.running).remove(&id);
        worker.cycled(id, end == End::Idle);
        let (cost, lane) = match end {
            End::Done | End::Idle => (1, None),
            // Nothing could be recorded: without a distance it would be tried in a tight loop.
            End::Unrecorded => {
                let later = clock::now().checked_add(SignedDuration::from_secs(1));
                return self.agenda.set(id, later.ok());
            }
            End::More => (worker.page, Some(Lane::Live)),
            End::Older => (worker.page, Some(Lane::Backfill)),
        };
        if let Some(lane) = lane {
            self.more.insert(id);
            self.want(id, lane);
        }
        lock(&worker.desk).charge(id, &route, cost, lane.is_some());
        worker.listen(id);
        self.look_at(id);
    }

    fn want(&self, id: Uuid, lane: Lane) {
        if let Some((route, _)) = self.worker.route(id) {
            lock(&self.worker.desk).push(id, route, lane, self.worker.pace.now());
        }
    }

    fn look_at(&mut self, id: Uuid) {
        if lock(&self.worker.running).contains(&id) {
            return;
        }
        if !self.worker.ownership.may_begin(id) {
            return self.leave(id);
        }
        let now = clock::now();
        match self.worker.due(id, now) {
            Due::Now(trigger) => {
                self.agenda.set(id, None);
                self.want(id, self.worker.lane(id, trigger));
            }
            Due::At(at) => self.agenda.set(id, Some(at)),
            Due::Never => self.leave(id),
        }
    }

    fn leave(&mut self, id: Uuid) {
        self.agenda.set(id, None);
        self.more.remove(&id);
        lock(&self.worker.desk).remove(id);
        self.worker.streams.leave(id);
        self.worker.outboxes.leave(id);
        self.worker.places.forget(id);
        self.worker.forget_cycle(id);
    }

    fn look_at_all(&mut self) {
        for id in self.worker.directory.mailboxes() {
            self.look_at(id);
        }
    }

    fn look_at_asked(&mut self) {
        for id in self.worker.take_news() {
            self.look_at(id);
        }
    }

    /// A server is back: what failed because of it does not wait for its time.
    fn take_up_returned(&mut self) {
        for server in self.worker.pace.take_returned() {
            for id in self.worker.failed_at(&server) {
                self.worker.ask(id, Trigger::Probe);
                self.look_at(id);
            }
        }
    }

    fn note(&mut self, first: Option<Change>, changes: &mut mpsc::UnboundedReceiver<Change>) {
        let mut next = first;
        while let Some(change) = next {
            match change {
                Change::Mailbox(id) => self.look_at(id),
                Change::Profile(id) => {
                    for mailbox in self.worker.directory.mailboxes_of(id) {
                        self.look_at(mailbox);
                    }
                }
            }
            next = changes.try_recv().ok();
        }
    }

    /// How long to sleep; bounded, so that a changed clock is noticed.
    fn pause(&self) -> Duration {
        let bound = Duration::from_secs(5);
        let timer =
            self.agenda.next().map(|at| Duration::try_from(at.duration_since(clock::now())).unwrap_or_default());
        let desk = lock(&self.worker.desk);
        let opening = desk.routes().filter_map(|route| self.worker.pace.opens(route)).min();
        drop(desk);
        timer.into_iter().chain(opening).min().unwrap_or(bound).min(bound)
    }
}

/// What an account may do now. While its server is down, its mailboxes are told so without a request.
fn room(worker: &Worker, route: &Route, least: Lane) -> Room {
    let is_free = worker.pace.outage(&route.server).is_some()
        || worker.pace.has_room(route, worker.connections_of(route.account));
    if is_free { Room::For(least) } else { Room::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agenda_gives_what_is_due_once_and_in_order() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut agenda = Agenda::default();
        for (id, second) in [(1, 30), (2, 10), (3, 20)] {
            agenda.set(Uuid::from_u128(id), Some(at(second)));
        }
        agenda.set(Uuid::from_u128(2), Some(at(25)));
        assert_eq!(agenda.next(), Some(at(20)));
        let due: Vec<_> = std::iter::from_fn(|| agenda.take_due(at(25))).collect();
        assert_eq!(due, [Uuid::from_u128(3), Uuid::from_u128(2)]);
        assert_eq!(agenda.take_due(at(29)), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a beginning for the moments of a test")]
    fn a_clock_that_is_set_is_noticed_once() {
        let (instant, now) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let mut hands = Hands { instant, now };
        let (minute, hour) = (SignedDuration::from_mins(1), SignedDuration::from_hours(1));
        assert_eq!(hands.turned(instant + Duration::from_secs(60), now + minute), None);
        assert_eq!(hands.turned(instant + Duration::from_secs(60), now + minute - hour), Some(-hour));
        assert_eq!(hands.turned(instant + Duration::from_secs(120), now + minute * 2 - hour), None);
    }
}
