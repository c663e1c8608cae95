//! The rounds in which a worker says that it lives, and takes and gives back partitions.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use postroad_core::placement::plan;
use postroad_journal::leases::{
    Error, Lease, Leases,
    holdings::{Holding, Holdings},
};
use postroad_metric::sync::SYNC;
use postroad_rig::clock;
use tokio_util::sync::CancellationToken;

use super::{
    Held, LEASES, Ownership, PARTITIONS,
    mirror::{Mirror, key_of},
};
use crate::lock::lock;

/// Before the name of a worker that takes mailboxes, as the key of a lease.
const MEMBER: &str = "member.";
/// Before the name of a worker, as the key of the lease by which it lives.
const WORKER: &str = "worker.";
/// Between the beginnings of two rounds, however much happens.
const SHORTEST: Duration = Duration::from_millis(20);

/// The buckets, once NATS answered.
struct Buckets {
    leases: Leases,
    partitions: Holdings,
}

/// What this worker says of itself.
#[derive(Default)]
struct Own {
    /// That it lives. Without it no partition is held.
    life: Option<Lease>,
    /// That it takes mailboxes; given back before the partitions are.
    membership: Option<Lease>,
    /// When the workers were listed.
    listed: Option<Instant>,
    /// Partitions that were let go since that was told.
    lost: usize,
}

