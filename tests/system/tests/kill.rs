//! Roles are killed by SIGKILL at random moments while mail is delivered: nothing is lost, nothing doubled.
//!
//! `POSTROAD_KILLS` says how often (default 12), `POSTROAD_SEED` at which moments (printed with every run).
#![expect(clippy::disallowed_methods, reason = "a test reads the environment")]

use std::{collections::BTreeSet, time::Duration};

use mockex::{Delivery, Region, ServerVersion};
use postroad_core::invariant::at_most_one_activity;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use system::{
    Account, Deployment, Options, Role, SetUp,
    activities::{self, Activities},
    histories::Histories,
    letter, message_id,
};

const REGIONS: [(&str, ServerVersion, [&str; 2]); 3] = [
    ("europe", ServerVersion::Exchange2016, ["ada@contoso.example", "ben@contoso.example"]),
    ("america", ServerVersion::Exchange2013Sp1, ["cleo@contoso.example", "dora@contoso.example"]),
    ("asia", ServerVersion::Exchange2010Sp3, ["emil@contoso.example", "frida@contoso.example"]),
];

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_roles_lose_and_double_nothing() {
    let kills = number("POSTROAD_KILLS", 12);
    let seed = number("POSTROAD_SEED", u64::from(std::process::id()));
    println!("POSTROAD_KILLS={kills} POSTROAD_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let organization = mockex::Options::contoso(
        REGIONS
            .iter()
            .map(|(name, version, addresses)| Region::new(name, *version, addresses.iter().copied()))
            .collect(),
    );
    let service = organization.service_account.clone();
    let options = Options {
        poll: Duration::from_millis(150),
        retry: Duration::from_millis(300),
        // A worker that is killed again and again must not disable a mailbox by that.
        first_probe: Duration::from_millis(300),
        lease: Duration::from_millis(1000),
        ..Options::default()
    };
    let mut deployment = Deployment::start(organization, options).await.unwrap();
    let account = Account { user_name: service.principal_name, password: service.password };
    let set_up = SetUp { deployment: &deployment, profile: "Contoso", account, owner: "olga@contoso.example" };
    set_up.profile().await.unwrap();
    let addresses: Vec<&str> = REGIONS.iter().flat_map(|(_, _, addresses)| addresses.iter().copied()).collect();
    for address in &addresses {
        set_up.mailbox(address).await.unwrap();
    }
    let tested = set_up.test_and_enable().await.unwrap();
    let enabled = tested.iter().filter(|mailbox| mailbox.incoming.is_some_and(|incoming| incoming.enabled)).count();
    assert_eq!(enabled, addresses.len());

    let mut delivered = 0;
    let mut wanted = BTreeSet::new();
    for round in 0..kills {
        for _ in 0..random.random_range(1..6) {
            let address = addresses.choose(&mut random).unwrap();
            let mime = letter("kill", delivered, address);
            let delivery = Delivery { mailbox: (*address).to_owned(), mime: mime.into(), ..Delivery::default() };
            deployment.exchange.deliver(delivery).unwrap();
            wanted.insert(message_id("kill", delivered));
            delivered += 1;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        let role = *Role::ALL.choose(&mut random).unwrap();
        deployment.kill(role).await.unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        deployment.restart(role).await.unwrap();
        if round % 25 == 24 {
            println!("{} kills, {delivered} messages", round + 1);
        }
    }
    for role in Role::ALL {
        deployment.wait_serving(role).await.unwrap();
    }

    let missing = activities::wait_for(&deployment, &wanted, Duration::from_secs(120)).await.err().unwrap_or_default();
    if !missing.is_empty() {
        let log = deployment.log(Role::Sync);
        panic!("seed {seed}: {} of {} messages are missing: {missing:?}\n{log}", missing.len(), wanted.len());
    }
    let found = Activities::read(&deployment).await.unwrap();
    assert_eq!((found.duplicates(), found.strangers(&wanted)), (0, Vec::new()), "seed {seed}");
    at_most_one_activity(found.by_message_id.keys().map(String::as_str)).unwrap();
    // The last cycles may still be on their way into the journal after the CRM has their messages.
    let all_decided = stage::eventually(Duration::from_secs(60), || async {
        let histories = Histories::read(&deployment).await.ok()?;
        (histories.tracked() >= wanted.len()).then_some(histories)
    });
    let histories = all_decided.await.unwrap_or_else(|| panic!("seed {seed}: not every message has a verdict"));
    assert_eq!(histories.tracked(), wanted.len(), "seed {seed}");
    histories.check().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    // Each moment of the play lies in one or two clock hours.
    assert!(deployment.relay.mails().len() <= 2, "seed {seed}");
    println!("{kills} kills, {delivered} messages delivered, {} tracked", wanted.len());
}
