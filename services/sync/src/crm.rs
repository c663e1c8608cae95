//! The CRM as the cycle needs it.

use async_trait::async_trait;
use postroad_core::{
    email::{Correlation, CorrelationMethod},
    fault::{Code, Report},
    mailbox::Known,
    record::Kind,
};
use postroad_proto::crm::v1::{
    CorrelationMethod as WireMethod, EmailSource, MatchEmailRequest, PartyRole, PromoteEmailRequest, PromoteHeader,
    RecordKind, crm_service_client::CrmServiceClient, promote_email_request::Part,
};
use postroad_rig::status;
use tonic::{Code as Grpc, transport::Channel};
use uuid::Uuid;

use crate::message::Composed;

/// The largest piece of content in one message of the stream (crm.proto).
const PIECE: usize = 1024 * 1024;

/// The most message ids that are asked about (crm.proto).
const REFERENCES: usize = 1000;

/// Why a message did not become an activity.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The CRM refuses this message.
    Message(Report),
    /// The CRM does not answer; no message would be taken.
    Unavailable(Report),
}

/// Where messages become activities.
#[async_trait]
pub trait Crm: Send + Sync {
    /// Makes a message an activity; answers with its id and whether it is new. May be repeated at will.
    async fn promote(&self, message: Composed, source: EmailSource) -> Result<(Uuid, bool), Refused>;
    /// What is known about a message: which email it answers, and who sent it.
    async fn known(&self, message: &Composed) -> Result<Known, Refused>;
}

#[async_trait]
impl Crm for CrmServiceClient<Channel> {
    async fn known(&self, message: &Composed) -> Result<Known, Refused> {
        let from = message.email.parties.iter().find(|party| party.role() == PartyRole::From);
        let request = MatchEmailRequest {
            in_reply_to: message.in_reply_to.iter().take(REFERENCES).cloned().collect(),
            references: message.email.references.clone(),
            sender_address: from.map(|party| party.address.clone()).unwrap_or_default(),
            conversation_index: message.email.conversation_index.clone(),
        };
        let answer = self.clone().match_email(request).await.map_err(|error| {
            let report = status::report_of(&error, Code::CrmUnavailable);
            Refused::Unavailable(Report::new(Code::CrmUnavailable, report.sentence()))
        })?;
        let answer = answer.into_inner();
        let method = match answer.method() {
            WireMethod::Unspecified => None,
            WireMethod::InReplyTo => Some(CorrelationMethod::InReplyTo),
            WireMethod::References => Some(CorrelationMethod::References),
            WireMethod::ConversationIndex => Some(CorrelationMethod::ConversationIndex),
        };
        let email_id = Uuid::parse_str(&answer.email_id).ok();
        let correlation = method.zip(email_id).map(|(method, email_id)| Correlation { method, email_id });
        let sender = answer.sender.and_then(|record| match record.kind() {
            RecordKind::Unspecified => None,
            RecordKind::User => Some(Kind::User),
            RecordKind::Queue => Some(Kind::Queue),
            RecordKind::Contact => Some(Kind::Contact),
            RecordKind::Account => Some(Kind::Account),
            RecordKind::Lead => Some(Kind::Lead),
        });
        Ok(Known { correlation, sender })
    }

    async fn promote(&self, message: Composed, source: EmailSource) -> Result<(Uuid, bool), Refused> {
        let header = PromoteHeader { email: Some(message.email), source: Some(source) };
        let pieces = message.contents.into_iter().flat_map(|content| {
            let count = content.len().div_ceil(PIECE);
            (0..count).map(move |index| {
                let end = content.len().min((index + 1) * PIECE);
                PromoteEmailRequest { part: Some(Part::Piece(content.slice(index * PIECE..end).to_vec())) }
            })
        });
        let parts = std::iter::once(PromoteEmailRequest { part: Some(Part::Header(header)) }).chain(pieces);
        let answer = self.clone().promote_email(futures::stream::iter(parts.collect::<Vec<_>>())).await;
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                let id = Uuid::parse_str(&answer.email_id).map_err(|_| {
                    Refused::Unavailable(Report::new(
                        Code::CrmUnavailable,
                        format!("answered with the id `{}`", answer.email_id),
                    ))
                })?;
                Ok((id, answer.created))
            }
            Err(error)
                if matches!(error.code(), Grpc::InvalidArgument | Grpc::FailedPrecondition | Grpc::OutOfRange) =>
            {
                Err(Refused::Message(Report::new(Code::ItemRefusedByCrm, error.message().to_owned())))
            }
            Err(error) => {
                let report = status::report_of(&error, Code::CrmUnavailable);
                Err(Refused::Unavailable(Report::new(Code::CrmUnavailable, report.sentence())))
            }
        }
    }
}
