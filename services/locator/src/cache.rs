//! What Autodiscover said, per mailbox and per domain (setup guide: "CRM caches this information"). Lost, it is only asked
//! again.

use std::collections::BTreeMap;

use async_nats::jetstream::kv;
use postroad_core::{
    EmailAddress,
    autodiscover::{Entry, Memory, Service},
    fault::{Code, Report},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// What is kept of a mailbox.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is, or why that is not known.
    pub memory: Memory,
    /// How the last discovery went.
    pub transcript: Vec<Entry>,
}

/// What is kept of a domain, for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The endpoint that worked last.
    pub endpoint: Option<(Service, String)>,
    /// The ways of authentication that hosts offered.
    pub offered: BTreeMap<String, Vec<String>>,
}

/// The cache.
pub struct Cache {
    locations: kv::Store,
    domains: kv::Store,
}

/// Why the cache does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the cache of locations does not answer: {0}")]
pub struct Error(String);

impl Error {
    /// The row of the fault table.
    pub fn report(&self) -> Report {
        Report::new(Code::JournalUnavailable, self.to_string())
    }
}

impl Cache {
    /// Opens the buckets, or makes them.
    pub async fn open(nats: &async_nats::Client, replicas: usize) -> Result<Self, Error> {
        let jetstream = async_nats::jetstream::new(nats.clone());
        let bucket = |name: &str, description: &str| kv::Config {
            bucket: name.to_owned(),
            description: description.to_owned(),
            history: 1,
            num_replicas: replicas,
            ..kv::Config::default()
        };
        let failed = |error: async_nats::jetstream::context::CreateKeyValueError| Error(error.to_string());
        let locations = bucket("locations", "EWS locations found by Autodiscover, by mailbox");
        let locations = jetstream.create_or_update_key_value(locations).await.map_err(failed)?;
        let domains = bucket("autodiscover", "Autodiscover endpoints that worked, by domain and account");
        let domains = jetstream.create_or_update_key_value(domains).await.map_err(failed)?;
        Ok(Self { locations, domains })
    }

    /// What is kept of a mailbox. A cache that does not answer, or has what this version cannot read, knows nothing.
    pub async fn mailbox(&self, address: &EmailAddress) -> Kept {
        get(&self.locations, key(&address.key())).await
    }

    /// Keeps it.
    pub async fn keep_mailbox(&self, address: &EmailAddress, kept: &Kept) {
        put(&self.locations, key(&address.key()), kept).await;
    }

    /// What is kept of a domain for an account.
    pub async fn domain(&self, domain: &str, account: &str) -> Domain {
        get(&self.domains, key(&format!("{domain}\n{account}"))).await
    }

    /// Keeps it.
    pub async fn keep_domain(&self, domain: &str, account: &str, kept: &Domain) {
        put(&self.domains, key(&format!("{domain}\n{account}")), kept).await;
    }
}

async fn get<T: Default + DeserializeOwned>(bucket: &kv::Store, key: String) -> T {
    match bucket.get(key).await {
        Ok(entry) => entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(error = error.to_string(), "going on without the cache of locations");
            T::default()
        }
    }
}

async fn put<T: Serialize + Sync>(bucket: &kv::Store, key: String, kept: &T) {
    let put = async {
        let bytes = serde_json::to_vec(kept).map_err(|error| error.to_string())?;
        bucket.put(key, bytes.into()).await.map_err(|error| error.to_string())
    };
    if let Err(error) = put.await {
        tracing::warn!(error, "the cache of locations does not keep what was found");
    }
}

/// Addresses have characters that keys may not have.
fn key(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}
