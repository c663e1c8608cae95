//! Objects in a NATS object store.

use async_nats::jetstream::{
    self,
    object_store::{Config, DeleteErrorKind, GetErrorKind, InfoErrorKind, ObjectStore, PutErrorKind},
};
use async_trait::async_trait;

use super::{Error, Objects, Reader, failed};

/// The name of the bucket.
const NAME: &str = "content";

/// Objects in the bucket `content`.
pub struct Bucket {
    store: ObjectStore,
}

impl Bucket {
    /// Opens the bucket, and creates it where it does not exist.
    pub async fn open(client: &async_nats::Client, replicas: usize) -> Result<Self, Error> {
        let context = jetstream::new(client.clone());
        if let Ok(store) = context.get_object_store(NAME).await {
            return Ok(Self { store });
        }
        let config = Config {
            bucket: NAME.to_owned(),
            description: Some(
                "bodies, originals and attachments of email activities, encrypted under a key of each".to_owned(),
            ),
            num_replicas: replicas,
            ..Config::default()
        };
        match context.create_object_store(config).await {
            Ok(store) => Ok(Self { store }),
            // Another replica of the role may have been faster.
            Err(error) => match context.get_object_store(NAME).await {
                Ok(store) => Ok(Self { store }),
                Err(_) => Err(failed("opening the bucket", error)),
            },
        }
    }
}

#[async_trait]
impl Objects for Bucket {
    async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.store.info(name).await {
            Ok(info) if info.deleted => Ok(None),
            Ok(info) => Ok(Some(info.size as u64)),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("looking for an object", error)),
        }
    }

    /// The object's name is published after all its chunks, so a put that fails or is cut off leaves nothing visible; the
    /// chunks of one that was cut off stay in the bucket unused.
    async fn put(&self, name: &str, mut content: &mut Reader<'_>) -> Result<(), Error> {
        match self.store.put(name, &mut content).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == PutErrorKind::ReadChunks => Err(Error::Read(std::io::Error::other(error))),
            Err(error) => Err(failed("storing an object", error)),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        match self.store.delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == DeleteErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("removing an object", error)),
        }
    }

    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        match self.store.get(name).await {
            Ok(object) => Ok(Some(Box::new(object))),
            Err(error) if error.kind() == GetErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("opening an object", error)),
        }
    }
}
