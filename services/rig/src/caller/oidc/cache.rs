//! The issuer's keys as they were last fetched, and when it is asked for them again.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use postroad_core::fault::{Code, Report};
use tokio::sync::OwnedMutexGuard;

use super::{issuer::Issuer, keys::Keys};
use crate::clock;

/// How long keys count, and how often the issuer is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Keys that are older are fetched again in the background, so that those that the issuer withdraws end.
    pub stale: Duration,
    /// Keys that are older are not used before the issuer was asked once.
    pub overdue: Duration,
    /// The distance of questions, from the end of one: whoever makes up key ids must not have us ask the issuer each time.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stale: Duration::from_secs(3600), overdue: Duration::from_secs(7200), pause: Duration::from_secs(10) }
    }
}

/// What is to be done about keys that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// They count.
    Fresh,
    /// They count, and are to be fetched again.
    Stale,
    /// They do not count until the issuer was asked.
    Overdue,
}

/// The keys.
#[derive(Debug)]
pub struct Cache {
    issuer: Issuer,
    patience: Patience,
    known: RwLock<Option<(Arc<Keys>, Instant)>>,
    /// When the last question to the issuer ended, whatever came of it.
    asked: Mutex<Option<Instant>>,
    /// Held while it is asked.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Cache {
    /// Nothing is fetched yet.
    pub fn new(issuer: Issuer, patience: Patience) -> Self {
        Self { issuer, patience, known: RwLock::default(), asked: Mutex::default(), asking: Arc::default() }
    }

    /// The keys that were fetched, and when.
    pub fn known(&self) -> Option<(Arc<Keys>, Instant)> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is to be done about keys that were fetched then. While the issuer is away, what is known counts.
    pub fn age(&self, fetched: Instant) -> Age {
        let age = clock::instant().saturating_duration_since(fetched);
        let asked_since = self.asked().is_some_and(|asked| asked > fetched);
        match age {
            age if age < self.patience.stale => Age::Fresh,
            age if age < self.patience.overdue || asked_since => Age::Stale,
            _ => Age::Overdue,
        }
    }

    /// Asks the issuer in the background, unless that is under way or it was asked just now.
    pub fn refresh(self: &Arc<Self>) {
        if let Ok(turn) = Arc::clone(&self.asking).try_lock_owned()
            && !self.was_asked_just_now()
        {
            self.ask(turn);
        }
    }

    /// Asks the issuer, unless it was asked just now. `seen` is when those keys were fetched that do not suffice.
    pub async fn fetch(self: &Arc<Self>, seen: Option<Instant>) -> Result<(), Report> {
        let turn = Arc::clone(&self.asking).lock_owned().await;
        let known = self.known();
        // Somebody else has fetched them while this one waited.
        if known.as_ref().is_some_and(|(_, at)| seen.is_none_or(|seen| *at > seen)) {
            return Ok(());
        }
        if self.was_asked_just_now() {
            let silent =
                || Report::new(Code::IssuerUnavailable, "it did not answer just now, and is asked again in seconds");
            return if known.is_some() { Ok(()) } else { Err(silent()) };
        }
        let broken = |error: tokio::task::JoinError| Report::new(Code::IssuerUnavailable, error.to_string());
        self.ask(turn).await.map_err(broken)?
    }

    /// Whoever waits for it may go away: what is asked is noted all the same.
    #[expect(clippy::disallowed_methods, reason = "a question ends by its limit of time, and tells when it fails")]
    fn ask(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<Result<(), Report>> {
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = cache.issuer.keys().await;
            let now = clock::instant();
            *cache.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            let outcome = match fetched {
                Ok(keys) => {
                    tracing::debug!(issuer = cache.issuer.url(), keys = keys.len(), "the issuer's keys are known");
                    *cache.known.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(keys), now));
                    Ok(())
                }
                Err(detail) => {
                    tracing::warn!(issuer = cache.issuer.url(), detail, "the issuer's keys cannot be fetched");
                    Err(Report::new(Code::IssuerUnavailable, detail))
                }
            };
            drop(turn);
            outcome
        })
    }

    fn was_asked_just_now(&self) -> bool {
        self.asked().is_some_and(|at| clock::instant().saturating_duration_since(at) < self.patience.pause)
    }

    fn asked(&self) -> Option<Instant> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
