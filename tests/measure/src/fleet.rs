//! A deployment that grows: many mailboxes with push on, seeded into the journal. What an idle one costs, and how soon mail is there.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use mockex::{Delivery, Many, Region, ServerVersion};
use postroad_core::email::Event;
use postroad_journal::{Followed, Journal, Kind, Part};
use postroad_proto::profile::v1::{CreateProfileRequest, ProfileSettings, ServerType};
use stage::eventually;
use system::{Account, Deployment, Options, Role, SetUp, letter, message_id, scene};
use uuid::Uuid;

use crate::{
    Error,
    figure::{Figure, Target},
    processor, progress, seed,
};

const PATIENCE: Duration = Duration::from_secs(600);

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of mailboxes, each larger than the one before.
    pub sizes: Vec<usize>,
    /// At which of them latency is measured.
    pub latency: Vec<usize>,
    /// Messages of a latency figure.
    pub messages: usize,
    /// Cuts of streams.
    pub cuts: usize,
    /// The distance of polls: often enough to be counted in a short time.
    pub poll: Duration,
    /// Between which of them memory is measured.
    pub memory: (usize, usize),
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(error.to_string())
}

/// A deployment whose mailboxes are written into the journal.
pub struct Fleet {
    /// All roles, NATS and the fake Exchange.
    pub deployment: Deployment,
    /// Its journal.
    pub journal: Journal,
    profile_id: Uuid,
    account: Account,
    mailboxes: usize,
}

impl Fleet {
    /// A deployment with a profile of a fixed location, and room for `most` mailboxes.
    pub async fn open(most: usize, options: Options) -> Result<Self, Error> {
        let mut region = Region::new("europe", ServerVersion::Exchange2016, []);
        region.many = Some(Many { count: most, pattern: seed::address(0).replace('0', "{n}") });
        let mut organization = mockex::Options::contoso(vec![region]);
        organization.lean = true;
        let service = organization.service_account.clone();
        let deployment = Deployment::start(organization, options).await.map_err(|error| failed(&error))?;
        let account = Account { user_name: service.principal_name, password: service.password };
        let location = deployment.exchange.region_url("europe").unwrap_or_default();
        let owner = scene::OWNER;
        let set_up = SetUp { deployment: &deployment, profile: scene::PROFILE, account: account.clone(), owner };
        set_up.user(owner).await.map_err(|error| failed(&error))?;
        let settings = ProfileSettings {
            name: scene::PROFILE.to_owned(),
            owner: owner.to_owned(),
            server_type: ServerType::ExchangeServerHybrid.into(),
            user_name: account.user_name.clone(),
            password: account.password.clone(),
            autodiscover: Some(false),
            incoming_location: location.clone(),
            outgoing_location: location,
            maximum_concurrent_connections: Some(100),
            trust_anchors: vec![deployment.exchange.ca_pem().to_owned()],
            ..ProfileSettings::default()
        };
        let request = CreateProfileRequest { settings: Some(settings) };
        let created = deployment.profiles().create_profile(request).await.map_err(|error| failed(&error))?;
        let profile = created.into_inner().profile.unwrap_or_default();
        let profile_id = Uuid::parse_str(&profile.id).map_err(|error| failed(&error))?;
        let client = async_nats::connect(deployment.nats.url()).await.map_err(|error| failed(&error))?;
        let journal =
            Journal::connect(&client, postroad_journal::Options::default()).await.map_err(|error| failed(&error))?;
        Ok(Self { deployment, journal, profile_id, account, mailboxes: 0 })
    }

    /// Adds mailboxes up to a number.
    pub async fn seed(&mut self, mailboxes: usize) -> Result<(), Error> {
        let seed = seed::Seed { numbers: self.mailboxes..mailboxes, profile_id: self.profile_id, idle: None };
        seed::mailboxes(&self.journal, &seed).await?;
        self.mailboxes = mailboxes;
        Ok(())
    }

    /// Adds mailboxes up to a number, and waits until each is subscribed.
    pub async fn grow(&mut self, mailboxes: usize) -> Result<(), Error> {
        self.seed(mailboxes).await?;
        let subscribed = || async { (self.deployment.exchange.subscriptions().0 >= mailboxes).then_some(()) };
        if eventually(PATIENCE, subscribed).await.is_none() {
            let found = self.deployment.exchange.subscriptions().0;
            let log = self.deployment.log(Role::Sync);
            return Err(failed(&format!("{found} of {mailboxes} mailboxes are subscribed:\n{log}")));
        }
        Ok(())
    }

