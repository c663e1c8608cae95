//! Searching activities. The view is scanned in steps, so that a search over many activities does not stop the view.

use std::sync::Arc;

use uuid::Uuid;

use super::{Position, Row, Store};

/// Activities that are looked at while the view is held.
const STEP: usize = 2048;

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Words in lower case that must all occur.
    pub words: Vec<String>,
    /// Only those found in this mailbox, by id or address.
    pub mailbox: Option<String>,
    /// Only those after this position.
    pub after: Option<Position>,
    /// At most so many.
    pub most: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Activities, the newest first.
    pub rows: Vec<Arc<Row>>,
    /// How many there are in all, on every page.
    pub total: u64,
}

impl Store {
    /// Searches activities, the newest first.
    pub async fn search(&self, wanted: &Wanted) -> Found {
        if wanted.words.is_empty() {
            return self.read(|view| Found {
                rows: view.newest(wanted.mailbox.as_deref(), wanted.after, wanted.most),
                total: view.count(wanted.mailbox.as_deref()) as u64,
            });
        }
        let mut found = Found { rows: Vec::new(), total: 0 };
        let mut cursor = None;
        loop {
            let step = self.read(|view| view.newest(wanted.mailbox.as_deref(), cursor, STEP));
            cursor = step.last().map(|row| row.position);
            let is_last = step.len() < STEP;
            for row in step.into_iter().filter(|row| wanted.words.iter().all(|word| row.text.contains(word))) {
                found.total += 1;
                if found.rows.len() < wanted.most && wanted.after.is_none_or(|after| row.position > after) {
                    found.rows.push(row);
                }
            }
            if is_last {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// An activity that has a content with a digest: a look at all of them, in steps too.
    pub fn holder(&self, digest: &str) -> Option<Uuid> {
        let mut cursor = None;
        loop {
            let step = self.read(|view| view.newest(None, cursor, STEP));
            cursor = step.last().map(|row| row.position);
            let mut emails = step.iter().map(|row| &row.activity.email);
            let found = emails.find(|email| email.contents().any(|content| content.digest == digest));
            if found.is_some() || step.len() < STEP {
                return found.map(|email| email.id);
            }
        }
    }
}
