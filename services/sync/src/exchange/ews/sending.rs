//! Drafts and sending over EWS. What is sent bears the CRM's id as a property of its own, by which it is found again.

use postroad_core::fault::{Code, Report};
use postroad_ews::{
    Class, Client, CreateAttachment, CreateItem, DeleteItem, Deletion, Disposition, Distinguished, ExtendedField,
    FindItem, FolderRef, GetItem, ItemError, ItemId, ItemShape, NewMessage, Party, SendItem,
};
use uuid::Uuid;

use super::failure::{failure, item_failure, sending_failure};
use crate::exchange::{Done, Draft, Failure, ItemFailure, NewAttachment, NewDraft, SendAnswer};

/// The property's name; each name uses up a quota of the store, so this is the only one.
const PROPERTY: &str = "PostroadEmail";
/// PidTagInternetMessageId.
const MESSAGE_ID: ExtendedField = ExtendedField::Tag { tag: 0x1035, kind: "String" };

fn property() -> ExtendedField {
    ExtendedField::Named { name: PROPERTY.to_owned(), kind: "String" }
}

fn draft_of(id: ItemId) -> Draft {
    Draft { id: id.id, change_key: id.change_key }
}

fn item_of(draft: &Draft) -> ItemId {
    ItemId { id: draft.id.clone(), change_key: draft.change_key.clone() }
}

fn party((name, address): &(String, String)) -> Party {
    Party { name: Some(name.clone()), address: Some(address.clone()), routing: None }
}

async fn with_property(client: &Client, folder: Distinguished, email_id: Uuid) -> Result<Vec<ItemId>, Failure> {
    let folder = FolderRef::Distinguished(folder);
    let request = FindItem::with_property(folder, property(), email_id.to_string());
    let page = client.ask(&request).await.map_err(|error| failure(&error, client))?;
    Ok(page.items.into_iter().filter_map(|item| item.id).collect())
}

pub async fn drafts(client: &Client, email_id: Uuid) -> Result<Vec<Draft>, Failure> {
    Ok(with_property(client, Distinguished::Drafts, email_id).await?.into_iter().map(draft_of).collect())
}

pub async fn make_draft(client: &Client, draft: &NewDraft) -> Done<Draft> {
    let message = NewMessage {
        mime: Some(draft.mime.clone()),
        extended: vec![(property(), draft.email_id.to_string()), (MESSAGE_ID, draft.message_id.clone())],
        bcc: draft.bcc.iter().map(party).collect(),
        from: draft.from.as_ref().map(party),
        is_read: Some(true),
        ..NewMessage::default()
    };
    let request = CreateItem { message, disposition: Disposition::SaveOnly, folder: None };
    match client.ask(&request).await {
        Ok(Ok(Some(id))) => Ok(Ok(draft_of(id))),
        Ok(Ok(None)) => Ok(Err(Report::new(Code::EmailNotSent, "CreateItem: a draft without an id"))),
        Ok(Err(error)) => Ok(Err(sending_failure("CreateItem", &error)?)),
        Err(error) => refused("CreateItem", &error, client),
    }
}

pub async fn attach(client: &Client, draft: &Draft, attachment: &NewAttachment) -> Done<Draft> {
    let request = CreateAttachment {
        parent: item_of(draft),
        name: attachment.name.clone(),
        content_type: attachment.content_type.clone(),
        content_id: Some(attachment.content_id.clone()).filter(|id| !id.is_empty()),
        is_inline: attachment.is_inline,
        content: attachment.content.clone(),
    };
    match client.ask(&request).await {
        Ok(Ok(root)) => Ok(Ok(draft_of(root))),
        Ok(Err(error)) => Ok(Err(sending_failure("CreateAttachment", &error)?)),
        Err(error) => refused("CreateAttachment", &error, client),
    }
}

/// A request that the server refuses for its size, whatever form that takes (PROTOCOL.md §5), is the email's fault.
fn refused(step: &str, error: &postroad_ews::Error, client: &Client) -> Done<Draft> {
    let is_too_large = matches!(error.kind(), postroad_ews::Kind::Http { status: 413, .. })
        || error.code().is_some_and(|code| code.as_str() == "ErrorRequestStreamTooBig");
    if is_too_large {
        return Ok(Err(Report::new(Code::EmailTooLarge, format!("{step}: {error}"))));
    }
    Err(failure(error, client))
}

pub async fn draft(client: &Client, id: &str) -> Result<Option<Draft>, Failure> {
    let request = GetItem { ids: vec![ItemId::new(id)], shape: ItemShape::draft() };
    let answers = client.ask(&request).await.map_err(|error| failure(&error, client))?;
    match answers.into_iter().next() {
        // What is no draft any more was sent; the id of a sent copy is another one.
        Some(Ok(item)) => Ok(item.id.filter(|_| item.is_draft != Some(false)).map(draft_of)),
        Some(Err(error)) => match item_failure(&error)? {
            ItemFailure::Gone => Ok(None),
            ItemFailure::NotAttempted | ItemFailure::Failed(_) => {
                Err(Failure::Fault(Report::new(Code::ExchangeTransient, format!("GetItem of a draft: {error}"))))
            }
        },
        None => Err(Failure::Fault(Report::new(Code::ResponseMalformed, "GetItem was answered without a message"))),
    }
}

pub async fn is_sent(client: &Client, email_id: Uuid) -> Result<bool, Failure> {
    for folder in [Distinguished::SentItems, Distinguished::Outbox] {
        if !with_property(client, folder, email_id).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub async fn send(client: &Client, draft: &Draft, saves: bool) -> Result<SendAnswer, Failure> {
    let request = SendItem { id: item_of(draft), saves, folder: None };
    let answer = client.ask(&request).await.map_err(|error| failure(&error, client))?;
    match answer {
        Ok(()) => Ok(SendAnswer::Sent),
        Err(error) if matches!(error.class(), Class::Gone | Class::Conflict) => Ok(SendAnswer::Changed),
        Err(error) => sending_failure("SendItem", &error).map(SendAnswer::Refused),
    }
}

pub async fn discard(client: &Client, drafts: &[Draft]) -> Result<(), Failure> {
    let ids = drafts.iter().map(|draft| ItemId::new(draft.id.clone())).collect();
    let answers = client.ask(&DeleteItem { ids, deletion: Deletion::Hard }).await;
    let answers = answers.map_err(|error| failure(&error, client))?;
    for error in answers.into_iter().filter_map(Result::err).filter(|error: &ItemError| error.class() != Class::Gone) {
        item_failure(&error)?;
        return Err(Failure::Fault(Report::new(Code::ExchangeTransient, format!("DeleteItem of a draft: {error}"))));
    }
    Ok(())
}
