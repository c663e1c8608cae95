//! Snapshots in a NATS object store.

use async_nats::jetstream::{
    self,
    object_store::{Config, GetErrorKind, ObjectStore},
};
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{Reader, Shelf};
use crate::{Error, Options};

/// Objects in the bucket `snapshot`.
pub struct Bucket {
    context: jetstream::Context,
    replicas: usize,
    store: OnceCell<ObjectStore>,
}

impl Bucket {
    /// Nothing is asked before a snapshot is.
    pub fn new(client: &async_nats::Client, options: &Options) -> Self {
        Self { context: jetstream::new(client.clone()), replicas: options.replicas, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&ObjectStore, Error> {
        self.store
            .get_or_try_init(async || {
                let config = Config {
                    bucket: "snapshot".to_owned(),
                    description: Some("views of the journal, to start from; can be deleted at any time".to_owned()),
                    num_replicas: self.replicas,
                    ..Config::default()
                };
                if let Ok(store) = self.context.get_object_store(&config.bucket).await {
                    return Ok(store);
                }
                match self.context.create_object_store(config).await {
                    Ok(store) => Ok(store),
                    // Another worker may have been faster.
                    Err(error) => match self.context.get_object_store("snapshot").await {
                        Ok(store) => Ok(store),
                        Err(_) => Err(unreachable(error)),
                    },
                }
            })
            .await
    }
}

#[async_trait]
impl Shelf for Bucket {
    /// The object's name is published after all its chunks, and the old ones are purged after that.
    async fn put(&self, name: &str, mut content: &mut Reader<'_>) -> Result<(), Error> {
        self.store().await?.put(name, &mut content).await.map(drop).map_err(unreachable)
    }

    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        match self.store().await?.get(name).await {
            Ok(object) => Ok(Some(Box::new(object))),
            Err(error) if error.kind() == GetErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreachable(error)),
        }
    }
}

fn unreachable(error: impl std::fmt::Display) -> Error {
    Error::Unreachable(error.to_string())
}
