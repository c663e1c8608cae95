//! The cache over a real NATS, and a real Autodiscover over sockets.

use std::{collections::BTreeMap, net::SocketAddr};

use futures::future::join_all;
use mockex::{
    Options, Organization, Region, Running, ServerVersion, Service,
    hostile::{Certificate, Theatre, answers, autodiscover},
};
use postroad_core::autodiscover::Pattern;
use postroad_journal::sealing::Keyring;
use postroad_proto::locator::v1::{Access as WireAccess, SealedPassword};
use postroad_rig::config::Network;
use secrecy::SecretString;
use stage::{Nats, nats};

use super::*;
use crate::access::Opener;

const HOST: &str = "mail.contoso.example";

struct Stage {
    nats: Nats,
    hosts: BTreeMap<String, SocketAddr>,
    keyring: Arc<Keyring>,
    exchange: Running,
    opener: Opener,
    access: WireAccess,
}

fn address(number: usize) -> String {
    format!("user{number}@contoso.example")
}

impl Stage {
    async fn open(mailboxes: usize) -> Self {
        let nats = Nats::start(nats::Options::default()).await.unwrap();
        let addresses: Vec<String> = (0..mailboxes).map(address).collect();
        let regions = ["europe", "asia"].map(|name| {
            let here = if name == "europe" { addresses.as_slice() } else { &[] };
            Region::new(name, ServerVersion::Exchange2016, here.iter().map(String::as_str))
        });
        let options = Options { public_host: HOST.to_owned(), ..Options::contoso(regions.into()) };
        let password = options.service_account.password.clone();
        let exchange = Organization::start(options).await.unwrap();
        let autodiscover = SocketAddr::from(([127, 0, 0, 1], exchange.autodiscover_port()));
        let hosts = BTreeMap::from([
            ("contoso.example".to_owned(), SocketAddr::from(([127, 0, 0, 1], 1))),
            ("autodiscover.contoso.example".to_owned(), autodiscover),
        ]);
        let pattern = Pattern::parse("released_hosts", "*.contoso.example:*").unwrap();
        let network = Network { hosts: hosts.clone(), released_hosts: vec![pattern], ..Network::default() };
        let keyring = Arc::new(Keyring::load([("1".to_owned(), Keyring::new_key().into())]).unwrap());
        let sealed = keyring.seal(&SecretString::from(password)).unwrap();
        let access = WireAccess {
            user_name: "crm@contoso.example".to_owned(),
            password: Some(SealedPassword {
                key_id: sealed.key_id,
                wrapped_key: sealed.wrapped_key,
                ciphertext: sealed.ciphertext,
            }),
            impersonate: true,
            trust_anchors: vec![exchange.ca_pem().to_owned()],
            ..WireAccess::default()
        };
        let opener = Opener::new(&network, Arc::clone(&keyring)).unwrap();
        Self { nats, hosts, keyring, exchange, opener, access }
    }

    async fn locations(&self, patience: Duration) -> Arc<Locations> {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let cache = Cache::open(&client, 1).await.unwrap();
        let (locations, refresh) = Locations::new(cache, patience, 1000);
        // Nothing is old enough to be refreshed in a test.
        drop(refresh);
        locations
    }

    fn access(&self, number: usize) -> Arc<Access> {
        let access = self.opener.open(&address(number), Some(self.access.clone()));
        Arc::new(access.unwrap_or_else(|_| panic!("refused")))
    }

