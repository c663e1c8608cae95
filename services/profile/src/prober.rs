//! The test of a mailbox's way to its server, as the locator does it.

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use postroad_core::fault::{Code, Report};
use postroad_proto::locator::v1::{
    Access, ExplainRequest, ExplainResponse, Outcome, Step, TestMailboxRequest,
    locator_service_client::LocatorServiceClient, test_mailbox_response,
};
use postroad_rig::{Channels, Error, Role, caller::Introduced, status};
use tonic::Status;

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
    /// How a mailbox is located.
    ///
    /// # Errors
    /// The request is refused, or the locator does not answer.
    async fn explain(
        &self,
        request: ExplainRequest,
    ) -> Result<BoxStream<'static, Result<ExplainResponse, Status>>, Status>;
}

/// The locator role.
pub struct Locator(LocatorServiceClient<Introduced>);

impl Locator {
    /// Connects when it is first asked.
    pub fn new(channels: &Channels) -> Result<Self, Error> {
        Ok(Self(LocatorServiceClient::new(channels.introduced(Role::Locator)?)))
    }
}

#[async_trait]
impl Prober for Locator {
    async fn explain(
        &self,
        request: ExplainRequest,
    ) -> Result<BoxStream<'static, Result<ExplainResponse, Status>>, Status> {
        let told = |error: Status| match status::fault_of(&error) {
            Some(_) => error,
            None => status::failed(&status::report_of(&error, Code::LocatorUnavailable)),
        };
        Ok(self.0.clone().explain(request).await.map_err(told)?.into_inner().boxed())
    }

    async fn probe(&self, probe: Probe) -> BoxStream<'static, Probed> {
        let request = TestMailboxRequest {
            email_address: probe.email_address,
            access: Some(probe.access),
            outgoing: probe.outgoing,
            appointments_contacts_tasks: probe.appointments_contacts_tasks,
        };
        let unavailable = |status: &Status| Probed::Unavailable(status::report_of(status, Code::LocatorUnavailable));
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
