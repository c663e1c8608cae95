//! One mailbox over EWS.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use postroad_core::{
    fault::{Code, Report},
    mailbox::{From, Item, Listed, Place},
};
use postroad_ews::{
    Arrival, Change, Client, DeleteItem, Deletion, FindItem, FolderRef, GetItem, ItemId, ItemShape, Mark, MoveItem,
    Property, Restriction, SyncFolderItems, UpdateItem,
};
use uuid::Uuid;

use super::{
    failure::{failure, item_failure},
    folders::folder,
    sending,
};
use crate::exchange::{
    Changes, Done, Draft, Exchange, Failure, FolderName, ItemFailure, Listing, Message, NewAttachment, NewDraft,
    SendAnswer,
};

/// Messages of a listing at a time.
const LISTING: u32 = 250;

/// One mailbox over EWS.
pub struct Mailbox {
    /// As whom it is asked.
    pub client: Client,
}

impl Mailbox {
    fn failed(&self, error: &postroad_ews::Error) -> Failure {
        failure(error, &self.client)
    }

    async fn find(&self, request: &FindItem) -> Result<Listing, Failure> {
        let page = self.client.ask(request).await.map_err(|error| self.failed(&error))?;
        let listed = page.items.into_iter().filter_map(listed_item).collect();
        let next = page.next.filter(|next| !page.is_last && *next > request.offset);
        Ok(Listing { listed, total: u64::from(page.total.unwrap_or_default()), next })
    }
}

#[async_trait]
impl Exchange for Mailbox {
    async fn changes(&self, place: &Place, cursor: Option<&str>, most: u32) -> Result<Changes, Failure> {
        let mut request = SyncFolderItems::since(folder(place), cursor.map(str::to_owned));
        request.limit = most;
        let answer = self.client.call(&request).await.map_err(|error| self.failed(&error))?;
        let server_allows = answer.server.and_then(|server| u16::try_from(server.default_concurrency()).ok());
        let page = answer.value;
        let mut changes = Changes { cursor: page.state, more: !page.is_last, server_allows, ..Changes::default() };
        for change in page.changes {
            match change {
                Change::Create(arrival) => changes.listed.push(listed(arrival)),
                Change::Update(arrival) => changes.updated.push(listed(arrival)),
                Change::Delete(_) | Change::ReadFlag { .. } | Change::Unknown { .. } => {}
            }
        }
        Ok(changes)
    }

