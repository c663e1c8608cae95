//! What was asked, for tests that count requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::fault::Service;

/// Requests that are remembered; older ones are only counted.
const REMEMBERED: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// EWS, Autodiscover or the token endpoint.
    pub service: Service,
    /// The region whose endpoint was asked.
    pub region: Option<String>,
    /// The operation, if the request could be read that far.
    pub operation: Option<String>,
    /// The mailbox that was asked for or about: its primary address, or what the request said if there is none such.
    pub mailbox: Option<String>,
    /// Whether credentials came with it.
    pub with_credentials: bool,
    /// The status of the answer; 0 where the connection was closed instead.
    pub status: u16,
}

/// Requests so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// All.
    pub requests: u64,
    /// Those without credentials.
    pub without_credentials: u64,
    /// Those whose credentials were refused.
    pub refused_credentials: u64,
    /// By operation; Autodiscover: `GetUserSettings`, `pox`; the token endpoint: `token`.
    pub by_operation: BTreeMap<String, u64>,
    /// By region.
    pub by_region: BTreeMap<String, u64>,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counters: Counters,
    requests: VecDeque<Request>,
}

// === impl Ledger ===

impl Ledger {
    /// Counts a request; remembers it, unless only counts are wanted.
    pub fn note(&self, request: Request, is_remembered: bool) {
        let mut book = self.lock();
        let counters = &mut book.counters;
        counters.requests += 1;
        counters.without_credentials += u64::from(!request.with_credentials);
        counters.refused_credentials += u64::from(request.with_credentials && request.status == 401);
        if let Some(operation) = &request.operation {
            *counters.by_operation.entry(operation.clone()).or_default() += 1;
        }
        if let Some(region) = &request.region {
            *counters.by_region.entry(region.clone()).or_default() += 1;
        }
        if !is_remembered {
            return;
        }
        if book.requests.len() == REMEMBERED {
            book.requests.pop_front();
        }
        book.requests.push_back(request);
    }

    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
