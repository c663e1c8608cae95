//! The outbox: order, claims, tokens, reports.

use std::collections::BTreeSet;

use postroad_proto::crm::v1::{
    ClaimEmailRequest, CorrelationMethod, Email, EmailDirection, EmailStatus, ListOutboxRequest, MatchEmailRequest,
    ReportDeliveryRequest, ResendEmailRequest, WatchOutboxRequest, WatchOutboxResponse,
};

use crate::{Trouble, ensure, stage::Stage};

async fn waiting(stage: &Stage, from: &str) -> Result<Vec<(String, u32)>, Trouble> {
    let request = ListOutboxRequest { mailbox_address: from.to_owned(), limit: 100 };
    let emails = stage.crm().list_outbox(request).await?.into_inner().emails;
    Ok(emails.into_iter().map(|email| (email.email_id, email.attempt)).collect())
}

async fn take(stage: &Stage, id: &str, attempt: u32, message_id: &str) -> Result<Email, Trouble> {
    let request = ClaimEmailRequest { email_id: id.to_owned(), attempt, message_id: message_id.to_owned() };
    Ok(stage.crm().claim_email(request).await?.into_inner().email.unwrap_or_default())
}

async fn report(stage: &Stage, id: &str, attempt: u32, status: EmailStatus) -> Result<(), Trouble> {
    let request = ReportDeliveryRequest {
        email_id: id.to_owned(),
        attempt,
        status: status.into(),
        failure: "why".to_owned(),
        failure_code: "MAILBOX_FULL".to_owned(),
    };
    stage.crm().report_delivery(request).await?;
    Ok(())
}

pub async fn order(stage: &Stage) -> Result<(), Trouble> {
    let from = stage.address("order");
    let mut queued = Vec::new();
    for number in 0..5 {
        queued.push((stage.queue(&from, &format!("number {number}"), None).await?, 1));
    }
    let found = waiting(stage, &from.to_uppercase()).await?;
    ensure(found == queued, || format!("queued {queued:?}, found {found:?}"))?;
    if let Some((first, _)) = queued.first() {
        take(stage, first, 1, &stage.id("order")).await?;
    }
    let found = waiting(stage, &from).await?;
    ensure(found == queued, || "what is being sent is not in the outbox any more".to_owned())
}

pub async fn claim(stage: &Stage) -> Result<(), Trouble> {
    let id = stage.queue(&stage.address("claim"), "claimed", None).await?;
    let first = take(stage, &id, 1, &stage.id("claim-1")).await?;
    let second = take(stage, &id, 1, &stage.id("claim-2")).await?;
    let of = |email: &Email| (email.message_id.clone(), email.tracking_token.clone());
    ensure(first.message_id == stage.id("claim-1"), || format!("its message id is {}", first.message_id))?;
    ensure(of(&first) == of(&second), || format!("first {:?}, then {:?}", of(&first), of(&second)))?;
    ensure(first.status() == EmailStatus::Sending, || format!("it is {:?}", first.status()))
}

pub async fn tokens(stage: &Stage) -> Result<(), Trouble> {
    let mut ids = Vec::new();
    for number in 0..12 {
        // Two senders, so that their numbers must differ.
        ids.push(stage.queue(&stage.address(&format!("token{}", number % 2)), "token", None).await?);
    }
    let message_ids: Vec<String> = (0..ids.len()).map(|number| stage.id(&format!("token{number}"))).collect();
    let claims = ids.iter().zip(&message_ids).map(|(id, message_id)| take(stage, id, 1, message_id));
    let claimed = futures::future::try_join_all(claims).await?;
    let tokens: Vec<_> =
        claimed.into_iter().map(|email| email.tracking_token).filter(|token| !token.is_empty()).collect();
    let distinct: BTreeSet<_> = tokens.iter().collect();
    ensure(distinct.len() == tokens.len(), || format!("tokens are shared: {tokens:?}"))
}

pub async fn by_token(stage: &Stage) -> Result<(), Trouble> {
    let id = stage.queue(&stage.address("by-token"), "token", None).await?;
    let token = take(stage, &id, 1, &stage.id("by-token")).await?.tracking_token;
    if token.is_empty() {
        // A CRM without tokens.
        return Ok(());
    }
    let request = MatchEmailRequest { tokens: vec!["NONE:0".to_owned(), token], ..MatchEmailRequest::default() };
    let found = stage.crm().match_email(request).await?.into_inner().emails;
    let found: Vec<_> = found.iter().map(|found| (found.method(), found.email_id.as_str())).collect();
    ensure(found == [(CorrelationMethod::TrackingToken, id.as_str())], || format!("found {found:?}"))
}

