//! Promotion: once, whole, as decided.

use futures::TryStreamExt as _;
use postroad_proto::crm::v1::{
    Attachment, CorrelationMethod, EmailDirection, PartyRole, PromoteHeader, ReadContentRequest, Record, RecordKind,
};
use tonic::Code;

use crate::{
    Trouble, ensure,
    stage::{Message, Stage, described},
};

pub async fn again(stage: &Stage) -> Result<(), Trouble> {
    let first = stage.promote(&stage.message("again", 1)).await?;
    ensure(first.1, || "the first promotion does not say that it created the activity".to_owned())?;
    let mut bare = stage.message("again", 1);
    bare.email().message_id = stage.id("again").trim_matches(['<', '>']).to_owned();
    for message in [stage.message("again", 1), stage.message("again", 2), bare] {
        let other = stage.promote(&message).await?;
        ensure(other == (first.0.clone(), false), || format!("first {first:?}, then {other:?}"))?;
    }
    let sources = stage.email(&first.0).await?.sources.len();
    ensure(sources == 2, || format!("it lies in two mailboxes, and {sources} are told"))
}

pub async fn at_once(stage: &Stage) -> Result<(), Trouble> {
    let messages: Vec<Message> = (1..=8).map(|mailbox| stage.message("at-once", mailbox)).collect();
    let promoted = futures::future::try_join_all(messages.iter().map(|message| stage.promote(message))).await?;
    let created = promoted.iter().filter(|(_, created)| *created).count();
    let ids: std::collections::BTreeSet<_> = promoted.iter().map(|(id, _)| id).collect();
    ensure((created, ids.len()) == (1, 1), || format!("{created} say that they created it, {} ids", ids.len()))
}

pub async fn directions(stage: &Stage) -> Result<(), Trouble> {
    let (received, _) = stage.promote(&stage.message("both", 1)).await?;
    let mut sent = stage.message("both", 1);
    sent.email().set_direction(EmailDirection::Outgoing);
    let (sent, created) = stage.promote(&sent).await?;
    ensure(created && sent != received, || "the sent one is the received one".to_owned())
}

pub async fn without_id(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("without-id", 1);
    message.email().message_id.clear();
    let first = stage.promote(&message).await?;
    let again = stage.promote(&message).await?;
    ensure(first.1 && again == (first.0.clone(), false), || format!("first {first:?}, then {again:?}"))
}

async fn read(stage: &Stage, email_id: &str, digest: &str) -> Result<Vec<u8>, tonic::Status> {
    let request = ReadContentRequest { digest: digest.to_owned(), email_id: email_id.to_owned() };
    let pieces: Vec<_> = stage.crm().read_content(request).await?.into_inner().try_collect().await?;
    Ok(pieces.into_iter().flat_map(|piece| piece.piece).collect())
}

pub async fn contents(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("contents", 1);
    let file: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251).to_le_bytes()[0]).collect();
    message.email().attachments.push(Attachment {
        name: "a.bin".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        content_id: "logo@x".to_owned(),
        inline: true,
        content: Some(described(&file)),
        ..Attachment::default()
    });
    message.contents.push(file.clone());
    let (id, _) = stage.promote(&message).await?;
    let email = stage.email(&id).await?;
    let attachment = email.attachments.first().cloned().unwrap_or_default();
    ensure(attachment.inline && attachment.content_id == "logo@x", || "the Content-Id is lost".to_owned())?;
    let digest = attachment.content.unwrap_or_default().digest;
    ensure(read(stage, &id, &digest).await? == file, || "the attachment is another one".to_owned())?;
    let text = read(stage, &id, &email.text.unwrap_or_default().digest).await?;
    ensure(text == b"Hello", || "the text is another one".to_owned())
}