    async fn fetch(&self, ids: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure> {
        let ids = ids.iter().map(|id| ItemId::new(id.clone())).collect();
        let answers = self.client.ask(&GetItem { ids, shape: ItemShape::original() }).await;
        let answers = answers.map_err(|error| self.failed(&error))?;
        let mut fetched = Vec::with_capacity(answers.len());
        for answer in answers {
            fetched.push(match answer {
                Ok(item) => Ok(message(item)),
                Err(error) => Err(item_failure(&error)?),
            });
        }
        Ok(fetched)
    }

    async fn move_to_undeliverable(&self, id: &str) -> Done<Option<String>> {
        let target = FolderRef::Id(self.undeliverable().await.map_err(|error| self.failed(&error))?);
        let request = MoveItem { ids: vec![ItemId::new(id)], target };
        let answers = self.client.ask(&request).await.map_err(|error| self.failed(&error))?;
        one(answers, None).map(|done| done.map(|id| id.flatten().map(|id| id.id)))
    }

    async fn delete(&self, id: &str) -> Done<()> {
        let request = DeleteItem { ids: vec![ItemId::new(id)], deletion: Deletion::MoveToDeletedItems };
        let answers = self.client.ask(&request).await.map_err(|error| self.failed(&error))?;
        one(answers, None).map(|done| done.map(drop))
    }

    async fn categorize(&self, ids: &[String], category: &str) -> Result<Vec<Result<(), Report>>, Failure> {
        let wanted = ids.iter().map(|id| ItemId::new(id.clone())).collect();
        let known = self.client.ask(&GetItem { ids: wanted, shape: ItemShape::categories() }).await;
        let known = known.map_err(|error| self.failed(&error))?;
        let mut results: Vec<Result<(), Report>> = vec![Ok(()); ids.len()];
        let mut changes = Vec::new();
        let mut places = Vec::new();
        for (place, (id, answer)) in ids.iter().zip(known).enumerate() {
            match answer {
                Ok(item) if item.categories.iter().any(|known| known.eq_ignore_ascii_case(category)) => {}
                Ok(item) => {
                    let mut categories = item.categories;
                    categories.push(category.to_owned());
                    changes.push((ItemId::new(id.clone()), vec![Mark::Categories(categories)]));
                    places.push(place);
                }
                Err(error) => set(&mut results, place, settled(&error)?),
            }
        }
        if changes.is_empty() {
            return Ok(results);
        }
        let answers = self.client.ask(&UpdateItem { changes }).await.map_err(|error| self.failed(&error))?;
        for (place, answer) in places.into_iter().zip(answers) {
            if let Err(error) = answer {
                set(&mut results, place, settled(&error)?);
            }
        }
        Ok(results)
    }

    async fn older(&self, from: From, before: Timestamp, offset: u32, most: u32) -> Result<Listing, Failure> {
        let mut parts = vec![Restriction::Less(Property::RECEIVED, before.to_string())];
        parts.extend(from.0.map(|from| Restriction::AtLeast(Property::RECEIVED, from.to_string())));
        let request = FindItem {
            shape: ItemShape::arrivals(),
            restriction: Some(Restriction::All(parts)),
            order: Some((Property::RECEIVED, true)),
            offset,
            limit: most,
            ..FindItem::all(FolderRef::INBOX)
        };
        self.find(&request).await
    }

    async fn list(&self, place: &Place, offset: u32) -> Result<Listing, Failure> {
        let shape = ItemShape::arrivals();
        self.find(&FindItem { shape, offset, limit: LISTING, ..FindItem::all(folder(place)) }).await
    }

    async fn folders(&self) -> Result<Vec<FolderName>, Failure> {
        self.below_inbox().await.map_err(|error| self.failed(&error))
    }

    async fn drafts(&self, email_id: Uuid) -> Result<Vec<Draft>, Failure> {
        sending::drafts(&self.client, email_id).await
    }

    async fn make_draft(&self, draft: &NewDraft) -> Done<Draft> {
        sending::make_draft(&self.client, draft).await
    }

    async fn attach(&self, draft: &Draft, attachment: &NewAttachment) -> Done<Draft> {
        sending::attach(&self.client, draft, attachment).await
    }

    async fn draft(&self, id: &str) -> Result<Option<Draft>, Failure> {
        sending::draft(&self.client, id).await
    }

    async fn is_sent(&self, email_id: Uuid) -> Result<bool, Failure> {
        sending::is_sent(&self.client, email_id).await
    }

    async fn send(&self, draft: &Draft, saves: bool) -> Result<SendAnswer, Failure> {
        sending::send(&self.client, draft, saves).await
    }

    async fn discard(&self, drafts: &[Draft]) -> Result<(), Failure> {
        sending::discard(&self.client, drafts).await
    }
}

fn set(results: &mut [Result<(), Report>], place: usize, result: Result<(), Report>) {
    if let Some(slot) = results.get_mut(place) {
        *slot = result;
    }
}

/// The outcome for a message that could not be marked; one that is gone needs no mark.
fn settled(error: &postroad_ews::ItemError) -> Result<Result<(), Report>, Failure> {
    match item_failure(error)? {
        ItemFailure::Gone => Ok(Ok(())),
        ItemFailure::NotAttempted => Err(Failure::Fault(Report::new(Code::ExchangeTransient, error.to_string()))),
        ItemFailure::Failed(report) => Ok(Err(report)),
    }
}

/// The answer for the one item that was asked about; `gone` where it is not there any more.
fn one<T>(answers: Vec<Result<T, postroad_ews::ItemError>>, gone: Option<T>) -> Done<Option<T>> {
    match answers.into_iter().next() {
        Some(Ok(answer)) => Ok(Ok(Some(answer))),
        Some(Err(error)) => Ok(settled(&error)?.map(|()| gone)),
        None => Err(Failure::Fault(Report::new(Code::ResponseMalformed, "an answer came without a message"))),
    }
}

fn listed(arrival: Arrival) -> Listed {
    let Arrival { id, class, message_id, received, categories, .. } = arrival;
    Listed { item: Item { id: id.id, message_id, received }, class: class.unwrap_or_default(), categories }
}

fn listed_item(item: postroad_ews::Item) -> Option<Listed> {
    let message_id = item.internet_message_id.filter(|id| !id.trim().is_empty());
    let (received, class, categories) = (item.received, item.class.unwrap_or_default(), item.categories);
    Some(Listed { item: Item { id: item.id?.id, message_id, received }, class, categories })
}

fn message(item: postroad_ews::Item) -> Message {
    Message {
        mime: Bytes::from(item.mime.unwrap_or_default()),
        message_id: item.internet_message_id.filter(|id| !id.trim().is_empty()),
        received: item.received,
        subject: item.subject.unwrap_or_default(),
        categories: item.categories,
    }
}
