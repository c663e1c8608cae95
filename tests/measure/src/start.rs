//! The journal: commits a second, bytes of an idle mailbox, and how long a worker takes to know all mailboxes.

use std::{path::PathBuf, time::Duration};

use async_nats::jetstream::{self, context::PublishAckFuture};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use postroad_journal::Journal;
use stage::{Nats, Process, binaries::binaries, eventually, nats, ports};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Error,
    figure::{Figure, Target},
    progress, seed,
};

/// As long as the synchronization states of a real server often are, in characters.
const CURSOR: usize = 600;
const PATIENCE: Duration = Duration::from_secs(600);

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(error.to_string())
}

/// A journal of so many idle mailboxes, with this many hours of attempts; the worker starts from it.
pub async fn measure(sizes: &[usize], hours: usize) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for (round, mailboxes) in sizes.iter().enumerate() {
        figures.extend(at(*mailboxes, hours, round == 0).await?);
    }
    Ok(figures)
}

async fn at(mailboxes: usize, hours: usize, tells_all: bool) -> Result<Vec<Figure>, Error> {
    let nats = Nats::start(nats::Options::default()).await.map_err(|error| Error::Missing(error.to_string()))?;
    let client = async_nats::connect(nats.url()).await.map_err(|error| failed(&error))?;
    let journal =
        Journal::connect(&client, postroad_journal::Options::default()).await.map_err(|error| failed(&error))?;
    progress(&format!("writing {mailboxes} mailboxes and {hours} idle hours of each into a journal"));
    let mut figures = Vec::new();
    let began = postroad_rig::clock::instant();
    let seed = seed::Seed { numbers: 0..mailboxes, profile_id: Uuid::from_u128(1), idle: Some((CURSOR, hours)) };
    let commits = seed::mailboxes(&journal, &seed).await?;
    let per_second = commits as f64 / began.elapsed().as_secs_f64();
    if tells_all {
        let bytes = idle_bytes(&client, mailboxes).await?;
        let plain = plain(&client, commits.min(20_000), bytes as usize).await?;
        figures
            .push(Figure::new("journal, commits", "per second", per_second).beside("plain JetStream publishes", plain));
        figures.push(Figure::new("journal, an idle mailbox", "bytes per day", bytes * 24.0));
    }
    let worker = Worker::new(&nats)?;
    progress(&format!("starting a worker by replaying {commits} commits"));
    let (replay, mut process) = worker.start().await?;
    let has_kept =
        eventually(PATIENCE, || async { worker.log().contains("a snapshot of all mailboxes was kept").then_some(()) });
    has_kept.await.ok_or_else(|| failed(&format!("no snapshot was kept:\n{}", worker.log())))?;
    process.stop(Duration::from_secs(30)).await.map_err(|error| failed(&error))?;
    progress("starting it from its snapshot");
    let (restored, mut process) = worker.start().await?;
    process.stop(Duration::from_secs(30)).await.map_err(|error| failed(&error))?;
    let log = worker.log();
    let known = log.lines().rfind(|line| line.contains("the mailboxes are known"));
    let is_restored = known
        .is_some_and(|line| line.contains(&format!("\"mailboxes\":{mailboxes},")) && !line.contains("\"snapshot\":0,"));
    if !is_restored {
        return Err(failed(&format!("the worker did not start from its snapshot:\n{log}")));
    }
    let name = format!("start with {mailboxes} mailboxes");
    figures.push(
        Figure::new(name, "seconds", restored).beside("replay of the journal", replay).aimed(Target::AtMost(10.0)),
    );
    Ok(figures)
}

/// The bytes of one idle success in the journal's stream.
async fn idle_bytes(client: &async_nats::Client, mailboxes: usize) -> Result<f64, Error> {
    let context = jetstream::new(client.clone());
    let stream = context.get_stream("JOURNAL").await.map_err(|error| failed(&error))?;
    let last = stream.get_info().await.map_err(|error| failed(&error))?.state.last_sequence;
    // The last commits of all are idle successes.
    let sample = mailboxes.min(100) as u64;
    let mut bytes = 0;
    for sequence in last - sample + 1..=last {
        let message = stream.get_raw_message(sequence).await.map_err(|error| failed(&error))?;
        // What the server stores besides: 22 bytes of record head, 8 of hash, 4 of the length of the headers.
        bytes += message.payload.len() + message.subject.len() + headers(&message.headers) + 34;
    }
    Ok(bytes as f64 / sample as f64)
}

fn headers(headers: &async_nats::HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, values)| {
            values.iter().map(|value| name.to_string().len() + value.as_str().len() + 4).sum::<usize>()
        })
        .sum::<usize>()
        + 12
}

/// Publishes of messages of the same size into a stream without any rule, as many at a time.
async fn plain(client: &async_nats::Client, messages: usize, bytes: usize) -> Result<f64, Error> {
    let context = jetstream::new(client.clone());
    let config = jetstream::stream::Config {
        name: "PLAIN".to_owned(),
        subjects: vec!["plain.*".to_owned()],
        ..Default::default()
    };
    context.create_stream(config).await.map_err(|error| failed(&error))?;
    let payload = bytes::Bytes::from(vec![b'x'; bytes]);
    let began = postroad_rig::clock::instant();
    let publish = |number: usize| {
        let (context, payload) = (context.clone(), payload.clone());
        async move {
            let sent: PublishAckFuture =
                context.publish(format!("plain.{number}"), payload).await.map_err(|error| failed(&error))?;
            sent.await.map(drop).map_err(|error| failed(&error))
        }
    };
    stream::iter(0..messages).map(publish).buffer_unordered(512).try_collect::<Vec<()>>().await?;
    Ok(messages as f64 / began.elapsed().as_secs_f64())
}

/// A sync role alone: nothing else of Postroad runs, and it has nothing to do but to know.
struct Worker {
    program: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Worker {
    fn new(nats: &Nats) -> Result<Self, Error> {
        let program = binaries().map_err(Error::Missing)?.postroad;
        let folder = TempDir::with_prefix("postroad-measure-").map_err(|error| failed(&error))?;
        let port = ports::free(1).map_err(|error| failed(&error))?.first().copied().unwrap_or_default();
        let key = folder.path().join("sealing.key");
        std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").map_err(|error| failed(&error))?;
        let text = format!(
            "[nats]\nurl = \"{}\"\n[sealing]\nkey_file = \"{}\"\n[access]\ntoken_file = \"{}\"\n[sync]\nlisten = \"127.0.0.1:{port}\"\nsnapshot_commits = 1\n",
            nats.url(),
            key.display(),
            folder.path().join("token").display()
        );
        std::fs::write(folder.path().join("postroad.toml"), text).map_err(|error| failed(&error))?;
        Ok(Self { program, folder, port })
    }

    /// Starts it; gives the seconds until it serves.
    async fn start(&self) -> Result<(f64, Process), Error> {
        let began = postroad_rig::clock::instant();
        let config = self.folder.path().join("postroad.toml").display().to_string();
        let log = self.folder.path().join("sync.log");
        let mut process =
            Process::start(&self.program, &["sync", "--config", &config], &[], &log).map_err(|error| failed(&error))?;
        let connected =
            || async { tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok().then_some(()) };
        while eventually(Duration::from_millis(200), connected).await.is_none() {
            if !process.is_running() || began.elapsed() > PATIENCE {
                return Err(failed(&format!("the worker does not serve:\n{}", process.log())));
            }
        }
        Ok((began.elapsed().as_secs_f64(), process))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("sync.log")).unwrap_or_default()
    }
}
