//! The baseline: a bare HTTP client in a process of its own, that sends the same requests over as many connections of the same kind,
//! receives the same bytes, inflates what is compressed, and reads nothing of it. Connections, handshakes and listings before the mail
//! are not counted.

use std::{path::Path, process::Stdio};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mockex::Running;
use postroad_ews::{FolderRef, GetItem, Identity, ItemId, ItemShape, RequestServerVersion, SyncFolderItems};
use serde::{Deserialize, Serialize};

use crate::{Error, processor};

/// Messages of one GetItem, as the sync role asks for them.
const BATCH: usize = 10;
/// Requests at a time: as many as mailboxes are processed at a time.
const AT_A_TIME: usize = 10;

/// What the baseline is told.
#[derive(Debug, Deserialize, Serialize)]
pub struct Errand {
    url: String,
    address: std::net::SocketAddr,
    authority: String,
    user: String,
    password: String,
    /// Whose mail.
    mailboxes: Vec<String>,
    job: Job,
}

/// What it does for each mailbox.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Job {
    /// Lists the Inbox and fetches the messages, whose ids are given by mailbox.
    Fetch(Vec<Vec<String>>),
    /// Asks so many times for changes of which there are none.
    Poll(usize),
}

/// What it took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Spent {
    /// By the clock.
    pub seconds: f64,
    /// User and system time of the process.
    pub processor_seconds: f64,
    /// Requests that were counted.
    pub requests: usize,
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(format!("the baseline: {error}"))
}

/// Runs the baseline against a region of the fake Exchange.
pub async fn run(
    exchange: &Running,
    (user, password): (&str, &str),
    mailboxes: Vec<String>,
    job: Job,
) -> Result<Spent, Error> {
    let errand = Errand {
        url: exchange.region_url("europe").ok_or_else(|| failed(&"the region has no location"))?,
        address: std::net::SocketAddr::from(([127, 0, 0, 1], exchange.region_port("europe").unwrap_or_default())),
        authority: exchange.ca_pem().to_owned(),
        user: user.to_owned(),
        password: password.to_owned(),
        mailboxes,
        job,
    };
    let file = tempfile::NamedTempFile::new().map_err(|error| failed(&error))?;
    std::fs::write(file.path(), serde_json::to_vec(&errand).map_err(|error| failed(&error))?)
        .map_err(|e| failed(&e))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--bare").arg(file.path()).stdout(Stdio::piped());
    let output = command.output().await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}

/// Does what the file says; gives what it spent as JSON.
pub async fn errand(file: &Path) -> Result<String, Error> {
    let text = std::fs::read(file).map_err(|error| failed(&error))?;
    let errand: Errand = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    let caller = Caller::new(&errand)?;
    // Connections and code pages are there before anything is counted.
    let listing = |mailbox: &String| text_of(&SyncFolderItems::since(FolderRef::INBOX, None), mailbox);
    let listed = caller.all(errand.mailboxes.iter().map(listing).collect(), state_of).await?;
    let requests: Vec<String> = match &errand.job {
        Job::Fetch(items) => {
            errand.mailboxes.iter().zip(items).flat_map(|(mailbox, ids)| fetches(mailbox, ids)).collect()
        }
        Job::Poll(times) => {
            let poll = |(mailbox, state): (&String, &String)| {
                text_of(&SyncFolderItems::since(FolderRef::INBOX, Some(state.clone())), mailbox)
            };
            let round: Vec<_> = errand.mailboxes.iter().zip(&listed).map(poll).collect();
            (0..*times).flat_map(|_| round.clone()).collect()
        }
    };
    let (count, before, began) = (requests.len(), processor::precise("self")?, postroad_rig::clock::instant());
    caller.all(requests, |_| ()).await?;
    let spent = Spent {
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: processor::precise("self")?.saturating_sub(before).as_secs_f64(),
        requests: count,
    };
    serde_json::to_string(&spent).map_err(|error| failed(&error))
}

struct Caller<'a> {
    client: reqwest::Client,
    errand: &'a Errand,
}

impl<'a> Caller<'a> {
    fn new(errand: &'a Errand) -> Result<Self, Error> {
        let host = errand.url.split('/').nth(2).and_then(|host| host.split(':').next()).unwrap_or_default();
        let certificate =
            reqwest::Certificate::from_pem(errand.authority.as_bytes()).map_err(|error| failed(&error))?;
        let client = reqwest::Client::builder()
            .tls_backend_rustls()
            .tls_certs_merge([certificate])
            .http1_only()
            .no_proxy()
            .resolve(host, errand.address)
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { client, errand })
    }

    /// Sends requests, some at a time; what is wanted of the answers, in the order of the requests.
    async fn all<T>(&self, requests: Vec<String>, look: impl Fn(&[u8]) -> T) -> Result<Vec<T>, Error> {
        let post = |body: String| {
            let request = self
                .client
                .post(&self.errand.url)
                .basic_auth(&self.errand.user, Some(&self.errand.password))
                .header("content-type", "text/xml; charset=utf-8")
                .body(body);
            let look = &look;
            async move {
                let answer = request.send().await.map_err(|error| failed(&error))?;
                let status = answer.status();
                let bytes = answer.bytes().await.map_err(|error| failed(&error))?;
                if status.is_success() { Ok(look(&bytes)) } else { Err(failed(&format!("HTTP {status}"))) }
            }
        };
        stream::iter(requests).map(post).buffered(AT_A_TIME).try_collect().await
    }
}

fn text_of<O: postroad_ews::Operation>(operation: &O, mailbox: &str) -> String {
    postroad_ews::request(operation, RequestServerVersion::default(), &Identity::PrimaryAddress(mailbox.to_owned()))
}

fn fetches(mailbox: &str, ids: &[String]) -> Vec<String> {
    let fetch = |ids: &[String]| {
        let ids = ids.iter().map(|id| ItemId::new(id.clone())).collect();
        text_of(&GetItem { ids, shape: ItemShape::original() }, mailbox)
    };
    ids.chunks(BATCH).map(fetch).collect()
}

/// The synchronization state in an answer.
fn state_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let rest = text.split_once("SyncState>").map_or("", |(_, rest)| rest);
    rest.split_once('<').map_or("", |(state, _)| state).to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_state_is_found_in_an_answer() {
        assert_eq!(super::state_of(b"<m:SyncState>H4sI</m:SyncState><m:Changes/>"), "H4sI");
        assert_eq!(super::state_of(b"<m:Changes/>"), "");
    }
}
