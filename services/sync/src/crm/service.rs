//! The CRM over its gRPC service.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use postroad_core::{
    fault::{Code, Report},
    organization::Settings,
};
use postroad_proto::crm::v1::{
    ClaimEmailRequest, Email, GetEmailRequest, GetRecordRequest, GetSettingsRequest, ImposeRegardingRequest,
    ListOutboxRequest, PromoteEmailRequest, PromoteHeader, ReadContentRequest, ReportDeliveryRequest,
    UntrackEmailRequest, WatchOutboxRequest, crm_service_client::CrmServiceClient, promote_email_request::Part,
};
use postroad_rig::{caller::Introduced, status};
use tonic::{Code as Grpc, Status};
use uuid::Uuid;

use super::{Crm, Delivery, Lookup, Matches, Queued, Refused, unavailable, wire};

/// The largest piece of content in one message of the stream (crm.proto).
const PIECE: usize = 1024 * 1024;

/// The CRM refuses this message, or does not answer.
fn refused(error: &Status) -> Refused {
    if matches!(error.code(), Grpc::InvalidArgument | Grpc::FailedPrecondition | Grpc::OutOfRange) {
        return Refused::Message(Report::new(Code::ItemRefusedByCrm, error.message().to_owned()));
    }
    silent(error)
}

fn silent(error: &Status) -> Refused {
    unavailable(status::report_of(error, Code::CrmUnavailable).sentence())
}

#[async_trait]
impl Crm for CrmServiceClient<Introduced> {
    async fn settings(&self) -> Result<Settings, Refused> {
        match self.clone().get_settings(GetSettingsRequest {}).await {
            Ok(answer) => {
                let entries = answer.into_inner().settings;
                let entries = entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let (settings, refusals) = Settings::read(entries);
                for refusal in refusals {
                    tracing::warn!(%refusal, "a setting of the CRM is not understood; its default holds");
                }
                Ok(settings)
            }
            // A connector of a CRM without settings.
            Err(error) if error.code() == Grpc::Unimplemented => Ok(Settings::default()),
            Err(error) => Err(silent(&error)),
        }
    }

    async fn matches(&self, lookup: &Lookup, settings: &Settings) -> Result<Matches, Refused> {
        let request = wire::lookup(lookup, settings);
        let answer = self.clone().match_email(request).await.map_err(|error| refused(&error))?;
        wire::matches(answer.into_inner())
    }

    async fn promote(&self, header: PromoteHeader, contents: Vec<Bytes>) -> Result<(Uuid, bool), Refused> {
        let pieces = contents.into_iter().flat_map(|content| {
            let count = content.len().div_ceil(PIECE);
            (0..count).map(move |index| {
                let end = content.len().min((index + 1) * PIECE);
                PromoteEmailRequest { part: Some(Part::Piece(content.slice(index * PIECE..end))) }
            })
        });
        let parts = std::iter::once(PromoteEmailRequest { part: Some(Part::Header(header)) }).chain(pieces);
        let answer = self.clone().promote_email(futures::stream::iter(parts.collect::<Vec<_>>())).await;
        let answer = answer.map_err(|error| refused(&error))?.into_inner();
        if answer.erased {
            return Err(Refused::Erased);
        }
        Ok((wire::id(&answer.email_id)?, answer.created))
    }

    async fn untrack(&self, email_id: Uuid, mailbox_id: Uuid) -> Result<(), Refused> {
        let request = UntrackEmailRequest { email_id: email_id.to_string(), mailbox_id: mailbox_id.to_string() };
        match self.clone().untrack_email(request).await {
            // A connector without categories.
            Err(error) if error.code() == Grpc::Unimplemented => Ok(()),
            answer => answer.map(drop).map_err(|error| refused(&error)),
        }
    }

