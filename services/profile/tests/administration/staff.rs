//! People and a locator that do as the tests say.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use postroad_core::fault::{Code, Report};
use postroad_profile::{People, Person, PersonKind, Probe, Probed, Prober};
use postroad_proto::locator::v1::{Outcome, Step, Verdict};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The users `ada`, `bob`, `cyd` (who has no address) and the queues `support` and `sales` of `contoso.example`.
#[derive(Default)]
pub struct Staff {
    /// The CRM does not answer.
    pub is_down: AtomicBool,
}

/// A locator that passes everything unless it was told otherwise.
pub struct Scripted {
    scripts: Mutex<HashMap<String, Vec<Probed>>>,
    probes: Mutex<Vec<Probe>>,
    /// How many probes may go on; there is no end of them unless a test takes them away.
    pub permits: std::sync::Arc<Semaphore>,
}

impl Default for Scripted {
    fn default() -> Self {
        let permits = std::sync::Arc::new(Semaphore::new(1000));
        Self { scripts: Mutex::default(), probes: Mutex::default(), permits }
    }
}

impl Scripted {
    /// What a test of an address tells.
    pub fn tell(&self, address: &str, script: Vec<Probed>) {
        self.scripts.lock().unwrap().insert(address.to_owned(), script);
    }

    /// What was asked so far.
    pub fn probes(&self) -> Vec<Probe> {
        self.probes.lock().unwrap().clone()
    }
}

/// A step of the locator that passed.
pub fn passed(name: &str) -> Probed {
    Probed::Step(Box::new(Step { name: name.to_owned(), verdict: Verdict::Passed.into(), ..Step::default() }))
}

/// The last word of the locator.
pub fn outcome(outcome: Outcome) -> Probed {
    Probed::Outcome(Box::new(outcome))
}

fn everybody() -> Vec<(PersonKind, u128, &'static str)> {
    vec![
        (PersonKind::User, 1, "ada"),
        (PersonKind::User, 2, "bob"),
        (PersonKind::User, 3, "cyd"),
        (PersonKind::Queue, 4, "support"),
        (PersonKind::Queue, 5, "sales"),
    ]
}

#[async_trait]
impl People for Staff {
    async fn find(&self, kind: PersonKind, id_or_address: &str) -> Result<Option<Person>, Report> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Report::new(Code::CrmUnavailable, "the test"));
        }
        // As over a network: others go on meanwhile.
        tokio::task::yield_now().await;
        let people = everybody().into_iter().filter(|(of, ..)| *of == kind).map(|(_, id, name)| Person {
            id: Uuid::from_u128(id),
            name: name.to_owned(),
            address: (name != "cyd").then(|| format!("{name}@contoso.example")),
        });
        let same = |person: &Person| {
            person.id.to_string() == id_or_address
                || format!("{}@contoso.example", person.name).eq_ignore_ascii_case(id_or_address)
        };
        Ok(people.into_iter().find(same))
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, probe: Probe) -> BoxStream<'static, Probed> {
        let script = self.scripts.lock().unwrap().get(&probe.email_address).cloned();
        let script = script.unwrap_or_else(|| vec![passed("location"), outcome(Outcome::default())]);
        self.probes.lock().unwrap().push(probe);
        let permits = std::sync::Arc::clone(&self.permits);
        let begun = stream::once(async move { permits.acquire().await.unwrap().forget() });
        begun.flat_map(move |()| stream::iter(script.clone())).boxed()
    }
}
