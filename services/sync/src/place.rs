//! Where a mailbox is served and with which credentials: profile, mailbox and locator together.

use postroad_core::{
    fault::{Code, Report},
    mailbox::Mailbox,
    network::Reach,
    profile::{ClientCredentials, Profile, TlsLibrary},
};
use postroad_journal::sealing::Keyring;
use postroad_proto::locator::v1::{Access, LocateRequest, locator_service_client::LocatorServiceClient};
use postroad_rig::status;
use secrecy::SecretString;
use tonic::transport::Channel;

/// How a mailbox is reached.
#[derive(Clone)]
pub struct Place {
    /// EWS URL.
    pub url: String,
    /// Autodiscover's `GroupingInformation`; empty where it said none.
    pub grouping: String,
    /// Who logs on.
    pub user_name: String,
    /// The password.
    pub password: SecretString,
    /// Modern authentication; the password is its secret or private key then.
    pub client_credentials: Option<ClientCredentials>,
    /// Whether the account impersonates the mailbox.
    pub impersonate: bool,
    /// The mailbox's address.
    pub address: String,
    /// Extra certificates, PEM.
    pub trust_anchors: Vec<String>,
    /// Which addresses the server may have.
    pub reach: Reach,
    /// Whose TLS is used.
    pub tls: TlsLibrary,
    /// Time limit of a request.
    pub timeout: std::time::Duration,
}

/// Finds the place of a mailbox. `failed` is a location that has just failed to serve it.
pub async fn find(
    locator: &mut LocatorServiceClient<Channel>,
    keyring: &Keyring,
    mailbox: &Mailbox,
    profile: &Profile,
    domains: Vec<String>,
    failed: Option<&str>,
) -> Result<Place, Report> {
    let own = mailbox.settings.allow_own_credentials;
    let (user_name, sealed) = if own {
        (mailbox.settings.user_name.clone(), mailbox.sealed.as_ref())
    } else {
        (profile.settings.user_name.clone(), profile.sealed.as_ref())
    };
    let sealed = sealed.ok_or_else(|| Report::new(Code::CredentialsMissing, profile.settings.name.clone()))?;
    let password = keyring.open(sealed).map_err(|error| Report::new(Code::SealingKeyWrong, error.to_string()))?;
    let settings = &profile.settings;
    let timeout = std::time::Duration::from_millis(u64::from(settings.connection_timeout_ms));
    let fixed = settings.locations.as_ref().map(|locations| locations.incoming.url());
    let (url, grouping) = match fixed {
        Some(url) => (url, String::new()),
        None => locate(locator, mailbox, postroad_rig::access(profile, Some(mailbox), domains), failed).await?,
    };
    Ok(Place {
        url,
        grouping,
        user_name,
        password,
        client_credentials: settings.client_credentials.clone().filter(|_| !own),
        impersonate: !own,
        address: mailbox.settings.address.as_str().to_owned(),
        trust_anchors: settings.trust_anchors.clone(),
        // A location that a person entered may be internal; what Autodiscover says only where the profile allows it.
        reach: if settings.locations.is_some() || settings.allow_internal_addresses {
            Reach::INTERNAL
        } else {
            Reach::PUBLIC
        },
        tls: settings.tls,
        timeout,
    })
}

async fn locate(
    locator: &mut LocatorServiceClient<Channel>,
    mailbox: &Mailbox,
    access: Access,
    failed: Option<&str>,
) -> Result<(String, String), Report> {
    let request = LocateRequest {
        email_address: mailbox.settings.address.as_str().to_owned(),
        access: Some(access),
        failed_location: failed.unwrap_or_default().to_owned(),
    };
    let answer = locator.locate(request).await.map_err(|error| status::report_of(&error, Code::LocatorUnavailable))?;
    let location = answer.into_inner().location.unwrap_or_default();
    Ok((location.url, location.grouping))
}
