//! DeleteItem (MS-OXWSCORE, DeleteItem).

use crate::{
    ItemError, ItemId, Operation,
    response::{self, ReadError},
    xml::{Element, Reader, Writer},
};

/// Where deleted items go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Nowhere that people find them.
    Hard,
    /// The folder of deletions that can be taken back.
    Soft,
    /// Deleted Items.
    MoveToDeletedItems,
}

/// Deletes messages. One that is gone is answered with `ErrorItemNotFound`, which is success.
#[derive(Clone, Debug)]
pub struct DeleteItem {
    /// The messages.
    pub ids: Vec<ItemId>,
    /// Where they go.
    pub deletion: Deletion,
}

impl Operation for DeleteItem {
    const NAME: &'static str = "DeleteItem";
    type Response = Vec<Result<(), ItemError>>;

    fn write(&self, writer: &mut Writer) {
        let kind = match self.deletion {
            Deletion::Hard => "HardDelete",
            Deletion::Soft => "SoftDelete",
            Deletion::MoveToDeletedItems => "MoveToDeletedItems",
        };
        writer.element("m:DeleteItem", &[("DeleteType", kind)], |writer| {
            writer.element("m:ItemIds", &[], |writer| self.ids.iter().for_each(|id| id.write(writer)));
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |(): &mut (), _, _| Ok(()))?;
        Ok(response::pair(answers, self.ids.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, RequestServerVersion, operation::answer, reference, request};

    #[test]
    fn each_id_is_named_and_has_its_result() {
        let ids = vec![ItemId::new("a"), ItemId::new("b")];
        for (deletion, name) in [
            (Deletion::Hard, "HardDelete"),
            (Deletion::Soft, "SoftDelete"),
            (Deletion::MoveToDeletedItems, "MoveToDeletedItems"),
        ] {
            let text =
                request(&DeleteItem { ids: ids.clone(), deletion }, RequestServerVersion::default(), &Identity::Own);
            let expected = format!(
                "<m:DeleteItem DeleteType=\"{name}\"><m:ItemIds><t:ItemId Id=\"a\"/><t:ItemId Id=\"b\"/></m:ItemIds></m:DeleteItem>"
            );
            assert!(text.contains(&expected), "{text}");
        }
        // What a meeting is answered with is what a message is answered with.
        let Some(text) = reference::sample("091-deleteitem-meeting.resp.xml") else { return };
        let answers = answer(&DeleteItem { ids, deletion: Deletion::Hard }, &text).unwrap().unwrap();
        assert_eq!(answers, [Ok(()), Err(ItemError::NotProcessed)], "one was not answered");
    }
}
