//! A fake Exchange and everything that a connection test needs, without NATS.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use mockex::{Options, Organization, Running};
use postroad_core::{
    autodiscover::Pattern,
    fault::{Code, Report},
};
use postroad_ews::Endpoint;
use postroad_journal::sealing::Keyring;
use postroad_locator::{
    Access, Domain, Opener,
    connection::{self, Ended, Observer, Outcome, Step, Wanted},
    discovery,
};
use postroad_proto::locator::v1::{Access as WireAccess, SealedPassword};
use postroad_rig::{config::Network, wire};
use secrecy::SecretString;

pub const ADA: &str = "ada@contoso.example";
const HOST: &str = "mail.contoso.example";

/// Who tests, and whom.
pub struct Bench {
    pub exchange: Running,
    keyring: Arc<Keyring>,
    opener: Opener,
    access: WireAccess,
}

/// What a test told.
#[derive(Debug)]
pub struct Tested {
    pub outcome: Outcome,
    /// Names, and how they ended.
    pub steps: Vec<(String, &'static str)>,
    pub failed_step: String,
    pub evidence: String,
}

impl Bench {
    pub async fn open(options: Options) -> Self {
        let exchange = Organization::start(Options { public_host: HOST.to_owned(), ..options }).await.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 443));
        let autodiscover = SocketAddr::from(([127, 0, 0, 1], exchange.autodiscover_port()));
        // The port of the region is in its URL; the other host leads to the same server.
        let region = SocketAddr::from(([127, 0, 0, 1], exchange.region_port("europe").unwrap()));
        let hosts = BTreeMap::from([
            (HOST.to_owned(), any),
            ("other.contoso.example".to_owned(), region),
            ("contoso.example".to_owned(), autodiscover),
            ("autodiscover.contoso.example".to_owned(), autodiscover),
        ]);
        let pattern = Pattern::parse("released_hosts", "*.contoso.example:*").unwrap();
        let network = Network { hosts, released_hosts: vec![pattern], ..Network::default() };
        let keyring = Arc::new(Keyring::load([("1".to_owned(), Keyring::new_key().into())]).unwrap());
        let opener = Opener::new(&network, Arc::clone(&keyring)).unwrap();
        let access = WireAccess {
            location: exchange.region_url("europe").unwrap(),
            user_name: "crm@contoso.example".to_owned(),
            impersonate: true,
            trust_anchors: vec![exchange.ca_pem().to_owned()],
            timeout: Some(wire::duration(Duration::from_secs(10))),
            maximum_concurrent_connections: 27,
            ..WireAccess::default()
        };
        let bench = Self { exchange, keyring, opener, access };
        bench.with_password(&Options::contoso(Vec::new()).service_account.password)
    }

    pub fn with_password(mut self, password: &str) -> Self {
        let sealed = self.keyring.seal(&SecretString::from(password)).unwrap();
        self.access.password = Some(SealedPassword {
            key_id: sealed.key_id,
            wrapped_key: sealed.wrapped_key,
            ciphertext: sealed.ciphertext,
        });
        self
    }

    pub fn without_anchors(&self) -> Trial<'_> {
        Trial { bench: self, access: WireAccess { trust_anchors: Vec::new(), ..self.access.clone() } }
    }

    pub fn at(&self, location: &str) -> Trial<'_> {
        Trial { bench: self, access: WireAccess { location: location.to_owned(), ..self.access.clone() } }
    }

    pub fn impatient(&self) -> Trial<'_> {
        let timeout = Some(wire::duration(Duration::from_millis(300)));
        Trial { bench: self, access: WireAccess { timeout, ..self.access.clone() } }
    }

    pub fn autodiscovered(&self) -> Trial<'_> {
        self.at("")
    }

    pub async fn test(&self) -> Tested {
        Trial { bench: self, access: self.access.clone() }.test().await
    }
}

/// A test with other settings.
pub struct Trial<'a> {
    bench: &'a Bench,
    access: WireAccess,
}

impl Trial<'_> {
    pub async fn test(self) -> Tested {
        let access = self.bench.opener.open(ADA, Some(self.access)).unwrap_or_else(|_| panic!("refused"));
        let wanted = Wanted { outgoing: false, appointments_contacts_tasks: false };
        let mut notes = Notes::default();
        let outcome = Box::pin(connection::test(&access, wanted, locate(&access), &mut notes)).await;
        Tested { outcome, steps: notes.steps, failed_step: notes.failed, evidence: notes.evidence }
    }
}

async fn locate(access: &Access) -> Result<(Endpoint, String), Report> {
    if let Some(endpoint) = &access.fixed {
        return Ok((endpoint.clone(), "as entered".to_owned()));
    }
    let ended = discovery::discover(access, &Domain::default(), true, None).await;
    let found = ended.result.map_err(|failure| failure.report)?;
    Ok((Endpoint::try_from(found.url).unwrap(), "found".to_owned()))
}

impl Tested {
    pub fn code(&self) -> Option<Code> {
        self.outcome.incoming.as_ref().map(|report| report.code)
    }
}

#[derive(Default)]
struct Notes {
    steps: Vec<(String, &'static str)>,
    failed: String,
    evidence: String,
}

impl Observer for Notes {
    async fn begins(&mut self, _: Step) {}

    async fn ended(&mut self, step: Step, ended: Ended, _: Duration) {
        let how = match ended {
            Ended::Passed(_) => "passed",
            Ended::Warning(_) => "warning",
            Ended::NotAttempted => "not attempted",
            Ended::Failed(_, evidence) => {
                step.name().clone_into(&mut self.failed);
                self.evidence = evidence;
                "failed"
            }
        };
        self.steps.push((step.name().to_owned(), how));
    }
}
