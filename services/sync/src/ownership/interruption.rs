//! NATS does not answer: said once when it begins to matter, and once when it is over.

use std::time::Instant;

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
    /// A round failed, and `lost` leases ran out; gives what is to be told, which is something only the first time that any did.
    pub fn failed(&mut self, error: &str, lost: usize, now: Instant, at: Timestamp) -> Option<String> {
        if self.began.is_none() {
            self.began = Some(now);
            self.is_told = false;
            self.last = Some(Interruption { since: at, until: None, lost: 0 });
        }
        let last = self.last.as_mut()?;
        last.lost += lost;
        if self.is_told || last.lost == 0 {
            return None;
        }
        self.is_told = true;
        let since = last.since.strftime("%H:%M:%S");
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_told_once_when_leases_ran_out_and_once_when_it_is_over() {
        let (mut interruptions, began, at) = (Interruptions::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(interruptions.failed("no answer", 0, began, at), None);
        assert!(interruptions.failed("no answer", 256, began + Duration::from_secs(15), at).is_some());
        for second in 16..300 {
            assert_eq!(interruptions.failed("no answer", 0, began + Duration::from_secs(second), at), None);
        }
        let told = interruptions.answered(began + Duration::from_secs(300), at).unwrap();
        assert!(told.contains("300 s"), "{told}");
        assert_eq!(interruptions.answered(began + Duration::from_secs(301), at), None);
        assert_eq!(interruptions.last().map(|last| (last.lost, last.until)), Some((256, Some(at))));
    }

    #[test]
    fn one_lost_answer_is_not_worth_telling() {
        let (mut interruptions, began, at) = (Interruptions::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(interruptions.failed("no answer", 0, began, at), None);
        assert_eq!(interruptions.answered(began + Duration::from_secs(4), at), None);
    }
}
