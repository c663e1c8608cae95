//! Snapshots in memory, for tests.

use std::{
    collections::HashMap,
    io::Cursor,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::{Reader, Shelf};
use crate::Error;

/// Objects in memory.
#[derive(Default)]
pub struct Memory {
    objects: Mutex<HashMap<String, Bytes>>,
}

#[async_trait]
impl Shelf for Memory {
    async fn put(&self, name: &str, content: &mut Reader<'_>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).await.map_err(|error| Error::Unreachable(error.to_string()))?;
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), bytes.into());
        Ok(())
    }

    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        let found = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<Reader<'static>>))
    }
}
