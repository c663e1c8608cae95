//! The test of a mailbox's way to its server, as the locator does it.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use postroad_core::{
    fault::{Code, Report},
    mailbox::Mailbox,
    profile::{Profile, Sealed},
};
use postroad_proto::locator::v1::{
    Access, Outcome, SealedPassword, Step, TestMailboxRequest, locator_service_client::LocatorServiceClient,
    test_mailbox_response,
};
use postroad_rig::{Error, channel, status, wire};
use tonic::transport::Channel;

/// What is tested.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The mailbox's address.
    pub email_address: String,
    /// How its server is reached.
    pub access: Access,
    /// Also Drafts and Sent Items.
    pub outgoing: bool,
    /// Also Calendar, Contacts and Tasks.
    pub appointments_contacts_tasks: bool,
}

/// What a test tells.
#[derive(Clone, Debug)]
pub enum Probed {
    /// A step began or ended.
    Step(Box<Step>),
    /// The last word.
    Outcome(Box<Outcome>),
    /// The locator does not answer; nothing is known.
    Unavailable(Report),
}

/// Who tests.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Tests; the stream ends with an outcome, or with [`Probed::Unavailable`].
    async fn probe(&self, probe: Probe) -> BoxStream<'static, Probed>;
}

/// The locator role.
pub struct Locator(LocatorServiceClient<Channel>);

impl Locator {
    /// The role at an endpoint. Connects when it is first asked.
    pub fn new(endpoint: &str) -> Result<Self, Error> {
        Ok(Self(LocatorServiceClient::new(channel::to(endpoint)?)))
    }
}

#[async_trait]
impl Prober for Locator {
    async fn probe(&self, probe: Probe) -> BoxStream<'static, Probed> {
        let request = TestMailboxRequest {
            email_address: probe.email_address,
            access: Some(probe.access),
            outgoing: probe.outgoing,
            appointments_contacts_tasks: probe.appointments_contacts_tasks,
        };
        let unavailable =
            |status: &tonic::Status| Probed::Unavailable(status::report_of(status, Code::LocatorUnavailable));
        let answer = match self.0.clone().test_mailbox(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return futures::stream::iter([unavailable(&status)]).boxed(),
        };
        answer
            .filter_map(move |message| async move {
                match message {
                    Ok(message) => message.report.map(|report| match report {
                        test_mailbox_response::Report::Step(step) => Probed::Step(Box::new(step)),
                        test_mailbox_response::Report::Outcome(outcome) => Probed::Outcome(Box::new(outcome)),
                    }),
                    Err(status) => Some(unavailable(&status)),
                }
            })
            .boxed()
    }
}

/// How a mailbox's server is reached: by its own credentials where it has them, otherwise by the profile's account.
pub fn access(profile: &Profile, mailbox: Option<&Mailbox>) -> Access {
    let own = mailbox.filter(|mailbox| mailbox.settings.allow_own_credentials);
    let (user_name, sealed) = match own {
        Some(mailbox) => (&mailbox.settings.user_name, mailbox.sealed.as_ref()),
        None => (&profile.settings.user_name, profile.sealed.as_ref()),
    };
    let settings = &profile.settings;
    let location = settings.locations.as_ref().map(|locations| locations.incoming.url()).unwrap_or_default();
    Access {
        location,
        user_name: user_name.clone(),
        password: sealed.map(password),
        impersonate: mailbox.is_some() && own.is_none(),
        trust_anchors: settings.trust_anchors.clone(),
        timeout: Some(wire::duration(Duration::from_millis(u64::from(settings.connection_timeout_ms)))),
        maximum_concurrent_connections: u32::from(settings.maximum_concurrent_connections),
    }
}

fn password(sealed: &Sealed) -> SealedPassword {
    SealedPassword {
        key_id: sealed.key_id.clone(),
        wrapped_key: sealed.wrapped_key.clone(),
        ciphertext: sealed.ciphertext.clone(),
    }
}
