//! Where mailboxes are served: what is known, what has to be asked, and when (AUTODISCOVER.md §8).

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::SignedDuration;
use postroad_core::{
    autodiscover::{Entry, Known, Memory, Missing, Use},
    fault::{Code, Report},
};
use postroad_metric::locator::LOCATOR;
use postroad_rig::clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument as _;
use url::Url;

use crate::{
    access::Access,
    cache::{Cache, Domain, Kept},
    discovery::{self, Ended},
    pace::Pace,
};

/// Refreshes that wait.
const DUE: usize = 1000;
/// Refreshes at a time.
const REFRESHED: usize = 4;

/// All locations.
pub struct Locations {
    cache: Cache,
    pace: Pace,
    patience: SignedDuration,
    due: mpsc::Sender<Arc<Access>>,
}

/// What is said of a mailbox.
pub struct Said {
    /// Where it is.
    pub known: Option<Known>,
    /// Why it was not found when it was asked for last.
    pub missing: Option<Missing>,
    /// When that was.
    pub asked_at: Option<jiff::Timestamp>,
    /// How that went.
    pub transcript: Vec<Entry>,
}

impl Locations {
    /// Nothing but the cache is known. Also gives what has to run in the background.
    pub fn new(cache: Cache, patience: Duration, per_second: u32) -> (Arc<Self>, impl Future<Output = ()> + use<>) {
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        let (due, old) = mpsc::channel(DUE);
        let locations = Arc::new(Self { cache, pace: Pace::new(per_second), patience, due });
        let refreshing = Arc::clone(&locations);
        let refresh = ReceiverStream::new(old).for_each_concurrent(REFRESHED, move |access| {
            let locations = Arc::clone(&refreshing);
            async move { locations.refresh(&access).await }
        });
        (locations, refresh)
    }

    /// The location of a mailbox. `failed` is one that has just failed to serve it.
    pub async fn locate(&self, access: &Arc<Access>, failed: Option<&str>) -> Result<Known, Report> {
        let known = self.known(access, failed).await?;
        // INV-5: what was released when it was found may have been taken back since.
        let Ok(url) = Url::parse(&known.url) else {
            return Err(Report::new(Code::LocationInvalid, known.url));
        };
        access.release.check(&url).map_err(|withheld| withheld.report(&url))?;
        Ok(known)
    }

    async fn known(&self, access: &Arc<Access>, failed: Option<&str>) -> Result<Known, Report> {
        let kept = self.cache.mailbox(&access.address).await;
        match self.decide(&kept.memory, access, failed) {
            Use::Keep(known) => Ok(known),
            Use::Refuse(report) => Err(report),
            Use::Refresh(known) => {
                // Too many at once: what is left out is due at its next question too.
                let _ = self.due.try_send(Arc::clone(access));
                Ok(known)
            }
            Use::Ask(known) => self.find(access, known, failed).await,
        }
    }

    /// Asks anew, whatever is known: somebody is waiting for it.
    pub async fn anew(&self, access: &Access, watcher: Option<&mpsc::Sender<Entry>>) -> Said {
        let alone = self.pace.alone(&access.address.key()).await;
        let kept = self.cache.mailbox(&access.address).await;
        let said = self.ask(access, kept, true, watcher).await;
        drop(alone);
        said
    }

    /// What is known, without asking.
    pub async fn said(&self, access: &Access) -> Said {
        let kept = self.cache.mailbox(&access.address).await;
        Said {
            known: kept.memory.known,
            missing: kept.memory.missing,
            asked_at: kept.memory.asked_at,
            transcript: kept.transcript,
        }
    }

    fn decide(&self, memory: &Memory, access: &Access, failed: Option<&str>) -> Use {
        let spread = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, access.address.key().as_bytes()).as_u64_pair().1;
        memory.decide(&discovery::depends_on(access), failed, clock::now(), self.patience, spread)
    }

    async fn find(&self, access: &Access, old: Option<Known>, failed: Option<&str>) -> Result<Known, Report> {
        // Many mailboxes of one server that is down: one of them finds out that nothing moved.
        if let (Some(known), Some(url)) = (&old, failed)
            && self.pace.is_settled(url)
        {
            return Ok(known.clone());
        }
        let alone = self.pace.alone(&access.address.key()).await;
        let kept = self.cache.mailbox(&access.address).await;
        match self.decide(&kept.memory, access, failed) {
            Use::Ask(_) => {}
            Use::Keep(known) | Use::Refresh(known) => return Ok(known),
            Use::Refuse(report) => return Err(report),
        }
        if !self.pace.turn(&access.address.domain()).await {
            let waiting = || Report::new(Code::AutodiscoverWaiting, access.address.domain());
            return old.ok_or_else(waiting);
        }
        let said = self.ask(access, kept, false, None).await;
        drop(alone);
        match (said.missing, said.known) {
            (None, Some(known)) => {
                if failed == Some(known.url.as_str()) {
                    self.pace.settle(&known.url);
                }
                Ok(known)
            }
            // Autodiscover fails too: the old location is tried further, and its own failure is the one to tell.
            (Some(missing), Some(known)) if !missing.report.code.is_permanent() => Ok(known),
            (Some(missing), _) => Err(missing.report),
            (None, None) => Err(Report::new(Code::AutodiscoverFailed, access.address.domain())),
        }
    }

    async fn refresh(&self, access: &Access) {
        let alone = self.pace.alone(&access.address.key()).await;
        let kept = self.cache.mailbox(&access.address).await;
        let is_due = matches!(self.decide(&kept.memory, access, None), Use::Refresh(_));
        if is_due && self.pace.turn(&access.address.domain()).await {
            self.ask(access, kept, false, None).await;
        }
        drop(alone);
    }

    async fn ask(&self, access: &Access, kept: Kept, anew: bool, watcher: Option<&mpsc::Sender<Entry>>) -> Said {
        let domain = access.address.domain();
        let known: Domain = self.cache.domain(&domain, &access.account).await;
        let began = clock::instant();
        let span = tracing::debug_span!("autodiscover", error.type = tracing::field::Empty);
        let discovered = discovery::discover(access, &known, anew, watcher).instrument(span.clone()).await;
        let Ended { result, transcript, domain: learned } = discovered;
        LOCATOR.discovery_duration.observe(began.elapsed().as_secs_f64());
        let fault = result.as_ref().err().map(|failure| failure.report.code.name());
        LOCATOR.discoveries.with_label_values(&[fault.unwrap_or("OK")]).inc();
        span.record("error.type", fault);
        if learned != known {
            self.cache.keep_domain(&domain, &access.account, &learned).await;
        }
        let depends_on = discovery::depends_on(access);
        let now = clock::now();
        let memory = match result {
            Ok(found) => {
                let settings = found.settings;
                let known = Known { url: found.url.to_string(), service: found.service, at: now, settings };
                Memory::found(known, &depends_on)
            }
            Err(failure) => kept.memory.missed(failure.report, failure.wants, &depends_on, now),
        };
        let kept = Kept { memory, transcript };
        self.cache.keep_mailbox(&access.address, &kept).await;
        let Kept { memory, transcript } = kept;
        Said { known: memory.known, missing: memory.missing, asked_at: memory.asked_at, transcript }
    }
}

#[cfg(test)]
mod tests;