impl Ownership {
    /// Takes part, claims and gives back until shutdown; then hands everything over.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), String> {
        let Some(buckets) = self.open(&shutdown).await? else { return Ok(()) };
        let mut own = Own::default();
        let listening = CancellationToken::new();
        let _stop = listening.clone().drop_guard();
        let listens = self.listen(&buckets, &listening);
        let works = async {
            while !shutdown.is_cancelled() {
                let began = clock::instant();
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.round_in_time(&buckets, &mut own) => {}
                }
                // Several rounds fit into a lease, so that one lost answer loses nothing.
                let rest = |whole: Duration| whole.saturating_sub(elapsed(began));
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(rest(SHORTEST)) => {}
                }
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.look.notified() => {}
                    () = tokio::time::sleep(rest(self.lease / 4)) => {}
                }
            }
            self.hand_over(&buckets, &mut own).await;
        };
        tokio::select! {
            () = listens => {}
            () = works => {}
        }
        Ok(())
    }

    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Buckets>, String> {
        let open = async {
            let leases = Leases::open(&self.nats, LEASES, self.lease, self.replicas).await?;
            let partitions = Holdings::open(&self.nats, PARTITIONS, self.replicas).await?;
            Ok::<_, Error>(Buckets { leases, partitions })
        };
        tokio::select! {
            () = shutdown.cancelled() => Ok(None),
            opened = open => opened.map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Hears at once of workers that come and go, and of partitions that are given back; rounds find the rest.
    async fn listen(&self, buckets: &Buckets, until: &CancellationToken) {
        let members = async {
            while !until.is_cancelled() {
                self.hear_of_members(&buckets.leases).await;
            }
        };
        let partitions = async {
            while !until.is_cancelled() {
                self.hear_of_partitions(&buckets.partitions).await;
            }
        };
        tokio::join!(members, partitions);
    }

    async fn hear_of_members(&self, leases: &Leases) {
        if let Ok(mut changes) = leases.watch().await {
            while let Some(change) = changes.next().await {
                let is_news = match change.key.strip_prefix(MEMBER) {
                    Some(member) => change.is_given_back == lock(&self.members).iter().any(|known| known == member),
                    // What a worker that is gone still held is free.
                    None => change.is_given_back,
                };
                if is_news {
                    self.is_news.store(true, Ordering::Relaxed);
                    self.look.notify_one();
                }
            }
        }
        // What was not heard is found by listing them.
        self.is_news.store(true, Ordering::Relaxed);
        tokio::time::sleep(self.lease / 4).await;
    }

    async fn hear_of_partitions(&self, partitions: &Holdings) {
        // A bucket that was restored or made anew is noticed only by following it anew, at once.
        match tokio::time::timeout(self.lease * 8, self.follow(partitions)).await {
            Err(_) => return,
            Ok(Ok(())) => {}
            Ok(Err(error)) => *lock(&self.unfollowed) = Some(format!("the partitions cannot be followed: {error}")),
        }
        tokio::time::sleep(self.lease / 4).await;
    }

    /// Follows the bucket until NATS forgets who listens.
    async fn follow(&self, partitions: &Holdings) -> Result<(), Error> {
        let held = self.revisions();
        let last = partitions.last().await?;
        let mut changes = partitions.follow().await?;
        *lock(&self.unfollowed) = None;
        self.forget_behind(last, &held);
        let mut fresh = Some(Mirror::default());
        if last == 0 {
            self.know(&mut fresh);
        }
        while let Some(told) = changes.next().await {
            let is_all = told.is_last || told.revision >= last;
            match fresh.as_mut() {
                Some(fresh) => drop(fresh.note(told)),
                None => self.hear(told),
            }
            if is_all {
                self.know(&mut fresh);
            }
        }
        Ok(())
    }

    /// Lets go of what was held by revisions that the bucket does not have yet: it was restored, or made anew.
    fn forget_behind(&self, last: u64, before: &HashMap<u16, u64>) {
        let mut held = lock(&self.held);
        let lost =
            held.extract_if(|partition, held| held.revision > last && before.get(partition) == Some(&held.revision));
        let lost = lost.count();
        drop(held);
        if lost > 0 {
            tracing::warn!("NATS has forgotten who holds {lost} partitions: they are taken anew");
            changed("lost", lost);
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// What is held, in which revisions.
    fn revisions(&self) -> HashMap<u16, u64> {
        lock(&self.held).iter().map(|(partition, held)| (*partition, held.revision)).collect()
    }

    /// Everything was told.
    fn know(&self, fresh: &mut Option<Mirror>) {
        if let Some(fresh) = fresh.take() {
            *lock(&self.mirror) = Some(fresh);
            self.look.notify_one();
        }
    }

    fn hear(&self, told: Holding) {
        let revision = told.revision;
        let mut mirror = lock(&self.mirror);
        let Some(mirror) = mirror.as_mut() else { return };
        let Some(partition) = mirror.note(told) else { return };
        let is_free = mirror.holder(partition).is_none();
        let is_own = mirror.holder(partition) == Some(&self.name);
        let held = lock(&self.held).get(&partition).map(|held| held.revision);
        let is_news = match held {
            Some(held) => held < revision,
            None => is_own || is_free && lock(&self.wanted).contains(&partition),
        };
        if is_news {
            self.look.notify_one();
        }
    }

    async fn round_in_time(&self, buckets: &Buckets, own: &mut Own) {
        let limit = self.lease / 2;
        let before = lock(&self.held).clone();
        let result = match tokio::time::timeout(limit, self.round(buckets, own)).await {
            Ok(Ok(())) => lock(&self.unfollowed).clone().map_or(Ok(()), Err),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("NATS does not answer within {} ms", limit.as_millis())),
        };
        if !self.lives() {
            own.lost += self.let_go();
        }
        let lost = std::mem::take(&mut own.lost);
        if *lock(&self.held) != before {
            self.changed.send_modify(|count| *count += 1);
        }
        let told = match result {
            Ok(()) => lock(&self.interruptions).answered(clock::instant(), clock::now()),
            Err(error) => lock(&self.interruptions).failed(&error, lost, self.lease, clock::instant(), clock::now()),
        };
        if let Some(told) = told {
            tracing::warn!("{told}");
        }
    }

    async fn round(&self, buckets: &Buckets, own: &mut Own) -> Result<(), Error> {
        self.live(&buckets.leases, own).await?;
        self.take_part(&buckets.leases, own).await?;
        let strays = self.compare();
        let live = self.list(&buckets.leases, own).await?;
        let held: HashSet<u16> = lock(&self.held).keys().copied().collect();
        let plan = plan(&self.name, &live, |one| held.contains(&one));
        for (partition, held) in lock(&self.held).iter_mut() {
            held.is_leaving = plan.leave.contains(partition);
        }
        *lock(&self.wanted) = plan.want.iter().copied().collect();
        let claims = async {
            match own.life {
                Some(_) => self.claim(buckets, &plan.want).await,
                None => Ok(()),
            }
        };
        let ((), claimed) = tokio::join!(self.give_back(&buckets.partitions), claims);
        let strays = strays.into_iter().filter(|(partition, _)| !plan.want.contains(partition)).collect();
        return_all(&buckets.partitions, strays).await;
        claimed
    }

    /// The workers that take mailboxes, listed anew where that may have changed.
    async fn list(&self, leases: &Leases, own: &mut Own) -> Result<Vec<String>, Error> {
        let is_old = own.listed.is_none_or(|listed| elapsed(listed) > self.lease / 8);
        let mut live: BTreeSet<String> = if self.is_news.swap(false, Ordering::Relaxed) || is_old {
            own.listed = None;
            let keys = leases.keys().await?;
            own.listed = Some(clock::instant());
            keys.iter().filter_map(|key| key.strip_prefix(MEMBER)).map(str::to_owned).collect()
        } else {
            self.members().into_iter().collect()
        };
        // Of itself it knows better than a replica that is behind.
        live.remove(&self.name);
        live.extend(own.membership.is_some().then(|| self.name.clone()));
        let live = Vec::from_iter(live);
        lock(&self.members).clone_from(&live);
        Ok(live)
    }

    /// Says that this worker lives. One whose lease ended holds nothing any more, since others may have taken it.
    async fn live(&self, leases: &Leases, own: &mut Own) -> Result<(), Error> {
        if !self.lives() {
            own.lost += self.let_go();
        }
        if let Some(lease) = own.life.clone() {
            if self.is_young(&lease) {
                return Ok(());
            }
            own.life = leases.renew(lease).await?;
            if own.life.is_none() {
                own.lost += self.let_go();
            }
        }
        if own.life.is_none() {
            own.life = leases.acquire(&format!("{WORKER}{}", self.name), &self.name).await?;
        }
        let deadline = own.life.as_ref().map(|lease| lease.deadline);
        let before = std::mem::replace(&mut *lock(&self.deadline), deadline);
        if before.is_none_or(|before| before <= clock::instant()) {
            // Whoever looked meanwhile has put its mailboxes away.
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Whether a lease was renewed just now: a round that something else began need not renew it.
    fn is_young(&self, lease: &Lease) -> bool {
        lease.deadline.saturating_duration_since(clock::instant()) > self.lease / 8 * 7
    }

    /// Says that this worker takes mailboxes, or does not any more.
    async fn take_part(&self, leases: &Leases, own: &mut Own) -> Result<(), Error> {
        let member = format!("{MEMBER}{}", self.name);
        if self.is_draining() {
            own.membership = None;
            return leases.release(&member, &self.name).await;
        }
        if lock(&self.mirror).is_none() {
            // Nothing can be taken yet: the others keep what they have.
            return Ok(());
        }
        if let Some(lease) = own.membership.clone() {
            if self.is_young(&lease) {
                return Ok(());
            }
            own.membership = leases.renew(lease).await?;
        }
        if own.membership.is_none() {
            own.membership = leases.acquire(&member, &self.name).await?;
        }
        Ok(())
    }

    /// Lets go of what is not its own any more; gives what the bucket says is, and is not held.
    fn compare(&self) -> Vec<(u16, u64)> {
        let revisions = self.revisions();
        let mirror = lock(&self.mirror);
        let Some(mirror) = mirror.as_ref() else { return Vec::new() };
        let difference = mirror.compare(&self.name, &revisions);
        let mut held = lock(&self.held);
        held.retain(|partition, _| !difference.lost.contains(partition));
        for (partition, revision) in difference.renumbered {
            if let Some(held) = held.get_mut(&partition) {
                held.revision = revision;
            }
        }
        changed("lost", difference.lost.len());
        difference.strays
    }

    /// Gives back what is placed elsewhere and where nothing runs any more. It is not held from then on, also where no answer tells
    /// whether it was given back.
    async fn give_back(&self, partitions: &Holdings) {
        let leaving: Vec<(u16, u64)> = {
            let running = lock(&self.running);
            let mut held = lock(&self.held);
            let done = held.extract_if(|partition, held| held.is_leaving && !running.contains_key(partition));
            done.map(|(partition, held)| (partition, held.revision)).collect()
        };
        changed("given_back", leaving.len());
        return_all(partitions, leaving).await;
    }

    /// Claims what is free of what is wanted: held by nobody, by a worker that is gone, or by this one before its lease ended.
    async fn claim(&self, buckets: &Buckets, wanted: &[u16]) -> Result<(), Error> {
        let Some(found) = lock(&self.mirror).as_ref().map(|mirror| mirror.candidates(wanted)) else { return Ok(()) };
        // Asked after the holdings were told, not before: see `holdings`.
        let holders: BTreeSet<&str> = found.iter().filter_map(|one| one.holder.as_deref()).collect();
        let others = holders.into_iter().filter(|holder| *holder != self.name);
        let asked = others.map(|holder| async move {
            let is_held = buckets.leases.is_held(&format!("{WORKER}{holder}")).await;
            (holder, is_held)
        });
        let (mut living, mut failed) = (HashSet::new(), Ok(()));
        for (holder, lives) in join_all(asked).await {
            if lives.as_ref().is_ok_and(|lives| !lives) {
                continue;
            }
            living.insert(holder);
            failed = failed.and_then(|()| lives.map(drop));
        }
        let free = found.iter().filter(|one| one.holder.as_deref().is_none_or(|holder| !living.contains(holder)));
        let claims = free.map(|one| async move {
            let taken = buckets.partitions.take(&key_of(one.partition), &self.name, one.revision).await?;
            if let Some(revision) = taken {
                lock(&self.held).insert(one.partition, Held { revision, is_leaving: false });
                changed("acquired", 1);
            }
            Ok(())
        });
        join_all(claims).await.into_iter().fold(failed, Result::and)
    }

    /// Holds nothing any more; gives how many partitions that were. The bucket may go on naming this worker.
    fn let_go(&self) -> usize {
        let lost = std::mem::take(&mut *lock(&self.held)).len();
        if lost > 0 {
            changed("lost", lost);
            self.changed.send_modify(|count| *count += 1);
        }
        lost
    }

    /// Hands everything over, for as long as a lease or some seconds.
    async fn hand_over(&self, buckets: &Buckets, own: &mut Own) {
        let patience = self.lease.min(Duration::from_secs(8));
        let hands_over = self.hand_all_over(buckets, own, clock::instant() + patience);
        if tokio::time::timeout(patience + Duration::from_secs(2), hands_over).await.is_err() {
            tracing::warn!("NATS does not answer: what was held is free when its lease runs out");
        }
    }

    /// The others learn first that this worker takes nothing more; then each partition goes as soon as nothing runs in it.
    async fn hand_all_over(&self, buckets: &Buckets, own: &mut Own, deadline: Instant) {
        self.is_draining.store(true, Ordering::Relaxed);
        for told in [self.live(&buckets.leases, own).await, self.take_part(&buckets.leases, own).await] {
            if let Err(error) = told {
                tracing::debug!(error = %error, "not all could be told that this worker ends");
            }
        }
        lock(&self.held).values_mut().for_each(|held| held.is_leaving = true);
        loop {
            self.give_back(&buckets.partitions).await;
            let left = deadline.saturating_duration_since(clock::instant());
            if lock(&self.held).is_empty() || left.is_zero() {
                break;
            }
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
        // What still runs is fenced by the journal, and what could not be given back is free without a holder that lives.
        lock(&self.running).clear();
        self.give_back(&buckets.partitions).await;
        *lock(&self.deadline) = None;
        if let Err(error) = buckets.leases.release(&format!("{WORKER}{}", self.name), &self.name).await {
            tracing::debug!(error = %error, "the lease could not be given back; it will run out");
        }
    }
}

/// Gives partitions back by their revisions. What could not be given back is told by the bucket, and tried again.
async fn return_all(partitions: &Holdings, leaving: Vec<(u16, u64)>) {
    let returns = leaving.into_iter().map(|(partition, revision)| async move {
        if let Err(error) = partitions.give_back(&key_of(partition), revision).await {
            tracing::debug!(partition, error = %error, "a partition could not be given back");
        }
    });
    join_all(returns).await;
}

/// Partitions came or went.
fn changed(how: &str, partitions: usize) {
    SYNC.lease_changes.with_label_values(&[how]).inc_by(partitions as u64);
}

fn elapsed(since: Instant) -> Duration {
    clock::instant().saturating_duration_since(since)
}
