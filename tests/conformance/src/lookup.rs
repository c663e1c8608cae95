//! Looking up: settings, activities, matches, records.

use postroad_proto::crm::v1::{
    CorrelationMethod, GetRecordRequest, GetSettingsRequest, MatchEmailRequest, MatchEmailResponse, RecordKind,
};
use tonic::Code;
use uuid::Uuid;

use crate::{Trouble, ensure, stage::Stage};

pub async fn settings(stage: &Stage) -> Result<(), Trouble> {
    match stage.crm().get_settings(GetSettingsRequest {}).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::Unimplemented => Ok(()),
        Err(status) => Err(status.into()),
    }
}

pub async fn by_id(stage: &Stage) -> Result<(), Trouble> {
    let (id, _) = stage.promote(&stage.message("by-id", 1)).await?;
    let message_id = stage.id("by-id");
    for name in [id.as_str(), message_id.as_str(), message_id.trim_matches(['<', '>'])] {
        let found = stage.email(name).await?.id;
        ensure(found == id, || format!("{name} is {found}, not {id}"))?;
    }
    Ok(())
}

pub async fn missing(stage: &Stage) -> Result<(), Trouble> {
    let nobody = Uuid::now_v7().to_string();
    let email = stage.email(&nobody).await.err().map(|status| status.code());
    ensure(email == Some(Code::NotFound), || format!("an unknown email is {email:?}"))?;
    let request = GetRecordRequest { record: nobody, ..GetRecordRequest::default() };
    let record = stage.crm().get_record(request).await.err().map(|status| status.code());
    ensure(record == Some(Code::NotFound), || format!("an unknown record is {record:?}"))
}

async fn ask(stage: &Stage, request: MatchEmailRequest) -> Result<MatchEmailResponse, Trouble> {
    Ok(stage.crm().match_email(request).await?.into_inner())
}

pub async fn keys(stage: &Stage) -> Result<(), Trouble> {
    let (one, _) = stage.promote(&stage.message("key-1", 1)).await?;
    let mut conversed = stage.message("key-2", 1);
    let index: Vec<u8> = Uuid::now_v7().into_bytes().into_iter().chain(Uuid::now_v7().into_bytes()).take(27).collect();
    let base = index.get(..22).unwrap_or_default().to_vec();
    conversed.email().conversation_index = index;
    let (two, _) = stage.promote(&conversed).await?;
    let request = MatchEmailRequest {
        message_id: stage.id("key-new"),
        in_reply_to: vec![stage.id("nobody"), stage.id("key-1"), stage.id("key-2")],
        references: vec![stage.id("key-2"), stage.id("key-1")],
        conversation: base,
        ..MatchEmailRequest::default()
    };
    let answer = ask(stage, request).await?;
    let found: Vec<_> = answer.emails.iter().map(|found| (found.method(), found.email_id.as_str())).collect();
    let expected = [
        (CorrelationMethod::InReplyTo, one.as_str()),
        (CorrelationMethod::References, two.as_str()),
        (CorrelationMethod::ConversationIndex, two.as_str()),
    ];
    ensure(found == expected, || format!("found {found:?}, expected {expected:?}"))?;
    let subject = answer.emails.first().map(|found| found.subject.as_str());
    ensure(subject == Some("Subject of key-1"), || format!("its subject is {subject:?}"))?;
    let nothing =
        ask(stage, MatchEmailRequest { in_reply_to: vec![String::new()], ..MatchEmailRequest::default() }).await?;
    ensure(nothing.emails.is_empty(), || "an empty message id names an email".to_owned())
}

pub async fn itself(stage: &Stage) -> Result<(), Trouble> {
    let (id, _) = stage.promote(&stage.message("itself", 1)).await?;
    let request = MatchEmailRequest {
        message_id: stage.id("itself"),
        in_reply_to: vec![stage.id("itself")],
        ..MatchEmailRequest::default()
    };
    let answer = ask(stage, request).await?;
    ensure(answer.emails.is_empty(), || "it matches itself".to_owned())?;
    ensure(answer.incoming_email_id == id, || "its own activity is not told".to_owned())
}

pub async fn addresses(stage: &Stage) -> Result<(), Trouble> {
    let address = stage.address("shared");
    let contact = stage.record(RecordKind::Contact, &address).await?;
    let lead = stage.record(RecordKind::Lead, &address.to_uppercase()).await?;
    let request =
        MatchEmailRequest { addresses: vec![address.clone(), stage.address("nobody")], ..MatchEmailRequest::default() };
    let answer = ask(stage, request).await?;
    let records = answer.addresses.iter().find(|found| found.address == address).map(|found| found.records.clone());
    let mut ids: Vec<String> = records.unwrap_or_default().into_iter().map(|record| record.id).collect();
    let mut expected = [contact, lead];
    ids.sort();
    expected.sort();
    ensure(ids == expected, || format!("found {ids:?}, expected {expected:?}"))
}

pub async fn later(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("later", 1);
    let address = stage.address("late");
    if let Some(party) = message.email().parties.first_mut() {
        party.address.clone_from(&address);
    }
    let (id, _) = stage.promote(&message).await?;
    let record = stage.record(RecordKind::Contact, &address).await?;
    let resolved = stage.email(&id).await?.parties.first().map(|party| party.record_id.clone());
    ensure(resolved == Some(record), || format!("it resolves to {resolved:?}"))
}
