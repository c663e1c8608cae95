//! Carries a plan out.

mod calm;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::SignedDuration;
use mockex::{Delivery, Move, Region, ServerVersion, Streaming};
use postroad_proto::{
    crm::v1::{Email, Party, PartyRole},
    mailbox::v1::{MailboxSettings, SynchronizationMethod},
    profile::v1::{ProfileSettings, UpdateProfileRequest, profile_service_client::ProfileServiceClient},
};
use postroad_rig::caller::Introduced;
use prost_types::FieldMask;
use stage::{smtp::Behaviour, wire::Condition};
use system::{
    Options,
    fragile::{Fragile, Member},
    letter, message_id,
    scene::{PROFILE, Scene, is_enabled, queue},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::{
    Error,
    evidence::Evidence,
    other,
    plan::{Act, MAILBOXES, Plan, REGIONS, WORKERS, address},
};

/// A buyer outside of the organization.
const BUYER: &str = "buyer@fabrikam.example";
/// Nothing moved on for so long: something is lost. Back-offs double up to minutes under as many faults as there are here.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long a call of the play may take; whoever is asked may be paused.
const CALL: Duration = Duration::from_secs(4);

/// What was put in.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// Item ids by mailbox.
    pub items: BTreeMap<String, BTreeSet<String>>,
    /// Message ids of letters that are sound.
    pub sound: BTreeSet<String>,
    /// Ids of emails that people queued.
    pub queued: BTreeSet<Uuid>,
    delivered: usize,
}

/// A play that is on.
pub struct Play {
    /// The stage.
    pub scene: Scene,
    /// What was put in.
    pub mail: Mail,
    /// The last commit before a clock jumped.
    pub clocks_right_until: Option<u64>,
    /// How often a process that ended by itself, as where NATS was away when it started, was started again.
    pub revivals: usize,
    /// Processes that are not to be there.
    away: BTreeSet<Member>,
    /// Emails that are being queued.
    queueing: JoinSet<Result<(), Error>>,
    /// The administrator at work.
    repairing: JoinSet<()>,
}

fn options() -> Options {
    Options {
        poll: Duration::from_millis(800),
        idle_poll: Duration::from_millis(2000),
        stream_silence: Duration::from_millis(2500),
        retry: Duration::from_millis(500),
        first_probe: Duration::from_millis(500),
        lease: Duration::from_millis(2000),
        // Workers start from snapshots as well as from the beginning.
        snapshot_commits: 150,
        fragile: true,
        ..Options::default()
    }
}

fn organization() -> mockex::Options {
    let versions = [ServerVersion::Exchange2016, ServerVersion::Exchange2013Sp1, ServerVersion::Exchange2010Sp3];
    let regions = REGIONS.iter().zip(versions).enumerate().map(|(number, (name, version))| {
        let addresses: Vec<String> =
            (0..MAILBOXES).filter(|index| index % REGIONS.len() == number).map(address).collect();
        Region::new(name, version, addresses.iter().map(String::as_str))
    });
    // Signs of life twice in a second, and connections that end after ten.
    let streaming = Streaming { back_ends: 3, heartbeat_ms: 500, minute_ms: 10_000, ..Streaming::default() };
    mockex::Options { streaming, ..mockex::Options::contoso(regions.collect()) }
}

impl Play {
    /// Sets the stage: all roles, three workers, twelve mailboxes in three regions.
    pub async fn open() -> Result<Self, Error> {
        let mut scene = Scene::open(organization(), options()).await?;
        for _ in 0..WORKERS {
            scene.deployment.add_worker()?;
        }
        let fragile = fragile(&scene)?;
        let authorities = vec![scene.deployment.exchange.ca_pem().to_owned(), fragile.stranger_authority().to_owned()];
        let settings = ProfileSettings { trust_anchors: authorities, ..ProfileSettings::default() };
        change_profile(scene.deployment.profiles(), settings, "trust_anchors").await?;
        let both = MailboxSettings {
            outgoing_method: SynchronizationMethod::ServerSideSync.into(),
            ..MailboxSettings::default()
        };
        for mailbox in 0..MAILBOXES {
            scene.set_up().mailbox_with(&address(mailbox), both.clone()).await?;
        }
        let tested = scene.set_up().test_and_enable().await?;
        if let Some(failed) = tested.iter().find(|mailbox| !is_enabled(mailbox)) {
            return Err(other(format!("not enabled: {failed:?}")));
        }
        let (queueing, repairing) = (JoinSet::new(), JoinSet::new());
        let (mail, away) = (Mail::default(), BTreeSet::new());
        Ok(Self { scene, mail, clocks_right_until: None, revivals: 0, away, queueing, repairing })
    }

