//! SendItem (MS-OXWSCORE): the draft goes, and a copy with another id comes.

use super::response::Failure;
use super::{Call, response, target};
use crate::soap::Element;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let ids = target::list(operation, "ItemIds");
    let saves = matches!(operation.attribute("SaveItemToFolder").map(str::trim), Some("true" | "1"));
    let chosen = operation.child("SavedItemFolderId");
    let folder = chosen.map(|chosen| target::within(call, Some(chosen)).map(|(_, folder)| folder));
    response::batch(call, "SendItem", "", &ids, |id| {
        if chosen.is_some() && !saves {
            return Err(Failure::new("ErrorInvalidSendItemSaveSettings"));
        }
        let (account, key, change_key) = target::item(call, id)?;
        let folder = folder.clone().transpose()?;
        let mut mailbox = account.mailbox();
        let draft = mailbox.item(key).ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        target::check_change_key(&mailbox, draft, change_key)?;
        if !draft.is_draft {
            return Err(Failure::new("ErrorInvalidItemForOperationSendItem"));
        }
        call.transport.check(account, &draft.content).map_err(Failure::new)?;
        let draft = mailbox.remove_item(key).ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        let (submission, copy) = call.transport.submit(account, draft, call.now);
        if let Some(folder) = folder.or_else(|| mailbox.distinguished("sentitems")).filter(|_| saves) {
            mailbox.add_item(folder, copy);
        }
        drop(mailbox);
        submission.deliver(call.directory);
        Ok(String::new())
    })
}
