//! Requests as administrators make them, for short.

use std::time::Duration;

use futures::TryStreamExt as _;
use postroad_proto::{
    mailbox::v1::{
        Approval, ApproveMailboxesRequest, CreateMailboxRequest, DeleteMailboxRequest, GetMailboxRequest,
        ListMailboxesRequest, Mailbox, MailboxKind, MailboxResult, MailboxSelection, MailboxSettings,
        SynchronizationMethod, TestAndEnableMailboxesRequest, TestAndEnableMailboxesResponse, UpdateMailboxRequest,
        UpdateMailboxesRequest, mailbox_service_server::MailboxService as _,
    },
    profile::v1::{
        CreateProfileRequest, DeleteProfileRequest, GetProfileRequest, Profile, ProfileSettings, ServerType,
        UpdateProfileRequest, profile_service_server::ProfileService as _,
    },
};
use prost_types::FieldMask;
use tonic::{Request, Status};

use crate::office::Desk;

/// The password of the profiles of the tests.
pub const PASSWORD: &str = "correct horse battery";
/// For streams and tasks that would otherwise never end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request of the administrator Grace.
pub fn by_grace<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(postroad_rig::actor::KEY, "grace".parse().unwrap());
    request
}

pub fn mask(fields: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() })
}

/// A profile of Ada's with Autodiscover and a password.
pub fn profile(name: &str) -> ProfileSettings {
    ProfileSettings {
        name: name.to_owned(),
        owner: "ada@contoso.example".to_owned(),
        server_type: ServerType::ExchangeServerHybrid.into(),
        user_name: "crm@contoso.example".to_owned(),
        password: PASSWORD.to_owned(),
        ..ProfileSettings::default()
    }
}

/// A mailbox of this name with the address `NAME@contoso.example` whose incoming email is synchronized by Contoso.
pub fn mailbox(kind: MailboxKind, name: &str) -> MailboxSettings {
    let address = format!("{name}@contoso.example");
    MailboxSettings {
        kind: kind.into(),
        regarding: if kind == MailboxKind::Forward { String::new() } else { address.clone() },
        email_address: address,
        profile: "Contoso".to_owned(),
        incoming_method: SynchronizationMethod::ServerSideSync.into(),
        ..MailboxSettings::default()
    }
}

pub fn those(names: &[&str]) -> Option<MailboxSelection> {
    let mailboxes = names.iter().map(|name| format!("{name}@contoso.example")).collect();
    Some(MailboxSelection { mailboxes, ..MailboxSelection::default() })
}

impl Desk {
    pub async fn create(&self, settings: ProfileSettings) -> Result<Profile, Status> {
        let created = self.profiles.create_profile(by_grace(CreateProfileRequest { settings: Some(settings) })).await?;
        Ok(created.into_inner().profile.unwrap())
    }

    pub async fn profile(&self, name: &str) -> Result<Profile, Status> {
        let found = self.profiles.get_profile(by_grace(GetProfileRequest { profile: name.to_owned() })).await?;
        Ok(found.into_inner().profile.unwrap())
    }

    pub async fn update(
        &self,
        name: &str,
        fields: &[&str],
        settings: ProfileSettings,
        etag: &str,
    ) -> Result<Profile, Status> {
        let (profile, etag) = (name.to_owned(), etag.to_owned());
        let request = UpdateProfileRequest { profile, settings: Some(settings), update_mask: mask(fields), etag };
        Ok(self.profiles.update_profile(by_grace(request)).await?.into_inner().profile.unwrap())
    }

    pub async fn delete(&self, name: &str, etag: &str) -> Result<(), Status> {
        let request = DeleteProfileRequest { profile: name.to_owned(), etag: etag.to_owned() };
        self.profiles.delete_profile(by_grace(request)).await.map(drop)
    }

    pub async fn add(&self, settings: MailboxSettings) -> Result<Mailbox, Status> {
        let request = by_grace(CreateMailboxRequest { settings: Some(settings) });
        Ok(self.mailboxes.create_mailbox(request).await?.into_inner().mailbox.unwrap())
    }

    pub async fn mailbox(&self, name: &str) -> Result<Mailbox, Status> {
        let request = by_grace(GetMailboxRequest { mailbox: format!("{name}@contoso.example") });
        Ok(self.mailboxes.get_mailbox(request).await?.into_inner().mailbox.unwrap())
    }

    pub async fn change(
        &self,
        name: &str,
        fields: &[&str],
        settings: MailboxSettings,
        etag: &str,
    ) -> Result<Mailbox, Status> {
        let (mailbox, etag) = (format!("{name}@contoso.example"), etag.to_owned());
        let request = UpdateMailboxRequest { mailbox, settings: Some(settings), update_mask: mask(fields), etag };
        Ok(self.mailboxes.update_mailbox(by_grace(request)).await?.into_inner().mailbox.unwrap())
    }

    pub async fn change_all(&self, fields: &[&str], settings: MailboxSettings) -> Result<Vec<MailboxResult>, Status> {
        let selection = Some(MailboxSelection { all: true, ..MailboxSelection::default() });
        let request = UpdateMailboxesRequest { selection, settings: Some(settings), update_mask: mask(fields) };
        Ok(self.mailboxes.update_mailboxes(by_grace(request)).await?.into_inner().results)
    }

    pub async fn remove(&self, name: &str, etag: &str) -> Result<(), Status> {
        let request = DeleteMailboxRequest { mailbox: format!("{name}@contoso.example"), etag: etag.to_owned() };
        self.mailboxes.delete_mailbox(by_grace(request)).await.map(drop)
    }

    /// The addresses of a page, and the next page.
    pub async fn page(&self, profile: &str, size: u32, token: &str) -> Result<(Vec<String>, String), Status> {
        let (profile, page_token) = (profile.to_owned(), token.to_owned());
        let request = ListMailboxesRequest { profile, page_size: size, page_token };
        let page = self.mailboxes.list_mailboxes(by_grace(request)).await?.into_inner();
        let addresses = page.mailboxes.into_iter().map(|mailbox| mailbox.settings.unwrap().email_address).collect();
        Ok((addresses, page.next_page_token))
    }

    pub async fn approve(&self, name: &str, approval: Approval) -> MailboxResult {
        let request = ApproveMailboxesRequest { selection: those(&[name]), approval: approval.into() };
        self.mailboxes.approve_mailboxes(by_grace(request)).await.unwrap().into_inner().results.remove(0)
    }

    /// Contoso with an approved mailbox of Ada's.
    pub async fn move_in(&self) {
        self.create(profile("Contoso")).await.unwrap();
        self.add(mailbox(MailboxKind::User, "ada")).await.unwrap();
        self.approve("ada", Approval::Approved).await;
    }

    /// All that Test & enable tells, to the end.
    pub async fn test(
        &self,
        selection: Option<MailboxSelection>,
    ) -> Result<Vec<TestAndEnableMailboxesResponse>, Status> {
        let request = by_grace(TestAndEnableMailboxesRequest { selection });
        let told = self.mailboxes.test_and_enable_mailboxes(request).await?.into_inner();
        within(told.try_collect()).await
    }
}

/// What would otherwise hang fails.
pub async fn within<F: Future>(doing: F) -> F::Output {
    tokio::time::timeout(PATIENCE, doing).await.unwrap()
}