    /// Whether clocks can jump here.
    pub fn has_clocks(&self) -> bool {
        self.scene.deployment.fragile().is_some_and(|fragile| fragile.clocks().next().is_some())
    }

    /// Carries out a plan.
    pub async fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        let mut moments: Vec<(Duration, usize, bool)> = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            moments.push((step.at, number, true));
            moments.extend(step.lasts.map(|lasts| (step.at + lasts, number, false)));
        }
        moments.sort();
        println!("{} things happen", plan.steps.len());
        let mut faults: BTreeMap<usize, u64> = BTreeMap::new();
        let began = Instant::now();
        for (at, number, is_beginning) in moments {
            tokio::time::sleep_until(began + at).await;
            self.supervise().await?;
            let Some(step) = plan.steps.get(number) else { continue };
            match (&step.act, is_beginning) {
                (Act::Fault(fault), true) => {
                    faults.insert(number, self.scene.deployment.exchange.set_fault((**fault).clone()));
                }
                (Act::Fault(_), false) => {
                    if let Some(id) = faults.remove(&number) {
                        self.scene.deployment.exchange.clear_fault(id);
                    }
                }
                (act, true) => self.begin(act).await?,
                (act, false) => self.end(act).await?,
            }
        }
        Ok(())
    }

    /// Starts processes that ended by themselves, as a supervisor does.
    async fn supervise(&mut self) -> Result<(), Error> {
        for member in Member::all(WORKERS).filter(|member| !self.away.contains(member)) {
            if let Some(process) = self.scene.deployment.process(member)
                && !process.is_running()
            {
                self.revivals += 1;
                process.restart().await.map_err(other)?;
            }
        }
        Ok(())
    }

    async fn begin(&mut self, act: &Act) -> Result<(), Error> {
        let deployment = &mut self.scene.deployment;
        match act {
            Act::Deliver { mailbox, flaw } => self.deliver(*mailbox, flaw.clone())?,
            Act::Queue { mailbox } => self.queue(*mailbox),
            Act::Kill(member) => {
                self.away.insert(*member);
                if let Some(process) = deployment.process(*member) {
                    process.kill().await.map_err(other)?;
                }
            }
            Act::Stop(member) => {
                self.away.insert(*member);
                signal(&mut self.scene, *member, "TERM").await?;
            }
            Act::Pause(member) => signal(&mut self.scene, *member, "STOP").await?,
            Act::KillNats => deployment.nats.kill().await.map_err(other)?,
            Act::PauseNats => deployment.nats.signal("STOP").await.map_err(other)?,
            Act::Wire(link, condition) => {
                if let Some(wire) = fragile(&self.scene)?.wire(*link) {
                    wire.set(*condition);
                }
            }
            Act::CutStreams => deployment.exchange.cut_streams(),
            Act::ForgetSubscriptions(mailbox) => {
                let _ = deployment.exchange.forget_subscriptions(mailbox.map(address).as_deref());
            }
            Act::Move { mailbox, region } => {
                let region = REGIONS.get(*region).copied().unwrap_or_default().to_owned();
                let movement = Move { mailbox: address(*mailbox), region, elsewhere: None };
                deployment.exchange.move_mailbox(&movement).map_err(other)?;
            }
            Act::Fill(mailbox) => deployment.exchange.set_full(&address(*mailbox), true).map_err(other)?,
            Act::Clock(member, seconds) => {
                if self.clocks_right_until.is_none() {
                    // Without an answer it is not known what is still evidence: the clock stays right for now.
                    let last = timeout(Duration::from_secs(1), Evidence::last(&self.scene.deployment)).await;
                    let Ok(Ok(last)) = last else { return Ok(()) };
                    self.clocks_right_until = Some(last);
                }
                if let Some(clock) = fragile(&self.scene)?.clock(*member) {
                    clock.set(SignedDuration::from_secs(*seconds)).map_err(other)?;
                }
            }
            Act::Relay(behaviour) => deployment.relay.behave(behaviour.clone()),
            Act::Repair => self.repair(),
            Act::Fault(_) => {}
        }
        Ok(())
    }

    async fn end(&mut self, act: &Act) -> Result<(), Error> {
        let deployment = &mut self.scene.deployment;
        match act {
            Act::Kill(member) | Act::Stop(member) => {
                self.away.remove(member);
                if let Some(process) = deployment.process(*member) {
                    process.restart().await.map_err(other)?;
                }
            }
            Act::Pause(member) => signal(&mut self.scene, *member, "CONT").await?,
            Act::KillNats => deployment.nats.restart().await.map_err(other)?,
            Act::PauseNats => deployment.nats.signal("CONT").await.map_err(other)?,
            Act::Wire(link, _) => {
                if let Some(wire) = fragile(&self.scene)?.wire(*link) {
                    wire.set(Condition::Whole);
                }
            }
            Act::Fill(mailbox) => deployment.exchange.set_full(&address(*mailbox), false).map_err(other)?,
            Act::Clock(member, _) => {
                if let Some(clock) = fragile(&self.scene)?.clock(*member) {
                    clock.set(SignedDuration::ZERO).map_err(other)?;
                }
            }
            Act::Relay(_) => deployment.relay.behave(Behaviour::default()),
            Act::Deliver { .. }
            | Act::Queue { .. }
            | Act::CutStreams
            | Act::ForgetSubscriptions(_)
            | Act::Move { .. }
            | Act::Fault(_)
            | Act::Repair => {}
        }
        Ok(())
    }

    fn deliver(&mut self, mailbox: usize, flaw: Option<mockex::ItemFault>) -> Result<(), Error> {
        let (address, number) = (address(mailbox), self.mail.delivered);
        self.mail.delivered += 1;
        let is_sound = flaw.is_none();
        let mime = letter("chaos", number, &address).into();
        let delivery = Delivery { mailbox: address.clone(), mime, fault: flaw, ..Delivery::default() };
        let item = self.scene.deliver_as(delivery)?;
        self.mail.items.entry(address).or_default().insert(item.item_id);
        if is_sound {
            self.mail.sound.insert(message_id("chaos", number));
        }
        Ok(())
    }

    /// Queues an email, however often that has to be said: the same id each time, so that it is queued once.
    fn queue(&mut self, mailbox: usize) {
        let id = Uuid::new_v4();
        self.mail.queued.insert(id);
        let party = |role: PartyRole, address: &str| Party {
            role: role.into(),
            address: address.to_owned(),
            ..Party::default()
        };
        let email = Email {
            subject: format!("chaos {id}"),
            parties: vec![party(PartyRole::From, &address(mailbox)), party(PartyRole::To, BUYER)],
            ..Email::default()
        };
        let crm = self.scene.deployment.crm();
        self.queueing.spawn(async move {
            let until = Instant::now() + PATIENCE;
            loop {
                let why = match timeout(CALL, queue(crm.clone(), email.clone(), "Hello", Some(id))).await {
                    Ok(Ok(_)) => return Ok(()),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "no answer".to_owned(),
                };
                if Instant::now() > until {
                    return Err(other(format!("email {id} could not be queued: {why}")));
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    fn repair(&mut self) {
        let (profiles, password) = (self.scene.deployment.profiles(), self.scene.account.password.clone());
        self.repairing.spawn(async move {
            let settings = ProfileSettings { password, ..ProfileSettings::default() };
            // Who is not heard says it again the next time.
            let _ = timeout(CALL, change_profile(profiles, settings, "password")).await;
        });
    }
}

fn fragile(scene: &Scene) -> Result<&Fragile, Error> {
    scene.deployment.fragile().ok_or_else(|| other("the deployment was not started fragile"))
}

async fn signal(scene: &mut Scene, member: Member, name: &str) -> Result<(), Error> {
    match scene.deployment.process(member) {
        Some(process) => process.signal(name).await.map_err(other),
        None => Ok(()),
    }
}

async fn change_profile(
    mut profiles: ProfileServiceClient<Introduced>,
    settings: ProfileSettings,
    field: &str,
) -> Result<(), Error> {
    let request = UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec![field.to_owned()] }),
        etag: String::new(),
    };
    profiles.update_profile(request).await.map_err(other)?;
    Ok(())
}
