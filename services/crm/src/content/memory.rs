//! Objects in memory, for tests.

use std::{collections::HashMap, sync::PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::{Error, Objects, Reader};

/// Objects in memory.
#[derive(Default)]
pub struct Memory {
    objects: std::sync::Mutex<HashMap<String, Bytes>>,
}

impl Memory {
    fn get(&self, name: &str) -> Option<Bytes> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

#[async_trait]
impl Objects for Memory {
    async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.get(name).map(|bytes| bytes.len() as u64))
    }

    async fn put(&self, name: &str, content: &mut Reader<'_>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).await.map_err(Error::Read)?;
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), bytes.into());
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        Ok(self.get(name).map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<Reader<'static>>))
    }
}
