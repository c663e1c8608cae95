//! Locations that Autodiscover found, per mailbox (setup guide: "CRM caches this information"). Lost, it is only asked again.

use async_nats::jetstream::kv;
use jiff::Timestamp;
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const BUCKET: &str = "locations";

/// How a location was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The SOAP service.
    Soap,
    /// The POX service.
    Pox,
}

impl Source {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soap => "SOAP",
            Self::Pox => "POX",
        }
    }
}

/// A location that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// EWS URL.
    pub url: String,
    /// How.
    pub source: Source,
    /// When.
    pub at: Timestamp,
}

/// The cache.
pub struct Cache {
    bucket: kv::Store,
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
    /// Opens the bucket, or makes it.
    pub async fn open(nats: &async_nats::Client, replicas: usize) -> Result<Self, Error> {
        let jetstream = async_nats::jetstream::new(nats.clone());
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            description: "EWS locations found by Autodiscover, by mailbox".to_owned(),
            history: 1,
            num_replicas: replicas,
            ..kv::Config::default()
        };
        let bucket = jetstream.create_or_update_key_value(config).await.map_err(|error| Error(error.to_string()))?;
        Ok(Self { bucket })
    }

    /// The location of a mailbox, if it was found before.
    pub async fn get(&self, address: &EmailAddress) -> Result<Option<Found>, Error> {
        let entry = self.bucket.get(key(address)).await.map_err(|error| Error(error.to_string()))?;
        // What a former version wrote and this one cannot read is asked for again.
        Ok(entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Keeps the location of a mailbox.
    pub async fn put(&self, address: &EmailAddress, found: &Found) -> Result<(), Error> {
        let bytes = serde_json::to_vec(found).map_err(|error| Error(error.to_string()))?;
        self.bucket.put(key(address), bytes.into()).await.map(|_| ()).map_err(|error| Error(error.to_string()))
    }
}

/// Addresses have characters that keys may not have.
fn key(address: &EmailAddress) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, address.key().as_bytes()).to_string()
}
