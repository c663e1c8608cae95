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
