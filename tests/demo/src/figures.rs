//! What is measured: when each message was delivered, and when it was first seen in the CRM.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use postroad_proto::crm::v1::{SearchEmailsRequest, crm_service_client::CrmServiceClient};
use system::activities::{Activities, bare};
use tokio::task::AbortHandle;

/// Distance of two looks into the CRM: the error of a latency.
const LOOK: Duration = Duration::from_millis(10);

/// Deliveries and arrivals, by message id.
#[derive(Clone, Default)]
pub struct Figures(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    delivered: BTreeMap<String, Delivery>,
    seen: BTreeMap<String, Instant>,
}

struct Delivery {
    at: Instant,
    /// Whether the mailbox's server was down then: such a message measures the outage, not Postroad.
    during_outage: bool,
}

/// The look-out; ends when dropped.
pub struct Lookout(AbortHandle);

impl Drop for Lookout {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The figures that the demo ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Messages delivered to mailboxes.
    pub delivered: usize,
    /// Those of them that are activities.
    pub tracked: usize,
    /// Activities beyond one for each message.
    pub duplicates: usize,
    /// Messages that are no activity.
    pub missing: usize,
    /// Mails to the owner.
    pub alert_mails: usize,
    /// Half of the messages were in the CRM after so many milliseconds.
    pub p50: Option<u128>,
    /// 99 of 100 were.
    pub p99: Option<u128>,
}

impl Figures {
    /// Notes a delivery.
    pub fn delivered(&self, message_id: String, during_outage: bool) {
        self.lock().delivered.insert(message_id, Delivery { at: Instant::now(), during_outage });
    }

    /// The message ids that were delivered.
    pub fn wanted(&self) -> BTreeSet<String> {
        self.lock().delivered.keys().cloned().collect()
    }

    /// The message ids that were delivered to servers that were up.
    pub fn wanted_now(&self) -> BTreeSet<String> {
        let inner = self.lock();
        let up = inner.delivered.iter().filter(|(_, delivery)| !delivery.during_outage);
        up.map(|(id, _)| id.clone()).collect()
    }

    /// How long each message that was seen took, shortest first; without those delivered during the outage.
    pub fn latencies(&self) -> Vec<Duration> {
        let inner = self.lock();
        let up = inner.delivered.iter().filter(|(_, delivery)| !delivery.during_outage);
        let mut latencies: Vec<_> = up
            .filter_map(|(id, delivery)| inner.seen.get(id).map(|seen| seen.saturating_duration_since(delivery.at)))
            .collect();
        latencies.sort();
        latencies
    }

    /// Looks into the CRM again and again, and notes when each message is first there.
    pub fn look_out(&self, mut crm: CrmServiceClient<postroad_rig::caller::Introduced>) -> Lookout {
        let figures = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let request = SearchEmailsRequest { page_size: 1000, ..SearchEmailsRequest::default() };
                if let Ok(page) = crm.search_emails(request).await {
                    let now = Instant::now();
                    let mut inner = figures.lock();
                    for email in page.into_inner().emails {
                        inner.seen.entry(bare(&email.message_id)).or_insert(now);
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Lookout(task.abort_handle())
    }

    /// The figures, against what is in the CRM now.
    pub fn summary(&self, found: &Activities, alert_mails: usize) -> Summary {
        let wanted = self.wanted();
        let missing = found.missing(&wanted).len();
        let latencies = self.latencies();
        let percentile = |percent| percentile(&latencies, percent).map(|latency| latency.as_millis());
        Summary {
            delivered: wanted.len(),
            tracked: wanted.len() - missing,
            duplicates: found.duplicates() + found.strangers(&wanted).len(),
            missing,
            alert_mails,
            p50: percentile(50),
            p99: percentile(99),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    /// Whether every message is in the CRM exactly once.
    pub const fn is_exact(&self) -> bool {
        self.delivered > 0 && self.tracked == self.delivered && self.missing == 0 && self.duplicates == 0
    }

    /// One line of JSON, in this order.
    pub fn json(&self) -> String {
        let Self { delivered, tracked, duplicates, missing, alert_mails, p50, p99 } = self;
        let value = |time: &Option<u128>| time.map_or_else(|| "null".to_owned(), |time| time.to_string());
        format!(
            "{{\"delivered\":{delivered},\"tracked\":{tracked},\"duplicates\":{duplicates},\"missing\":{missing},\
             \"alert_mails\":{alert_mails},\"arrival_to_crm_ms\":{{\"p50\":{},\"p99\":{}}}}}",
            value(p50),
            value(p99)
        )
    }
}

/// The value that so many per cent of the sorted values do not exceed (nearest rank).
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let percentile = |percent| percentile(&sorted, percent).map(|value| value.as_millis());
        assert_eq!((percentile(50), percentile(99), percentile(100)), (Some(100), Some(198), Some(200)));
        assert_eq!(super::percentile(&[], 50), None);
        assert_eq!(super::percentile(&[Duration::from_millis(7)], 99), Some(Duration::from_millis(7)));
    }

    #[test]
    fn what_is_missing_doubled_or_unknown_is_counted() {
        let figures = Figures::default();
        for id in ["a", "b", "c"] {
            figures.delivered(id.to_owned(), false);
        }
        let found = |pairs: &[(&str, usize)]| Activities {
            by_message_id: pairs.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect(),
        };
        let summary = figures.summary(&found(&[("a", 1), ("b", 2), ("x", 1)]), 1);
        assert_eq!((summary.delivered, summary.tracked, summary.duplicates, summary.missing), (3, 2, 2, 1));
        assert!(!summary.is_exact());
        assert!(figures.summary(&found(&[("a", 1), ("b", 1), ("c", 1)]), 0).is_exact());
    }

    #[test]
    fn the_line_has_the_documented_form() {
        let summary =
            Summary { delivered: 2, tracked: 2, duplicates: 0, missing: 0, alert_mails: 1, p50: Some(5), p99: Some(9) };
        let json: serde_json::Value = serde_json::from_str(&summary.json()).unwrap();
        assert_eq!(json["arrival_to_crm_ms"]["p99"], 9);
        assert_eq!(json["alert_mails"], 1);
    }
}
