//! How streams of notifications are kept open: when they are tried again, and when polling takes their place.

use std::time::Duration;

/// The most mailboxes of one group: subscriptions of one connection (MS-OXWSNTIF, GetStreamingEvents).
pub const GROUP: usize = 200;
/// After so many openings in a row on which nothing was heard, something between holds streams back.
const SILENT: u8 = 2;

/// How one group of mailboxes fares with its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    failures: u32,
    silent: u8,
}

/// What to do after a stream ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Open it again after so long.
    Reopen(Duration),
    /// Poll: streams do not come through.
    Poll,
}

impl Trial {
    /// Something was heard: streams work here.
    pub const fn heard(&mut self) {
        *self = Self { failures: 0, silent: 0 };
    }

    /// The stream broke or could not be opened: one second the first time, twice as long with each further one, a minute at most.
    pub fn broke(&mut self) -> Next {
        let pause = Duration::from_secs(1 << self.failures.min(6)).min(Duration::from_secs(60));
        self.failures = self.failures.saturating_add(1);
        Next::Reopen(pause)
    }

    /// Nothing was heard on it at all, not even that it lives: twice in a row means that something on the way holds it back
    /// (PROTOCOL.md §8.1).
    pub fn silent(&mut self) -> Next {
        self.silent = self.silent.saturating_add(1);
        if self.silent >= SILENT { Next::Poll } else { self.broke() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_stream_is_tried_at_growing_distances_up_to_a_minute() {
        let mut trial = Trial::default();
        let pauses: Vec<_> = (0..8).map(|_| trial.broke()).collect();
        let seconds = [1, 2, 4, 8, 16, 32, 60, 60].map(|seconds| Next::Reopen(Duration::from_secs(seconds)));
        assert_eq!(pauses, seconds);
        trial.heard();
        assert_eq!(trial.broke(), Next::Reopen(Duration::from_secs(1)));
    }

    #[test]
    fn two_silent_streams_in_a_row_mean_polling() {
        let mut trial = Trial::default();
        assert_eq!(trial.silent(), Next::Reopen(Duration::from_secs(1)));
        assert_eq!(trial.silent(), Next::Poll);
        let mut trial = Trial::default();
        assert_eq!(trial.silent(), Next::Reopen(Duration::from_secs(1)));
        trial.heard();
        assert_eq!(trial.silent(), Next::Reopen(Duration::from_secs(1)), "it works now and then");
    }
}
