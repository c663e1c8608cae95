//! SendItem: sending a draft (MS-OXWSCORE, SendItem). Not idempotent, and a lost answer leaves the result unknown: look for the draft
//! before repeating it.

use crate::{
    FolderRef, ItemError, ItemId, Operation,
    response::{self, ReadError},
    xml::{Element, Reader, Writer},
};

/// Sends one draft.
#[derive(Clone, Debug)]
pub struct SendItem {
    /// The draft with its newest change key; with another one the answer is `ErrorStaleObject`.
    pub id: ItemId,
    /// Whether a copy is kept, under a new id.
    pub saves: bool,
    /// Where; none means Sent Items.
    pub folder: Option<FolderRef>,
}

impl Operation for SendItem {
    const NAME: &'static str = "SendItem";
    type Response = Result<(), ItemError>;

    fn write(&self, writer: &mut Writer) {
        let saves = if self.saves { "true" } else { "false" };
        writer.element("m:SendItem", &[("SaveItemToFolder", saves)], |writer| {
            writer.element("m:ItemIds", &[], |writer| self.id.write(writer));
            if let Some(folder) = self.folder.as_ref().filter(|_| self.saves) {
                writer.element("m:SavedItemFolderId", &[], |writer| folder.write(writer));
            }
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |(): &mut (), _, _| Ok(()))?;
        Ok(response::pair(answers, 1).pop().unwrap_or(Err(ItemError::Missing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Distinguished, Identity, Known, RequestServerVersion, operation::answer, reference, request};

    #[test]
    fn a_folder_is_named_only_for_a_copy() {
        let id = ItemId { id: "a".to_owned(), change_key: Some("k".to_owned()) };
        let folder = Some(FolderRef::Distinguished(Distinguished::SentItems));
        let text = |saves| {
            let send = SendItem { id: id.clone(), saves, folder: folder.clone() };
            request(&send, RequestServerVersion::default(), &Identity::Own)
        };
        let ids = "<m:ItemIds><t:ItemId Id=\"a\" ChangeKey=\"k\"/></m:ItemIds>";
        let folder = "<m:SavedItemFolderId><t:DistinguishedFolderId Id=\"sentitems\"/></m:SavedItemFolderId>";
        assert!(text(true).contains(&format!("<m:SendItem SaveItemToFolder=\"true\">{ids}{folder}</m:SendItem>")));
        assert!(text(false).contains(&format!("<m:SendItem SaveItemToFolder=\"false\">{ids}</m:SendItem>")));
    }

    #[test]
    fn reads_refusals() {
        let send = SendItem { id: ItemId::new("a"), saves: true, folder: None };
        let cases = [
            ("062-senditem-stale.resp.xml", Known::ErrorStaleObject, Class::Conflict),
            ("063-senditem-quota.resp.xml", Known::ErrorSubmissionQuotaExceeded, Class::Throttled),
        ];
        for (name, known, class) in cases {
            let Some(text) = reference::sample(name) else { return };
            let Err(ItemError::Response(error)) = answer(&send, &text).unwrap().unwrap() else { panic!("{name}") };
            assert_eq!((error.code.known(), error.class()), (Some(known), class), "{name}");
        }
    }
}