    /// Listings of changes that the fake Exchange saw.
    pub fn polls(&self) -> u64 {
        self.deployment.exchange.counters().by_operation.get("SyncFolderItems").copied().unwrap_or_default()
    }

    /// The service account: user name and password.
    pub fn account(&self) -> (&str, &str) {
        (&self.account.user_name, &self.account.password)
    }

    /// The process id of the sync role.
    pub fn worker(&self) -> Result<String, Error> {
        let id = self.deployment.process_id(Role::Sync).ok_or_else(|| failed(&"the sync role is not running"))?;
        Ok(id.to_string())
    }

    /// What the worker spends while nothing happens, in CPU seconds an hour.
    async fn idle(&self, poll: Duration) -> Result<f64, Error> {
        let worker = self.worker()?;
        // What the growth left to do is not counted: a whole round of polls goes by first.
        tokio::time::sleep(poll).await;
        let polls = self.polls();
        let (began, before, own) =
            (postroad_rig::clock::instant(), processor::precise(&worker)?, processor::precise("self")?);
        tokio::time::sleep(poll).await;
        let (size, polled) = (self.mailboxes as u64, self.polls() - polls);
        if polled * 2 < size {
            return Err(failed(&format!("{size} mailboxes were polled {polled} times only in a round")));
        }
        let seconds = began.elapsed().as_secs_f64();
        let spent = processor::precise(&worker)?.saturating_sub(before).as_secs_f64();
        let others = processor::precise("self")?.saturating_sub(own).as_secs_f64();
        let share = others / (seconds * processor::cores()) * 100.0;
        progress(&format!("{polled} polls; the fake Exchange took {share:.2} % of the machine meanwhile"));
        Ok(spent / seconds * 3600.0)
    }

    /// Delivers messages, each to another mailbox and `pause` apart, and gives how long each took to become an activity.
    async fn latencies(
        &self,
        play: &str,
        messages: usize,
        pause: Duration,
        cuts: bool,
    ) -> Result<Vec<Duration>, Error> {
        let last = self.journal.extent(Part::Crm).await.map_err(|error| failed(&error))?.last;
        let mut commits = self.journal.follow_after(&[Kind::Email], Part::Crm, last);
        let mut delivered: HashMap<String, Instant> = HashMap::new();
        let mut latencies = Vec::new();
        let mut ticks = tokio::time::interval(pause);
        let mut number = 0;
        let until = postroad_rig::clock::instant() + PATIENCE;
        while latencies.len() < messages {
            tokio::select! {
                biased;
                followed = commits.next() => {
                    let Some(Followed::Email(_, commit)) = followed else { continue };
                    for event in commit.events {
                        if let Event::Promoted { email, .. } = event
                            && let Some(at) = delivered.remove(email.message_id.as_deref().unwrap_or_default().trim_matches(['<', '>']))
                        {
                            latencies.push(at.elapsed());
                        }
                    }
                }
                _ = ticks.tick(), if number < messages => {
                    // Another mailbox each time, far from the one before.
                    let address = seed::address(number * 7919 % self.mailboxes);
                    if cuts {
                        self.deployment.exchange.cut_streams();
                    }
                    delivered.insert(message_id(play, number), postroad_rig::clock::instant());
                    let mime = letter(play, number, &address).into();
                    let delivery = Delivery { mailbox: address, mime, ..Delivery::default() };
                    self.deployment.exchange.deliver(delivery).map_err(|error| failed(&error))?;
                    number += 1;
                }
                () = tokio::time::sleep_until(until.into()) => {
                    return Err(failed(&format!("{} of {messages} messages did not arrive", delivered.len())));
                }
            }
        }
        latencies.sort();
        Ok(latencies)
    }
}

/// What idle mailboxes cost: CPU seconds an hour of the whole worker.
struct Idle {
    /// Without any mailbox: what a worker costs because it is there.
    worker: f64,
    /// With so many mailboxes.
    fleets: Vec<(usize, f64)>,
}

/// From how many mailboxes on their cost is to be flat.
const FLEET: usize = 100;
/// By how much the dearest size may cost more than the cheapest.
const FLAT: f64 = 1.2;

