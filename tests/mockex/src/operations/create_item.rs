//! CreateItem (MS-OXWSCORE): of the kinds of items, messages.

mod message;

use super::response::Failure;
use super::{Call, response, target};
use crate::shape::item_id;
use crate::soap::{Element, Xml};

/// What happens to the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Disposition {
    SaveOnly,
    SendOnly,
    SendAndSaveCopy,
}

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let items = target::list(operation, "Items");
    let disposition = match operation.attribute("MessageDisposition") {
        Some("SaveOnly") => Some(Disposition::SaveOnly),
        Some("SendOnly") => Some(Disposition::SendOnly),
        Some(_) => Some(Disposition::SendAndSaveCopy),
        None => None,
    };
    let chosen = operation.child("SavedItemFolderId");
    response::batch(call, "CreateItem", "<m:Items/>", &items, |element| {
        let disposition = disposition.ok_or_else(|| Failure::new("ErrorMessageDispositionRequired"))?;
        create(call, element, disposition, chosen)
    })
}

fn create(
    call: &Call<'_>,
    element: &Element,
    disposition: Disposition,
    chosen: Option<&Element>,
) -> Result<String, Failure> {
    if element.name != "Message" {
        return Err(Failure::new("ErrorInvalidItemForOperationCreateItem"));
    }
    let account = call.account.ok_or_else(|| Failure::new("ErrorMissingEmailAddress"))?;
    let folder = chosen.map(|chosen| target::within(call, Some(chosen)).map(|(_, folder)| folder)).transpose()?;
    let draft = message::read(element, call.now)?;
    if account.is_full() {
        return Err(Failure::new("ErrorQuotaExceeded"));
    }
    call.transport.check_size(&draft.content).map_err(Failure::new)?;
    let mut mailbox = account.mailbox();
    let mut xml = Xml::new();
    xml.open("m:Items");
    if disposition == Disposition::SaveOnly {
        let folder = folder.or_else(|| mailbox.distinguished("drafts"));
        let key = folder.and_then(|folder| mailbox.add_item(folder, draft));
        let key = key.ok_or_else(|| Failure::new("ErrorFolderNotFound"))?;
        xml.open("t:Message");
        item_id(&mut xml, &mailbox, key);
        xml.close("t:Message");
    } else {
        call.transport.check(account, &draft.content).map_err(Failure::new)?;
        let (submission, copy) = call.transport.submit(account, draft, call.now);
        let saves = disposition == Disposition::SendAndSaveCopy;
        if let Some(folder) = folder.or_else(|| mailbox.distinguished("sentitems")).filter(|_| saves) {
            mailbox.add_item(folder, copy);
        }
        drop(mailbox);
        submission.deliver(call.directory);
    }
    xml.close("m:Items");
    Ok(xml.into_string())
}
