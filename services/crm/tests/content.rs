//! The contract of the object store's port, run over memory and NATS; and what is built on it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt as _;
use postroad_core::email::Content;
use postroad_crm::content::{Bucket, Contents, Error, Held, KeyBucket, KeyMemory, Keys, Memory, Objects, digest};
use postroad_journal::sealing::Keyring;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use uuid::Uuid;

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

/// Keys of the deployment by id, the first one seals.
fn keyring(ids: &[&str]) -> Arc<Keyring> {
    let key = |id: &&str| ((*id).to_owned(), STANDARD.encode([id.as_bytes()[0]; 32]).into());
    Arc::new(Keyring::load(ids.iter().map(key)).unwrap())
}

async fn stored(contents: &Contents, email: Uuid, bytes: &[u8]) -> Content {
    let content = Content { digest: digest(bytes), size: bytes.len() as u64 };
    let chest = contents.chest(email).await.unwrap();
    contents.store(&chest, &content, &mut &bytes[..]).await.unwrap();
    content
}

async fn opened(contents: &Contents, email: Uuid, content: &Content) -> Option<Vec<u8>> {
    let mut back = Vec::new();
    contents.open(email, &content.digest).await.unwrap()?.read_to_end(&mut back).await.unwrap();
    Some(back)
}

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

async fn contents_of_an_email_are_its_own_and_go_with_its_key(objects: Arc<dyn Objects>, keys: Arc<dyn Keys>) {
    let contents = Contents::new(Arc::clone(&objects), Arc::clone(&keys), keyring(&["a"]));
    for bytes in [Vec::new(), b"dear sir".to_vec(), vec![3; 100_000], vec![4; 3_000_000]] {
        let one = stored(&contents, ONE, &bytes).await;
        let again = stored(&contents, ONE, &bytes).await;
        let two = stored(&contents, TWO, &bytes).await;
        assert!((&one, &one) == (&again, &two));
        assert!(opened(&contents, ONE, &one).await.unwrap() == bytes);
        // The name under which versions before erasure kept it is free.
        assert!(read(objects.as_ref(), &one.digest).await.is_none());
    }
    let letter = Content { digest: digest(b"dear sir"), size: 8 };
    contents.destroy(ONE, [letter.digest.as_str()].into_iter(), |_| false).await.unwrap();
    assert!(keys.get(ONE).await.unwrap().is_none() && opened(&contents, ONE, &letter).await.is_none());
    assert_eq!(opened(&contents, TWO, &letter).await.unwrap(), b"dear sir");
    contents.destroy(ONE, [letter.digest.as_str()].into_iter(), |_| false).await.unwrap();
}

async fn what_older_versions_kept_is_read_and_destroyed_unless_another_email_has_it(
    objects: Arc<dyn Objects>,
    keys: Arc<dyn Keys>,
) {
    let contents = Contents::new(Arc::clone(&objects), keys, keyring(&["a"]));
    let old = Content { digest: digest(b"of old"), size: 6 };
    objects.put(&old.digest, &mut &b"of old"[..]).await.unwrap();
    assert_eq!(opened(&contents, ONE, &old).await.unwrap(), b"of old");
    contents.destroy(ONE, [old.digest.as_str()].into_iter(), |_| true).await.unwrap();
    assert!(opened(&contents, TWO, &old).await.is_some());
    contents.destroy(TWO, [old.digest.as_str()].into_iter(), |_| false).await.unwrap();
    assert!(opened(&contents, TWO, &old).await.is_none());
}

async fn keys_are_put_under_another_key_and_none_is_made_twice(objects: Arc<dyn Objects>, keys: Arc<dyn Keys>) {
    let old = Contents::new(Arc::clone(&objects), Arc::clone(&keys), keyring(&["a"]));
    let letter = stored(&old, ONE, b"dear sir").await;
    let both = Contents::new(Arc::clone(&objects), Arc::clone(&keys), keyring(&["b", "a"]));
    assert!(both.reseal(ONE).await.unwrap() && !both.reseal(ONE).await.unwrap() && !both.reseal(TWO).await.unwrap());
    assert_eq!(both.emails().await.unwrap().collect::<Vec<_>>().await.len(), 1);
    let new = Contents::new(Arc::clone(&objects), Arc::clone(&keys), keyring(&["b"]));
    assert_eq!(opened(&new, ONE, &letter).await.unwrap(), b"dear sir");
    assert!(matches!(old.open(ONE, &letter.digest).await, Err(Error::Sealing(_))));
    // A revision that is not the present one replaces nothing.
    let Held { key: wrapped, revision, .. } = keys.get(ONE).await.unwrap().unwrap();
    assert!(!keys.create(ONE, &wrapped).await.unwrap());
    assert!(keys.replace(ONE, revision, &wrapped).await.unwrap());
    assert!(!keys.replace(ONE, revision, &wrapped).await.unwrap());
    // Nor does it destroy anything.
    keys.destroy_revision(ONE, revision).await.unwrap();
    let last = keys.get(ONE).await.unwrap().unwrap();
    assert!(last.key == wrapped && last.revision > revision);
    keys.destroy_revision(ONE, last.revision).await.unwrap();
    assert!(keys.get(ONE).await.unwrap().is_none());
    assert!(keys.create(ONE, &wrapped).await.unwrap());
    // A lost key does not stand in the way of destroying.
    let lost = Contents::new(objects, Arc::clone(&keys), keyring(&["c"]));
    lost.destroy(ONE, [letter.digest.as_str()].into_iter(), |_| false).await.unwrap();
    assert!(keys.get(ONE).await.unwrap().is_none());
    assert!(keys.create(ONE, &wrapped).await.unwrap());
    keys.destroy(ONE).await.unwrap();
    keys.destroy(ONE).await.unwrap();
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let memory = || (Arc::new(Memory::default()), Arc::new(KeyMemory::default()));
    contract(&Memory::default()).await;
    let (objects, keys) = memory();
    contents_of_an_email_are_its_own_and_go_with_its_key(objects, keys).await;
    let (objects, keys) = memory();
    what_older_versions_kept_is_read_and_destroyed_unless_another_email_has_it(objects, keys).await;
    let (objects, keys) = memory();
    keys_are_put_under_another_key_and_none_is_made_twice(objects, keys).await;
}

async fn buckets(nats: &stage::Nats) -> (Arc<Bucket>, Arc<KeyBucket>) {
    let client = async_nats::connect(nats.url()).await.unwrap();
    (Arc::new(Bucket::open(&client, 1).await.unwrap()), Arc::new(KeyBucket::open(&client, 1).await.unwrap()))
}

#[tokio::test]
async fn nats_keeps_the_contract() {
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    contract(buckets(&nats).await.0.as_ref()).await;
    // Another role finds what is there.
    assert_eq!(buckets(&nats).await.0.size(&digest(b"hello")).await.unwrap(), Some(5));
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    let (objects, keys) = buckets(&nats).await;
    contents_of_an_email_are_its_own_and_go_with_its_key(objects, keys).await;
    let nats = stage::Nats::start(stage::nats::Options::default()).await.unwrap();
    let (objects, keys) = buckets(&nats).await;
    what_older_versions_kept_is_read_and_destroyed_unless_another_email_has_it(objects, keys).await;
    let (objects, keys) = buckets(&nats).await;
    keys_are_put_under_another_key_and_none_is_made_twice(objects, keys).await;
}
