//! The way to the roles: one client for each service, with who asks in the metadata.

use std::str::FromStr;

use postroad_core::fault::{Code, Report};
use postroad_proto::{
    alert::v1::alert_service_client::AlertServiceClient, crm::v1::crm_service_client::CrmServiceClient,
    mailbox::v1::mailbox_service_client::MailboxServiceClient,
    profile::v1::profile_service_client::ProfileServiceClient, sync::v1::sync_service_client::SyncServiceClient,
};
use postroad_rig::{Channels, Role, caller::Introduced};
use tonic::{Status, transport::Channel};

use crate::failure::Failure;

/// A page of 1000 messages with long lists of recipients is larger than tonic's default of 4 MiB.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// `ROLE=URL`: where a role is, whatever the configuration says.
#[derive(Clone, Debug)]
pub struct Server {
    /// The role.
    pub role: Role,
    /// Its endpoint.
    pub endpoint: String,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, endpoint) =
            text.split_once('=').ok_or("write ROLE=URL, for example profile=http://127.0.0.1:7401")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
            let names = Role::ALL.map(Role::name).join(", ");
            format!("`{name}` is no role; the roles are {names}")
        })?;
        Ok(Self { role, endpoint: endpoint.to_owned() })
    }
}

/// Where the roles are, and who asks them. Connections are made when they are first used.
pub struct Connection {
    channels: Channels,
}

impl Connection {
    /// The roles where `channels` knows them, unless `servers` says otherwise; `actor` is told to them.
    pub fn new(channels: Channels, servers: &[Server], actor: &str) -> Self {
        let channels = servers.iter().fold(channels, |channels, server| channels.with(server.role, &server.endpoint));
        Self { channels: channels.named(actor) }
    }

    /// Where a role is looked for.
    pub fn endpoint(&self, role: Role) -> &str {
        self.channels.endpoint(role)
    }

    /// The channel to a role.
    pub fn channel(&self, role: Role) -> Result<Channel, Failure> {
        Ok(self.channels.to(role)?)
    }

    /// What a failed call to a role means.
    pub fn failed(&self, role: Role) -> impl Fn(Status) -> Failure + '_ {
        move |status| Failure::of_call(role, self.endpoint(role), &status)
    }

    /// The same failure, or what keeps TLS from being agreed with the role, where that is why it does not answer.
    pub async fn explained(&self, failure: Failure) -> Failure {
        let Failure::Unreachable { role, endpoint, .. } = &failure else { return failure };
        let found = self.channels.clone().with(*role, endpoint).disagreement(*role).await;
        found.map_or(failure, |report| Failure::from(&report))
    }

    fn introduced(&self, role: Role) -> Result<Introduced, Failure> {
        if self.channels.withholds_token(role) {
            let (name, endpoint) = (role.name(), self.endpoint(role));
            let detail = format!(
                "endpoints.{name} = \"{endpoint}\": the token is not sent there, since nothing would encrypt it; set [tls], or \
                 tls.allow_plaintext where something else encrypts"
            );
            return Err(Failure::from(&Report::new(Code::ConfigurationInvalid, detail)));
        }
        Ok(self.channels.introduced(role)?)
    }

    /// Profiles.
    pub fn profiles(&self) -> Result<ProfileServiceClient<Introduced>, Failure> {
        Ok(ProfileServiceClient::new(self.introduced(Role::Profile)?).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Mailboxes; the profile role serves them too.
    pub fn mailboxes(&self) -> Result<MailboxServiceClient<Introduced>, Failure> {
        Ok(MailboxServiceClient::new(self.introduced(Role::Profile)?).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Synchronization.
    pub fn sync(&self) -> Result<SyncServiceClient<Introduced>, Failure> {
        Ok(SyncServiceClient::new(self.introduced(Role::Sync)?).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// The CRM.
    pub fn crm(&self) -> Result<CrmServiceClient<Introduced>, Failure> {
        Ok(CrmServiceClient::new(self.introduced(Role::Crm)?).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Alerts.
    pub fn alerts(&self) -> Result<AlertServiceClient<Introduced>, Failure> {
        Ok(AlertServiceClient::new(self.introduced(Role::Alert)?).max_decoding_message_size(LARGEST_ANSWER))
    }
}

/// Reads all pages of a list, or as many as hold `limit` entries.
pub async fn pages<T>(
    limit: Option<usize>,
    mut page: impl AsyncFnMut(u32, String) -> Result<(Vec<T>, String), Failure>,
) -> Result<Vec<T>, Failure> {
    const LARGEST: usize = 1000;
    let limit = limit.unwrap_or(usize::MAX);
    let (mut entries, mut token) = (Vec::new(), String::new());
    while entries.len() < limit {
        let size = u32::try_from((limit - entries.len()).min(LARGEST)).unwrap_or_default();
        let (more, next) = page(size, token.clone()).await?;
        entries.extend(more);
        // A token that repeats itself would be asked for without end.
        if next.is_empty() || next == token {
            break;
        }
        token = next;
    }
    entries.truncate(limit);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use postroad_rig::config::Endpoints;

    use super::*;

    #[test]
    fn a_server_is_named_with_its_role() {
        let server: Server = "crm=http://crm.example:7405".parse().unwrap();
        let connection = Connection::new(Channels::new(Endpoints::default(), None), &[server], "admin ada");
        assert_eq!(connection.endpoint(Role::Crm), "http://crm.example:7405");
        assert_eq!(connection.endpoint(Role::Profile), "http://127.0.0.1:7401");
        assert!("http://x".parse::<Server>().unwrap_err().contains("ROLE=URL"));
        assert!("boss=http://x".parse::<Server>().unwrap_err().contains("profile, locator, sync, alert, crm"));
    }

    #[tokio::test]
    async fn pages_are_read_to_the_end_or_to_the_limit() {
        let fetch = async |size: u32, token: String| {
            let start: usize = token.parse().unwrap_or_default();
            let end = (start + (size as usize).min(2)).min(5);
            Ok(((start..end).collect(), if end == 5 { String::new() } else { end.to_string() }))
        };
        assert_eq!(pages(None, fetch).await.unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(pages(Some(3), fetch).await.unwrap(), [0, 1, 2]);
        let stuck = async |_: u32, _: String| Ok((vec![1], "same".to_owned()));
        assert_eq!(pages(None, stuck).await.unwrap(), [1, 1]);
    }
}
