//! NATS does not answer: said once when it begins to matter, and once when it is over.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A time for which NATS did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Partitions whose mailboxes were let go.
    pub lost: usize,
}

/// The present and the last interruption of one worker.
#[derive(Default)]
pub struct Interruptions {
    began: Option<Instant>,
    is_told: bool,
    last: Option<Interruption>,
}

impl Interruptions {
    /// A round failed, and `lost` partitions were let go; gives what is to be told, which is something only the first time that any were,
    /// or that rounds have failed for longer than `patience`.
    pub fn failed(
        &mut self,
        error: &str,
        lost: usize,
        patience: Duration,
        now: Instant,
        at: Timestamp,
    ) -> Option<String> {
        if self.began.is_none() {
            self.began = Some(now);
            self.is_told = false;
            self.last = Some(Interruption { since: at, until: None, lost: 0 });
        }
        let last = self.last.as_mut()?;
        last.lost += lost;
        let lasts = self.began.is_some_and(|began| now.saturating_duration_since(began) > patience);
        if self.is_told || last.lost == 0 && !lasts {
            return None;
        }
        self.is_told = true;
        let since = last.since.strftime("%H:%M:%S");
        if last.lost == 0 {
            return Some(format!(
                "NATS has not done since {since} UTC what it was asked ({error}): this worker keeps its mailboxes, takes none and gives \
                 none back; this is said once"
            ));
        }
        Some(format!(
            "NATS has not answered since {since} UTC ({error}): the leases ran out, and nothing is done in any mailbox until it \
             answers; this is said once"
        ))
    }

    /// A round succeeded; gives what is to be told, if an interruption that was told is over.
    pub fn answered(&mut self, now: Instant, at: Timestamp) -> Option<String> {
        let began = self.began.take()?;
        let last = self.last.as_mut()?;
        last.until = Some(at);
        let seconds = now.saturating_duration_since(began).as_secs();
        self.is_told.then(|| format!("NATS answers again after {seconds} s; the mailboxes are taken up again"))
    }

    /// The present one, or the last.
    pub const fn last(&self) -> Option<Interruption> {
        self.last
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a beginning for the moments of a test")]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[test]
    fn it_is_told_once_when_leases_ran_out_and_once_when_it_is_over() {
        let (mut interruptions, began, at) = (Interruptions::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(interruptions.failed("no answer", 0, PATIENCE, began, at), None);
        assert!(interruptions.failed("no answer", 256, PATIENCE, began + Duration::from_secs(15), at).is_some());
        for second in 16..300 {
            assert_eq!(interruptions.failed("no answer", 0, PATIENCE, began + Duration::from_secs(second), at), None);
        }
        let told = interruptions.answered(began + Duration::from_secs(300), at).unwrap();
        assert!(told.contains("300 s"), "{told}");
        assert_eq!(interruptions.answered(began + Duration::from_secs(301), at), None);
        assert_eq!(interruptions.last().map(|last| (last.lost, last.until)), Some((256, Some(at))));
    }

    #[test]
    fn one_lost_answer_is_not_worth_telling() {
        let (mut interruptions, began, at) = (Interruptions::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(interruptions.failed("no answer", 0, PATIENCE, began, at), None);
        assert_eq!(interruptions.answered(began + Duration::from_secs(4), at), None);
    }

    #[test]
    fn it_is_told_once_too_when_nothing_is_lost_and_nothing_is_done_for_long() {
        let (mut interruptions, began, at) = (Interruptions::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        let mut told = (0..60).filter_map(|second| {
            interruptions.failed("no answer", 0, PATIENCE, began + Duration::from_secs(second), at)
        });
        assert!(told.next().unwrap().contains("keeps its mailboxes"));
        assert_eq!(told.next(), None);
    }
}
