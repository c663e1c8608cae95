//! What the journal holds, read past every role, and what the roles answer.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use postroad_core::{Aggregate, mailbox, notification};
use postroad_journal::{Commit, Followed, Journal, Kind, Options, Part};
use postroad_proto::{
    alert::v1::{Alert, ListAlertsRequest},
    crm::v1::{Email, ListRecordsRequest, Record},
    mailbox::v1::{ListMailboxesRequest, ListTimelineRequest, Mailbox, TimelineEntry},
    profile::v1::{ListProfilesRequest, Profile},
    sync::v1::{ListVerdictsRequest, MessageVerdict},
};
use system::{Deployment, activities};
use uuid::Uuid;

use crate::{Error, other};

/// The commits of mailboxes and notifications.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Of each mailbox.
    pub mailboxes: BTreeMap<Uuid, Vec<Commit<mailbox::Event>>>,
    /// Of each profile's notifications.
    pub notifications: BTreeMap<Uuid, Vec<Commit<notification::Event>>>,
}

/// What the roles say of everything that they know.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    profiles: Vec<Profile>,
    mailboxes: Vec<Mailbox>,
    records: Vec<Record>,
    emails: Vec<Email>,
    alerts: Vec<Alert>,
    timelines: BTreeMap<String, Vec<TimelineEntry>>,
    verdicts: BTreeMap<String, Vec<MessageVerdict>>,
}

async fn journal(deployment: &Deployment) -> Result<Journal, Error> {
    let client = async_nats::connect(deployment.nats.url()).await.map_err(other)?;
    Journal::connect(&client, Options::default()).await.map_err(other)
}

impl Evidence {
    /// The sequence of the last commit of mailboxes and profiles.
    pub async fn last(deployment: &Deployment) -> Result<u64, Error> {
        Ok(journal(deployment).await?.extent(Part::Mailboxes).await.map_err(other)?.last)
    }

    /// How many commits there are in all parts.
    pub async fn commits(deployment: &Deployment) -> Result<u64, Error> {
        let journal = journal(deployment).await?;
        let mut commits = 0;
        for part in Part::ALL {
            commits += journal.extent(part).await.map_err(other)?.last;
        }
        Ok(commits)
    }

    /// Reads everything that is there now.
    pub async fn read(deployment: &Deployment) -> Result<Self, Error> {
        let mut commits = journal(deployment).await?.follow(&[Kind::Mailbox, Kind::Notification]);
        let mut evidence = Self::default();
        while let Some(followed) = commits.next().await {
            match followed {
                Followed::CaughtUp => return Ok(evidence),
                Followed::Mailbox(id, commit) => evidence.mailboxes.entry(id).or_default().push(commit),
                Followed::Notification(id, commit) => evidence.notifications.entry(id).or_default().push(commit),
                Followed::Unreadable { sequence, .. } => {
                    return Err(other(format!("commit {sequence} cannot be read")));
                }
                Followed::Profile(..)
                | Followed::Record(..)
                | Followed::Email(..)
                | Followed::Name(..)
                | Followed::Organization(..)
                | Followed::Erasure(..) => {}
            }
        }
        Err(other("the journal ended"))
    }

    /// The events of a mailbox.
    pub fn events(commits: &[Commit<mailbox::Event>]) -> impl Iterator<Item = &mailbox::Event> {
        commits.iter().flat_map(|commit| &commit.events)
    }

    /// A mailbox as its commits make it.
    pub fn state(commits: &[Commit<mailbox::Event>]) -> mailbox::State {
        mailbox::Cycles::fold(mailbox::State::default(), Self::events(commits))
    }

    /// The items with a verdict, by the address of their mailbox.
    pub fn decided(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut decided = BTreeMap::new();
        for commits in self.mailboxes.values() {
            let Some(mailbox) = Self::state(commits).shared() else { continue };
            let verdicts = Self::events(commits).filter_map(|event| match event {
                mailbox::Event::AttemptFinished { verdicts, .. } => Some(verdicts),
                _ => None,
            });
            let items = verdicts.flatten().map(|verdict| verdict.item.id.clone()).collect();
            decided.insert(mailbox.settings.address.to_string(), items);
        }
        decided
    }
}

impl Answers {
    /// Asks all roles.
    pub async fn ask(deployment: &Deployment) -> Result<Self, Error> {
        let call = |status: tonic::Status| other(status);
        let profiles = deployment.profiles().list_profiles(ListProfilesRequest::default()).await.map_err(call)?;
        let request = ListMailboxesRequest { page_size: 1000, ..ListMailboxesRequest::default() };
        let mailboxes = deployment.mailboxes().list_mailboxes(request).await.map_err(call)?.into_inner().mailboxes;
        let request = ListRecordsRequest { page_size: 1000, ..ListRecordsRequest::default() };
        let records = deployment.crm().list_records(request).await.map_err(call)?.into_inner().records;
        let request = ListAlertsRequest { page_size: 1000, ..ListAlertsRequest::default() };
        let alerts = deployment.alerts().list_alerts(request).await.map_err(call)?.into_inner().alerts;
        let (mut timelines, mut verdicts) = (BTreeMap::new(), BTreeMap::new());
        for mailbox in &mailboxes {
            let address = mailbox.settings.as_ref().map(|settings| settings.email_address.clone()).unwrap_or_default();
            timelines.insert(address.clone(), timeline(deployment, &address).await?);
            let request = ListVerdictsRequest { mailbox: address.clone(), ..ListVerdictsRequest::default() };
            let mut stream = deployment.sync().list_verdicts(request).await.map_err(call)?.into_inner();
            let known: &mut Vec<MessageVerdict> = verdicts.entry(address).or_default();
            while let Some(answer) = stream.message().await.map_err(call)? {
                known.extend(answer.verdict);
            }
        }
        let emails = activities::emails(deployment).await?;
        Ok(Self { profiles: profiles.into_inner().profiles, mailboxes, records, emails, alerts, timelines, verdicts })
    }

    /// The first difference, for people.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let parts = |answers: &Self| {
            [
                ("profiles", format!("{:#?}", answers.profiles)),
                ("mailboxes", format!("{:#?}", answers.mailboxes)),
                ("records", format!("{:#?}", answers.records)),
                ("emails", format!("{:#?}", answers.emails)),
                ("alerts", format!("{:#?}", answers.alerts)),
                ("timelines", format!("{:#?}", answers.timelines)),
                ("verdicts", format!("{:#?}", answers.verdicts)),
            ]
        };
        let pairs = parts(self).into_iter().zip(parts(other));
        let ((name, one), (_, other)) = pairs.into_iter().find(|((_, one), (_, other))| one != other)?;
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (one, other) = (lines(&one), lines(&other));
        let at = one.iter().zip(&other).position(|(one, other)| one != other);
        let at = at.unwrap_or_else(|| one.len().min(other.len()));
        let around = |lines: &[String]| {
            lines.iter().skip(at.saturating_sub(12)).take(24).cloned().collect::<Vec<_>>().join("\n")
        };
        Some((name, around(&one), around(&other)))
    }
}

async fn timeline(deployment: &Deployment, mailbox: &str) -> Result<Vec<TimelineEntry>, Error> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListTimelineRequest {
            mailbox: mailbox.to_owned(),
            page_size: 1000,
            page_token,
            ..ListTimelineRequest::default()
        };
        let page = deployment.mailboxes().list_timeline(request).await.map_err(other)?.into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(entries);
        }
    }
}
