//! A deployment that is set up: a profile, mailboxes that are tested and enabled, mail that arrives.

use std::{collections::BTreeSet, time::Duration};

use mockex::{Delivered, Delivery, Region, ServerVersion};
use postroad_proto::mailbox::v1::{GetMailboxRequest, ListTimelineRequest, Mailbox, Status};

use crate::{Account, Deployment, Error, Options, SetUp, activities, letter, message_id};

/// The profile of every scene.
pub const PROFILE: &str = "Contoso";
/// The owner of the profile.
pub const OWNER: &str = "olga@contoso.example";
/// More than anything here takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A set-up deployment.
pub struct Scene {
    /// The deployment.
    pub deployment: Deployment,
    /// The service account.
    pub account: Account,
}

impl Scene {
    /// One region of the newest server with these mailboxes; everything enabled.
    pub async fn of(addresses: &[&str]) -> Result<Self, Error> {
        let region = Region::new("europe", ServerVersion::Exchange2016, addresses.iter().copied());
        let scene = Self::open(mockex::Options::contoso(vec![region]), Options::default()).await?;
        scene.enable(addresses).await?;
        Ok(scene)
    }

    /// An organisation with the profile and nothing else.
    pub async fn open(organization: mockex::Options, options: Options) -> Result<Self, Error> {
        let service = organization.service_account.clone();
        let account = Account { user_name: service.principal_name, password: service.password };
        let deployment = Deployment::start(organization, options).await?;
        let scene = Self { deployment, account };
        scene.set_up().profile().await?;
        Ok(scene)
    }

    /// Creates, approves, tests and enables mailboxes.
    pub async fn enable(&self, addresses: &[&str]) -> Result<(), Error> {
        for address in addresses {
            self.set_up().mailbox(address).await?;
        }
        let tested = self.set_up().test_and_enable().await?;
        match tested.iter().find(|mailbox| !is_enabled(mailbox)) {
            None => Ok(()),
            Some(mailbox) => Err(Error::Other(format!("not enabled: {:?}", mailbox.fault))),
        }
    }

    /// What an administrator does.
    pub fn set_up(&self) -> SetUp<'_> {
        SetUp { deployment: &self.deployment, profile: PROFILE, account: self.account.clone(), owner: OWNER }
    }

    /// Delivers a letter.
    pub fn deliver(&self, play: &str, number: usize, address: &str) -> Result<Delivered, Error> {
        self.deliver_as(Delivery {
            mailbox: address.to_owned(),
            mime: letter(play, number, address).into(),
            ..Delivery::default()
        })
    }

    /// Delivers anything.
    pub fn deliver_as(&self, delivery: Delivery) -> Result<Delivered, Error> {
        self.deployment.exchange.deliver(delivery).map_err(|error| Error::Exchange(error.to_string()))
    }

    /// Waits until letters of a play are activities.
    pub async fn wait_for(&self, play: &str, numbers: impl IntoIterator<Item = usize>) -> Result<(), Error> {
        let wanted: BTreeSet<String> = numbers.into_iter().map(|number| message_id(play, number)).collect();
        activities::wait_for(&self.deployment, &wanted, DEADLINE)
            .await
            .map_err(|missing| Error::Other(format!("missing in the CRM: {missing:?}")))
    }

    /// A mailbox as it is now.
    pub async fn mailbox(&self, address: &str) -> Result<Mailbox, Error> {
        let request = GetMailboxRequest { mailbox: address.to_owned() };
        let answer = self.deployment.mailboxes().get_mailbox(request).await?.into_inner();
        answer.mailbox.ok_or_else(|| Error::Other(format!("no mailbox {address} in the answer")))
    }

    /// Waits until a mailbox is so.
    pub async fn until(&self, address: &str, what: &str, is_so: impl Fn(&Mailbox) -> bool) -> Result<Mailbox, Error> {
        let found =
            stage::eventually(DEADLINE, || async { self.mailbox(address).await.ok().filter(|mailbox| is_so(mailbox)) });
        match found.await {
            Some(mailbox) => Ok(mailbox),
            None => Err(Error::Other(format!("{address} never was {what}: {:?}", self.mailbox(address).await))),
        }
    }

    /// The event log of a mailbox, as sentences.
    pub async fn timeline(&self, address: &str) -> Result<Vec<String>, Error> {
        let request =
            ListTimelineRequest { mailbox: address.to_owned(), page_size: 1000, ..ListTimelineRequest::default() };
        let entries = self.deployment.mailboxes().list_timeline(request).await?.into_inner().entries;
        Ok(entries.into_iter().flat_map(|entry| entry.sentences).collect())
    }
}

/// Whether incoming email is synchronized and well.
pub fn is_enabled(mailbox: &Mailbox) -> bool {
    mailbox.incoming.is_some_and(|incoming| incoming.enabled && incoming.status() == Status::Success)
}

/// The code of a mailbox's fault.
pub fn fault(mailbox: &Mailbox) -> &str {
    mailbox.fault.as_ref().map_or("", |fault| fault.code.as_str())
}
