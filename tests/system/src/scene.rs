//! A deployment that is set up: a profile, mailboxes that are tested and enabled, mail that arrives.

use std::{collections::BTreeSet, time::Duration};

use mockex::{Delivered, Delivery, Region, ServerVersion};
use postroad_proto::{
    crm::v1::{
        Content, Email, GetEmailRequest, GetRecordRequest, Record, RecordKind, SaveRecordRequest, SaveSettingsRequest,
        SendEmailRequest, SendHeader, crm_service_client::CrmServiceClient, send_email_request::Part,
    },
    mailbox::v1::{GetMailboxRequest, ListTimelineRequest, Mailbox, MailboxSettings, Status, UpdateMailboxRequest},
    sync::v1::{ExplainMessageRequest, MessageVerdict},
};
use postroad_rig::caller::Introduced;
use prost_types::FieldMask;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Account, Deployment, Error, Extras, Options, Role, SetUp, activities, letter, message_id};

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
        Self::open_with(organization, options, Extras::default()).await
    }

    /// The same with further settings.
    pub async fn open_with(organization: mockex::Options, options: Options, extras: Extras) -> Result<Self, Error> {
        let service = organization.service_account.clone();
        let account = Account { user_name: service.principal_name, password: service.password };
        let deployment = Deployment::start_with(organization, options, extras).await?;
        let scene = Self { deployment, account };
        scene.set_up().profile().await?;
        Ok(scene)
    }

    /// Creates, approves, tests and enables mailboxes.
    pub async fn enable(&self, addresses: &[&str]) -> Result<(), Error> {
        for address in addresses {
            self.set_up().mailbox(address).await?;
        }
        let (tested, failed) = self.set_up().test_and_tell().await?;
        match tested.iter().find(|mailbox| !is_enabled(mailbox)) {
            None => Ok(()),
            Some(mailbox) => {
                let log = self.deployment.log(Role::Profile);
                let state = (&mailbox.incoming, &mailbox.fault);
                Err(Error::Other(format!("not enabled: {state:?}; steps that failed: {failed:?}; the log:\n{log}")))
            }
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

    /// Changes settings of the organization; before mailboxes are enabled, or workers take them over within seconds.
    pub async fn settings(&self, entries: &[(&str, &str)]) -> Result<(), Error> {
        let settings = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.deployment.crm().save_settings(SaveSettingsRequest { settings }).await?;
        Ok(())
    }

    /// Saves a record of the CRM; gives its id.
    pub async fn record(&self, kind: RecordKind, address: &str, owner_id: &str) -> Result<String, Error> {
        let record = Record {
            kind: kind.into(),
            name: address.to_owned(),
            addresses: vec![address.to_owned()],
            owner_id: owner_id.to_owned(),
            ..Record::default()
        };
        let answer = self.deployment.crm().save_record(SaveRecordRequest { record: Some(record) }).await?;
        Ok(answer.into_inner().record.unwrap_or_default().id)
    }

    /// The id of the record that an address has.
    pub async fn record_id(&self, address: &str) -> Result<String, Error> {
        let request = GetRecordRequest { record: address.to_owned(), ..GetRecordRequest::default() };
        let answer = self.deployment.crm().get_record(request).await?.into_inner();
        Ok(answer.record.unwrap_or_default().id)
    }

    /// Changes fields of a mailbox.
    pub async fn change(&self, mailbox: &str, settings: MailboxSettings, fields: &[&str]) -> Result<(), Error> {
        let request = UpdateMailboxRequest {
            mailbox: mailbox.to_owned(),
            settings: Some(settings),
            update_mask: Some(FieldMask { paths: fields.iter().map(|&field| field.to_owned()).collect() }),
            etag: String::new(),
        };
        self.deployment.mailboxes().update_mailbox(request).await?;
        Ok(())
    }

    /// Waits for an email activity that is so, by its id or message id.
    pub async fn email(&self, id: &str, what: &str, is_so: impl Fn(&Email) -> bool) -> Result<Email, Error> {
        let found = stage::eventually(DEADLINE, || async {
            let request = GetEmailRequest { email: id.to_owned() };
            let answer = self.deployment.crm().get_email(request).await.ok()?.into_inner();
            answer.email.filter(|email| is_so(email))
        });
        match found.await {
            Some(email) => Ok(email),
            None => {
                let request = GetEmailRequest { email: id.to_owned() };
                let last = self.deployment.crm().get_email(request).await;
                Err(Error::Other(format!("{id} never was {what}: {last:?}")))
            }
        }
    }

    /// Waits for the verdict about a message in a mailbox, retries aside.
    pub async fn verdict(&self, mailbox: &str, message_id: &str) -> Result<MessageVerdict, Error> {
        let found = stage::eventually(DEADLINE, || async {
            let request = ExplainMessageRequest { message_id: message_id.to_owned() };
            let verdicts = self.deployment.sync().explain_message(request).await.ok()?.into_inner().verdicts;
            verdicts.into_iter().find(|verdict| !verdict.pending && verdict.email_address == mailbox)
        });
        found.await.ok_or_else(|| Error::Other(format!("nothing was decided about {message_id} in {mailbox}")))
    }

    /// Queues an email with a text; gives its id.
    pub async fn send(&self, email: Email, text: &str) -> Result<String, Error> {
        queue(self.deployment.crm(), email, text, None).await
    }

    /// The event log of a mailbox, as sentences.
    pub async fn timeline(&self, address: &str) -> Result<Vec<String>, Error> {
        let request =
            ListTimelineRequest { mailbox: address.to_owned(), page_size: 1000, ..ListTimelineRequest::default() };
        let entries = self.deployment.mailboxes().list_timeline(request).await?.into_inner().entries;
        Ok(entries.into_iter().flat_map(|entry| entry.sentences).collect())
    }
}

/// Queues an email with a text; gives its id. With an id of one's own it may be said again.
pub async fn queue(
    mut crm: CrmServiceClient<Introduced>,
    email: Email,
    text: &str,
    id: Option<Uuid>,
) -> Result<String, Error> {
    let digest = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let email = Email { text: Some(Content { digest, size: text.len() as u64 }), ..email };
    let request_id = id.map(|id| id.to_string()).unwrap_or_default();
    let header = SendHeader { email: Some(email), request_id, ..SendHeader::default() };
    let parts = [Part::Header(header), Part::Piece(text.as_bytes().to_vec())];
    let requests = parts.map(|part| SendEmailRequest { part: Some(part) });
    let answer = crm.send_email(futures::stream::iter(requests)).await?;
    Ok(answer.into_inner().email_id)
}

/// Whether incoming email is synchronized and well.
pub fn is_enabled(mailbox: &Mailbox) -> bool {
    mailbox.incoming.is_some_and(|incoming| incoming.enabled && incoming.status() == Status::Success)
}

/// The code of a mailbox's fault.
pub fn fault(mailbox: &Mailbox) -> &str {
    mailbox.fault.as_ref().map_or("", |fault| fault.code.as_str())
}
