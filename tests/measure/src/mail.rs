//! Mail from Exchange to the CRM, beside the same mail read by a bare HTTP loop that parses nothing.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mockex::{Delivery, Region, ServerVersion};
use postroad_ews::{FolderRef, GetItem, Identity, ItemId, ItemShape, RequestServerVersion, SyncFolderItems};
use serde::{Deserialize, Serialize};
use system::{Options, Role, activities, letter, message_id, scene::Scene};

use crate::{Error, figure::Figure, processor};

const MAILBOXES: usize = 10;
/// Messages of one GetItem, as the sync role asks for them.
const BATCH: usize = 10;
/// Requests at a time: as many as mailboxes are processed at a time.
const AT_A_TIME: usize = 10;

/// What the baseline is told.
#[derive(Debug, Deserialize, Serialize)]
struct Errand {
    url: String,
    address: std::net::SocketAddr,
    authority: String,
    user: String,
    password: String,
    /// Item ids by mailbox.
    items: BTreeMap<String, Vec<String>>,
}

/// What it answers.
#[derive(Debug, Deserialize, Serialize)]
struct Spent {
    seconds: f64,
    processor_seconds: f64,
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(error.to_string())
}

/// Messages a second, and processor time of a thousand messages.
pub async fn measure(messages: usize) -> Result<Vec<Figure>, Error> {
    let addresses: Vec<String> = (0..MAILBOXES).map(|index| format!("box{index}@contoso.example")).collect();
    let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().map(String::as_str));
    let organization = mockex::Options::contoso(vec![region]);
    let scene = Scene::open(organization, Options { poll: Duration::from_millis(200), ..Options::default() }).await;
    let scene = scene.map_err(|error| failed(&error))?;
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, address) in (0..messages).zip(addresses.iter().cycle()) {
        let mime = letter("measure", number, address).into();
        let delivery = Delivery { mailbox: address.clone(), mime, ..Delivery::default() };
        let item = scene.deliver_as(delivery).map_err(|error| failed(&error))?.item_id;
        items.entry(address.clone()).or_default().push(item);
    }
    let exchange = &scene.deployment.exchange;
    let errand = Errand {
        url: exchange.region_url("europe").ok_or_else(|| failed(&"the region has no location"))?,
        address: std::net::SocketAddr::from(([127, 0, 0, 1], exchange.region_port("europe").unwrap_or_default())),
        authority: exchange.ca_pem().to_owned(),
        user: scene.account.user_name.clone(),
        password: scene.account.password.clone(),
        items,
    };
    let bare = run_bare(&errand).await?;
    let before = roles(&scene)?;
    let began = postroad_rig::clock::instant();
    let enabled: Vec<&str> = addresses.iter().map(String::as_str).collect();
    scene.enable(&enabled).await.map_err(|error| failed(&error))?;
    let wanted = (0..messages).map(|number| message_id("measure", number)).collect();
    let missing = activities::wait_for(&scene.deployment, &wanted, Duration::from_secs(600)).await;
    missing.map_err(|missing| failed(&format!("{} messages did not arrive", missing.len())))?;
    let seconds = began.elapsed().as_secs_f64();
    let spent = roles(&scene)?.saturating_sub(before).as_secs_f64();
    let count = f64::from(u32::try_from(messages).unwrap_or(u32::MAX));
    let bare_ms = (bare.processor_seconds * 1e6 / count).max(1.0);
    Ok(vec![
        Figure::new("mail, Exchange to CRM", "messages per second", count / seconds)
            .beside("bare HTTP", count / bare.seconds),
        Figure::new("mail, Exchange to CRM", "CPU ms per 1000 messages", spent * 1e6 / count)
            .beside("bare HTTP", bare_ms),
    ])
}

/// The processor time of the roles that carry mail.
fn roles(scene: &Scene) -> Result<Duration, Error> {
    let mut sum = Duration::ZERO;
    for role in [Role::Sync, Role::Crm] {
        let id = scene.deployment.process_id(role).ok_or_else(|| failed(&"a role is not running"))?;
        sum += processor::time_of(&id.to_string())?;
    }
    Ok(sum)
}

async fn run_bare(errand: &Errand) -> Result<Spent, Error> {
    let file = tempfile::NamedTempFile::new().map_err(|error| failed(&error))?;
    std::fs::write(file.path(), serde_json::to_vec(errand).map_err(|error| failed(&error))?).map_err(|e| failed(&e))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--bare").arg(file.path()).stdout(Stdio::piped());
    let output = command.output().await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&format!("the baseline: {error}")))
}

/// Reads the same mail with the same requests, and nothing of the answers; gives what it spent as JSON.
pub async fn bare(file: &Path) -> Result<String, Error> {
    let text = std::fs::read(file).map_err(|error| failed(&error))?;
    let errand: Errand = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    let url = errand.url.clone();
    let host = url.split('/').nth(2).and_then(|host| host.split(':').next()).unwrap_or_default().to_owned();
    let certificate = reqwest::Certificate::from_pem(errand.authority.as_bytes()).map_err(|error| failed(&error))?;
    let client = reqwest::Client::builder()
        .tls_backend_rustls()
        .tls_certs_merge([certificate])
        .http1_only()
        .no_proxy()
        .resolve(&host, errand.address)
        .build()
        .map_err(|error| failed(&error))?;
    let requests: Vec<String> = errand.items.iter().flat_map(|(address, ids)| texts(address, ids)).collect();
    let before = processor::time()?;
    let began = postroad_rig::clock::instant();
    let post = |body: String| {
        let request = client
            .post(&url)
            .basic_auth(&errand.user, Some(&errand.password))
            .header("content-type", "text/xml; charset=utf-8")
            .body(body);
        async move {
            let answer = request.send().await.map_err(|error| failed(&error))?;
            let status = answer.status();
            answer.bytes().await.map_err(|error| failed(&error))?;
            if status.is_success() { Ok(()) } else { Err(failed(&format!("the baseline got {status}"))) }
        }
    };
    stream::iter(requests).map(post).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    let spent = Spent {
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: processor::time()?.saturating_sub(before).as_secs_f64(),
    };
    serde_json::to_string(&spent).map_err(|error| failed(&error))
}

/// The requests that read the mail of one mailbox: one listing, and the messages in batches.
fn texts(address: &str, ids: &[String]) -> Vec<String> {
    let identity = Identity::PrimaryAddress(address.to_owned());
    let version = RequestServerVersion::default();
    let listing = postroad_ews::request(&SyncFolderItems::since(FolderRef::INBOX, None), version, &identity);
    let batches = ids.chunks(BATCH).map(|ids| {
        let ids = ids.iter().map(|id| ItemId::new(id.clone())).collect();
        postroad_ews::request(&GetItem { ids, shape: ItemShape::message() }, version, &identity)
    });
    std::iter::once(listing).chain(batches).collect()
}
