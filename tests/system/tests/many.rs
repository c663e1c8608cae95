//! Ten thousand mixed messages in fifty mailboxes, and emails sent from them, while roles are killed and servers fail: every message has one
//! verdict, every tracked one is in the CRM once, every queued one is sent once.
//!
//! `POSTROAD_MESSAGES` says how many (default 10000), `POSTROAD_SEED` at which moments what happens (printed with every run).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, which reads the environment"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use mockex::{BusyForm, Delivery, Fault, FaultKind, ItemFault, Region, ServerVersion};
use postroad_core::mailbox::{Decision, Event};
use postroad_proto::sync::v1::GetWorkerRequest;
use postroad_proto::{
    crm::v1::{Email, EmailStatus, Party, PartyRole},
    mailbox::v1::{FilteringMethod, MailboxSettings, SynchronizationMethod},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use system::{Options, Role, activities::Activities, histories::Histories, letter, message_id, scene::Scene};

const MAILBOXES: usize = 50;
const BUYER: &str = "buyer@fabrikam.example";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn address(index: usize) -> String {
    format!("box{index}@contoso.example")
}

async fn scene() -> Scene {
    let servers = [
        ("europe", ServerVersion::Exchange2016),
        ("america", ServerVersion::Exchange2013Sp1),
        ("asia", ServerVersion::Exchange2010Sp3),
    ];
    let regions = servers.into_iter().enumerate().map(|(region, (name, version))| {
        let addresses: Vec<String> = (0..MAILBOXES).filter(|index| index % 3 == region).map(address).collect();
        Region::new(name, version, addresses.iter().map(String::as_str))
    });
    let options = Options {
        poll: Duration::from_millis(1000),
        idle_poll: Duration::from_millis(1000),
        retry: Duration::from_millis(500),
        // What fails here fails for ever again; no mailbox is to be disabled by that.
        retry_attempts: 1000,
        first_probe: Duration::from_millis(300),
        lease: Duration::from_millis(1500),
        ..Options::default()
    };
    let scene = Scene::open(mockex::Options::contoso(regions.collect()), options).await.unwrap();
    for index in 0..MAILBOXES {
        let filtering = if index % 10 == 9 { FilteringMethod::Responses } else { FilteringMethod::AllMessages };
        let both = MailboxSettings {
            outgoing_method: SynchronizationMethod::ServerSideSync.into(),
            filtering_method: filtering.into(),
            ..MailboxSettings::default()
        };
        scene.set_up().mailbox_with(&address(index), both).await.unwrap();
    }
    scene.set_up().test_and_enable().await.unwrap();
    scene
}

/// One more thing goes wrong at the servers.
fn disturb(scene: &Scene, random: &mut StdRng) {
    let busy = FaultKind::Busy { back_off_milliseconds: 500, form: BusyForm::FaultTypes };
    let kinds = [
        FaultKind::LostAnswer,
        FaultKind::CutAnswer { percent: 60 },
        FaultKind::HttpStatus { status: 503, retry_after: Some(1), location: None },
        FaultKind::SoapFault { code: "ErrorInternalServerTransientError".to_owned() },
        busy,
    ];
    let kind = kinds.choose(random).unwrap().clone();
    let region = ["europe", "america", "asia"].choose(random).unwrap();
    scene.deployment.exchange.set_fault(Fault::new(kind).region(region).times(random.random_range(1..12)));
}

/// What was delivered and queued.
#[derive(Default)]
struct Play {
    /// Item ids by address.
    items: BTreeMap<String, BTreeSet<String>>,
    /// Message ids that are to be activities.
    tracked: BTreeSet<String>,
    /// Emails to be sent.
    queued: Vec<String>,
    delivered: usize,
}

impl Play {
    fn deliver(&mut self, scene: &Scene, random: &mut StdRng) {
        let index = random.random_range(0..MAILBOXES);
        let address = address(index);
        let number = self.delivered;
        let is_poison = number % 500 == 499;
        let fault = is_poison.then(|| ItemFault::Poison { code: "ErrorItemCorrupt".to_owned() });
        let mime = letter("many", number, &address).into();
        let item = scene.deliver_as(Delivery { mailbox: address.clone(), mime, fault, ..Delivery::default() }).unwrap();
        self.items.entry(address).or_default().insert(item.item_id);
        if !is_poison && index % 10 != 9 {
            self.tracked.insert(message_id("many", number));
        }
        self.delivered += 1;
    }

    async fn queue(&mut self, scene: &Scene, random: &mut StdRng) {
        let party = |role: PartyRole, address: &str| Party {
            role: role.into(),
            address: address.to_owned(),
            ..Party::default()
        };
        let from = address(random.random_range(0..MAILBOXES));
        let email = Email {
            subject: format!("sent {}", self.queued.len()),
            parties: vec![party(PartyRole::From, &from), party(PartyRole::To, BUYER)],
            ..Email::default()
        };
        self.queued.push(scene.send(email, "Hello").await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_in_fifty_mailboxes_with_kills_and_faults() {
    let messages = usize::try_from(number("POSTROAD_MESSAGES", 10_000)).unwrap();
    let seed = number("POSTROAD_SEED", u64::from(std::process::id()));
    println!("POSTROAD_MESSAGES={messages} POSTROAD_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = scene().await;
    let mut play = Play::default();
    let mut kills = 0;
    while play.delivered < messages {
        for _ in 0..random.random_range(100..300_usize).min(messages - play.delivered) {
            play.deliver(&scene, &mut random);
        }
        for _ in 0..random.random_range(2..8) {
            play.queue(&scene, &mut random).await;
        }
        disturb(&scene, &mut random);
        let role = *Role::ALL.choose(&mut random).unwrap();
        scene.deployment.kill(role).await.unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        scene.deployment.restart(role).await.unwrap();
        scene.deployment.wait_serving(role).await.unwrap();
        kills += 1;
    }
    scene.deployment.exchange.clear_faults();
    println!("{kills} kills, {} messages delivered, {} emails queued", play.delivered, play.queued.len());
    let histories = all_decided(&scene, &play, seed).await;
    check(&scene, &play, &histories, seed).await;
}

/// Waits until every message has its verdict and every email its end.
async fn all_decided(scene: &Scene, play: &Play, seed: u64) -> Histories {
    let mut progress = (0, 0);
    loop {
        let further = stage::eventually(Duration::from_secs(150), || async {
            let histories = Histories::read(&scene.deployment).await.ok()?;
            let now = (
                verdicts(&histories).values().map(HashMap::len).sum::<usize>(),
                scene.deployment.exchange.sent().len(),
            );
            (now != progress || now == (play.delivered, play.queued.len())).then_some((histories, now))
        });
        // No limit in all: only no progress for a minute is a failure.
        let Some((histories, now)) = further.await else {
            let (messages, emails) = (play.delivered, play.queued.len());
            panic!(
                "seed {seed}: {progress:?} of {messages} verdicts and {emails} emails, and no more\n{}",
                states(scene).await
            );
        };
        if now >= (play.delivered, play.queued.len()) {
            println!("faults met: {:?}", faults(&histories));
            return histories;
        }
        progress = now;
    }
}

/// How the mailboxes fare, and what the worker said last.
async fn states(scene: &Scene) -> String {
    let mut text = String::new();
    for index in 0..MAILBOXES {
        let state = scene.mailbox(&address(index)).await.map(|mailbox| {
            format!(
                "{:?} next {:?} fault {:?}",
                mailbox.incoming,
                mailbox.next_attempt_at,
                mailbox.fault.map(|fault| fault.code)
            )
        });
        text.push_str(&format!("{}: {state:?}\n", address(index)));
    }
    let worker = scene.deployment.sync().get_worker(GetWorkerRequest {}).await;
    format!("{text}{worker:?}\n{}", scene.deployment.log(Role::Sync))
}

/// How often what failed.
fn faults(histories: &Histories) -> BTreeMap<String, usize> {
    let mut faults = BTreeMap::new();
    for event in histories.0.values().flatten() {
        if let Event::AttemptFailed { report, .. } = event {
            let detail: String = report.detail.chars().take(60).collect();
            *faults.entry(format!("{} {detail}", report.code)).or_default() += 1;
        }
    }
    faults
}

/// Verdicts by address and item id.
fn verdicts(histories: &Histories) -> BTreeMap<&str, HashMap<&str, &Decision>> {
    fn of(events: &[Event]) -> HashMap<&str, &Decision> {
        let finished = events.iter().filter_map(|event| match event {
            Event::AttemptFinished { verdicts, .. } => Some(verdicts),
            _ => None,
        });
        finished.flatten().map(|verdict| (verdict.item.id.as_str(), &verdict.decision)).collect()
    }
    histories.0.iter().map(|(address, events)| (address.as_str(), of(events))).collect()
}

async fn check(scene: &Scene, play: &Play, histories: &Histories, seed: u64) {
    histories.check().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    let decided = verdicts(histories);
    for (address, items) in &play.items {
        let known = decided.get(address.as_str()).unwrap_or_else(|| panic!("seed {seed}: {address} decided nothing"));
        let missing: Vec<_> = items.iter().filter(|item| !known.contains_key(item.as_str())).collect();
        assert!(missing.is_empty(), "seed {seed}: {address} has no verdict about {missing:?}");
    }
    let found = Activities::read(&scene.deployment).await.unwrap();
    let missing = found.missing(&play.tracked);
    assert!(missing.is_empty(), "seed {seed}: {} are not in the CRM: {missing:?}", missing.len());
    assert_eq!(found.duplicates(), 0, "seed {seed}");
    let mut sent: HashMap<String, usize> = HashMap::new();
    for mail in scene.deployment.exchange.sent() {
        let id = mail.extended.get("PostroadEmail").and_then(|values| values.first()).cloned().unwrap_or_default();
        *sent.entry(id).or_default() += 1;
    }
    for id in &play.queued {
        assert_eq!(sent.get(id), Some(&1), "seed {seed}: email {id}");
        scene.email(id, "sent", |email| email.status() == EmailStatus::Sent).await.unwrap();
    }
    assert_eq!(sent.len(), play.queued.len(), "seed {seed}: emails were sent that nobody queued");
}