async fn refused(stage: &Stage, message: &Message) -> Result<(), Trouble> {
    let id = message.header.email.clone().unwrap_or_default().message_id;
    match stage.promote(message).await {
        Ok(_) => return Err(Trouble::Broken("it was taken".to_owned())),
        Err(status) => {
            let codes = [Code::InvalidArgument, Code::FailedPrecondition, Code::OutOfRange];
            ensure(codes.contains(&status.code()), || format!("it was refused with {:?}", status.code()))?;
        }
    }
    let found = stage.email(&id).await;
    ensure(found.is_err_and(|status| status.code() == Code::NotFound), || "it is visible all the same".to_owned())
}

pub async fn wrong_digest(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("wrong-digest", 1);
    if let Some(text) = message.contents.first_mut() {
        b"Hallo".as_slice().clone_into(text);
    }
    refused(stage, &message).await
}

pub async fn broken_off(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("broken-off", 1);
    message.contents.pop();
    refused(stage, &message).await
}

pub async fn large(stage: &Stage) -> Result<(), Trouble> {
    let mut message = stage.message("large", 1);
    let mime = vec![b'x'; 20 * 1024 * 1024];
    message.email().mime = Some(described(&mime));
    if let Some(last) = message.contents.last_mut() {
        *last = mime;
    }
    let id = stage.id("large");
    match stage.promote(&message).await {
        Ok(_) => {
            let kept = stage.email(&id).await?.mime.unwrap_or_default().size;
            ensure(kept == 20 * 1024 * 1024, || format!("{kept} bytes are kept"))
        }
        Err(_) => refused(stage, &message).await,
    }
}

pub async fn decisions(stage: &Stage) -> Result<(), Trouble> {
    let account = stage.record(RecordKind::Account, &stage.address("account")).await?;
    let owner = stage.record(RecordKind::User, &stage.address("owner")).await?;
    let (answered, _) = stage.promote(&stage.message("answered", 1)).await?;
    let mut message = stage.message("decided", 1);
    let email = message.email();
    email.regarding_id.clone_from(&account);
    email.owner_id.clone_from(&owner);
    email.accepted_by = "ada@contoso.example".to_owned();
    email.correlated_email_id.clone_from(&answered);
    email.set_correlation_method(CorrelationMethod::References);
    if let Some(party) = email.parties.first_mut() {
        party.is_ambiguous = true;
    }
    let (id, _) = stage.promote(&message).await?;
    let kept = stage.email(&id).await?;
    ensure(kept.regarding_id == account && kept.owner_id == owner, || "regarding or owner is another one".to_owned())?;
    ensure(kept.accepted_by == "ada@contoso.example", || "the accepting mailbox is lost".to_owned())?;
    let correlation = (kept.correlated_email_id.as_str(), kept.correlation_method());
    ensure(correlation == (answered.as_str(), CorrelationMethod::References), || {
        format!("it answers {correlation:?}")
    })?;
    ensure(kept.parties.first().is_some_and(|party| party.is_ambiguous), || "an ambiguous party is none".to_owned())
}

pub async fn new_sender(stage: &Stage) -> Result<(), Trouble> {
    // Where records cannot be made, nothing can be looked up afterwards either.
    stage.record(RecordKind::User, &stage.address("anybody")).await?;
    let address = stage.address("stranger");
    let message = |name: &str, mailbox: u128| {
        let mut message = stage.message(name, mailbox);
        if let Some(party) = message.email().parties.iter_mut().find(|party| party.role() == PartyRole::From) {
            party.address.clone_from(&address);
        }
        let sender = Record {
            kind: RecordKind::Lead.into(),
            name: "A stranger".to_owned(),
            addresses: vec![address.clone()],
            ..Record::default()
        };
        message.header = PromoteHeader { create_sender: Some(sender), ..message.header };
        message
    };
    let messages = [message("new-1", 1), message("new-2", 2), message("new-3", 3)];
    let promoted = futures::future::try_join_all(messages.iter().map(|message| stage.promote(message))).await?;
    let mut records = std::collections::BTreeSet::new();
    for (id, _) in promoted {
        let from = stage.email(&id).await?.parties.into_iter().find(|party| party.role() == PartyRole::From);
        records.insert(from.unwrap_or_default().record_id);
    }
    ensure(records.len() == 1 && !records.contains(""), || format!("the sender is {records:?}"))
}
