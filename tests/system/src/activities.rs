//! What is in the CRM, counted by message id.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use postroad_proto::crm::v1::{Email, SearchEmailsRequest};
use stage::eventually;

use crate::{Deployment, Error};

/// All email activities of the CRM, counted by message id without angle brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activities {
    /// How often each message id occurs.
    pub by_message_id: BTreeMap<String, usize>,
}

impl Activities {
    /// Reads all pages.
    pub async fn read(deployment: &Deployment) -> Result<Self, Error> {
        let mut by_message_id = BTreeMap::new();
        for email in emails(deployment).await? {
            *by_message_id.entry(bare(&email.message_id)).or_insert(0) += 1;
        }
        Ok(Self { by_message_id })
    }

    /// Those of `wanted` that are not there.
    pub fn missing(&self, wanted: &BTreeSet<String>) -> Vec<String> {
        wanted.iter().filter(|id| !self.by_message_id.contains_key(*id)).cloned().collect()
    }

    /// How many are there more than once, each further one counted.
    pub fn duplicates(&self) -> usize {
        self.by_message_id.values().map(|count| count - 1).sum()
    }

    /// Those that nobody delivered.
    pub fn strangers(&self, wanted: &BTreeSet<String>) -> Vec<String> {
        self.by_message_id.keys().filter(|id| !wanted.contains(*id)).cloned().collect()
    }
}

/// Every email activity, page by page.
pub async fn emails(deployment: &Deployment) -> Result<Vec<Email>, Error> {
    let mut crm = deployment.crm();
    let mut emails = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = SearchEmailsRequest { page_size: 1000, page_token, ..SearchEmailsRequest::default() };
        let page = crm.search_emails(request).await?.into_inner();
        emails.extend(page.emails);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(emails);
        }
    }
}

/// Waits until all `wanted` messages are activities; gives what is missing at the deadline.
pub async fn wait_for(
    deployment: &Deployment,
    wanted: &BTreeSet<String>,
    deadline: Duration,
) -> Result<(), Vec<String>> {
    let all_there = eventually(deadline, || async {
        let found = Activities::read(deployment).await.ok()?;
        found.missing(wanted).is_empty().then_some(())
    });
    match all_there.await {
        Some(()) => Ok(()),
        None => Err(Activities::read(deployment)
            .await
            .map_or_else(|error| vec![error.to_string()], |found| found.missing(wanted))),
    }
}

/// A message id without its angle brackets.
pub fn bare(message_id: &str) -> String {
    message_id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}
