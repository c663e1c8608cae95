//! The administrator's work: people, a profile, its mailboxes, tested and enabled.

use std::collections::BTreeMap;

use postroad_proto::{
    crm::v1::{Record, RecordKind, SaveRecordRequest},
    locator::v1::Verdict,
    mailbox::v1::{
        Approval, ApproveMailboxesRequest, CreateMailboxRequest, Mailbox, MailboxKind, MailboxSelection,
        MailboxSettings, SynchronizationMethod, TestAndEnableMailboxesRequest,
        test_and_enable_mailboxes_response::Report,
    },
    profile::v1::{CreateProfileRequest, Profile, ProfileSettings, ServerType},
};

use crate::{Deployment, Error};

/// The account that impersonates.
#[derive(Clone, Debug)]
pub struct Account {
    /// UPN.
    pub user_name: String,
    /// Password.
    pub password: String,
}

/// What an administrator sets up.
pub struct SetUp<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The profile's name.
    pub profile: &'a str,
    /// The service account.
    pub account: Account,
    /// The profile's owner.
    pub owner: &'a str,
}

impl SetUp<'_> {
    /// Makes a user of the CRM.
    pub async fn user(&self, address: &str) -> Result<(), Error> {
        let name = address.split('@').next().unwrap_or(address).to_owned();
        let record =
            Record { kind: RecordKind::User.into(), name, addresses: vec![address.to_owned()], ..Record::default() };
        self.deployment.crm().save_record(SaveRecordRequest { record: Some(record) }).await?;
        Ok(())
    }

    /// Makes the profile: Autodiscover, alert mail on, failed mail moved.
    pub async fn profile(&self) -> Result<Profile, Error> {
        self.user(self.owner).await?;
        let settings = ProfileSettings {
            name: self.profile.to_owned(),
            owner: self.owner.to_owned(),
            server_type: ServerType::ExchangeServerHybrid.into(),
            user_name: self.account.user_name.clone(),
            password: self.account.password.clone(),
            move_failed_emails: true,
            send_alert_email: true,
            trust_anchors: vec![self.deployment.exchange.ca_pem().to_owned()],
            connection_timeout_ms: Some(10_000),
            ..ProfileSettings::default()
        };
        let request = CreateProfileRequest { settings: Some(settings) };
        let profile = self.deployment.profiles().create_profile(request).await?.into_inner().profile;
        profile.ok_or_else(|| Error::Other("no profile in the answer".to_owned()))
    }

    /// Makes and approves the mailbox of a new user, for incoming email.
    pub async fn mailbox(&self, address: &str) -> Result<Mailbox, Error> {
        self.mailbox_with(address, MailboxSettings::default()).await
    }

    /// The same with other settings; a user is what is not said, and incoming email too.
    pub async fn mailbox_with(&self, address: &str, settings: MailboxSettings) -> Result<Mailbox, Error> {
        let server_side = SynchronizationMethod::ServerSideSync;
        let is_said = settings.incoming_method() != SynchronizationMethod::Unspecified;
        let mut settings = MailboxSettings {
            incoming_method: if is_said { settings.incoming_method } else { server_side.into() },
            email_address: address.to_owned(),
            profile: self.profile.to_owned(),
            ..settings
        };
        match settings.kind() {
            MailboxKind::Unspecified | MailboxKind::User => {
                self.user(address).await?;
                settings.set_kind(MailboxKind::User);
                address.clone_into(&mut settings.regarding);
            }
            MailboxKind::Queue => address.clone_into(&mut settings.regarding),
            MailboxKind::Forward => {}
        }
        let mut mailboxes = self.deployment.mailboxes();
        mailboxes.create_mailbox(CreateMailboxRequest { settings: Some(settings) }).await?;
        let selection = MailboxSelection { mailboxes: vec![address.to_owned()], ..MailboxSelection::default() };
        let request = ApproveMailboxesRequest { selection: Some(selection), approval: Approval::Approved.into() };
        let answer = mailboxes.approve_mailboxes(request).await?.into_inner();
        let result = answer.results.into_iter().next();
        result.and_then(|result| result.after).ok_or_else(|| Error::Other(format!("{address} was not approved")))
    }

    /// Tests and enables all mailboxes of the profile; gives them as they are afterwards.
    pub async fn test_and_enable(&self) -> Result<Vec<Mailbox>, Error> {
        self.test_and_tell().await.map(|(tested, _)| tested)
    }

    /// The same; also gives the steps that failed, by address. A test that ended without an outcome is told by them only.
    pub async fn test_and_tell(&self) -> Result<(Vec<Mailbox>, BTreeMap<String, Vec<String>>), Error> {
        let selection = MailboxSelection { profile: self.profile.to_owned(), ..MailboxSelection::default() };
        let request = TestAndEnableMailboxesRequest { selection: Some(selection) };
        let mut progress = self.deployment.mailboxes().test_and_enable_mailboxes(request).await?.into_inner();
        let (mut tested, mut failed) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
        while let Some(message) = progress.message().await? {
            match message.report {
                Some(Report::Step(step)) if step.verdict() == Verdict::Failed => {
                    failed.entry(message.email_address).or_default().push(format!("{}: {}", step.title, step.detail));
                }
                Some(Report::Mailbox(mailbox)) => tested.push(mailbox),
                _ => {}
            }
        }
        Ok((tested, failed))
    }
}
