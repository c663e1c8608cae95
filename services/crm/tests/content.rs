//! The contract of the object store's port, run over memory and NATS; and what is built on it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use postroad_core::email::Content;
use postroad_crm::content::{Bucket, Contents, Error, Memory, Objects, digest};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// Reads some bytes and then fails.
struct Breaking(usize);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.0 == 0 {
            return std::task::Poll::Ready(Err(std::io::Error::other("no more")));
        }
        let length = self.0.min(buffer.remaining());
        buffer.put_slice(&vec![7; length]);
        self.0 -= length;
        std::task::Poll::Ready(Ok(()))
    }
}

async fn read(objects: &dyn Objects, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    objects.open(name).await.unwrap()?.read_to_end(&mut bytes).await.unwrap();
    Some(bytes)
}

async fn contract(objects: &dyn Objects) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    for content in [Vec::new(), b"hello".to_vec(), large] {
        let name = digest(&content);
        assert_eq!(objects.size(&name).await.unwrap(), None);
        assert!(read(objects, &name).await.is_none());
        objects.put(&name, &mut content.as_slice()).await.unwrap();
        assert_eq!(objects.size(&name).await.unwrap(), Some(content.len() as u64));
        assert!(read(objects, &name).await.unwrap() == content);
        objects.put(&name, &mut content.as_slice()).await.unwrap();
        assert!(read(objects, &name).await.unwrap() == content, "storing again changes nothing");
    }
    let name = digest(b"never");
    let error = objects.put(&name, &mut Breaking(400_000)).await.unwrap_err();
    assert!(matches!(error, Error::Read(_)), "{error:?}");
    assert_eq!(objects.size(&name).await.unwrap(), None, "what broke off is not there");
}

async fn storing_twice_at_once_stores_once(objects: Arc<dyn Objects>) {
    let contents = Contents::new(objects);
    let bytes = vec![3; 100_000];
    let content = Content { digest: digest(&bytes), size: bytes.len() as u64 };
    let store = || async { contents.store(&content, &mut bytes.as_slice()).await.unwrap() };
    tokio::join!(store(), store(), store());
    let mut reader = contents.open(&content.digest).await.unwrap().unwrap();
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    assert!(back == bytes);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&Memory::default()).await;
    storing_twice_at_once_stores_once(Arc::new(Memory::default())).await;
}

#[tokio::test]
async fn nats_keeps_the_contract() {
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let bucket = Arc::new(Bucket::open(&client, 1).await.unwrap());
    contract(bucket.as_ref()).await;
    storing_twice_at_once_stores_once(bucket).await;
    // Another role finds what is there.
    let again = Bucket::open(&client, 1).await.unwrap();
    assert_eq!(again.size(&digest(b"hello")).await.unwrap(), Some(5));
}
