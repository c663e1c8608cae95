//! Erasing what came before an aggregate's tombstone: the one thing that is ever deleted from the journal.

use uuid::Uuid;

use crate::{Error, Journal, Kind};

/// Commits that are looked for at a time.
const PAGE: usize = 256;

impl Journal {
    /// Deletes the commits of an aggregate before a sequence and overwrites what they held; gives how many there were. Who calls it has
    /// committed a tombstone there. The first commit goes last: what is left by a crash tells what it was, and the next call goes on.
    ///
    /// # Errors
    /// NATS does not answer, or the stream forbids deletion: only that of the CRM allows it.
    pub async fn erase_before(&self, kind: Kind, id: Uuid, sequence: u64) -> Result<u64, Error> {
        let subject = kind.subject(id);
        let (mut commits, mut after) = (Vec::new(), 0);
        loop {
            let page = self.backend.read(kind.part(), &subject, after, PAGE).await?;
            commits.extend(page.iter().map(|found| found.sequence).filter(|found| *found < sequence));
            match page.last() {
                Some(last) if page.len() == PAGE && last.sequence < sequence => after = last.sequence,
                _ => break,
            }
        }
        for commit in commits.iter().rev() {
            self.backend.erase(kind.part(), *commit).await?;
        }
        Ok(commits.len() as u64)
    }
}
