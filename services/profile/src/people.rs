//! Users and queues, as the CRM has them.

use async_trait::async_trait;
use postroad_core::fault::{Code, Report};
use postroad_proto::crm::v1::{GetRecordRequest, RecordKind, crm_service_client::CrmServiceClient};
use postroad_rig::{Channels, Error, Role, caller::Introduced, status};
use uuid::Uuid;

/// Which kind is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonKind {
    /// A user.
    User,
    /// A queue.
    Queue,
}

/// A user or queue in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its primary address, if it has one.
    pub address: Option<String>,
}

/// Where people are looked up.
#[async_trait]
pub trait People: Send + Sync {
    /// The one with this id or address; `None` if there is none in use.
    async fn find(&self, kind: PersonKind, id_or_address: &str) -> Result<Option<Person>, Report>;
}

/// The crm role.
pub struct Crm(CrmServiceClient<Introduced>);

impl Crm {
    /// Connects when it is first asked.
    pub fn new(channels: &Channels) -> Result<Self, Error> {
        Ok(Self(CrmServiceClient::new(channels.introduced(Role::Crm)?)))
    }
}

#[async_trait]
impl People for Crm {
    async fn find(&self, kind: PersonKind, id_or_address: &str) -> Result<Option<Person>, Report> {
        let kind = match kind {
            PersonKind::User => RecordKind::User,
            PersonKind::Queue => RecordKind::Queue,
        };
        let request = GetRecordRequest { record: id_or_address.trim().to_owned(), kind: kind.into() };
        let record = match self.0.clone().get_record(request).await {
            Ok(answer) => answer.into_inner().record,
            Err(status) if status.code() == tonic::Code::NotFound => None,
            Err(status) => return Err(status::report_of(&status, Code::CrmUnavailable)),
        };
        let in_use = record.filter(|record| !record.inactive && record.kind() == kind);
        Ok(in_use.and_then(|record| {
            let id = Uuid::parse_str(&record.id).ok()?;
            Some(Person { id, name: record.name, address: record.addresses.into_iter().next() })
        }))
    }
}