impl Idle {
    /// The cost of a mailbox at each size: its share of everything, which is to be flat, and what it adds to the worker's own cost.
    fn figures(&self, poll: Duration) -> Vec<Figure> {
        let unit = "CPU seconds per hour";
        let seconds = poll.as_secs();
        let per_mailbox = |own: f64| {
            let cost = move |(size, spent): &(usize, f64)| (*size, (spent - own) / *size as f64);
            self.fleets.iter().map(cost).collect::<Vec<_>>()
        };
        let (whole, added) = (per_mailbox(0.0), per_mailbox(self.worker));
        let mut figures = Vec::new();
        for (size, cost) in &whole {
            figures.push(Figure::new(format!("idle mailbox, {size} of them, polled each {seconds} s"), unit, *cost));
        }
        figures.push(growth(&whole, "all of it").aimed(Target::AtMost(FLAT)));
        figures.push(Figure::new("the worker's own part of it, without any mailbox", unit, self.worker));
        for (size, cost) in added.iter().filter(|(size, _)| *size >= FLEET) {
            figures.push(Figure::new(format!("the mailbox's part of it, {size} of them"), unit, *cost));
        }
        figures.push(growth(&added, "the mailbox's part"));
        figures
    }
}

/// The dearest size by the cheapest.
fn growth(costs: &[(usize, f64)], what: &str) -> Figure {
    let costs = costs.iter().filter(|(size, _)| *size >= FLEET);
    let (cheapest, dearest) =
        costs.fold((f64::INFINITY, 0.0_f64), |(least, most), (_, cost)| (least.min(*cost), most.max(*cost)));
    Figure::new(format!("idle mailbox, dearest size by cheapest from {FLEET} on, {what}"), "times", dearest / cheapest)
}

/// The figures of idle mailboxes and of latency.
pub async fn measure(plan: &Plan) -> Result<Vec<Figure>, Error> {
    let most = plan.sizes.last().copied().unwrap_or_default();
    let options =
        Options { poll: plan.poll, idle_poll: plan.poll, lease: Duration::from_secs(15), ..Options::default() };
    let mut fleet = Box::pin(Fleet::open(most, options)).await?;
    let mut figures = Vec::new();
    progress("no mailbox, idle for a while");
    let mut idle = Idle { worker: fleet.idle(plan.poll).await?, fleets: Vec::new() };
    let mut memory = HashMap::new();
    for size in &plan.sizes {
        progress(&format!("{size} mailboxes, idle for a while"));
        fleet.grow(*size).await?;
        idle.fleets.push((*size, fleet.idle(plan.poll).await?));
        memory.insert(*size, processor::resident(&fleet.worker()?)?);
        if plan.latency.contains(size) {
            progress("mail arrives");
            let found =
                fleet.latencies(&format!("push{size}"), plan.messages, Duration::from_millis(50), false).await?;
            let aim = (*size >= 10_000).then_some(Target::AtMost(1000.0));
            figures.extend(percentiles(&format!("arrival to CRM, push, {size} mailboxes"), &found, aim));
            progress("mail arrives while streams are cut");
            let found = fleet.latencies(&format!("cut{size}"), plan.cuts, Duration::from_secs(3), true).await?;
            figures.extend(percentiles(&format!("arrival to CRM, stream cut, {size} mailboxes"), &found, None));
        }
    }
    figures.splice(0..0, idle.figures(plan.poll));
    let (few, many) = plan.memory;
    if let (Some(small), Some(large)) = (memory.get(&few), memory.get(&many)) {
        let slope = (*large as f64 - *small as f64) / (many - few) as f64 / 1024.0;
        let name = format!("memory of an idle mailbox, {few} to {many}");
        figures.push(Figure::new(name, "KiB", slope).aimed(Target::AtMost(8.0)));
    }
    Ok(figures)
}

fn percentiles(name: &str, sorted: &[Duration], aim: Option<Target>) -> Vec<Figure> {
    let at = |share: f64| {
        let place = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
        sorted.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    };
    let figure = |what: &str, share: f64| Figure::new(format!("{name}, {what}"), "ms", at(share));
    let p99 = figure("p99", 0.99);
    vec![figure("p50", 0.5), if let Some(aim) = aim { p99.aimed(aim) } else { p99 }, figure("max", 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_falls_is_not_flat_either() {
        let is_flat = |worker: f64, fleets: &[(usize, f64)]| {
            let figures = Idle { worker, fleets: fleets.to_vec() }.figures(Duration::from_secs(60));
            figures.iter().find_map(|figure| figure.is_met)
        };
        assert_eq!(is_flat(0.0, &[(100, 1.1), (1000, 10.0)]), Some(true));
        assert_eq!(is_flat(1.0, &[(100, 2.0), (1000, 11.0)]), Some(false), "the worker's own part counts");
        assert_eq!(is_flat(0.0, &[(100, 1.0), (1000, 13.0)]), Some(false));
        assert_eq!(is_flat(0.0, &[(10, 9.0), (100, 1.0), (1000, 10.0)]), Some(true), "ten are no fleet");
    }
}
