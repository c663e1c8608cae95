//! Runs the cycles of the own mailboxes when they are due, so many at a time.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use postroad_core::mailbox::{Due, Trigger};
use postroad_rig::clock;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cycle::{self, End},
    directory::Change,
    lock::lock,
    worker::Worker,
};

/// When each mailbox is looked at next, and which have older mail to be read when nobody else waits.
#[derive(Default)]
struct Agenda {
    times: BTreeSet<(Timestamp, Uuid)>,
    by_mailbox: HashMap<Uuid, Timestamp>,
    older: VecDeque<Uuid>,
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

/// Runs cycles until shutdown, then lets those that run come to their end.
pub async fn run(worker: Arc<Worker>, shutdown: CancellationToken) -> Result<(), String> {
    let Some(mut changes) = lock(&worker.changes).take() else { return Err("the scheduler runs already".to_owned()) };
    let mut agenda = Agenda::default();
    let mut cycles = JoinSet::new();
    let slots = Arc::new(Semaphore::new(worker.concurrency));
    let mut owned = worker.ownership.watch();
    look_at_all(&worker, &mut agenda);
    loop {
        start_due(&worker, &mut agenda, &mut cycles, &slots);
        let sleep = wait_until(agenda.next());
        tokio::select! {
            () = shutdown.cancelled() => break,
            change = changes.recv() => note(&worker, &mut agenda, change, &mut changes),
            _ = owned.changed() => look_at_all(&worker, &mut agenda),
            () = worker.wake.notified() => {
                let asked: Vec<_> = lock(&worker.asked).iter().copied().collect();
                asked.into_iter().for_each(|id| look_at(&worker, &mut agenda, id));
            }
            Some(ended) = cycles.join_next(), if !cycles.is_empty() => {
                let (id, end): (Uuid, End) = ended.map_err(|error| format!("a cycle panicked: {error}"))?;
                finish(&worker, &mut agenda, id, end);
            }
            () = tokio::time::sleep(sleep) => {}
        }
    }
    while cycles.join_next().await.is_some() {}
    Ok(())
}

fn start_due(worker: &Arc<Worker>, agenda: &mut Agenda, cycles: &mut JoinSet<(Uuid, End)>, slots: &Arc<Semaphore>) {
    while slots.available_permits() > 0 {
        let (id, trigger) = match agenda.take_due(clock::now()) {
            Some(id) => match worker.due(id, clock::now()) {
                Due::Now(trigger) => (id, trigger),
                Due::At(_) | Due::Never => {
                    look_at(worker, agenda, id);
                    continue;
                }
            },
            // Older mail is read while no live mail waits, and never with the last slot.
            None if slots.available_permits() > 1 || cycles.is_empty() => match agenda.older.pop_front() {
                Some(id) if worker.may_read_older(id, clock::now()) => (id, Trigger::Continuation),
                Some(_) => continue,
                None => return,
            },
            None => return,
        };
        if !worker.ownership.holds(id) || lock(&worker.running).contains(&id) || !worker.connect(id) {
            continue;
        }
        lock(&worker.running).insert(id);
        lock(&worker.asked).remove(&id);
        let Ok(permit) = Arc::clone(slots).try_acquire_owned() else { return };
        let worker = Arc::clone(worker);
        cycles.spawn(async move {
            let mut trigger = trigger;
            let end = loop {
                match cycle::run(&worker, id, trigger).await {
                    // More is there already: go on at once, as long as nobody asks to stop.
                    End::More => trigger = Trigger::Continuation,
                    end => break end,
                }
            };
            drop(permit);
            (id, end)
        });
    }
}

fn finish(worker: &Worker, agenda: &mut Agenda, id: Uuid, end: End) {
    let now = clock::now();
    lock(&worker.cycled).insert(id, now);
    lock(&worker.running).remove(&id);
    if let Some(profile) = worker.connections.give_back(id) {
        wake_next(worker, agenda, profile);
    }
    match end {
        End::Done | End::More => look_at(worker, agenda, id),
        End::Older => {
            look_at(worker, agenda, id);
            if !agenda.older.contains(&id) {
                agenda.older.push_back(id);
            }
        }
        // Nothing could be recorded: without a distance it would be tried in a tight loop.
        End::Unrecorded => agenda.set(id, now.checked_add(jiff::SignedDuration::from_secs(1)).ok()),
    }
}

/// The connection goes to the mailbox that waited longest and still is due.
fn wake_next(worker: &Worker, agenda: &mut Agenda, profile: Uuid) {
    while let Some(next) = worker.connections.next_waiting(profile) {
        look_at(worker, agenda, next);
        if worker.ownership.holds(next) && matches!(worker.due(next, clock::now()), Due::Now(_)) {
            return;
        }
    }
}

fn note(worker: &Worker, agenda: &mut Agenda, first: Option<Change>, changes: &mut mpsc::UnboundedReceiver<Change>) {
    let mut next = first;
    while let Some(change) = next {
        match change {
            Change::Mailbox(id) => look_at(worker, agenda, id),
            Change::Profile(id) => {
                for mailbox in worker.directory.mailboxes_of(id) {
                    look_at(worker, agenda, mailbox);
                }
            }
        }
        next = changes.try_recv().ok();
    }
}

fn look_at_all(worker: &Worker, agenda: &mut Agenda) {
    for id in worker.directory.mailboxes() {
        look_at(worker, agenda, id);
    }
}

fn look_at(worker: &Worker, agenda: &mut Agenda, id: Uuid) {
    if lock(&worker.running).contains(&id) {
        return;
    }
    if !worker.ownership.holds(id) {
        agenda.set(id, None);
        return;
    }
    let now = clock::now();
    match worker.due(id, now) {
        Due::Now(_) => agenda.set(id, Some(now)),
        Due::At(at) => agenda.set(id, Some(at)),
        Due::Never => agenda.set(id, None),
    }
}

/// How long to sleep; bounded, so that a changed clock is noticed.
fn wait_until(next: Option<Timestamp>) -> Duration {
    let most = Duration::from_secs(30);
    let Some(next) = next else { return most };
    Duration::try_from(next.duration_since(clock::now())).unwrap_or_default().min(most)
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
}
