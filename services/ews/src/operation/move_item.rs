//! MoveItem: items to another folder (MS-OXWSCORE, MoveItem).

use crate::{
    FolderRef, Item, ItemError, ItemId, Operation,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer},
};

/// Moves items. Their ids change.
#[derive(Clone, Debug)]
pub struct MoveItem {
    /// The items.
    pub ids: Vec<ItemId>,
    /// The folder to move them to.
    pub target: FolderRef,
}

impl Operation for MoveItem {
    const NAME: &'static str = "MoveItem";
    /// The new ids; none where the server moved the item but does not tell (another mailbox, public folders).
    type Response = Vec<Result<Option<ItemId>, ItemError>>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:MoveItem", &[], |writer| {
            writer.element("m:ToFolderId", &[], |writer| self.target.write(writer));
            writer.element("m:ItemIds", &[], |writer| self.ids.iter().for_each(|id| id.write(writer)));
            writer.text("m:ReturnNewItemIds", "true");
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers =
            response::messages(reader, response, Self::NAME, |items: &mut Vec<Item>, reader, part| match part.key() {
                (Namespace::Messages, "Items") => Item::read_list(reader, items),
                _ => Ok(()),
            })?;
        let id = |items: Vec<Item>| items.into_iter().find_map(|item| item.id);
        Ok(response::pair(answers.into_iter().map(|answer| answer.map(id)).collect(), self.ids.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, operation::answer, reference};

    fn read(name: &str) -> Option<Vec<Result<Option<ItemId>, ItemError>>> {
        let text = reference::sample(name)?;
        let request = MoveItem { ids: vec![ItemId::new("a")], target: FolderRef::INBOX };
        Some(answer(&request, &text).unwrap().unwrap())
    }

    #[test]
    fn reads_new_ids() {
        let Some(moved) = read("094-moveitem.resp.xml") else { return };
        assert!(moved[0].as_ref().unwrap().as_ref().unwrap().id.starts_with("AAMkAGQzFiCPasShO4PRiwV"));
    }

    #[test]
    fn moving_without_a_new_id_is_success() {
        let Some(moved) = read("095-moveitem-no-ids.resp.xml") else { return };
        assert_eq!(moved, [Ok(None)]);
    }

    #[test]
    fn reads_failures() {
        let Some(moved) = read("096-moveitem-failed.resp.xml") else { return };
        assert_eq!(moved[0].as_ref().unwrap_err().class(), Class::Gone);
    }
}