pub async fn is_final(stage: &Stage) -> Result<(), Trouble> {
    let from = stage.address("final");
    let id = stage.queue(&from, "final", None).await?;
    take(stage, &id, 1, &stage.id("final")).await?;
    for status in [EmailStatus::Sent, EmailStatus::Sent, EmailStatus::Failed] {
        report(stage, &id, 1, status).await?;
    }
    let status = stage.email(&id).await?.status();
    ensure(status == EmailStatus::Sent, || format!("it is {status:?}"))?;
    ensure(waiting(stage, &from).await?.is_empty(), || "it is still in the outbox".to_owned())
}

pub async fn resend(stage: &Stage) -> Result<(), Trouble> {
    let from = stage.address("resend");
    let id = stage.queue(&from, "resend", None).await?;
    let first = take(stage, &id, 1, &stage.id("resend-1")).await?;
    report(stage, &id, 1, EmailStatus::Failed).await?;
    let failed = stage.email(&id).await?;
    ensure(failed.status() == EmailStatus::Failed && failed.failure == "why", || "its failure is lost".to_owned())?;
    ensure(waiting(stage, &from).await?.is_empty(), || "it is still in the outbox".to_owned())?;
    let attempt = stage.crm().resend_email(ResendEmailRequest { email_id: id.clone() }).await?.into_inner().attempt;
    let found = waiting(stage, &from).await?;
    ensure(found == [(id.clone(), attempt)] && attempt == 2, || format!("the outbox has {found:?}"))?;
    let second = take(stage, &id, 2, &stage.id("resend-2")).await?;
    ensure(second.message_id == stage.id("resend-2"), || "the new attempt has the old message id".to_owned())?;
    ensure(second.tracking_token == first.tracking_token, || "its token changed".to_owned())
}

pub async fn delayed(stage: &Stage) -> Result<(), Trouble> {
    let from = stage.address("delayed");
    let far = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    stage.queue(&from, "delayed", Some(far)).await?;
    let prompt = stage.queue(&from, "prompt", None).await?;
    let found = waiting(stage, &from).await?;
    ensure(found == [(prompt, 1)], || format!("the outbox has {found:?}"))
}

pub async fn found(stage: &Stage) -> Result<(), Trouble> {
    let id = stage.queue(&stage.address("found"), "found", None).await?;
    take(stage, &id, 1, &stage.id("found")).await?;
    report(stage, &id, 1, EmailStatus::Sent).await?;
    let mut copy = stage.message("found", 1);
    copy.email().set_direction(EmailDirection::Outgoing);
    let promoted = stage.promote(&copy).await?;
    ensure(promoted == (id.clone(), false), || format!("{promoted:?} instead of {id}"))
}

/// Listens until a mailbox is named.
async fn told(told: &mut tonic::Streaming<WatchOutboxResponse>, address: &str) -> Result<(), Trouble> {
    let named = async {
        while let Some(message) = told.message().await? {
            if message.mailbox_addresses.iter().any(|named| named.eq_ignore_ascii_case(address)) {
                return Ok(());
            }
        }
        ensure(false, || "the stream ended".to_owned())
    };
    let patient = tokio::time::timeout(std::time::Duration::from_secs(30), named).await;
    patient.unwrap_or_else(|_| ensure(false, || format!("{address} was not named within 30 seconds")))
}

pub async fn watched(stage: &Stage) -> Result<(), Trouble> {
    let mut stream = match stage.crm().watch_outbox(WatchOutboxRequest {}).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == tonic::Code::Unimplemented => return Ok(()),
        Err(status) => return Err(status.into()),
    };
    let first = stream.message().await?;
    ensure(first.is_some(), || "there is no first message".to_owned())?;
    let from = stage.address("watched");
    let id = stage.queue(&from, "told", None).await?;
    told(&mut stream, &from).await?;
    let mut late = stage.crm().watch_outbox(WatchOutboxRequest {}).await?.into_inner();
    told(&mut late, &from).await?;
    take(stage, &id, 1, &stage.id("watched")).await?;
    report(stage, &id, 1, EmailStatus::Failed).await?;
    stage.crm().resend_email(ResendEmailRequest { email_id: id }).await?;
    told(&mut stream, &from).await
}
