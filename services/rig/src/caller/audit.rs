//! Calls that are denied: each is counted, and told in the log under the target `audit`. A flood of them is told in summary, so
//! that nobody fills a disk by being refused. They are not in the journal, for the same reason.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use postroad_core::fault::Code;

use crate::clock;

/// Denials that are told one by one within [`WINDOW`].
const EACH: u64 = 20;
/// The distance of summaries.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Kinds of denials that a summary tells apart.
const KINDS: usize = 64;

/// A call that is denied.
#[derive(Clone, Debug)]
pub struct Denied<'a> {
    /// Who called.
    pub caller: &'a str,
    /// Which call.
    pub rpc: &'a str,
    /// Why.
    pub code: Code,
    /// Why, in words.
    pub reason: &'a str,
    /// Where from.
    pub from: &'a str,
}

/// The log of denied calls of a process's role.
#[derive(Debug)]
pub struct Audit {
    total: AtomicU64,
    window: Mutex<Window>,
}

impl Audit {
    /// Nothing was denied yet.
    pub fn new() -> Self {
        Self { total: AtomicU64::new(0), window: Mutex::new(Window::new(clock::instant())) }
    }

    /// Calls that were denied since the start.
    #[cfg(test)]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts a denied call, and tells about it, now or in the next summary.
    pub fn denied(&self, denied: &Denied<'_>) {
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_told, ended) = window.note(clock::instant(), denied);
        drop(window);
        tell(ended);
        if is_told {
            let Denied { caller, rpc, code, reason, from } = denied;
            tracing::warn!(target: "audit", caller, rpc, %code, reason, from, total, "a call was denied");
        }
    }

    /// Tells about the denials that were held back, once their window has ended.
    pub fn summarize(&self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = window.turn(clock::instant());
        drop(window);
        tell(ended);
    }

    /// Tells about all that were held back, since nobody will ask again.
    pub fn end(&self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let held = std::mem::take(&mut window.held);
        drop(window);
        tell(held);
    }
}

fn tell(held: BTreeMap<Kind, u64>) {
    for ((rpc, code), count) in held {
        tracing::warn!(target: "audit", rpc, %code, count, "more calls were denied than are told one by one");
    }
}

/// A call, and why it is denied.
type Kind = (String, Code);

/// The denials of a while: pure.
#[derive(Debug)]
struct Window {
    began: Instant,
    told: u64,
    held: BTreeMap<Kind, u64>,
}

impl Window {
    const fn new(began: Instant) -> Self {
        Self { began, told: 0, held: BTreeMap::new() }
    }

    /// Whether a denial is told by itself; and the summary of the window before, where that has ended.
    fn note(&mut self, now: Instant, denied: &Denied<'_>) -> (bool, BTreeMap<Kind, u64>) {
        let ended = self.turn(now);
        if self.told < EACH {
            self.told += 1;
            return (true, ended);
        }
        let kind = (denied.rpc.to_owned(), denied.code);
        // Paths that callers make up must not fill the memory either.
        let is_listed = self.held.len() < KINDS || self.held.contains_key(&kind);
        let kind = if is_listed { kind } else { ("other calls".to_owned(), denied.code) };
        *self.held.entry(kind).or_default() += 1;
        (false, ended)
    }

    /// Begins a new window if this one has ended; gives what it held back.
    fn turn(&mut self, now: Instant) -> BTreeMap<Kind, u64> {
        if now.saturating_duration_since(self.began) < WINDOW {
            return BTreeMap::new();
        }
        std::mem::replace(self, Self::new(now)).held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(rpc: &str) -> Denied<'_> {
        Denied { caller: "eve", rpc, code: Code::AccessDenied, reason: "", from: "127.0.0.1:1" }
    }

    #[test]
    fn a_flood_is_summed_up_and_none_is_uncounted() {
        let began = clock::instant();
        let mut window = Window::new(began);
        let mut told = 0;
        for number in 0..10_000 {
            let rpc = format!("/made/up{}", number % 500);
            let (is_told, ended) = window.note(began + Duration::from_secs(1), &denied(&rpc));
            assert!(ended.is_empty());
            told += u64::from(is_told);
        }
        let held = window.turn(began + WINDOW);
        assert_eq!((told, held.values().sum::<u64>()), (EACH, 10_000 - EACH));
        assert!(held.len() <= KINDS + 1);
        // The next window tells one by one again.
        assert!(window.note(began + WINDOW, &denied("/x")).0);
        assert!(window.turn(began + WINDOW + WINDOW).is_empty());
    }

    #[test]
    fn each_denial_is_counted() {
        let audit = Audit::new();
        for _ in 0..50 {
            audit.denied(&denied("/x"));
        }
        audit.summarize();
        assert_eq!(audit.total(), 50);
    }
}