    /// Questions with credentials that Autodiscover was asked.
    fn asked(&self) -> usize {
        let is_question =
            |request: &mockex::Request| request.service == Service::Autodiscover && request.with_credentials;
        self.exchange.requests().iter().filter(|request| is_question(request)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_questions_about_a_mailbox_are_one_discovery_and_it_survives_a_restart() {
    let stage = Stage::open(1).await;
    let locations = stage.locations(Duration::from_secs(3600)).await;
    let access = stage.access(0);
    let found = join_all((0..50).map(|_| locations.locate(&access, None))).await;
    let url = stage.exchange.region_url("europe").unwrap();
    assert!(found.iter().all(|known| known.as_ref().unwrap().url == url));
    assert_eq!(stage.asked(), 1);
    let restarted = stage.locations(Duration::from_secs(3600)).await;
    assert_eq!(restarted.locate(&access, None).await.unwrap().url, url);
    assert_eq!(restarted.said(&access).await.transcript.len(), 3);
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_that_worked_serves_every_mailbox_of_the_domain() {
    let stage = Stage::open(10).await;
    let locations = stage.locations(Duration::from_secs(3600)).await;
    for number in 0..10 {
        locations.locate(&stage.access(number), None).await.unwrap();
    }
    let probes = stage.exchange.requests().iter().filter(|request| !request.with_credentials).count();
    assert_eq!((stage.asked(), probes), (10, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_mailbox_is_found_again_and_a_server_that_is_down_is_doubted_once() {
    let stage = Stage::open(20).await;
    let locations = stage.locations(Duration::ZERO).await;
    for number in 0..20 {
        locations.locate(&stage.access(number), None).await.unwrap();
    }
    let europe = stage.exchange.region_url("europe").unwrap();
    let movement = mockex::Move { mailbox: address(0), region: "asia".to_owned(), elsewhere: None };
    stage.exchange.move_mailbox(&movement).unwrap();
    let moved = locations.locate(&stage.access(0), Some(&europe)).await.unwrap();
    assert_eq!(Some(moved.url), stage.exchange.region_url("asia"));

    // Nothing moved: one mailbox finds that out for all.
    let before = stage.asked();
    for number in 1..20 {
        assert_eq!(locations.locate(&stage.access(number), Some(&europe)).await.unwrap().url, europe);
    }
    assert_eq!(stage.asked() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_found_is_remembered_until_an_administrator_acts() {
    let stage = Stage::open(1).await;
    let locations = stage.locations(Duration::from_secs(3600)).await;
    let nobody = stage.access(7);
    for _ in 0..3 {
        let report = locations.locate(&nobody, None).await.unwrap_err();
        assert_eq!(report.code, Code::AutodiscoverUserUnknown);
    }
    assert_eq!(stage.asked(), 1);
    let mut changed = stage.access.clone();
    changed.released_hosts.push("mail.hoster.example".to_owned());
    let changed = stage.opener.open(&address(7), Some(changed)).unwrap_or_else(|_| panic!("refused"));
    locations.locate(&Arc::new(changed), None).await.unwrap_err();
    assert_eq!(stage.asked(), 2);
    assert!(locations.anew(&nobody, None).await.missing.is_some());
    assert_eq!(stage.asked(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_location_is_kept_until_a_new_one_is_found() {
    let stage = Stage::open(1).await;
    let locations = stage.locations(Duration::ZERO).await;
    let access = stage.access(0);
    let known = locations.locate(&access, None).await.unwrap();
    // Autodiscover goes over to somebody who knows nothing.
    let mut theatre = Theatre::open().await.unwrap();
    let silent = autodiscover(Some(answers::soap_error("InternalServerError")), None);
    let elsewhere = theatre.host("autodiscover.contoso.example", Certificate::Right, silent).await.unwrap();
    let hosts = BTreeMap::from([
        ("contoso.example".to_owned(), SocketAddr::from(([127, 0, 0, 1], 1))),
        ("autodiscover.contoso.example".to_owned(), elsewhere),
    ]);
    let pattern = Pattern::parse("released_hosts", "*.contoso.example:*").unwrap();
    let network = Network { hosts, released_hosts: vec![pattern], ..Network::default() };
    let keyring = Arc::new(Keyring::load([("1".to_owned(), Keyring::new_key().into())]).unwrap());
    let sealed = keyring.seal(&SecretString::from("other")).unwrap();
    let mut changed = stage.access.clone();
    changed.trust_anchors = vec![theatre.ca_pem().to_owned()];
    changed.password =
        Some(SealedPassword { key_id: sealed.key_id, wrapped_key: sealed.wrapped_key, ciphertext: sealed.ciphertext });
    let opener = Opener::new(&network, keyring).unwrap();
    let failing = Arc::new(opener.open(&address(0), Some(changed)).unwrap_or_else(|_| panic!("refused")));
    assert_eq!(locations.locate(&failing, Some(&known.url)).await.unwrap().url, known.url);
    let said = locations.said(&failing).await;
    assert_eq!(said.missing.unwrap().report.code, Code::AutodiscoverServerError);
    assert_eq!(said.known.unwrap().url, known.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_taken_back_gets_no_credentials_any_more_whatever_is_known() {
    let stage = Stage::open(1).await;
    let locations = stage.locations(Duration::from_secs(3600)).await;
    // The profile alone releases the region's port.
    let network = Network { hosts: stage.hosts.clone(), ..Network::default() };
    let opener = Opener::new(&network, Arc::clone(&stage.keyring)).unwrap();
    let open = |hosts: &[&str]| {
        let released_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let access = opener.open(&address(0), Some(WireAccess { released_hosts, ..stage.access.clone() }));
        Arc::new(access.unwrap_or_else(|_| panic!("refused")))
    };
    locations.locate(&open(&["*.contoso.example:*"]), None).await.unwrap();
    // Autodiscover cannot say anything better now.
    let down = mockex::Fault::new(mockex::FaultKind::Down).service(Service::Autodiscover);
    stage.exchange.set_fault(down);
    let report = locations.locate(&open(&[]), None).await.unwrap_err();
    assert_eq!(report.code, Code::AutodiscoverHostRefused, "{report:?}");
}
