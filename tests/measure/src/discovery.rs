//! Discoveries a second and core: with the endpoint known (warm), and by the whole algorithm (cold).

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use postroad_core::autodiscover::{Pattern, Service};
use postroad_ews::autodiscover;
use postroad_journal::sealing::Keyring;
use postroad_locator::{Access, Domain, Opener, discovery};
use postroad_proto::locator::v1::{Access as WireAccess, SealedPassword};
use postroad_rig::config::Network;
use secrecy::SecretString;

use crate::{
    Error,
    exchange::{ADA, Exchange},
    figure::Figure,
    processor,
};

const AT_A_TIME: usize = 8;
const CLOSED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);
const SOAP: &str = "https://autodiscover.contoso.example/autodiscover/autodiscover.svc";
const POX: &str = "https://autodiscover.contoso.example/autodiscover/autodiscover.xml";
const ROOT: &str = "https://contoso.example/autodiscover/autodiscover.xml";
const USER: &str = "crm@contoso.example";

/// Measures `rounds` discoveries of each kind.
pub async fn measure(rounds: usize) -> Result<Vec<Figure>, Error> {
    let exchange = Exchange::start().await?;
    let access = access(&exchange)?;
    let bare = bare(&exchange)?;
    let cold = Domain::default();
    let warm = Domain { endpoint: Some((Service::Soap, SOAP.to_owned())), ..Domain::default() };
    let mut figures = Vec::new();
    for (name, known, is_cold) in [("discoveries, warm cache", &warm, false), ("discoveries, cold cache", &cold, true)]
    {
        // Connections and code pages are there before anything is counted.
        run(rounds / 10 + 1, || discover(&access, known)).await?;
        run(rounds / 10 + 1, || request(&bare, &exchange.password, is_cold)).await?;
        let value = run(rounds, || discover(&access, known)).await?;
        let baseline = run(rounds, || request(&bare, &exchange.password, is_cold)).await?;
        figures.push(Figure::new(name, "per second and core", value).beside("bare HTTP", baseline));
    }
    Ok(figures)
}

/// How many rounds a second of processor time makes.
async fn run<F: Future<Output = Result<(), Error>>>(rounds: usize, round: impl Fn() -> F) -> Result<f64, Error> {
    let before = processor::time()?;
    stream::iter(0..rounds).map(|_| round()).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    let spent = processor::time()?.saturating_sub(before).max(Duration::from_millis(10));
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    Ok(f64::from(rounds) / spent.as_secs_f64())
}

async fn discover(access: &Access, known: &Domain) -> Result<(), Error> {
    let ended = discovery::discover(access, known, false, None).await;
    ended.result.map(drop).map_err(|failure| Error::Run(failure.report.sentence()))
}

/// The same requests, and nothing is read of the answers.
async fn request(client: &reqwest::Client, password: &str, is_cold: bool) -> Result<(), Error> {
    let failed = |error: reqwest::Error| Error::Run(error.to_string());
    if is_cold {
        // The domain itself has no server.
        let _ = client.get(ROOT).send().await;
        client.get(POX).send().await.map_err(failed)?.bytes().await.map_err(failed)?;
    }
    let question = autodiscover::question(Service::Soap, SOAP, ADA);
    let post = client.post(SOAP).basic_auth(USER, Some(password)).header("content-type", "text/xml; charset=utf-8");
    let answer = post.body(question).send().await.map_err(failed)?;
    let status = answer.status();
    answer.bytes().await.map_err(failed)?;
    if status.is_success() { Ok(()) } else { Err(Error::Run(format!("the baseline got {status}"))) }
}

fn hosts(exchange: &Exchange) -> BTreeMap<String, SocketAddr> {
    BTreeMap::from([
        ("contoso.example".to_owned(), CLOSED),
        ("autodiscover.contoso.example".to_owned(), exchange.autodiscover),
    ])
}

fn access(exchange: &Exchange) -> Result<Access, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Missing(error.to_string());
    let pattern = Pattern::parse("released_hosts", "*.contoso.example:*").map_err(|error| failed(&error))?;
    let network = Network { hosts: hosts(exchange), released_hosts: vec![pattern], ..Network::default() };
    let keyring = Keyring::load([("1".to_owned(), Keyring::new_key().into())]).map_err(|error| failed(&error))?;
    let sealed = keyring.seal(&SecretString::from(exchange.password.as_str())).map_err(|error| failed(&error))?;
    let wire = WireAccess {
        user_name: USER.to_owned(),
        password: Some(SealedPassword {
            key_id: sealed.key_id,
            wrapped_key: sealed.wrapped_key,
            ciphertext: sealed.ciphertext,
        }),
        impersonate: true,
        trust_anchors: vec![exchange.authority.clone()],
        ..WireAccess::default()
    };
    let opener = Opener::new(&network, Arc::new(keyring)).map_err(|error| failed(&error))?;
    opener.open(ADA, Some(wire)).map_err(|_| failed(&"the access is refused"))
}

fn bare(exchange: &Exchange) -> Result<reqwest::Client, Error> {
    let failed = |error: reqwest::Error| Error::Missing(error.to_string());
    let certificate = reqwest::Certificate::from_pem(exchange.authority.as_bytes()).map_err(failed)?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_rustls()
        .tls_certs_merge([certificate])
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    for (host, address) in hosts(exchange) {
        builder = builder.resolve(&host, address);
    }
    builder.build().map_err(failed)
}
