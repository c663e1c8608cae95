//! The CRM as the cycle needs it.

use async_trait::async_trait;
use postroad_core::fault::{Code, Report};
use postroad_proto::crm::v1::{
    EmailSource, PromoteEmailRequest, PromoteHeader, crm_service_client::CrmServiceClient, promote_email_request::Part,
};
use postroad_rig::status;
use tonic::{Code as Grpc, transport::Channel};
use uuid::Uuid;

use crate::message::Composed;

/// The largest piece of content in one message of the stream (crm.proto).
const PIECE: usize = 1024 * 1024;

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
}

#[async_trait]
impl Crm for CrmServiceClient<Channel> {
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
