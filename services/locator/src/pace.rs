//! How fast Autodiscover is asked: a handful of discoveries a second and domain, whatever happens to how many mailboxes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, time::Instant};

/// For so long a location that was found again unchanged is not doubted for other mailboxes.
const SETTLED: Duration = Duration::from_secs(60);
/// The longest wait for a turn; who would wait longer comes again later.
const PATIENCE: Duration = Duration::from_secs(20);

/// Turns of domains, and who is being asked about.
pub struct Pace {
    distance: Duration,
    next: Mutex<HashMap<String, Instant>>,
    running: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    settled: Mutex<HashMap<String, Instant>>,
}

impl Pace {
    /// At most so many turns a second for a domain.
    pub fn new(per_second: u32) -> Self {
        Self {
            distance: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::default(),
            running: Mutex::default(),
            settled: Mutex::default(),
        }
    }

    /// Waits for the domain's next turn; `false` if that would take too long.
    pub async fn turn(&self, domain: &str) -> bool {
        let Some(at) = self.book(domain, Instant::now()) else { return false };
        tokio::time::sleep_until(at).await;
        true
    }

    fn book(&self, domain: &str, now: Instant) -> Option<Instant> {
        let mut next = lock(&self.next);
        next.retain(|_, at| *at > now);
        let at = next.get(domain).copied().unwrap_or(now);
        if at.duration_since(now) > PATIENCE {
            return None;
        }
        next.insert(domain.to_owned(), at + self.distance);
        Some(at)
    }

    /// One at a time for a mailbox: who comes second finds what the first one found.
    pub async fn alone(&self, mailbox: &str) -> OwnedMutexGuard<()> {
        let running = {
            let mut running = lock(&self.running);
            running.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(running.entry(mailbox.to_owned()).or_default())
        };
        running.lock_owned().await
    }

    /// Notes that a location was doubted and found again: the server is down, nothing moved.
    pub fn settle(&self, url: &str) {
        lock(&self.settled).insert(url.to_owned(), Instant::now());
    }

    /// Whether it was, a short while ago.
    pub fn is_settled(&self, url: &str) -> bool {
        let mut settled = lock(&self.settled);
        settled.retain(|_, at| at.elapsed() < SETTLED);
        settled.contains_key(url)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_mailboxes_take_turns_and_the_last_ones_come_again() {
        let pace = Pace::new(5);
        let now = Instant::now();
        let turns: Vec<_> = (0..1000).map_while(|_| pace.book("contoso.com", now)).collect();
        assert_eq!(turns.len(), 101);
        assert_eq!(turns[5].duration_since(now), Duration::from_secs(1));
        assert!(pace.book("contoso.com", now).is_none() && pace.book("fabrikam.com", now) == Some(now));
        assert!(pace.book("contoso.com", now + Duration::from_secs(1)).is_some());
    }
}