    async fn impose(&self, mailbox_id: Uuid, folder_id: &str, regarding: Uuid) -> Result<u32, Refused> {
        let request = ImposeRegardingRequest {
            mailbox_id: mailbox_id.to_string(),
            folder_id: folder_id.to_owned(),
            regarding_id: regarding.to_string(),
        };
        match self.clone().impose_regarding(request).await {
            Ok(answer) => Ok(answer.into_inner().changed),
            // A connector without tracked folders.
            Err(error) if error.code() == Grpc::Unimplemented => Ok(0),
            Err(error) => Err(refused(&error)),
        }
    }

    async fn outbox(&self, mailbox_address: &str, limit: u32) -> Result<Vec<Queued>, Refused> {
        let request = ListOutboxRequest { mailbox_address: mailbox_address.to_owned(), limit };
        let answer = match self.clone().list_outbox(request).await {
            Ok(answer) => answer.into_inner(),
            // A connector that only tracks.
            Err(error) if error.code() == Grpc::Unimplemented => return Ok(Vec::new()),
            Err(error) => return Err(silent(&error)),
        };
        let queued = |email: postroad_proto::crm::v1::OutboxEmail| {
            Ok(Queued { email_id: wire::id(&email.email_id)?, attempt: email.attempt })
        };
        answer.emails.into_iter().map(queued).collect()
    }

    async fn queued(&self) -> Result<Option<BoxStream<'static, Result<Vec<String>, Refused>>>, Refused> {
        match self.clone().watch_outbox(WatchOutboxRequest {}).await {
            Ok(answer) => {
                let told = answer.into_inner();
                Ok(Some(
                    told.map(|told| told.map(|told| told.mailbox_addresses).map_err(|error| silent(&error))).boxed(),
                ))
            }
            // A connector that cannot tell.
            Err(error) if error.code() == Grpc::Unimplemented => Ok(None),
            Err(error) => Err(silent(&error)),
        }
    }

    async fn claim(&self, queued: Queued, message_id: &str) -> Result<Email, Refused> {
        let request = ClaimEmailRequest {
            email_id: queued.email_id.to_string(),
            attempt: queued.attempt,
            message_id: message_id.to_owned(),
        };
        let answer = self.clone().claim_email(request).await.map_err(|error| refused(&error))?;
        answer.into_inner().email.ok_or_else(|| unavailable("ClaimEmail answered without an email"))
    }

    async fn report(&self, delivery: &Delivery) -> Result<(), Refused> {
        let request = ReportDeliveryRequest {
            email_id: delivery.queued.email_id.to_string(),
            attempt: delivery.queued.attempt,
            status: delivery.status.into(),
            failure: delivery.report.as_ref().map(Report::sentence).unwrap_or_default(),
            failure_code: delivery.report.as_ref().map(|report| report.code.name().to_owned()).unwrap_or_default(),
        };
        self.clone().report_delivery(request).await.map(drop).map_err(|error| refused(&error))
    }

    async fn has(&self, email_id: Uuid) -> Result<bool, Refused> {
        match self.clone().get_email(GetEmailRequest { email: email_id.to_string() }).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Grpc::NotFound => Ok(false),
            Err(error) => Err(silent(&error)),
        }
    }

    async fn has_record(&self, record_id: Uuid) -> Result<bool, Refused> {
        let request = GetRecordRequest { record: record_id.to_string(), ..GetRecordRequest::default() };
        match self.clone().get_record(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Grpc::NotFound => Ok(false),
            Err(error) => Err(silent(&error)),
        }
    }

    async fn content(&self, email_id: &str, digest: &str) -> Result<Bytes, Refused> {
        let request = ReadContentRequest { digest: digest.to_owned(), email_id: email_id.to_owned() };
        let mut pieces = self.clone().read_content(request).await.map_err(|error| refused(&error))?.into_inner();
        let mut content = BytesMut::new();
        while let Some(piece) = pieces.message().await.map_err(|error| silent(&error))? {
            content.extend_from_slice(&piece.piece);
        }
        Ok(content.freeze())
    }
}
