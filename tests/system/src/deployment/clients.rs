//! Talking to the roles.

use std::sync::Arc;

use postroad_proto::{
    alert::v1::alert_service_client::AlertServiceClient, crm::v1::crm_service_client::CrmServiceClient,
    mailbox::v1::mailbox_service_client::MailboxServiceClient,
    profile::v1::profile_service_client::ProfileServiceClient, sync::v1::sync_service_client::SyncServiceClient,
};
use postroad_rig::{
    Channels, Config, Traced,
    caller::{Introduced, Introduction, TokenFile},
};
use tonic::transport::{Channel, Endpoint};

use super::{Deployment, Role};

impl Deployment {
    /// Profiles.
    pub fn profiles(&self) -> ProfileServiceClient<Introduced> {
        ProfileServiceClient::new(self.introduced(Role::Profile))
    }

    /// Mailboxes.
    pub fn mailboxes(&self) -> MailboxServiceClient<Introduced> {
        MailboxServiceClient::new(self.introduced(Role::Profile))
    }

    /// The CRM.
    pub fn crm(&self) -> CrmServiceClient<Introduced> {
        CrmServiceClient::new(self.introduced(Role::Crm))
    }

    /// Synchronization.
    pub fn sync(&self) -> SyncServiceClient<Introduced> {
        SyncServiceClient::new(self.introduced(Role::Sync))
    }

    /// Alerts.
    pub fn alerts(&self) -> AlertServiceClient<Introduced> {
        AlertServiceClient::new(self.introduced(Role::Alert))
    }

    /// The local token.
    pub fn token(&self) -> &TokenFile {
        &self.token
    }

    /// A connection to a role, for callers who say themselves who they are.
    pub fn channel(&self, role: Role) -> Channel {
        let port = self.ports.get(&role).copied().unwrap_or_default();
        if let Some(channel) = self.security.as_ref().and_then(|_| self.secured_channel(role)) {
            return channel;
        }
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
        endpoint.unwrap_or_else(|_| Endpoint::from_static("http://127.0.0.1:1")).connect_lazy()
    }

    fn introduced(&self, role: Role) -> Introduced {
        // With TLS, the certificate says who calls.
        let token = Some(Arc::clone(&self.token)).filter(|_| self.security.is_none());
        let introduction = Introduction::new(token).named("test");
        Introduced::new(Traced::new(self.channel(role)), introduction)
    }

    /// As the administrator.
    fn secured_channel(&self, role: Role) -> Option<Channel> {
        let config = Config::read(&self.config()).ok()?;
        let role = postroad_rig::Role::ALL.into_iter().find(|known| known.name() == role.name())?;
        Channels::open(&config).ok()?.to(role).ok()
    }
}
