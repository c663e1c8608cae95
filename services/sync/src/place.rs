//! Where a mailbox is served and with which credentials: profile, mailbox and locator together.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postroad_core::{
    fault::{Code, Report},
    mailbox::Mailbox,
    network::Reach,
    profile::{ClientCredentials, Profile, TlsLibrary},
};
use postroad_journal::sealing::Keyring;
use postroad_proto::locator::v1::{Access, LocateRequest, locator_service_client::LocatorServiceClient};
use postroad_rig::{caller::Introduced, clock, status};
use secrecy::SecretString;
use uuid::Uuid;

use crate::lock::lock;

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
    pub timeout: Duration,
}

/// Where the mailboxes of a worker were found, so that the locator is not asked with each look.
#[derive(Default)]
pub struct Places {
    known: Mutex<HashMap<Uuid, Known>>,
    /// One text for all mailboxes of a location.
    texts: Mutex<HashSet<Arc<str>>>,
}

/// What the locator said.
#[derive(Clone)]
struct Known {
    /// The revision of the profile that it holds for.
    revision: u64,
    /// The address that it holds for.
    address: Arc<str>,
    at: Instant,
    url: Arc<str>,
    grouping: Arc<str>,
}

/// For so long the locator's word holds while requests succeed.
const BELIEVED: Duration = Duration::from_secs(5 * 60);

impl Places {
    /// Where a mailbox was found lately.
    fn get(&self, mailbox: &Mailbox, profile: &Profile) -> Option<(Arc<str>, Arc<str>)> {
        let known = lock(&self.known);
        let known = known.get(&mailbox.id).filter(|known| {
            known.revision == profile.revision
                && *known.address == *mailbox.settings.address.as_str()
                && known.at.elapsed() < BELIEVED
        })?;
        Some((Arc::clone(&known.url), Arc::clone(&known.grouping)))
    }

    fn keep(&self, mailbox: &Mailbox, profile: &Profile, url: &str, grouping: &str) {
        let address = mailbox.settings.address.as_str().into();
        let (url, grouping) = (self.shared(url), self.shared(grouping));
        let known = Known { revision: profile.revision, address, at: clock::instant(), url, grouping };
        lock(&self.known).insert(mailbox.id, known);
    }

    /// A mailbox was not served as it should be, or is not this worker's any more: the locator is asked again.
    pub fn forget(&self, id: Uuid) {
        lock(&self.known).remove(&id);
    }

    fn shared(&self, text: &str) -> Arc<str> {
        let mut texts = lock(&self.texts);
        if let Some(known) = texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        texts.insert(Arc::clone(&text));
        text
    }
}

/// Finds the place of a mailbox. `failed` is a location that has just failed to serve it.
pub async fn find(
    places: &Places,
    locator: &mut LocatorServiceClient<Introduced>,
    keyring: &Keyring,
    mailbox: &Mailbox,
    profile: &Profile,
    domains: impl FnOnce() -> Vec<String> + Send,
    failed: Option<&str>,
) -> Result<Place, Report> {
    let own = mailbox.settings.allow_own_credentials;
    let (user_name, sealed) = if own {
        (mailbox.settings.user_name.clone(), mailbox.sealed.as_ref())
    } else {
        (profile.settings.user_name.clone(), profile.sealed.as_ref())
    };
    let sealed = sealed.ok_or_else(|| Report::new(Code::CredentialsMissing, profile.settings.name.clone()))?;
    let password = keyring.open(sealed).map_err(|error| error.report())?;
    let settings = &profile.settings;
    let timeout = Duration::from_millis(u64::from(settings.connection_timeout_ms));
    let fixed = settings.locations.as_ref().map(|locations| locations.incoming.url());
    let (url, grouping) = match fixed {
        Some(url) => (url, String::new()),
        None => match places.get(mailbox, profile).filter(|_| failed.is_none()) {
            Some((url, grouping)) => (url.to_string(), grouping.to_string()),
            None => {
                let access = postroad_rig::access(profile, Some(mailbox), domains());
                let (url, grouping) = locate(locator, mailbox, access, failed).await?;
                places.keep(mailbox, profile, &url, &grouping);
                (url, grouping)
            }
        },
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
    locator: &mut LocatorServiceClient<Introduced>,
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
